/** What upstreams are told of the caller in a token, verified as they would: with jose and the published keys. */
import assert from 'node:assert/strict';
import { type KeyObject, generateKeyPairSync } from 'node:crypto';
import { type TestContext, suite, test } from 'node:test';
import * as jose from 'jose';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { Credential, Exchange, Policy } from '../../src/contract.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway } from '../support/gateway.ts';
import { policyOf } from '../support/inline-policy.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const pemOf = ({ privateKey }: { readonly privateKey: KeyObject }): string =>
  privateKey.export({ type: 'pkcs8', format: 'pem' });

const keys = {
  ES256: pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  ES384: pemOf(generateKeyPairSync('ec', { namedCurve: 'P-384' })),
  EdDSA: pemOf(generateKeyPairSync('ed25519')),
  RS256: pemOf(generateKeyPairSync('rsa', { modulusLength: 2048 })),
};

const issuer = 'https://gateway.example';
const mobile = Object.freeze({ name: 'mobile', groups: ['gold', 'beta'] });
const credential = (more: Partial<Credential> = {}): Credential =>
  Object.freeze({ method: 'test', subject: 'sub-1', consumer: mobile, claims: {}, scopes: [], ...more });

interface Setting {
  readonly options?: Record<string, unknown>;
  readonly keys?: readonly string[];
  /** Says who calls. */
  readonly identify?: (exchange: Exchange) => void;
  readonly more?: Partial<ConfigInput>;
}

async function start(t: TestContext, setting: Setting = {}) {
  const one = credential();
  const { identify = (exchange) => exchange.identify(one), options = {} } = setting;
  const [upstream, other] = [await RawUpstream.start(t), await RawUpstream.start(t)];
  const hooks: Policy = { onRequest: (exchange) => identify(exchange) };
  const clock = new FakeClock();
  const gateway = await TestGateway.start(
    t,
    {
      telemetry: { accessLog: false },
      listeners: { web: { host: '127.0.0.1', port: 0 } },
      identity: { issuer, keys: [...(setting.keys ?? [keys.ES256])] },
      upstreams: { orders: { targets: [upstream.url] }, stock: { targets: [other.url] } },
      routes: {
        keys: { match: { path: '/.well-known/jwks.json' }, policies: ['identityKeys'], respond: { status: 405 } },
        orders: { policies: [{ use: './who.ts' }, { identityToken: options }], upstream: 'orders' },
        stock: {
          match: { path: '/stock' },
          policies: [{ use: './who.ts' }, { identityToken: options }],
          upstream: 'stock',
        },
      },
    },
    { clock, modules: { './who.ts': { ...policyOf(hooks), provides: ['consumer'] } } },
  );
  const client = await RawClient.connect(t, gateway.address());
  const jwks = jose.createLocalJWKSet(
    (await (await fetch(`${gateway.url()}/.well-known/jwks.json`)).json()) as jose.JSONWebKeySet,
  );
  const send = async (path = '/', fields = '') => {
    const to = path === '/stock' ? other : upstream;
    const index = to.requests.length;
    client.write(`GET ${path} HTTP/1.1\r\nhost: a\r\n${fields}\r\n`);
    assert.equal((await client.response()).status, 200);
    return (await to.request(index)).fields;
  };
  const verify = (token: string, audience = 'orders') =>
    jose.jwtVerify(token, jwks, { issuer, audience, currentDate: new Date(clock.wallNow()) });
  return { gateway, clock, send, verify, upstream };
}

for (const [algorithm, key] of Object.entries(keys)) {
  test(`${algorithm}: the upstream can verify who calls, by the keys that are published`, async (t) => {
    const { send, verify, clock } = await start(t, { keys: [key] });
    const { payload, protectedHeader } = await verify(fieldValue(await send(), 'x-identity-token')!);
    const iat = Math.floor(clock.wallNow() / 1000);
    assert.deepEqual(payload, {
      sub: 'mobile',
      consumer: 'mobile',
      groups: ['gold', 'beta'],
      aud: 'orders',
      iat,
      exp: iat + 60,
      iss: issuer,
    });
    assert.equal(protectedHeader.alg, algorithm);
    assert.equal(protectedHeader.typ, 'JWT');
    const spki = await jose.exportJWK(await jose.importPKCS8(key, algorithm, { extractable: true }));
    const { d: _, p: __, q: ___, dp: ____, dq: _____, qi: ______, ...open } = spki;
    assert.equal(protectedHeader.kid, await jose.calculateJwkThumbprint(open as jose.JWK));
  });
}

