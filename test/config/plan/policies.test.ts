import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { diffConfigs } from '../../../src/config/plan/diff-configs.ts';
import { type PolicyFacts, factsOf } from '../../../src/config/plan/policy-facts.ts';
import type { PolicyUse } from '../../../src/config/schema.ts';
import { definePolicy } from '../../../src/contract.ts';
import { z } from '../../../src/util/schema.ts';
import { linesOf, policyPlan, use, withPolicies, withRoutes } from './documents.ts';

const apiKey = use('apiKey', { header: 'x-api-key' });
const jwt = use('jwt', { issuer: 'https://id.example.com', algorithms: ['RS256'] });

suite('the plan of policies', () => {
  test('says that authentication is removed, added or replaced', () => {
    assert.deepEqual(linesOf(diffConfigs(withPolicies(apiKey), withPolicies())), [
      'auth-removed | route catalog: authentication removed (apiKey)',
    ]);
    assert.deepEqual(policyPlan([], [apiKey]), ['auth-added | authentication added (apiKey)']);
    assert.deepEqual(policyPlan([apiKey], [jwt]), ['auth-changed | authentication changed: apiKey → jwt']);
    assert.deepEqual(policyPlan([apiKey, jwt], [jwt]), ['auth-removed | authentication removed (apiKey)']);
    const only = use('authorize', { groups: ['gold'] });
    assert.deepEqual(policyPlan([apiKey, only], [apiKey]), ['auth-removed | authorisation removed (authorize)']);
  });

  test('knows which options of authentication are the weaker ones', () => {
    const jwtPlan = (before: object, after: object): string[] =>
      policyPlan(
        [use('jwt', { ...(jwt.options as object), ...before })],
        [use('jwt', { ...(jwt.options as object), ...after })],
      );
    assert.deepEqual(jwtPlan({}, { algorithms: ['RS256', 'HS256'] }), [
      'auth-weakened | authentication weakened: algorithms + HS256 (jwt)',
    ]);
    assert.deepEqual(jwtPlan({ algorithms: ['RS256', 'ES256'] }, {}), [
      'auth-strengthened | authentication strengthened: algorithms - ES256 (jwt)',
    ]);
    assert.deepEqual(jwtPlan({ audience: 'shop' }, {}), [
      'auth-weakened | authentication weakened: audience shop removed (jwt)',
    ]);
    assert.deepEqual(jwtPlan({ clockSkew: 5000 }, { clockSkew: 300_000 }), [
      'auth-weakened | authentication weakened: clockSkew 5s → 5m (jwt)',
    ]);
    assert.deepEqual(jwtPlan({ claims: { tenant: 'a', role: 'b' } }, { claims: { tenant: 'a' } }), [
      'auth-weakened | authentication weakened: claims {tenant: a, role: b} → {tenant: a} (jwt)',
    ]);
    assert.deepEqual(jwtPlan({ jwks: 'a.json' }, { jwks: 'b.json' }), [
      'auth-changed | authentication changed: jwks a.json → b.json (jwt)',
    ]);
    assert.deepEqual(jwtPlan({ audience: ['a', 'b'] }, { audience: ['b', 'a'] }), []);
    assert.deepEqual(policyPlan([use('apiKey', {})], [use('apiKey', { forward: true })]), [
      'auth-weakened | authentication weakened: forward now true (apiKey)',
    ]);
    const login = { issuer: 'https://id.example', secret: ['x'], lifetime: 3_600_000, forwardAccessToken: false };
    assert.deepEqual(
      policyPlan(
        [use('oidc', login)],
        [use('oidc', { ...login, secret: ['y'], lifetime: 7_200_000, forwardAccessToken: true })],
      ),
      [
        'auth-weakened | authentication weakened: forwardAccessToken false → true (oidc)',
        'auth-weakened | authentication weakened: lifetime 1h → 2h (oidc)',
        'auth-changed | authentication changed: secret changed (secret, not shown) (oidc)',
      ],
    );
    assert.deepEqual(
      policyPlan([use('authorize', { groups: ['gold'] })], [use('authorize', { groups: ['gold', 'silver'] })]),
      ['auth-weakened | authorisation weakened: groups + silver (authorize)'],
    );
    assert.deepEqual(policyPlan([use('authorize', { groups: ['gold'] })], [use('authorize', {})]), [
      'auth-weakened | authorisation weakened: groups [gold] removed (authorize)',
    ]);
  });

  test('knows what makes asking others about a request weaker', () => {
    const url = 'https://issuer.example/introspect';
    const asking = (before: object, after: object, name = 'introspection'): string[] =>
      policyPlan([use(name, { url, cacheFor: 30_000, ...before })], [use(name, { url, cacheFor: 30_000, ...after })]);
    assert.deepEqual(asking({}, { cacheFor: 60_000 }), [
      'auth-weakened | authentication weakened: cacheFor 30s → 1m (introspection)',
    ]);
    assert.deepEqual(asking({ cacheFor: 0 }, {}, 'forwardAuth'), [
      'auth-weakened | authentication weakened: cacheFor 0ms → 30s (forwardAuth)',
    ]);
    assert.deepEqual(asking({ scopes: ['read', 'write'] }, { scopes: ['read'] }), [
      'auth-weakened | authentication weakened: scopes - write (introspection)',
    ]);
    assert.deepEqual(asking({}, { issuer: 'https://issuer.example' }), [
      'auth-strengthened | authentication strengthened: issuer now https://issuer.example (introspection)',
    ]);
    assert.deepEqual(asking({}, { forward: true }, 'forwardAuth'), [
      'auth-weakened | authentication weakened: forward now true (forwardAuth)',
    ]);
    assert.deepEqual(asking({}, { url: 'https://other.example/' }, 'forwardAuth'), [
      'auth-changed | authentication changed: url https://issuer.example/introspect → https://other.example/ (forwardAuth)',
    ]);
  });

  test('knows one more of several ways to authenticate for one more way in', () => {
    const anyOf = (...ways: readonly PolicyUse[]): PolicyUse => use('anyOf', ways);
    const mtls = use('mtls');
    assert.deepEqual(policyPlan([anyOf(apiKey, jwt)], [anyOf(apiKey, jwt, mtls)]), [
      'auth-weakened | authentication weakened: + mtls (anyOf)',
    ]);
    assert.deepEqual(policyPlan([anyOf(apiKey, jwt, mtls)], [anyOf(apiKey, mtls)]), [
      'auth-strengthened | authentication strengthened: - jwt (anyOf)',
    ]);
    assert.deepEqual(
      policyPlan([anyOf(apiKey, jwt)], [anyOf(apiKey, use('jwt', { ...(jwt.options as object), forward: true }))]),
      ['auth-weakened | authentication weakened: forward now true (jwt in anyOf)'],
    );
    assert.deepEqual(policyPlan([anyOf(apiKey, jwt)], [anyOf(jwt, apiKey)]), [
      'policy-order-changed | order of policies changed: apiKey, jwt → jwt, apiKey',
    ]);
    assert.deepEqual(policyPlan([anyOf(apiKey, anyOf(jwt, mtls))], [anyOf(apiKey, anyOf(jwt, mtls, use('oidc')))]), [
      'auth-weakened | authentication weakened: + oidc (anyOf in anyOf)',
    ]);
    assert.deepEqual(policyPlan([anyOf(apiKey, jwt)], []), [
      'auth-removed | authentication removed (anyOf of apiKey, jwt)',
    ]);
  });

  test('knows whether other policies that authenticate ask for more or for less', () => {
    const anyOf = use('anyOf', [apiKey, jwt]);
    assert.deepEqual(policyPlan([apiKey], [anyOf]), [
      'auth-weakened | authentication weakened: apiKey → anyOf of apiKey, jwt',
    ]);
    assert.deepEqual(policyPlan([anyOf], [jwt]), [
      'auth-strengthened | authentication strengthened: anyOf of apiKey, jwt → jwt',
    ]);
    assert.deepEqual(policyPlan([anyOf], [use('mtls')]), [
      'auth-changed | authentication changed: anyOf of apiKey, jwt → mtls',
    ]);
    assert.deepEqual(policyPlan([apiKey, jwt], [anyOf]), [
      'auth-weakened | authentication weakened: apiKey, jwt → anyOf of apiKey, jwt',
    ]);
  });

  test('shows no secret of a policy among the options of another', () => {
    const withPin = (pin: string): PolicyUse => use('anyOf', [apiKey, use('own', { pin }, { module: '/gw/own.ts' })]);
    const around = { factsOf: () => ({ provides: ['consumer'], secretKeys: ['pin'] }) };
    const plan = linesOf(diffConfigs(withPolicies(withPin('canary-1')), withPolicies(withPin('canary-2')), around));
    assert.deepEqual(plan, [
      'auth-changed | route catalog: authentication changed: pin changed (secret, not shown) (own in anyOf)',
    ]);
    const added = linesOf(diffConfigs(withPolicies(apiKey), withPolicies(withPin('canary-2')), around));
    assert.doesNotMatch(added.join(), /canary/);
  });

  test('knows who may do more from who may do less', () => {
    const authorizePlan = (before: object, after: object): string[] =>
      policyPlan([use('authorize', before)], [use('authorize', after)]).map((line) => line.split(' | ')[0]);
    const cases: readonly (readonly [stricter: object, looser: object])[] = [
      [{ groups: ['gold'] }, { groups: ['gold', 'silver'] }],
      [{ consumers: ['a'] }, { consumers: ['*'] }],
      [{ consumers: ['a'], groups: ['g'] }, { groups: ['g'] }],
      [{ scopes: ['a', 'b'] }, { scopes: ['a'] }],
      [{ scopes: ['a'] }, {}],
      [{ scopes: { any: ['a'] } }, { scopes: { any: ['a', 'b'] } }],
      [{ scopes: { all: ['a'], any: ['b'] } }, { scopes: ['a'] }],
      [{ claims: { a: 1, b: 2 } }, { claims: { a: 1 } }],
      [{ claims: { a: 'x' } }, { claims: { a: ['x', 'y'] } }],
      [{ claims: { a: { equals: 'x', present: true } } }, { claims: { a: { oneOf: ['x', 'y'], present: true } } }],
      [{ claims: { a: { atLeast: 3 } } }, { claims: { a: { atLeast: 2 } } }],
      [{ claims: { a: { atMost: 3 } } }, { claims: { a: { atMost: 4 } } }],
      [{ claims: { a: { atLeast: 1, atMost: 3 } } }, { claims: { a: { atLeast: 1 } } }],
      [{ claims: { a: { contains: ['x', 'y'] } } }, { claims: { a: { contains: 'x' } } }],
      [{ claims: { a: { containsAny: ['x'] } } }, { claims: { a: { containsAny: ['x', 'y'] } } }],
      [{ deny: { groups: ['x'] } }, {}],
      [{ deny: { groups: ['x', 'y'] } }, { deny: { groups: ['x'] } }],
      [{ deny: { groups: ['x'], scopes: ['s'] } }, { deny: { groups: ['x'] } }],
      [{ deny: { claims: { a: 1, b: 2 } } }, { deny: { claims: { a: 1 } } }],
      [{ deny: { claims: { a: ['x', 'y'] } } }, { deny: { claims: { a: 'x' } } }],
      [{ deny: { claims: { a: { atMost: 4 } } } }, { deny: { claims: { a: { atMost: 3 } } } }],
      [{ deny: { claims: { a: { contains: ['x', 'y'] } } } }, { deny: { claims: { a: { contains: 'x' } } } }],
      [{ deny: { claims: { a: { atMost: 4 } } } }, { deny: { claims: { a: { atMost: 4, atLeast: 2 } } } }],
    ];
    for (const [stricter, looser] of cases) {
      const both = `${JSON.stringify(stricter)} → ${JSON.stringify(looser)}`;
      assert.deepEqual(authorizePlan(stricter, looser), ['auth-weakened'], both);
      assert.deepEqual(authorizePlan(looser, stricter), ['auth-strengthened'], `the other way round: ${both}`);
    }
    for (const [before, after] of [
      [{ claims: { a: { startsWith: 'x' } } }, { claims: { a: { startsWith: 'y' } } }],
      [{ claims: { a: { present: true } } }, { claims: { a: { present: false } } }],
      [{ deny: { claims: { a: { endsWith: 'x' } } } }, { deny: { claims: { a: { endsWith: 'y' } } } }],
    ]) {
      assert.deepEqual(authorizePlan(before, after), ['auth-changed'], JSON.stringify(before));
    }
    // What is both is told as the weaker one.
    assert.deepEqual(authorizePlan({ claims: { a: 1 } }, { claims: { b: 1 } }), ['auth-weakened']);
    assert.deepEqual(authorizePlan({ claims: { a: 'x' } }, { claims: { a: 'y' } }), ['auth-weakened']);
  });

  test('takes a rule of the user for authorisation', () => {
    const rule = use('may-edit', {}, { module: '/gw/may-edit.ts' });
    const around = { factsOf: () => ({ provides: ['authorisation'], secretKeys: [] }) };
    assert.deepEqual(linesOf(diffConfigs(withPolicies(rule), withPolicies(), around)), [
      'auth-removed | route catalog: authorisation removed (may-edit)',
    ]);
  });

  test('knows the policies that protect', () => {
    assert.deepEqual(policyPlan([use('bodyLimit', { max: 1024 })], [use('bodyLimit', { max: 2048 })]), [
      'body-limit-raised | body limit raised: max 1KiB → 2KiB (bodyLimit)',
    ]);
    assert.deepEqual(policyPlan([use('bodyLimit', { max: 1024 })], []), [
      'body-limit-raised | body limit raised: bodyLimit removed',
    ]);
    assert.deepEqual(
      policyPlan([use('ipFilter', { deny: [], allow: ['10.0.0.0/8'] })], [use('ipFilter', { deny: ['10.1.1.1'] })]),
      [
        'ip-filter-widened | IP filter widened: allow [10.0.0.0/8] removed (ipFilter)',
        'ip-filter-narrowed | IP filter narrowed: deny + 10.1.1.1 (ipFilter)',
      ],
    );
    assert.deepEqual(policyPlan([], [use('cors', { origins: ['*'] })]), ['cors-widened | CORS widened: cors added']);
    assert.deepEqual(
      policyPlan(
        [use('cors', { origins: ['https://a'], credentials: false })],
        [use('cors', { origins: ['*'], credentials: true })],
      ),
      [
        'cors-widened | CORS widened: credentials false → true (cors)',
        'cors-widened | CORS widened: origins + *, - https://a (cors)',
      ],
    );
    assert.deepEqual(policyPlan([use('cors', { origins: ['*'] })], [use('cors', { origins: ['https://a'] })]), [
      'cors-narrowed | CORS narrowed: origins + https://a, - * (cors)',
    ]);
    assert.deepEqual(
      policyPlan([use('securityHeaders', { framing: 'none' })], [use('securityHeaders', { framing: false })]),
      ['protection-removed | protection removed: framing none → false (securityHeaders)'],
    );
    assert.deepEqual(policyPlan([use('requestId', { trust: false })], [use('requestId', { trust: true })]), [
      'trust-widened | more is believed: trust false → true (requestId)',
    ]);
  });

  test('tells a name from a change, and an order from both', () => {
    const limit = use('rateLimit', { rate: '5/1s' });
    assert.deepEqual(policyPlan([limit], [{ ...limit, label: 'gold' }]), [
      'policy-renamed | policy renamed: rateLimit → rateLimit gold',
    ]);
    assert.deepEqual(policyPlan([limit, apiKey], [apiKey, limit]), [
      'policy-order-changed | order of policies changed: rateLimit, apiKey → apiKey, rateLimit',
    ]);
    // One that is new between others changes nothing of their order.
    assert.deepEqual(policyPlan([limit, apiKey], [limit, use('headers'), apiKey]), [
      'policy-added | policy added (headers)',
    ]);
    // The same use, twice in one list and once in the other.
    assert.deepEqual(policyPlan([limit, limit], [limit]), ['limit-removed | limit removed (rateLimit)']);
  });

  test('takes a policy of the user for authentication when it says who is calling', () => {
    const options = z.strictObject({ pepper: z.string().meta({ secret: true }), size: z.number() });
    const tenant = definePolicy({ name: 'tenant', summary: '-', options, provides: ['consumer'], create: () => ({}) });
    const mine = use('tenant', { pepper: 'one', size: 1 }, { module: '/gw/tenant.ts' });
    const facts = (): PolicyFacts => factsOf(tenant);
    assert.deepEqual(policyPlan([mine], []), ['policy-removed | policy removed (tenant)']);
    assert.deepEqual(policyPlan([mine], [], { factsOf: facts }), ['auth-removed | authentication removed (tenant)']);
    assert.deepEqual(policyPlan([mine], [{ ...mine, module: '/gw/other/tenant.ts' }]), [
      'policy-changed | policy changed: from tenant.ts → from other/tenant.ts (tenant)',
    ]);
    // What its schema marks as secret is compared, but not shown.
    const found = diffConfigs(withPolicies(mine), withPolicies({ ...mine, options: { pepper: 'two', size: 2 } }), {
      factsOf: facts,
    });
    assert.doesNotMatch(JSON.stringify(found), /one|two/);
    assert.deepEqual(linesOf(found), [
      'auth-changed | route catalog: authentication changed: pepper changed (secret, not shown) (tenant)',
      'auth-changed | route catalog: authentication changed: size 1 → 2 (tenant)',
    ]);
  });

  test('never shows what is secret, whatever makes it so', () => {
    const shown = (before: object, after: object, secrets: readonly string[] = []): string =>
      JSON.stringify(diffConfigs(withPolicies(use('oidc', before)), withPolicies(use('oidc', after)), { secrets }));
    const by = [
      shown({ clientSecret: 'aaaa' }, { clientSecret: 'bbbb' }),
      shown({ nested: { password: 'aaaa' } }, { nested: { password: 'bbbb' } }),
      shown({ list: [{ token: 'aaaa' }] }, { list: [{ token: 'bbbb' }] }),
      shown({ plain: 'x-aaaa' }, { plain: 'x-bbbb' }, ['aaaa', 'bbbb']),
      shown({ plain: ['x-aaaa'] }, { plain: ['c', 'x-bbbb'] }, ['aaaa', 'bbbb']),
      shown({ plain: 'x-aaaa' }, { plain: 'known' }, ['aaaa']),
      shown({ url: 'redis://me:aaaa@h' }, { url: 'redis://me:bbbb@h' }),
      shown({ set: { 'x-api-key': 'aaaa' } }, { set: { 'x-api-key': 'bbbb' } }),
      shown({}, { clientSecret: 'bbbb' }),
      shown({ clientSecret: 'aaaa' }, {}),
    ];
    for (const text of by) {
      assert.doesNotMatch(text, /aaaa|bbbb/);
      assert.match(text, /changed \(secret|added \(secret|removed/);
    }
  });

  test('says once what changes alike in many routes', () => {
    const names = Array.from({ length: 40 }, (_, index) => `r${String(index).padStart(2, '0')}`);
    const all = (...policies: readonly ReturnType<typeof use>[]): Record<string, typeof policies> =>
      Object.fromEntries(names.map((name) => [name, policies]));
    const [change, ...others] = diffConfigs(withRoutes(all(apiKey)), withRoutes(all()));
    assert.deepEqual(others, []);
    assert.deepEqual(change.subject, { section: 'routes', names });
    assert.deepEqual(linesOf([change]), [
      'auth-removed | routes r00, r01, r02 and 37 more: authentication removed (apiKey)',
    ]);
    assert.deepEqual(linesOf(diffConfigs(withRoutes({ a: [apiKey], b: [apiKey] }), withRoutes({ a: [], b: [] }))), [
      'auth-removed | routes a and b: authentication removed (apiKey)',
    ]);
  });
});
