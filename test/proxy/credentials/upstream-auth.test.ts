/** What the gateway proves itself with to its upstreams, as they get it. */
import assert from 'node:assert/strict';
import { createHash, createHmac, generateKeyPairSync, verify } from 'node:crypto';
import { type TestContext, suite, test } from 'node:test';
import type { Policy } from '../../../src/contract.ts';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { TestGateway, proxyTo } from '../../support/gateway.ts';
import { policyOf } from '../../support/inline-policy.ts';
import { type RequestMessage, fieldValue, fieldValues } from '../../support/message-parser.ts';
import { RawClient } from '../../support/raw-client.ts';
import { RawUpstream } from '../../support/raw-upstream.ts';

type Auth = NonNullable<NonNullable<ConfigInput['upstreams']>[string]['auth']>;

async function start(t: TestContext, auth: Auth, hooks: Policy = {}) {
  const upstream = await RawUpstream.start(t);
  const route = { policies: [{ use: './hooks.ts' }] };
  const config = proxyTo(upstream.url, { upstream: { auth, hostHeader: 'api.internal' }, route });
  const gateway = await TestGateway.start(t, config, { modules: { './hooks.ts': policyOf(hooks) } });
  const client = await RawClient.connect(t, gateway.address());
  const send = async (text: string): Promise<RequestMessage> => {
    const index = upstream.requests.length;
    client.write(text);
    const response = await client.response();
    assert.equal(response.status, 200);
    return upstream.request(index);
  };
  return { upstream, gateway, send };
}

const get = (fields = '', path = '/a?b=c'): string => `GET ${path} HTTP/1.1\r\nhost: example.com\r\n${fields}\r\n`;

suite('secrets that are sent as they are', () => {
  test('a bearer token takes the place of what the client sends', async (t) => {
    const { send } = await start(t, { bearer: 'canary-token' });
    const { fields } = await send(get('Authorization: Bearer mine\r\nauthorization: Basic bWU6bWU=\r\nx-other: 1\r\n'));
    assert.deepEqual(fieldValues(fields, 'authorization'), ['Bearer canary-token']);
    assert.equal(fieldValue(fields, 'x-other'), '1');
  });

  test('a client cannot take it away by Connection (CVE-2024-45410)', async (t) => {
    const { send } = await start(t, { bearer: 'canary-token' });
    const { fields } = await send(get('connection: authorization\r\nauthorization: Bearer mine\r\n'));
    assert.deepEqual(fieldValues(fields, 'authorization'), ['Bearer canary-token']);
  });

  test('a user and a password', async (t) => {
    const { send } = await start(t, { basic: { user: 'Aladdin', password: 'open sésame: "x"' } });
    const { fields } = await send(get());
    const [scheme, encoded] = fieldValue(fields, 'authorization')!.split(' ');
    assert.equal(scheme, 'Basic');
    assert.equal(Buffer.from(encoded, 'base64').toString(), 'Aladdin:open sésame: "x"');
  });

  test('headers of any name, alone and beside another one', async (t) => {
    const alone = await start(t, { headers: { 'X-Api-Key': 'canary-key' } });
    const first = await alone.send(get('x-api-key: mine\r\nauthorization: Bearer mine\r\n'));
    assert.deepEqual(fieldValues(first.fields, 'x-api-key'), ['canary-key']);
    assert.deepEqual(fieldValues(first.fields, 'authorization'), ['Bearer mine']);
    const both = await start(t, { bearer: 'canary-token', headers: { 'x-tenant': 't1' } });
    const second = await both.send(get());
    assert.deepEqual(fieldValues(second.fields, 'x-tenant'), ['t1']);
    assert.deepEqual(fieldValues(second.fields, 'authorization'), ['Bearer canary-token']);
  });

  test('a policy does not get it, nor can it get past it', async (t) => {
    const seen: (string | undefined)[] = [];
    const { send } = await start(
      t,
      { bearer: 'canary-token' },
      {
        onUpstreamRequest(_, request) {
          seen.push(request.headers.get('authorization'));
          request.headers.set('authorization', 'Bearer of-the-policy');
          return Promise.resolve();
        },
      },
    );
    const { fields } = await send(get());
    assert.deepEqual(seen, [undefined]);
    assert.deepEqual(fieldValues(fields, 'authorization'), ['Bearer canary-token']);
  });

  test('none of them is in a log', async (t) => {
    const { gateway, upstream } = await start(t, { bearer: 'canary-token', headers: { 'x-key': 'canary-key' } });
    const url = gateway.url();
    upstream.stop();
    assert.equal((await fetch(url)).status, 502);
    assert.doesNotMatch(JSON.stringify([gateway.log, gateway.observations]), /canary/);
  });
});

