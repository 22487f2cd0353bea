/** Requests that are signed, at the real program; what signs them is written here, without any code of the gateway. */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { type TestContext, suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../../support/gateway.ts';
import { fieldValue } from '../../support/message-parser.ts';
import { request as exchangeOnce } from '../../support/raw-client.ts';
import { RawUpstream } from '../../support/raw-upstream.ts';

const secret = 'a shared secret that is long enough';
const sha256 = (body: string): string => `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;

/** What a test wants to be different from a signed `GET /orders?a=1`. */
interface Signing {
  readonly method?: string;
  readonly target?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly components?: readonly string[];
  /** Seconds since 1970. */
  readonly created?: number | null;
  readonly parameters?: string;
  readonly keyId?: string;
  readonly secret?: string;
  readonly label?: string;
}

const usual = ['@method', '@authority', '@path', '@query'];
let serial = 0;

/** A request as it is on the wire. */
function signed(seconds: number, signing: Signing = {}): string {
  const {
    method = 'GET',
    target = '/orders?a=1',
    fields = {},
    body = '',
    components = usual,
    label = 'sig1',
  } = signing;
  const { created = seconds, parameters = `;nonce="n${serial++}"`, keyId = 'mobile-1' } = signing;
  const [path, query = ''] = target.split('?');
  const values: Readonly<Record<string, string>> = {
    '@method': method,
    '@authority': 'api.example.com',
    '@path': path,
    '@query': `?${query}`,
    '@scheme': 'http',
    '@target-uri': `http://api.example.com${target}`,
    ...fields,
  };
  const list = components.map((name) => `"${name}"`).join(' ');
  const input = `(${list})${created === null ? '' : `;created=${created}`};keyid="${keyId}"${parameters}`;
  const base = [...components.map((name) => `"${name}": ${values[name]}`), `"@signature-params": ${input}`].join('\n');
  const mac = createHmac('sha256', signing.secret ?? secret)
    .update(base, 'latin1')
    .digest('base64');
  const lines = {
    host: 'api.example.com',
    ...fields,
    ...(body !== '' && { 'content-length': String(body.length) }),
    'signature-input': `${label}=${input}`,
    signature: `${label}=:${mac}:`,
  };
  const text = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${text.join('')}\r\n${body}`;
}

async function start(t: TestContext, options: Record<string, unknown> = {}, more: Partial<ConfigInput> = {}) {
  const upstream = await RawUpstream.start(t);
  const clock = new FakeClock();
  const config: ConfigInput = {
    ...proxyTo(upstream.url, { route: { policies: [{ messageSignature: options }] } }),
    consumers: {
      mobile: { groups: ['gold'], hmac: { keyId: 'mobile-1', secret } },
      other: { hmac: { keyId: 'other-1', secret: 'another secret that is long enough' } },
    },
    ...more,
  };
  const gateway = await TestGateway.start(t, config, { clock });
  let client = 0;
  // Each time as another client: who fails again and again is slowed down and refused.
  const send = (text: string) => {
    client++;
    const from = { localAddress: `127.0.${client >> 7}.${(client & 127) + 1}` };
    return exchangeOnce(t, { ...gateway.address(), ...from }, text);
  };
  const now = (): number => Math.floor(clock.wallNow() / 1000);
  let index = 0;
  /** Status and reason; the answer is looked at: it is the same for all that is refused. */
  const verdict = async (text: string): Promise<readonly [number, string]> => {
    const response = await send(text);
    const { reason } = await gateway.observation(index++);
    if (response.status === 401) {
      assert.deepEqual(JSON.parse(response.body).code, 'UNAUTHENTICATED');
      assert.equal(fieldValue(response.fields, 'www-authenticate'), 'Signature realm="api"');
    }
    return [response.status, reason];
  };
  const refused = async (text: string, reason: RegExp): Promise<void> => {
    const before = upstream.requests.length;
    const [status, why] = await verdict(text);
    assert.equal(status, 401, why);
    assert.match(why, reason);
    assert.equal(upstream.requests.length, before);
  };
  return { upstream, clock, gateway, send, now, verdict, refused };
}

test('a request that is signed belongs to whose key it is, and the signature stays here', async (t) => {
  const { send, now, upstream } = await start(t);
  assert.equal((await send(signed(now()))).status, 200);
  const { fields, target } = await upstream.request();
  assert.equal(target, '/orders?a=1');
  assert.equal(fieldValue(fields, 'x-consumer'), 'mobile');
  assert.equal(fieldValue(fields, 'x-consumer-groups'), 'gold');
  assert.equal(fieldValue(fields, 'signature'), undefined);
  assert.equal(fieldValue(fields, 'signature-input'), undefined);
});

test('forward: it goes on', async (t) => {
  const { send, now, upstream } = await start(t, { forward: true });
  assert.equal((await send(signed(now()))).status, 200);
  assert.match(fieldValue((await upstream.request()).fields, 'signature')!, /^sig1=:/);
});

test('optional: without any it passes as nobody; one that does not hold never passes', async (t) => {
  const { verdict, now, upstream } = await start(t, { optional: true });
  assert.deepEqual(await verdict('GET / HTTP/1.1\r\nhost: a\r\nx-consumer: mobile\r\n\r\n'), [200, '']);
  assert.equal(fieldValue((await upstream.request()).fields, 'x-consumer'), undefined);
  assert.equal((await verdict(signed(now(), { secret: 'x' })))[0], 401);
  assert.equal((await verdict('GET / HTTP/1.1\r\nhost: a\r\nsignature: sig1=:AA==:\r\n\r\n'))[0], 401);
});

test('all that does not hold gets the same answer', async (t) => {
  const { refused, now } = await start(t);
  await refused('GET / HTTP/1.1\r\nhost: a\r\n\r\n', /^no signature$/);
  await refused(signed(now(), { secret: 'wrong' }), /does not hold/);
  await refused(signed(now(), { keyId: 'nobody' }), /not known/);
  await refused(signed(now(), { keyId: '../../dev/null' }), /not known/);
  await refused(signed(now(), { keyId: 'other-1' }), /does not hold/);
  await refused(signed(now()).replace('GET ', 'POST '), /does not hold/);
  await refused(signed(now()).replace('/orders?a=1', '/orders?a=2'), /does not hold/);
  await refused(signed(now()).replace('/orders?', '/Orders?'), /does not hold/);
  await refused(signed(now()).replace('host: api.example.com', 'host: api.example.org'), /does not hold/);
  await refused(signed(now()).replace('signature: sig1', 'signature: sig2'), /malformed/);
  await refused(signed(now()).replace('signature: ', 'x-signature: '), /malformed/);
  await refused(signed(now()).replace('\r\nsignature: ', ', sig1=()\r\nsignature: '), /without a keyid/);
  await refused(signed(now(), { components: usual.slice(1) }), /does not cover/);
  await refused(signed(now(), { components: [] }), /does not cover/);
  await refused(signed(now(), { components: [...usual, 'x-missing'] }), /not there/);
  await refused(signed(now(), { components: [...usual, '@status'] }), /not there, or not supported/);
  await refused(signed(now(), { created: null }), /without the time/);
  await refused(signed(now()).replace(/;keyid="[^"]*"/g, ''), /without a keyid/);
  await refused(signed(now(), { parameters: `;nonce=${'1'.repeat(5)}` }), /nonce/);
  await refused(signed(now(), { parameters: `;nonce="${'1'.repeat(257)}"` }), /nonce/);
});

test('the key says which algorithm it is for, never the message (CVE-2015-9235)', async (t) => {
  const { refused, verdict, now } = await start(t);
  for (const alg of ['"none"', '"rsa-v1_5-sha256"', '"ed25519"', '"HMAC-SHA256"', '""', 'hmac-sha256']) {
    await refused(signed(now(), { parameters: `;alg=${alg}` }), /algorithm/);
  }
  assert.deepEqual(await verdict(signed(now(), { parameters: ';alg="hmac-sha256"' })), [200, '']);
});

test('algorithms: keys of others are not accepted', async (t) => {
  const { refused, now } = await start(t, { algorithms: ['ed25519'] });
  await refused(signed(now()), /algorithm of the key is not accepted/);
});

suite('the time of a signature', () => {
  test('it is accepted from when it was made until it is too old, give and take the skew', async (t) => {
    const { verdict, refused, now } = await start(t, { maxAge: '1m', clockSkew: '5s' });
    for (const age of [-5, 0, 60, 64]) {
      assert.deepEqual(await verdict(signed(now(), { created: now() - age })), [200, ''], String(age));
    }
    await refused(signed(now(), { created: now() + 7 }), /future/);
    await refused(signed(now(), { created: now() - 66 }), /too old/);
    await refused(signed(now(), { created: -1 }), /too old/);
  });

  test('and not longer than it says itself', async (t) => {
    const { verdict, refused, now } = await start(t, { clockSkew: '0s' });
    assert.deepEqual(await verdict(signed(now(), { parameters: `;expires=${now() + 10}` })), [200, '']);
    await refused(signed(now(), { parameters: `;expires=${now() - 1}` }), /too old/);
    await refused(signed(now(), { parameters: ';expires="never"' }), /expires/);
  });
});

suite('replays', () => {
  test('what was accepted once is not accepted again, on no connection and at no time', async (t) => {
    const { verdict, refused, now, clock } = await start(t);
    const text = signed(now());
    assert.deepEqual(await verdict(text), [200, '']);
    await refused(text, /used before/);
    for (let minute = 0; minute < 4; minute++) {
      clock.advance(60_000);
      await refused(text, /used before/);
    }
    clock.advance(120_000);
    await refused(text, /too old/);
  });

  test('without a nonce it is known by what is signed', async (t) => {
    const { verdict, refused, now } = await start(t);
    const text = signed(now(), { parameters: '' });
    assert.deepEqual(await verdict(text), [200, '']);
    await refused(text, /used before/);
    assert.deepEqual(await verdict(signed(now(), { parameters: '', target: '/other?a=1' })), [200, '']);
  });

  test('a nonce is used once by each key, whatever it signs', async (t) => {
    const { verdict, refused, now } = await start(t);
    const parameters = ';nonce="same"';
    const other = { keyId: 'other-1', secret: 'another secret that is long enough' };
    assert.deepEqual(await verdict(signed(now(), { parameters })), [200, '']);
    await refused(signed(now(), { parameters, target: '/other' }), /used before/);
    assert.deepEqual(await verdict(signed(now(), { parameters, ...other })), [200, '']);
  });

  test('one that does not hold uses up nothing', async (t) => {
    const { verdict, refused, now } = await start(t);
    const parameters = ';nonce="mine"';
    await refused(signed(now(), { parameters, secret: 'of an attacker' }), /does not hold/);
    assert.deepEqual(await verdict(signed(now(), { parameters })), [200, '']);
  });

  test('requireNonce and allowReplay', async (t) => {
    const strict = await start(t, { requireNonce: true });
    await strict.refused(signed(strict.now(), { parameters: '' }), /nonce/);
    const lax = await start(t, { allowReplay: true });
    const text = signed(lax.now());
    for (let i = 0; i < 3; i++) assert.deepEqual(await lax.verdict(text), [200, '']);
  });
});

suite('bodies', () => {
  const body = '{"hello": "world"}';
  const components = [...usual, 'content-digest'];
  const post: Signing = { method: 'POST', body, components, fields: { 'content-digest': sha256(body) } };

  test('one whose digest is signed arrives as it is', async (t) => {
    const { verdict, now, upstream } = await start(t);
    assert.deepEqual(await verdict(signed(now(), post)), [200, '']);
    const request = await upstream.request();
    assert.equal(request.body, body);
    assert.equal(fieldValue(request.fields, 'content-digest'), sha256(body));
  });

  test('one that is another, has no digest or none that is signed does not', async (t) => {
    const { refused, now } = await start(t);
    await refused(signed(now(), post).replace('world', 'w0rld'), /not the one of its digest/);
    await refused(signed(now(), { ...post, components: usual }), /digest that is signed/);
    await refused(signed(now(), { ...post, components: usual, fields: {} }), /digest that is signed/);
    const md5 = `md5=:${createHash('md5').update(body).digest('base64')}:`;
    await refused(signed(now(), { ...post, fields: { 'content-digest': md5 } }), /not the one/);
    await refused(
      signed(now(), post)
        .replace(/content-length: \d+\r\n/, '')
        .slice(0, -body.length),
      /not the one/,
    );
    const chunked = signed(now(), { method: 'POST' }).replace('\r\n\r\n', '\r\ntransfer-encoding: chunked\r\n\r\n');
    await refused(`${chunked}5\r\nextra\r\n0\r\n\r\n`, /digest that is signed/);
  });

  test('whenPresent: a body may do without, but none may be wrong', async (t) => {
    const { verdict, refused, now } = await start(t, { contentDigest: 'whenPresent' });
    assert.deepEqual(await verdict(signed(now(), { method: 'POST', body })), [200, '']);
    assert.deepEqual(await verdict(signed(now(), post)), [200, '']);
    await refused(signed(now(), post).replace('world', 'w0rld'), /not the one of its digest/);
  });

  test('an empty chunked body is none, and one that is too large is refused before it is kept', async (t) => {
    const { verdict, now } = await start(t, { maxBody: '1KiB' });
    const chunked = signed(now(), { method: 'POST' }).replace('\r\n\r\n', '\r\ntransfer-encoding: chunked\r\n\r\n');
    assert.deepEqual(await verdict(`${chunked}0\r\n\r\n`), [200, '']);
    const large = 'x'.repeat(1025);
    const fields = { 'content-digest': sha256(large) };
    assert.equal((await verdict(signed(now(), { method: 'POST', body: large, components, fields })))[0], 413);
  });
});

test('several signatures: any that holds, or the one that is asked for', async (t) => {
  const withSecond = (text: string): string =>
    text
      .replace('signature-input: ', 'signature-input: of-a-proxy=();created=1, ')
      .replace('signature: ', 'signature: of-a-proxy=:AAAA:, ');
  const any = await start(t);
  assert.deepEqual(await any.verdict(withSecond(signed(any.now()))), [200, '']);
  const labelled = await start(t, { label: 'client', tag: 'orders' });
  const tagged: Signing = { label: 'client', parameters: ';tag="orders"' };
  assert.deepEqual(await labelled.verdict(withSecond(signed(labelled.now(), tagged))), [200, '']);
  await labelled.refused(signed(labelled.now(), { parameters: ';tag="orders"' }), /label and the tag/);
  await labelled.refused(signed(labelled.now(), { label: 'client', parameters: ';tag="admin"' }), /label and the tag/);
  await labelled.refused(signed(labelled.now(), { label: 'client', parameters: '' }), /label and the tag/);
});

test('what is verified is the canonical form that is routed, so no two readings of a path', async (t) => {
  const { verdict, refused, now, upstream } = await start(t);
  assert.deepEqual(await verdict(signed(now(), { target: '/a/b' }).replace('GET /a/b', 'GET /x/../a/./%62')), [
    200,
    '',
  ]);
  assert.equal((await upstream.request()).target, '/a/b');
  await refused(signed(now(), { target: '/x/../a/b' }), /does not hold/);
});

test('CVE-2024-45410: a field that is signed is not taken away from the upstream by `Connection`', async (t) => {
  const { now, refused, verdict } = await start(t, { components: [...usual, 'x-amount'] });
  const text = signed(now(), { fields: { 'x-amount': '100' }, components: [...usual, 'x-amount'] });
  for (const options of ['x-amount', 'close, X-Amount', 'keep-alive\r\nconnection: x-amount']) {
    await refused(text.replace('\r\n', `\r\nconnection: ${options}\r\n`), /covers what is not there/);
  }
  assert.equal((await verdict(text))[0], 200);
});

test('no byte of the request that is signed can be another one', async (t) => {
  const { send, now, gateway } = await start(t, { components: [...usual, 'x-amount', 'content-digest'] });
  const body = 'amount=100';
  const text = signed(now(), {
    method: 'POST',
    target: '/pay?to=alice',
    body,
    fields: { 'x-amount': '100', 'content-digest': sha256(body) },
    components: [...usual, 'x-amount', 'content-digest'],
  });
  await fc.assert(
    fc.asyncProperty(fc.nat(text.length - 1), fc.integer({ min: 0x21, max: 0x7e }), async (at, code) => {
      const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
      // Names of fields are the same in either case, HTTP/1.0 is no other request, and of a longer body nothing would come.
      fc.pre(changed.toLowerCase() !== text.toLowerCase());
      fc.pre(changed.includes('content-length: 10\r\n') && !changed.includes('HTTP/1.0'));
      const { status } = await send(changed);
      assert.ok(status >= 400 && status !== 500, `${status} for ${changed}`);
    }),
    { numRuns: 300 },
  );
  assert.equal((await send(text)).status, 200, 'and the one that was signed still holds');
  assert.doesNotMatch(JSON.stringify([gateway.log, gateway.observations]), new RegExp(secret));
});
