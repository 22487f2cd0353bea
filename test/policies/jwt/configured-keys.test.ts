/** Keys that stand in the configuration or in a file beside it, and options that make no sense. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { folderWith } from '../../support/command.ts';
import { TokenGateway } from '../../support/token-gateway.ts';
import { signingPair, tokenOf } from '../../support/tokens.ts';

const now = 1_800_000_000;
const iss = 'https://issuer.test';
const claims = { iss, aud: 'api', sub: 'alice', exp: now + 300 };
const pair = signingPair('ES256', 'key-1');
const accepted = { issuer: iss, audience: 'api', keys: [{ jwk: pair.jwk }] };
const token = tokenOf(pair, claims);

suite('keys in the configuration', () => {
  const rsa = (modulusLength: number, publicExponent = 0x10001) => {
    const key = generateKeyPairSync('rsa', { modulusLength, publicExponent });
    return { jwk: key.publicKey.export({ format: 'jwk' }), pem: key.publicKey.export({ type: 'spki', format: 'pem' }) };
  };
  const privatePem = signingPair('ES256', 'k').privateKey.export({ type: 'pkcs8', format: 'pem' });
  const { jwk: rsaJwk, pem: rsaPem } = rsa(2048);
  const evenModulus = Buffer.from(rsaJwk.n!, 'base64url');
  evenModulus[evenModulus.length - 1] &= 0xfe;
  const secret = 's'.repeat(32);
  const spki = Buffer.from(rsaPem.replace(/-----[^-]*-----|\s/g, ''), 'base64');

  const refused: readonly (readonly [what: string, key: unknown, message: RegExp, more?: object])[] = [
    ['an RSA key of 1024 bits', { jwk: rsa(1024).jwk }, /1024 bits/],
    ['an RSA key with a small exponent', { jwk: rsa(2048, 3).jwk }, /exponent/],
    ['an RSA key with an even exponent', { jwk: { ...rsaJwk, e: 'AQAC' } }, /exponent|cannot be read|can be read/],
    ['an RSA key with the exponent 1', { jwk: { ...rsaJwk, e: 'AQ' } }, /exponent|can be read/],
    ['an RSA key with an even modulus', { jwk: { ...rsaJwk, n: evenModulus.toString('base64url') } }, /even/],
    ['a private key', privatePem, /no private key/],
    ['a private JWK', { jwk: { ...pair.privateKey.export({ format: 'jwk' }) } }, /private/],
    [
      'a curve nobody signs tokens with',
      { jwk: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' }) },
      /curve|type|can be read/,
    ],
    ['a key of another use', { jwk: { ...pair.jwk, use: 'enc' } }, /not for signatures/],
    ['a key for another algorithm', { pem: rsaPem, algorithm: 'ES256' }, /cannot be used for ES256/],
    ['an algorithm that is not allowed', { pem: rsaPem }, /none of the algorithms/, { algorithms: ['ES256'] }],
    ['an HMAC for an RSA key', { pem: rsaPem, algorithm: 'HS256' }, /cannot be used for HS256/],
    ['a signature for a secret', { secret, algorithm: 'RS256' }, /cannot be used for RS256/],
    ['a secret too short for its algorithm', { secret, algorithm: 'HS512' }, /cannot be used for HS512/],
    ['a short secret', { secret: 'secret' }, /6 bytes is too short/],
    // CVE-2015-9235, CVE-2023-48223, CVE-2026-34950: a public key is no secret, however it is written.
    ['a PEM as secret', { secret: rsaPem }, /public key/],
    ['a PEM with white space as secret', { secret: ` \n${rsaPem}` }, /public key/],
    [
      'a PKCS #1 PEM as secret',
      { secret: signingPair('RS256', 'k').publicKey.export({ type: 'pkcs1', format: 'pem' }) },
      /public key/,
    ],
    ['a JWK as secret', { secret: JSON.stringify(rsaJwk) }, /public key/],
    ['a DER as secret', { secret: spki.toString('base64'), encoding: 'base64' }, /public key/],
    ['a DER in base64 as secret', { secret: spki.toString('base64') }, /public key/],
    ['text', 'not a key', /public key or a certificate/],
    ['a broken PEM', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', /can be read/],
    ['a JWK without a type', { jwk: { n: 'AQAB' } }, /can be read/],
  ];
  for (const [what, key, message, more] of refused) {
    test(`are refused when the gateway starts: ${what}`, async (t) => {
      const start = TokenGateway.start(t, { issuer: iss, keys: [{ jwk: pair.jwk }, key], ...more });
      await assert.rejects(start, (error: Error) => {
        assert.match(error.message, message);
        assert.match(error.message, /key number [12]/);
        assert.ok(!error.message.includes(secret));
        return true;
      });
    });
  }

  test('may be without an id: then each that fits is tried', async (t) => {
    const pairs = ['a', 'b', 'c'].map((kid) => signingPair('ES256', kid));
    const keys = pairs.map(({ publicKey }) => publicKey.export({ type: 'spki', format: 'pem' }));
    const gateway = await TokenGateway.start(t, { issuer: iss, keys });
    for (const one of pairs) {
      assert.equal((await gateway.bearer(tokenOf(one, claims))).status, 200);
      assert.equal((await gateway.bearer(tokenOf(one, claims, { alg: 'ES256' }))).status, 200);
    }
  });

  const invalid: readonly (readonly [unknown, RegExp])[] = [
    [{}, /name "jwks", "keys", or an "issuer"/],
    [{ issuer: 'not a URL' }, /cannot be asked/],
    [{ issuer: 'https://user@issuer.test' }, /cannot be asked/],
    [{ issuer: iss, jwks: 'a.json', keys: [{ jwk: pair.jwk }] }, /either "jwks" or "keys"/],
    [{ providers: [accepted, accepted] }, /named twice/],
    [{ providers: [{ jwks: 'a.json' }] }, /needs an "issuer"/],
    [{ ...accepted, providers: [accepted] }, /for each of the providers/],
    [{ claims: { a: 1 }, providers: [accepted] }, /for each of the providers/],
    [{ ...accepted, scopes: ['a b'] }, /scope/],
    [{ ...accepted, algorithms: ['none'] }, /none|algorithms/],
    [{ ...accepted, header: 'x-consumer' }, /header/],
    [{ ...accepted, forwardClaims: { 'x-consumer': 'sub' } }, /x-consumer/],
    [{ ...accepted, clockSkew: '1h' }, /too much/],
    [{ issuer: iss, jwks: { url: 'ftp://x' } }, /URL/],
    [{ issuer: iss, jwks: { url: 'http://127.0.0.1:1/keys', ca: './ca.pem' } }, /without TLS/],
    [{ issuer: iss, algorithms: ['RS256', 'HS256'] }, /take a secret/],
    [{ issuer: iss, jwks: 'https://issuer.test/keys', algorithms: ['HS512'] }, /take a secret/],
    [{ issuer: iss, jwks: 'missing.json' }, /missing\.json/],
  ];
  for (const [options, message] of invalid) {
    test(`and other options that make no sense are refused: ${JSON.stringify(options).slice(0, 60)}`, async (t) => {
      await assert.rejects(TokenGateway.start(t, options), message);
    });
  }
});

test('keys in a file are read again when it changes, and stay while it cannot be read', async (t) => {
  const second = signingPair('RS256', 'key-2');
  const folder = await folderWith(t, { 'jwks.json': JSON.stringify({ keys: [pair.jwk] }) });
  const path = join(folder, 'jwks.json');
  const gateway = await TokenGateway.start(t, { issuer: iss, jwks: path });
  const fresh = tokenOf(second, claims);
  assert.equal((await gateway.bearer(token)).status, 200);
  assert.equal((await gateway.bearer(fresh)).status, 401);
  await writeFile(path, '{"keys":');
  gateway.clock.advance(1_000);
  assert.equal((await gateway.bearer(fresh)).status, 401);
  assert.equal((await gateway.bearer(token)).status, 200);
  await writeFile(path, JSON.stringify({ keys: [second.jwk] }));
  gateway.clock.advance(1_000);
  assert.equal((await gateway.bearer(fresh)).status, 200);
  assert.equal((await gateway.bearer(token)).status, 401);
});