test('in a weighted split each upstream gets its own secret and no other', async (t) => {
  const [a, b, c] = [await RawUpstream.start(t), await RawUpstream.start(t), await RawUpstream.start(t)];
  const gateway = await TestGateway.start(t, {
    telemetry: { accessLog: false },
    listeners: { web: { host: '127.0.0.1', port: 0 } },
    upstreams: {
      a: { targets: [a.url], auth: { bearer: 'canary-a' } },
      b: { targets: [b.url], auth: { headers: { 'x-api-key': 'canary-b' } } },
      c: { targets: [c.url] },
    },
    routes: {
      all: {
        upstream: [
          { upstream: 'a', weight: 3 },
          { upstream: 'b', weight: 2 },
          { upstream: 'c', weight: 1 },
        ],
      },
    },
  });
  const client = await RawClient.connect(t, gateway.address());
  for (let i = 0; i < 60; i++) {
    client.write(get());
    assert.equal((await client.response()).status, 200);
  }
  const all = (upstream: RawUpstream): string =>
    upstream.requests.map(({ fields }) => JSON.stringify(fields)).join('\n');
  assert.deepEqual(
    [a, b, c].map(({ requests }) => requests.length),
    [30, 20, 10],
  );
  assert.doesNotMatch(all(a), /canary-b/);
  assert.doesNotMatch(all(b), /canary-a/);
  assert.doesNotMatch(all(c), /canary/);
  assert.ok(a.requests.every(({ fields }) => fieldValue(fields, 'authorization') === 'Bearer canary-a'));
  assert.ok(b.requests.every(({ fields }) => fieldValue(fields, 'x-api-key') === 'canary-b'));
});

/** What was signed, put together again from the bytes that arrived, without any code of the gateway. */
function received(request: RequestMessage) {
  const input = fieldValue(request.fields, 'signature-input')!;
  const [, label, list, parameters] = /^([^=]+)=\(([^)]*)\)(.*)$/.exec(input)!;
  const [path, query = ''] = request.target.split('?');
  const value = (name: string): string =>
    ({
      '@method': request.method,
      '@authority': fieldValue(request.fields, 'host')!,
      '@path': path,
      '@query': `?${query}`,
      '@scheme': 'http',
    })[name] ?? fieldValues(request.fields, name).join(', ');
  const names = list === '' ? [] : list.split(' ').map((quoted) => quoted.slice(1, -1));
  const lines = names.map((name) => `"${name}": ${value(name)}`);
  const base = Buffer.from([...lines, `"@signature-params": (${list})${parameters}`].join('\n'), 'latin1');
  const signature = new RegExp(`^${label}=:([^:]*):$`).exec(fieldValue(request.fields, 'signature')!)![1];
  return { names, parameters, base, signature: Buffer.from(signature, 'base64') };
}