suite('the keys that are published', () => {
  test('are public, all of them, and the first one signs', async (t) => {
    const { gateway, send } = await start(t, { keys: [keys.EdDSA, keys.RS256, keys.ES256] });
    const response = await fetch(`${gateway.url()}/.well-known/jwks.json`);
    assert.equal(response.headers.get('content-type'), 'application/jwk-set+json');
    assert.equal(response.headers.get('cache-control'), 'public, max-age=300');
    const { keys: published } = (await response.json()) as { keys: Record<string, unknown>[] };
    assert.deepEqual(
      published.map(({ alg }) => alg),
      ['EdDSA', 'RS256', 'ES256'],
    );
    for (const jwk of published) {
      assert.equal(jwk['use'], 'sig');
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.equal(member in jwk, false);
    }
    const { kid } = jose.decodeProtectedHeader(fieldValue(await send(), 'x-identity-token')!);
    assert.equal(kid, published[0]['kid']);
  });

  test('are there for GET and HEAD', async (t) => {
    const { gateway } = await start(t);
    const url = `${gateway.url()}/.well-known/jwks.json`;
    const head = await fetch(url, { method: 'HEAD' });
    assert.deepEqual([head.status, await head.text()], [200, '']);
    assert.equal((await fetch(url, { method: 'POST' })).status, 405);
  });

  test('are the ones of before as well after a change, so that older tokens still hold', async (t) => {
    const before = await start(t, { keys: [keys.ES256] });
    const token = fieldValue(await before.send(), 'x-identity-token')!;
    const after = await start(t, { keys: [keys.EdDSA, keys.ES256] });
    assert.equal((await after.verify(token)).payload.sub, 'mobile');
  });
});

suite('whose token it is', () => {
  const subjectOf = async (t: TestContext, identify: (exchange: Exchange) => void) => {
    const { send, verify } = await start(t, { identify });
    const token = fieldValue(await send(), 'x-identity-token');
    return token === undefined ? null : (await verify(token)).payload;
  };

  test('of a credential that is nobody’s who is configured: its subject, and no consumer', async (t) => {
    const one = credential({ consumer: null, subject: 'mobile' });
    const payload = await subjectOf(t, (exchange) => exchange.identify(one));
    assert.equal(payload?.sub, 'mobile');
    assert.equal('consumer' in payload, false);
    assert.equal('groups' in payload, false);
  });

  test('of the consumer that a policy has put in the place of another', async (t) => {
    const one = credential();
    const payload = await subjectOf(t, (exchange) => {
      exchange.identify(one);
      exchange.consumer = { name: 'other', groups: [] };
    });
    assert.equal(payload?.sub, 'other');
  });

  test('where nobody is known there is none, and none of the client’s (GHSA-7r4p-vjf4-gxv4)', async (t) => {
    const { send } = await start(t, { identify: () => undefined });
    const fields = await send('/', 'x-identity-token: forged\r\nX-Identity-Token: forged\r\n');
    assert.deepEqual(fieldValues(fields, 'x-identity-token'), []);
  });

  test('the client cannot add its own, nor take it away', async (t) => {
    const { send } = await start(t);
    const fields = await send(
      '/',
      'connection: x-identity-token\r\nx-identity-token: forged\r\nx_identity_token: forged\r\n',
    );
    assert.equal(fieldValues(fields, 'x-identity-token').length, 1);
    assert.doesNotMatch(JSON.stringify(fields), /forged/);
  });
});

