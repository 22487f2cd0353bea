/**
 * What attackers send, against a real gateway: each must be answered like any other token that does not hold. The names
 * of the tests are those of the rows in section E of the list of what went wrong in the field.
 */
import assert from 'node:assert/strict';
import { randomBytes, sign } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { eventually } from '../../support/changes.ts';
import { SuiteScope } from '../../support/scope.ts';
import { TestIssuer } from '../../support/test-issuer.ts';
import { type Answer, TokenGateway } from '../../support/token-gateway.ts';
import { encodePart, headerOf, hmacToken, signatureOf, signingPair, tokenOf } from '../../support/tokens.ts';

const now = 1_800_000_000;
const iss = 'https://issuer.test';
const claims = { iss, sub: 'alice', exp: now + 300 };
const rsa = signingPair('RS256', 'rsa');
const ec = signingPair('ES256', 'ec');
const ed = signingPair('EdDSA', 'ed');
const secret = randomBytes(32);
const good = tokenOf(ec, claims);
const changes = { listeners: { web: { host: '127.0.0.1', port: 0, limits: { headBytes: '1MiB' } } } };

/** A token with this signature. */
function signedBy(signature: Uint8Array | string, header: unknown = headerOf(ec), payload: unknown = claims): string {
  const text = typeof signature === 'string' ? signature : Buffer.from(signature).toString('base64url');
  return `${encodePart(header)}.${encodePart(payload)}.${text}`;
}

