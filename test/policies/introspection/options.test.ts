import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { introspection } from '../../../src/policies/introspection.ts';
import { FakeEnv, createPolicy } from '../../support/fake-exchange.ts';

const url = 'https://issuer.example/introspect';

suite('the options of introspection', () => {
  const refused: readonly (readonly [options: object, message: RegExp])[] = [
    [{ clientId: 'a' }, /go together/],
    [{ clientSecret: 'a' }, /go together/],
    [{ url: 'ftp://issuer.example/' }, /http/],
    [{ url: 'https://user:CANARY@issuer.example/' }, /user or a password/],
    [{ url: 'https://issuer.example/#CANARY' }, /fragment/],
    [{ scopes: ['a b'] }, /blanks/],
    [{ scopes: [] }, /./],
    [{ cacheFor: '2h' }, /too much/],
    [{ timeout: '0s' }, /too little/],
    [{ url: 'http://issuer.example/', tls: { ca: './ca.pem' } }, /without TLS/],
    [{ header: 'host' }, /./],
    [{ forwardClaims: { 'x-consumer': 'sub' } }, /gateway itself/],
  ];
  for (const [options, message] of refused) {
    test(`refuse ${JSON.stringify(options)}`, () => {
      const result = introspection.options.safeParse({ url, ...options });
      assert.equal(result.success, false);
      assert.match(result.error.message, message);
      assert.doesNotMatch(result.error.message, /CANARY/);
    });
  }

  test('say so when secrets would go over the network in clear', () => {
    for (const [to, count] of [
      ['http://issuer.internal/', 1],
      ['http://127.0.0.1:9/', 0],
      ['http://[::1]:9/', 0],
      ['http://localhost:9/', 0],
      ['http://127.evil.example/', 1],
      [url, 0],
    ] as const) {
      const env = new FakeEnv();
      createPolicy(introspection, { url: to }, env);
      assert.equal(env.warnings.length, count, to);
    }
  });

  test('name an authority that can be read', () => {
    assert.throws(
      () => createPolicy(introspection, { url, tls: { ca: './nowhere.pem' } }),
      /nowhere\.pem cannot be read: ENOENT/,
    );
  });
});