suite('signed requests (RFC 9421)', () => {
  const secret = 'a shared secret that is long enough';
  const hmac: Auth = { signature: { keyId: 'gw-1', algorithm: 'hmac-sha256', key: secret } };
  const holds = (request: RequestMessage): boolean => {
    const { base, signature } = received(request);
    return createHmac('sha256', secret).update(base).digest().equals(signature);
  };

  test('what arrives is what was signed, each time with another nonce', async (t) => {
    const { send } = await start(t, hmac);
    const first = await send(get('x-a: 1\r\n'));
    const second = await send(get('x-a: 1\r\n'));
    for (const request of [first, second]) {
      assert.equal(holds(request), true);
      const { names, parameters } = received(request);
      assert.deepEqual(names, ['@method', '@authority', '@path', '@query']);
      assert.match(parameters, /^;created=[0-9]{10};nonce="[\w-]{22}";keyid="gw-1";alg="hmac-sha256"$/);
    }
    assert.notEqual(received(first).parameters, received(second).parameters);
    assert.equal(fieldValue(first.fields, 'host'), 'api.internal');
  });

  test('what the client has signed, or says it has, does not arrive', async (t) => {
    const { send } = await start(t, hmac);
    const request = await send(
      get('signature-input: sig1=();keyid="x"\r\nsignature: sig1=:AAAA:\r\nsignature: a=:AA==:\r\n'),
    );
    assert.equal(fieldValues(request.fields, 'signature').length, 1);
    assert.equal(fieldValues(request.fields, 'signature-input').length, 1);
    assert.equal(holds(request), true);
  });

  test('a body that is whole is signed by its digest, which is not the one of the client', async (t) => {
    const { send } = await start(t, hmac);
    const request = await send(
      'POST / HTTP/1.1\r\nhost: example.com\r\ncontent-type: text/plain\r\nContent-Digest: sha-256=:AAAA:\r\ncontent-length: 5\r\n\r\nhello',
    );
    assert.equal(holds(request), true);
    assert.ok(received(request).names.includes('content-digest'));
    assert.ok(received(request).names.includes('content-type'));
    const digest = createHash('sha256').update('hello').digest('base64');
    assert.deepEqual(fieldValues(request.fields, 'content-digest'), [`sha-256=:${digest}:`]);
  });

  test('a body that a policy has changed as well', async (t) => {
    const { send } = await start(t, hmac, {
      buffersRequest: 1000,
      onRequest(exchange) {
        exchange.requestBody = Buffer.from('changed');
      },
    });
    const request = await send(
      'POST / HTTP/1.1\r\nhost: example.com\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    );
    assert.equal(request.body, 'changed');
    assert.equal(holds(request), true);
    const digest = createHash('sha256').update('changed').digest('base64');
    assert.equal(fieldValue(request.fields, 'content-digest'), `sha-256=:${digest}:`);
  });

  test('a body that streams is not held up for it', async (t) => {
    const { send } = await start(t, hmac);
    const request = await send(
      'POST / HTTP/1.1\r\nhost: example.com\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    );
    assert.equal(holds(request), true);
    assert.equal(received(request).names.includes('content-digest'), false);
    assert.equal(fieldValue(request.fields, 'content-digest'), undefined);
  });

  test('fields that the gateway writes itself can be signed, and who calls', async (t) => {
    const auth: Auth = {
      signature: {
        keyId: 'gw-1',
        algorithm: 'hmac-sha256',
        key: secret,
        label: 'gw',
        tag: 'orders',
        expires: '1m',
        components: ['@scheme', 'x-consumer', 'x-forwarded-for', 'via', 'x-missing', 'x-key'],
      },
      headers: { 'x-key': 'k' },
    };
    const { send } = await start(t, auth, {
      onRequest(exchange) {
        exchange.consumer = { name: 'mobile', groups: [] };
      },
    });
    const request = await send(get());
    assert.equal(holds(request), true);
    const { names, parameters } = received(request);
    assert.deepEqual(names, ['@scheme', 'x-consumer', 'x-forwarded-for', 'via', 'x-key']);
    const [, created, expires] = /created=(\d+);expires=(\d+);/.exec(parameters)!;
    assert.equal(Number(expires) - Number(created), 60);
    assert.match(parameters, /;tag="orders"$/);
    assert.match(fieldValue(request.fields, 'signature')!, /^gw=:/);
  });

  for (const [algorithm, { privateKey, publicKey }] of [
    ['ed25519', generateKeyPairSync('ed25519')],
    ['ecdsa-p256-sha256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ] as const) {
    test(`with a private key: ${algorithm}`, async (t) => {
      const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
      const { send, gateway } = await start(t, { signature: { keyId: 'gw-2', algorithm, key } });
      const { base, signature } = received(await send(get()));
      const hash = algorithm === 'ed25519' ? null : 'sha256';
      assert.equal(verify(hash, base, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature), true);
      assert.equal(JSON.stringify(gateway.log).includes(key.split('\n')[1]), false);
    });
  }
});

suite('what cannot be', () => {
  const refused = async (auth: unknown, message: RegExp): Promise<void> => {
    await assert.rejects(
      TestGateway.open(proxyTo('http://127.0.0.1:1', { upstream: { auth: auth as Auth } })),
      (error: Error) => message.test(error.message) && !error.message.includes('canary'),
    );
  };

  test('is refused when the configuration is loaded, without showing the secret', async () => {
    await refused({}, /give one of bearer, basic, clientCredentials and signature/);
    await refused({ bearer: 'a', basic: { user: 'u', password: 'canary' } }, /give one of/);
    await refused({ bearer: 'canary\r\nx: 1' }, /not a bearer token/);
    await refused({ headers: { 'x-key': 'canary\r\nx: 1' } }, /cannot be the value of a header/);
    await refused({ headers: { 'content-length': '1' } }, /the gateway alone decides/);
    await refused({ bearer: 'a', headers: { Authorization: 'canary' } }, /sets itself/);
    await refused({ basic: { user: 'a:b', password: 'canary' } }, /no colon/);
    await refused({ signature: { keyId: 'k', algorithm: 'ed25519', key: 'canary' } }, /not a private key in PEM form/);
    await refused({ signature: { keyId: 'k', algorithm: 'hmac-sha256', key: 'canary' } }, /shorter than 16/);
    const signature = { keyId: 'k', algorithm: 'hmac-sha256', key: 'canary canary canary' };
    await refused({ signature: { ...signature, components: ['content-length'] } }, /derived component/);
    await refused({ signature: { ...signature, components: ['@status'] } }, /derived component/);
    const grant = { clientId: 'c', clientSecret: 'canary' };
    await refused({ clientCredentials: grant }, /either tokenUrl or issuer/);
    await refused(
      { clientCredentials: { ...grant, tokenUrl: 'https://a', issuer: 'https://a' } },
      /either tokenUrl or/,
    );
    await refused({ clientCredentials: { ...grant, tokenUrl: 'https://u:canary@a/' } }, /without user/);
  });
});