suite('options', () => {
  test('header and audience', async (t) => {
    const options = { header: 'authorization', audience: ['a', 'b'], lifetime: '10m' };
    const { send, verify } = await start(t, { options });
    const fields = await send('/', 'authorization: Bearer forged\r\n');
    const [scheme, token] = fieldValue(fields, 'authorization')!.split(' ');
    assert.equal(scheme, 'Bearer');
    const { payload } = await verify(token, 'b');
    assert.deepEqual(payload.aud, ['a', 'b']);
    assert.equal(payload.exp! - payload.iat!, 600);
  });

  test('claims: chosen ones, as they are in the credential', async (t) => {
    const claims = { email: 'a@b.example', realm: { roles: ['x', 'y'] }, iss: 'somebody', secret: 'not-chosen' };
    const one = credential({ claims });
    const options = { claims: { mail: 'email', roles: 'realm.roles', origin: 'iss', missing: 'nothing' } };
    const { send, verify } = await start(t, { options, identify: (exchange) => exchange.identify(one) });
    const { payload } = await verify(fieldValue(await send(), 'x-identity-token')!);
    assert.equal(payload['mail'], 'a@b.example');
    assert.deepEqual(payload['roles'], ['x', 'y']);
    assert.equal(payload['origin'], 'somebody');
    assert.equal(payload.iss, issuer);
    assert.equal('missing' in payload, false);
    assert.doesNotMatch(JSON.stringify(payload), /not-chosen/);
  });

  test('what is the gateway’s to say cannot be overridden', async (t) => {
    for (const claim of ['iss', 'sub', 'aud', 'exp', 'iat', 'consumer', 'groups']) {
      await assert.rejects(start(t, { options: { claims: { [claim]: 'x' } } }), /the gateway itself sets this claim/);
    }
  });
});

suite('how long a token lives', () => {
  test('one is used again until three quarters of its life are over, and never after its end', async (t) => {
    const { send, clock, verify } = await start(t);
    const first = fieldValue(await send(), 'x-identity-token')!;
    clock.advance(44_000);
    assert.equal(fieldValue(await send(), 'x-identity-token'), first);
    clock.advance(2_000);
    const second = fieldValue(await send(), 'x-identity-token')!;
    assert.notEqual(second, first);
    await verify(second);
    clock.advance(15_000);
    await assert.rejects(verify(first), /exp/);
  });

  test('each caller and each upstream has one of its own', async (t) => {
    const callers = [credential(), credential({ consumer: { name: 'other', groups: [] } })];
    let turn = 0;
    const { send, verify } = await start(t, { identify: (exchange) => exchange.identify(callers[turn++ % 2]) });
    const tokens = [];
    for (const path of ['/', '/', '/stock', '/stock']) tokens.push(fieldValue(await send(path), 'x-identity-token')!);
    assert.equal(new Set(tokens).size, 4);
    assert.equal((await verify(tokens[0])).payload.sub, 'mobile');
    assert.equal((await verify(tokens[1])).payload.sub, 'other');
    await assert.rejects(verify(tokens[2]), /aud/);
    assert.equal((await verify(tokens[3], 'stock')).payload.sub, 'other');
  });
});

suite('what cannot be', () => {
  const open = (input: Partial<ConfigInput>) =>
    TestGateway.open({ listeners: { web: { host: '127.0.0.1', port: 0 } }, ...input });
  const refused = (input: Partial<ConfigInput>, message: RegExp) =>
    assert.rejects(open(input), (error: Error) => message.test(error.message) && !error.message.includes('canary'));

  test('is refused when the configuration is loaded, and no key is shown', async () => {
    const keysRoute = { routes: { a: { policies: ['identityKeys'], respond: {} } } };
    await refused(keysRoute, /identityKeys signs with the keys of the gateway, of which there are none/);
    await refused({ identity: { issuer, keys: [] } }, /the list is empty/);
    await refused({ identity: { issuer, keys: ['canary'] } }, /identity\.keys\[0\]: not a private key in PEM form/);
    const small = pemOf(generateKeyPairSync('rsa', { modulusLength: 1024 }));
    await refused({ identity: { issuer, keys: [small] } }, /less than 2048 bits/);
    const other = pemOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }));
    await refused({ identity: { issuer, keys: [keys.EdDSA, other] } }, /identity\.keys\[1\]: not a key for/);
    const nobody = {
      routes: { a: { policies: ['identityToken'], respond: {} } },
      identity: { issuer, keys: [keys.EdDSA] },
    };
    await refused(nobody, /identityToken needs "consumer", which no policy before it provides/);
  });
});
