/** What the gateway proves itself with is in nothing that the admin port says; the public halves of its keys are. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { AdminApi, token, withToken } from './admin-api.ts';

const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });

const text = `
admin: {token: "${token}"}
identity: {issuer: "https://gateway.example", keys: ["\${env:PEM}"]}
upstreams:
  bearer: {targets: ["http://127.0.0.1:1"], auth: {bearer: canary-bearer, headers: {x-key: canary-header}}}
  basic: {targets: ["http://127.0.0.1:1"], auth: {basic: {user: shown-user, password: "\${env:PASSWORD}"}}}
  grant:
    targets: ["http://127.0.0.1:1"]
    auth: {clientCredentials: {tokenUrl: "https://login.example/t", clientId: shown-id, clientSecret: canary-grant}}
  signed:
    targets: ["http://127.0.0.1:1"]
    auth: {signature: {keyId: shown-key-id, algorithm: hmac-sha256, key: canary-of-enough-bytes}}
routes:
  a: {upstream: [{upstream: bearer}, {upstream: basic}, {upstream: grant}, {upstream: signed}]}
`;

test('no secret of the gateway is in anything that the admin port says', async (t) => {
  const api = await AdminApi.start(t, text, {}, { env: { PASSWORD: 'canary-password', PEM: pem } });
  const secretLine = pem.split('\n')[1];
  const json = { ...withToken, 'content-type': 'application/json' };
  for (const [path, question] of [
    ['/api/v1/snapshot', {}],
    ['/api/v1/upstreams', {}],
    ['/api/v1/routes', {}],
    ['/api/v1/problems', {}],
    ['/.well-known/jwks.json', {}],
    ['/api/v1/explain', { method: 'POST', headers: json, body: '{"method": "GET", "url": "http://a/"}' }],
  ] as const) {
    const answer = await api.ask(path, { headers: withToken, ...question });
    assert.equal(answer.status, 200, path);
    assert.doesNotMatch(answer.text, /canary/, path);
    assert.equal(answer.text.includes(secretLine), false, path);
  }
  const { config } = (await api.ask('/api/v1/snapshot')).json as { config: typeof api.control.config };
  assert.deepEqual(config.identity, { issuer: 'https://gateway.example', keys: ['[secret]'] });
  assert.deepEqual(config.upstreams['basic'].auth, {
    basic: { user: 'shown-user', password: '[secret]' },
    headers: {},
  });
  assert.equal(config.upstreams['signed'].auth?.signature?.keyId, 'shown-key-id');
});

test('the public keys are there for everybody, where there are any', async (t) => {
  const api = await AdminApi.start(t, text, {}, { env: { PASSWORD: 'x', PEM: pem } });
  const answer = await api.ask('/.well-known/jwks.json', { headers: {} });
  assert.equal(answer.status, 200);
  const [jwk] = (answer.json as { keys: Record<string, unknown>[] }).keys;
  assert.deepEqual([jwk.kty, jwk.crv, jwk.alg, jwk.use, 'd' in jwk], ['OKP', 'Ed25519', 'EdDSA', 'sig', false]);
  const without = await AdminApi.start(t);
  assert.equal(await without.outcome('/.well-known/jwks.json'), '404 ADMIN_NOT_FOUND');
});