suite('hostile tokens', () => {
  const scope = new SuiteScope();
  let gateway: TokenGateway;
  let refused: Answer;

  before(async () => {
    const keys = [
      { jwk: rsa.jwk },
      { jwk: ec.jwk },
      { jwk: ed.jwk },
      { secret: secret.toString('hex'), encoding: 'hex', kid: 'shared' },
    ];
    gateway = await TokenGateway.start(scope, { issuer: iss, keys }, { now, changes });
    refused = await gateway.bearer('x');
    assert.equal(refused.status, 401);
  });
  after(() => scope.end());

  const refuse = async (tokens: Iterable<string>): Promise<void> => {
    for (const token of tokens) assert.deepEqual(await gateway.bearer(token), refused, token.slice(0, 500));
  };

  test('those that are not hostile pass', async () => {
    for (const pair of [rsa, ec, ed]) assert.equal((await gateway.bearer(tokenOf(pair, claims))).status, 200);
    assert.equal((await gateway.bearer(hmacToken(secret, claims, { alg: 'HS256', kid: 'shared' }))).status, 200);
  });

  test('CVE-2015-9235, CVE-2023-48223, CVE-2026-34950, CVE-2024-54150: the public key as the secret of an HMAC', async () => {
    const spki = rsa.publicKey.export({ type: 'spki', format: 'pem' });
    const pkcs1 = rsa.publicKey.export({ type: 'pkcs1', format: 'pem' });
    const der = rsa.publicKey.export({ type: 'spki', format: 'der' });
    const spellings: (string | Buffer)[] = [spki, pkcs1]
      .flatMap((pem) => [
        pem,
        pem.trim(),
        ` ${pem}`,
        `\n${pem}`,
        `\ufeff${pem}`,
        pem.replaceAll('\n', '\r\n'),
        pem.replaceAll('\n', ''),
        pem.replaceAll('\n', String.raw`\n`),
        pem.replaceAll(/-----[^-]*-----|\s/g, ''),
      ])
      .concat([JSON.stringify(rsa.jwk), JSON.stringify({ keys: [rsa.jwk] }), rsa.jwk['n'] as string, '', '\0', 'none'])
      .map((text): string | Buffer => text);
    spellings.push(
      der,
      rsa.publicKey.export({ type: 'pkcs1', format: 'der' }),
      Buffer.from(rsa.jwk['n'] as string, 'base64url'),
    );
    for (const kid of ['rsa', 'ec', 'ed', undefined]) {
      await refuse(spellings.map((text) => hmacToken(text, claims, { alg: 'HS256', kid })));
    }
  });

  test('CVE-2022-23539, CVE-2022-23540: an algorithm that the key is not for, or none', async () => {
    const input = (header: unknown): string => `${encodePart(header)}.${encodePart(claims)}`;
    for (const alg of ['RS384', 'RS512', 'PS256', 'PS512']) {
      const text = input({ alg, kid: 'rsa' });
      await refuse([`${text}.${signatureOf(alg, text, rsa.privateKey).toString('base64url')}`]);
    }
    for (const alg of [
      'none',
      'None',
      'NONE',
      'nOnE',
      'none ',
      '',
      'es256',
      'ES256K',
      'Es256',
      'ES256\0',
      'HS1',
      'constructor',
    ]) {
      for (const kid of ['ec', undefined]) {
        const text = input({ alg, kid });
        const signature = signatureOf('ES256', text, ec.privateKey).toString('base64url');
        await refuse([`${text}.${signature}`, `${text}.`, text, `${text}.AA`]);
      }
    }
    await refuse([null, 1, true, ['ES256'], { alg: 'ES256' }].map((alg) => tokenOf(ec, claims, { alg, kid: 'ec' })));
    await refuse([tokenOf(ec, claims, { kid: 'ec' })]);
  });

  test('GHSA-rp9m-7r4c-75qg: a token that shares all but a little with one that is remembered', async () => {
    assert.equal((await gateway.bearer(good)).status, 200);
    const [header, payload, signature] = good.split('.');
    const other = encodePart({ ...claims, sub: 'admin' });
    await refuse([
      `${header}.${other}.${signature}`,
      `${header}.${payload}.${'A'.repeat(signature.length)}`,
      `${header}.${payload}.`,
      `${encodePart({ ...headerOf(ec), x: 1 })}.${payload}.${signature}`,
      `${good}A`,
      `${good}.`,
      good.slice(0, -1),
    ]);
    assert.equal((await gateway.bearer(good)).status, 200);
  });

  test('CVE-2025-30144: a list of issuers', () =>
    refuse([tokenOf(ec, { ...claims, iss: [iss, 'https://evil.test'] })]));

  test('CVE-2022-21449: signatures that are zero, the order of the curve, and others that mean nothing', async () => {
    const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
    const prime = Buffer.from('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff', 'hex');
    const numbers = [
      Buffer.alloc(32),
      Buffer.alloc(32, 0xff),
      Buffer.from(`${'00'.repeat(31)}01`, 'hex'),
      order,
      prime,
      Buffer.from(order).fill(0x50, 31),
      Buffer.from(order).fill(0x52, 31),
      signatureOf('ES256', good.slice(0, good.lastIndexOf('.')), ec.privateKey).subarray(0, 32),
    ];
    await refuse(numbers.flatMap((r) => numbers.map((s) => signedBy(Buffer.concat([r, s])))));
    await refuse([Buffer.alloc(64), Buffer.alloc(64, 0xff)].map((bytes) => signedBy(bytes, headerOf(ed))));
    await refuse(
      [Buffer.alloc(256), Buffer.alloc(256, 0xff), Buffer.from(rsa.jwk['n'] as string, 'base64url')].map((bytes) =>
        signedBy(bytes, headerOf(rsa)),
      ),
    );
  });

  test('ECDSA signatures in the form of others, and of another length', async () => {
    const input = good.slice(0, good.lastIndexOf('.'));
    const raw = signatureOf('ES256', input, ec.privateKey);
    await refuse([
      signedBy(sign('sha256', Buffer.from(input), ec.privateKey)),
      signedBy(raw.subarray(0, 63)),
      signedBy(Buffer.concat([raw, Buffer.alloc(1)])),
      signedBy(Buffer.concat([Buffer.alloc(1), raw])),
      signedBy(raw.toString('hex')),
      signedBy(Buffer.concat([raw.subarray(32), raw.subarray(0, 32)])),
    ]);
    const rsaInput = `${encodePart(headerOf(rsa))}.${encodePart(claims)}`;
    const rsaSignature = signatureOf('RS256', rsaInput, rsa.privateKey);
    await refuse([
      `${rsaInput}.${Buffer.concat([Buffer.alloc(1), rsaSignature]).toString('base64url')}`,
      `${rsaInput}.${rsaSignature.subarray(1).toString('base64url')}`,
    ]);
  });

  test('CVE-2018-0114: keys that the token brings along', async () => {
    const evil = signingPair('ES256', 'evil');
    const certificate = [evil.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')];
    for (const own of [
      { jwk: evil.jwk },
      { x5c: certificate },
      { x5u: 'http://127.0.0.1:9/c' },
      { jku: 'http://127.0.0.1:9/jwks' },
    ]) {
      // Also when its own key is not the one that it was signed with.
      await refuse([
        tokenOf(evil, claims, { ...headerOf(evil), ...own }),
        tokenOf(evil, claims, { alg: 'ES256', ...own }),
      ]);
      await refuse([
        tokenOf(evil, claims, { ...headerOf(ec), ...own }),
        tokenOf(ec, claims, { ...headerOf(ec), ...own }),
      ]);
    }
  });

  test('CVE-2018-0114: nobody is called because a token says so', async (t) => {
    const evil = await TestIssuer.start(t);
    const header = { ...headerOf(evil.pairs[0]), jku: evil.jwks, x5u: evil.jwks };
    await refuse([
      tokenOf(evil.pairs[0], claims, header),
      tokenOf(evil.pairs[0], { ...claims, iss: evil.url }, header),
    ]);
    assert.deepEqual(evil.asked, []);
  });

  test('CVE-2020-28042, CVE-2017-11424, CVE-2022-29217: no signature, or another number of parts', async () => {
    const [header, payload, signature] = good.split('.');
    await refuse(
      [
        '',
        '.',
        '..',
        '...',
        `${header}.${payload}`,
        `${header}.${payload}.`,
        `${header}..${signature}`,
        `.${payload}.${signature}`,
        `${header}.${payload}..${signature}`,
        `${good}.${signature}`,
        `.${good}`,
      ].filter((text) => text !== ''),
    );
  });

  test('CVE-2023-51774, CVE-2024-28176: encrypted, compressed, and other kinds of tokens', async () => {
    const five = `${encodePart({ alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`;
    const json = JSON.stringify({
      payload: encodePart(claims),
      signatures: [{ protected: encodePart(headerOf(ec)), signature: 'AA' }],
    });
    await refuse([five, encodePart(json), json.replaceAll(/[^\x21-\x7e]/g, '')]);
    for (const more of [
      { enc: 'A256GCM' },
      { zip: 'DEF' },
      { b64: false },
      { b64: false, crit: ['b64'] },
      { crit: [] },
      { crit: ['exp'] },
      { crit: 'exp' },
      { b64: true },
    ]) {
      await refuse([tokenOf(ec, claims, { ...headerOf(ec), ...more })]);
    }
  });

  test('key ids with paths, SQL and worse in them', async () => {
    const kids: unknown[] = [
      '../../../../dev/null',
      '/dev/null',
      "x' UNION SELECT 'secret",
      '; sleep 9',
      '__proto__',
      'constructor',
      'toString',
      '',
      ' ec',
      'ec ',
      'EC',
      'ec\0',
      'ес', // Cyrillic
      'k'.repeat(257),
      'k'.repeat(100_000).slice(0, 8_000),
      null,
      0,
      1,
      true,
      ['ec'],
      { ec: true },
    ];
    await refuse(kids.map((kid) => tokenOf(ec, claims, { alg: 'ES256', kid })));
  });

  test('names that are there twice, in the header and in the claims', async () => {
    const pairs: readonly (readonly [string, unknown])[] = [
      ['{"alg":"none","alg":"ES256","kid":"ec"}', claims],
      ['{"alg":"ES256","kid":"ec","alg":"none"}', claims],
      ['{"alg":"ES256","kid":"ec","\\u0061lg":"ES256"}', claims],
      ['{"alg":"ES256","kid":"ec","kid":"ec"}', claims],
      ['{"alg":"ES256","kid":"ec","x":{"a":1,"a":1}}', claims],
      [JSON.stringify(headerOf(ec)), `{"iss":"${iss}","sub":"alice","sub":"admin","exp":${claims.exp}}`],
      [JSON.stringify(headerOf(ec)), `{"iss":"${iss}","sub":"alice","\\u0073ub":"admin","exp":${claims.exp}}`],
      [JSON.stringify(headerOf(ec)), `{"iss":"${iss}","exp":1,"exp":${claims.exp}}`],
      [JSON.stringify(headerOf(ec)), `{"iss":"${iss}","exp":${claims.exp},"a":[{"b":{"c":1,"c":2}}]}`],
    ];
    await refuse(pairs.map(([header, payload]) => tokenOf(ec, payload, header)));
    // The same names in different objects are fine.
    const fine = { ...claims, a: { sub: 1, b: [{ sub: 2 }, { sub: 3 }] }, c: '"sub":"x","sub":"y"', '"': '\\' };
    assert.equal((await gateway.bearer(tokenOf(ec, fine))).status, 200);
  });

  test('JSON that is none, or none that all readers read alike', async () => {
    const payloads: (string | Uint8Array)[] = [
      '',
      'null',
      '[]',
      '"text"',
      '1',
      `[${JSON.stringify(claims)}]`,
      `${JSON.stringify(claims)} x`,
      `${JSON.stringify(claims)}${JSON.stringify(claims)}`,
      `\ufeff${JSON.stringify(claims)}`,
      `${JSON.stringify(claims).slice(0, -1)},}`,
      JSON.stringify(claims).replaceAll('"', "'"),
      `${JSON.stringify(claims)}\0`,
      `${JSON.stringify(claims).slice(0, -1)},"x":NaN}`,
      `${JSON.stringify(claims).slice(0, -1)},"x":"\n"}`,
      Buffer.from(JSON.stringify(claims).replace('alice', 'al\xffice'), 'latin1'),
      Buffer.from(JSON.stringify(claims), 'utf16le'),
    ];
    await refuse(payloads.map((payload) => tokenOf(ec, payload)));
    await refuse(payloads.map((payload) => tokenOf(ec, claims, payload)));
  });

  test('deep and huge ones', async () => {
    const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const withDepth = (depth: number): string =>
      tokenOf(ec, `${JSON.stringify(claims).slice(0, -1)},"x":${deep(depth)}}`);
    assert.equal((await gateway.bearer(withDepth(15))).status, 200);
    await refuse([withDepth(16), withDepth(5_000)]);
    await refuse([tokenOf(ec, claims, `${JSON.stringify(headerOf(ec)).slice(0, -1)},"x":${deep(4)}}`)]);
    const ofLength = (length: number): string => tokenOf(ec, { ...claims, x: 'x'.repeat(length) });
    assert.equal((await gateway.bearer(ofLength(10_000))).status, 200);
    await refuse([
      ofLength(13_000),
      ofLength(200_000),
      'x'.repeat(100_000),
      '.'.repeat(100_000),
      `${good}${'='.repeat(50_000)}`,
    ]);
  });

  test('base64url that is not quite', async () => {
    const [header, payload, signature] = good.split('.');
    const variants = (part: string): string[] => [
      `${part}=`,
      `${part}==`,
      `${part.slice(0, 4)}=${part.slice(4)}`,
      `${part.slice(0, 4)}+${part.slice(4)}`,
      `${part.slice(0, 4)}/${part.slice(4)}`,
      `${part.slice(0, 4)} ${part.slice(4)}`,
      `${part.slice(0, 4)}%20${part.slice(4)}`,
      `${part.slice(0, 4)}\t${part.slice(4)}`,
      `${part.slice(0, 4)}é${part.slice(4)}`,
      `${part}A`,
      `${part}AA`,
    ];
    await refuse(variants(header).map((part) => `${part}.${payload}.${signature}`));
    await refuse(variants(payload).map((part) => `${header}.${part}.${signature}`));
    await refuse(variants(signature).map((part) => `${header}.${payload}.${part}`));
  });

  test('nothing of a token, a key or a reason is in what the client gets or the log says', async () => {
    const canary = 'c4n4ry';
    const answer = await gateway.bearer(
      tokenOf(ec, { ...claims, iss: canary, sub: canary }, { ...headerOf(ec), kid: canary }),
    );
    assert.deepEqual(answer, refused);
    await eventually(() => gateway.gateway.observations.length > 0, 'an observation');
    assert.ok(!JSON.stringify([gateway.gateway.log, gateway.gateway.observations]).includes(canary));
  });
});
