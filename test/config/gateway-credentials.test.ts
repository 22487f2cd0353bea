/** What `check` says of the credentials of the gateway itself: `upstreams.X.auth` and `identity`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadText } from './load-text.ts';

/** Code, severity and place of each problem. */
async function problemsOf(auth: string, more = ''): Promise<string[]> {
  const { problems } = await loadText(
    `upstreams: {u: {targets: ["http://127.0.0.1:1"], auth: ${auth}}}\nroutes: {r: {upstream: u}}\n${more}`,
  );
  return problems.map(({ severity, code, path }) => `${severity} ${code} ${path.join('.')}`);
}

test('secrets that stand in the configuration itself are told, each in its place', async () => {
  const clear = (place: string): string => `warning SECRET_IN_CLEAR upstreams.u.auth.${place}`;
  assert.deepEqual(await problemsOf('{bearer: abc, headers: {x-key: k}}'), [clear('bearer'), clear('headers.x-key')]);
  assert.deepEqual(await problemsOf('{basic: {user: u, password: p}}'), [clear('basic.password')]);
  const signature = '{signature: {keyId: k, algorithm: hmac-sha256, key: 0123456789abcdef}}';
  assert.deepEqual(await problemsOf(signature), [clear('signature.key')]);
});

test('a token endpoint without TLS is told, unless it is on this machine', async () => {
  const grant = (where: string): string =>
    `{clientCredentials: {${where}, clientId: c, clientSecret: "\${env:HOME:-x}"}}`;
  const place = (key: string): string => `warning TLS_UNVERIFIED upstreams.u.auth.clientCredentials.${key}`;
  assert.deepEqual(await problemsOf(grant('tokenUrl: "http://login.internal/t"')), [place('tokenUrl')]);
  assert.deepEqual(await problemsOf(grant('issuer: "http://10.0.0.1"')), [place('issuer')]);
  for (const where of ['tokenUrl: "https://a/t"', 'issuer: "http://127.0.0.1:1"', 'tokenUrl: "http://localhost/"']) {
    assert.deepEqual(await problemsOf(grant(where)), [], where);
  }
});

test('a key that is none is an error where it stands', async () => {
  const signature = '{signature: {keyId: k, algorithm: ed25519, key: "${env:NO_SUCH:-none}"}}';
  assert.deepEqual(await problemsOf(signature), ['error BAD_VALUE upstreams.u.auth.signature.key']);
  assert.deepEqual(
    await problemsOf('{bearer: "${env:NO_SUCH:-t}"}', 'identity: {issuer: i, keys: ["${env:NO_SUCH:-none}"]}'),
    ['error BAD_VALUE identity.keys.0'],
  );
});

test('an authority for a token endpoint without TLS would do nothing, and is an error', async () => {
  const grant = (where: string): string =>
    `{clientCredentials: {${where}, clientId: c, clientSecret: "\${env:HOME:-x}", tls: {ca: ./ca.pem}}}`;
  assert.deepEqual(await problemsOf(grant('tokenUrl: "http://127.0.0.1/t"')), [
    'error BAD_VALUE upstreams.u.auth.clientCredentials.tls.ca',
  ]);
  assert.deepEqual(await problemsOf(grant('tokenUrl: "https://login.internal/t"')), []);
});

test('what a policy tells the upstream in the same header is lost, and told', async () => {
  const warned = async (policy: string, auth: string): Promise<string[]> => {
    const key = `consumers: {a: {apiKeys: [{hash: "sha256:${'0'.repeat(64)}"}]}}`;
    const identity = 'identity: {issuer: i, keys: ["${env:NO_SUCH:-none}"]}';
    const { problems } = await loadText(
      `${key}\n${identity}\nupstreams: {u: {targets: ["http://127.0.0.1:1"], auth: ${auth}}}\nroutes: {r: {policies: [apiKey, ${policy}], upstream: u}}\n`,
    );
    return problems.filter(({ code }) => code === 'NO_EFFECT').map(({ message }) => message);
  };
  const token = '{bearer: "${env:NO_SUCH:-t}"}';
  assert.deepEqual(await warned('{identityToken: {header: Authorization}}', token), [
    'routes.r: identityToken sends authorization to upstreams.u, whose auth takes the place of it: choose another header',
  ]);
  const claims = '{jwt: {jwks: "https://id.example/keys", forwardClaims: {X-Key: sub}}}';
  assert.equal((await warned(claims, '{headers: {x-key: "${env:NO_SUCH:-k}"}}')).length, 1);
  assert.deepEqual(await warned(claims, token), []);
  assert.deepEqual(await warned('{identityToken: {}}', token), []);
});
