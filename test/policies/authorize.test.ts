import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { Claims, Consumer, Credential, Exchange, Reply } from '../../src/contract.ts';
import { authorize } from '../../src/policies/authorize.ts';
import { defineRule } from '../../src/policies/define-rule.ts';
import { z } from '../../src/util/schema.ts';
import { FakeEnv, FakeExchange, type FakeRequest, createPolicy } from '../support/fake-exchange.ts';
import { headerAuthenticator } from '../support/header-policy.ts';

interface Caller {
  readonly name?: string;
  readonly groups?: readonly string[];
  readonly scopes?: readonly string[];
  readonly claims?: Claims;
}

function credentialOf({ name, groups = [], scopes = [], claims = {} }: Caller): Credential {
  const consumer: Consumer | null = name === undefined ? null : { name, groups };
  return { method: 'jwt', subject: 'sub', consumer, claims, scopes };
}

function exchangeOf(caller: Caller | null, request: FakeRequest = {}): FakeExchange {
  const exchange = new FakeExchange(request);
  if (caller !== null) exchange.identify(credentialOf(caller));
  return exchange;
}

/** The reason of a refusal, or `passes`. */
function outcomeOf(options: object, caller: Caller, request: FakeRequest = {}): string {
  const reply = createPolicy(authorize, options).onRequest?.(exchangeOf(caller, request)) as Reply | undefined;
  if (reply === undefined) return 'passes';
  const { reason, ...rest } = reply;
  assert.deepEqual(rest, { status: 403, code: 'FORBIDDEN' }, 'all refusals are the same but for the log');
  return reason ?? '';
}

const passes = (options: object, caller: Caller, request: FakeRequest = {}): boolean =>
  outcomeOf(options, caller, request) === 'passes';

suite('authorize', () => {
  test('lets pass whom it names, and refuses all others', () => {
    const mobile = { name: 'mobile', groups: ['gold'] };
    assert.equal(outcomeOf({ consumers: ['web', 'mobile'] }, mobile), 'passes');
    assert.equal(outcomeOf({ consumers: ['web'] }, mobile), 'the consumer is not one that may');
    assert.equal(outcomeOf({ consumers: ['*'] }, mobile), 'passes');
    assert.equal(outcomeOf({ consumers: ['*'] }, {}), 'the consumer is not one that may', 'nobody who is configured');
    assert.equal(outcomeOf({ groups: ['silver', 'gold'] }, mobile), 'passes');
    assert.equal(outcomeOf({ groups: ['silver'] }, mobile), 'the consumer is in no group that may');
    assert.equal(outcomeOf({ groups: ['gold'] }, {}), 'the consumer is in no group that may');
    assert.equal(outcomeOf({ consumers: ['Mobile'] }, mobile), 'the consumer is not one that may');
    assert.equal(outcomeOf({ consumers: ['web'], groups: ['gold'] }, mobile), 'the consumer is not one that may');
  });

  test('asks for all scopes, or for any of them', () => {
    const reader = { scopes: ['read', 'list'] };
    assert.equal(outcomeOf({ scopes: ['read', 'list'] }, reader), 'passes');
    assert.equal(outcomeOf({ scopes: ['read', 'write'] }, reader), 'the scope write was not granted');
    assert.equal(outcomeOf({ scopes: { any: ['write', 'read'] } }, reader), 'passes');
    assert.equal(outcomeOf({ scopes: { any: ['write', 'x'] } }, reader), 'none of the scopes write, x was granted');
    assert.equal(outcomeOf({ scopes: { all: ['list'], any: ['read', 'write'] } }, reader), 'passes');
    assert.equal(outcomeOf({ scopes: { all: ['x'], any: ['read'] } }, reader), 'the scope x was not granted');
    assert.equal(outcomeOf({ scopes: ['rea'] }, reader), 'the scope rea was not granted');
  });

  const rules: readonly (readonly [rule: unknown, yes: readonly unknown[], no: readonly unknown[]])[] = [
    [
      'admin',
      ['admin', ['admin'], ['admin', 'admin']],
      ['Admin', 'admin ', ['admin', 'user'], [], null, { admin: 1 }, 1],
    ],
    [3, [3], ['3', 4, 3.5, [3, 4], 2 ** 53]],
    [true, [true], [false, 'true', 1]],
    [
      ['a', 'b'],
      ['a', 'b', ['a', 'b']],
      ['c', ['a', 'c'], []],
    ],
    [{ equals: 'a' }, ['a'], ['b']],
    [{ oneOf: ['a', 2] }, ['a', 2], ['2', 'b']],
    [{ startsWith: 'eu-' }, ['eu-1', 'eu-'], ['us-eu-', 'EU-1', 7]],
    [{ endsWith: '@example.com' }, ['a@example.com'], ['a@example.com.evil', ['a@example.com', 'b@x.org']]],
    [{ startsWith: 'a', endsWith: 'z' }, ['abz'], ['ab', 'bz']],
    [{ atLeast: 3 }, [3, 1e9], [2.9, '4', null, true]],
    [{ atMost: 3 }, [3, -1], [3.1, '2']],
    [{ atLeast: 2, atMost: 3 }, [2, 3], [1, 4]],
    [{ contains: 'editor' }, [['editor'], ['x', 'editor'], 'editor'], [['edit'], 'x editor', [], { editor: true }]],
    [{ contains: ['a', 'b'] }, [['b', 'x', 'a']], [['a'], 'a']],
    [{ containsAny: ['a', 'b'] }, [['x', 'b'], 'a'], [['x'], []]],
    [{ present: true }, ['', null, false, 0], [[]]],
    [{ present: false }, [[]], ['x', null]],
  ];
  for (const [rule, yes, no] of rules) {
    test(`a claim can be asked to be ${JSON.stringify(rule)}`, () => {
      for (const value of yes) {
        assert.equal(outcomeOf({ claims: { c: rule } }, { claims: { c: value } }), 'passes', JSON.stringify(value));
      }
      for (const value of no) {
        const found = outcomeOf({ claims: { c: rule } }, { claims: { c: value } });
        assert.equal(found, 'the claim c is not as asked for', JSON.stringify(value));
      }
      const isAbout = typeof rule === 'object' && rule !== null && 'present' in rule && rule.present === false;
      assert.equal(passes({ claims: { c: rule } }, { claims: {} }), isAbout, 'without the claim');
    });

    test(`a caller of whom a claim is ${JSON.stringify(rule)} can be denied, and whoever may be`, () => {
      for (const value of yes) {
        assert.equal(passes({ deny: { claims: { c: rule } } }, { claims: { c: value } }), false, JSON.stringify(value));
      }
    });
  }

  test('CVE-2026-26308: of several values any is enough to deny, and all are needed to allow', () => {
    const both = { claims: { role: ['user', 'suspended'] } };
    assert.equal(outcomeOf({ deny: { claims: { role: 'suspended' } } }, both), 'the claim role is as denied');
    assert.ok(!passes({ deny: { claims: { role: { contains: ['suspended', 'x'] } } } }, both));
    assert.ok(!passes({ claims: { role: 'user' } }, both));
    assert.ok(passes({ claims: { role: { contains: 'user' } } }, both));
    assert.ok(passes({ deny: { claims: { role: 'other' } } }, both));
  });

  test('denies where it cannot be told, because the value is of another kind', () => {
    for (const value of [{ suspended: true }, [{}]]) {
      assert.ok(
        !passes({ deny: { claims: { role: 'suspended' } } }, { claims: { role: value } }),
        JSON.stringify(value),
      );
    }
    assert.ok(!passes({ deny: { claims: { level: { atMost: 2 } } } }, { claims: { level: '1' } }));
    assert.ok(!passes({ deny: { claims: { level: 1 } } }, { claims: { level: '1' } }));
    assert.ok(passes({ deny: { claims: { level: { atMost: 2 } } } }, { claims: { level: 3 } }));
    assert.ok(passes({ deny: { claims: { role: 'suspended' } } }, { claims: { other: 'suspended' } }));
    assert.ok(passes({ deny: { claims: { role: 'suspended' } } }, { claims: { role: null } }));
  });

  test('denies by any of its conditions, whatever else allows it', () => {
    const caller = { name: 'm', groups: ['gold', 'suspended'], scopes: ['read'] };
    const allowed = { consumers: ['m'], groups: ['gold'], scopes: ['read'] };
    assert.ok(passes(allowed, caller));
    assert.equal(outcomeOf({ ...allowed, deny: { consumers: ['m'] } }, caller), 'the consumer is denied');
    assert.equal(
      outcomeOf({ ...allowed, deny: { groups: ['suspended'] } }, caller),
      'a group of the consumer is denied',
    );
    assert.equal(
      outcomeOf({ ...allowed, deny: { scopes: ['x', 'read'] } }, caller),
      'a scope that was granted is denied',
    );
    assert.ok(!passes({ ...allowed, deny: { consumers: ['x'], groups: ['suspended'] } }, caller));
    assert.ok(passes({ ...allowed, deny: { consumers: ['x'], groups: ['y'], scopes: ['z'] } }, caller));
    assert.ok(
      passes({ deny: { consumers: ['*'] } }, {}),
      'who is nobody in the configuration is none of its consumers',
    );
    assert.ok(!passes({ deny: { consumers: ['*'] } }, caller));
  });

  test('finds claims in objects, and those with dots in their names', () => {
    const claims = {
      realm_access: { roles: ['editor'] },
      'https://example.com/roles': ['x'],
      list: [{ a: 1 }, { a: 2 }],
    };
    assert.ok(passes({ claims: { 'realm_access.roles': { contains: 'editor' } } }, { claims }));
    assert.ok(passes({ claims: { 'https://example.com/roles': { contains: 'x' } } }, { claims }));
    assert.ok(passes({ claims: { 'list.a': { contains: 2 } } }, { claims }));
    assert.ok(!passes({ claims: { 'list.a': 1 } }, { claims }));
    for (const name of ['constructor', 'toString', 'x.__proto__', 'realm_access.constructor.name', 'roles.length']) {
      assert.ok(!passes({ claims: { [name]: { present: true } } }, { claims: { ...claims, roles: 'x' } }), name);
    }
    const twofold = { 'a.b': 'good', a: { b: 'bad' } };
    assert.ok(!passes({ claims: { 'a.b': 'good' } }, { claims: twofold }), 'both readings count');
    assert.ok(!passes({ deny: { claims: { 'a.b': 'bad' } } }, { claims: twofold }));
  });

  test('compares with what the path has captured', () => {
    const rule = { claims: { tenant: '{tenant}' } };
    const at = (tenant: string): FakeRequest => ({ params: { tenant } });
    assert.ok(passes(rule, { claims: { tenant: 'acme' } }, at('acme')));
    assert.ok(passes(rule, { claims: { tenant: 'a b' } }, at('a%20b')));
    assert.ok(passes(rule, { claims: { tenant: 42 } }, at('42')));
    for (const [tenant, captured] of [
      ['acme', 'other'],
      [42, '042'],
      ['acme', 'ACME'],
      ['acme', '%zz'],
      [['acme', 'other'], 'acme'],
    ] as const) {
      assert.ok(!passes(rule, { claims: { tenant } }, at(captured)), captured);
    }
    assert.ok(!passes(rule, { claims: { tenant: '{tenant}' } }), 'nothing was captured');
    assert.ok(!passes({ deny: rule }, { claims: { tenant: 'x' } }), 'nothing was captured');
    assert.ok(passes({ claims: { tenants: { contains: '{tenant}' } } }, { claims: { tenants: ['a', 'b'] } }, at('b')));
  });

  test('decides about a credential that many requests share by each request and each policy', () => {
    const shared = Object.freeze(
      credentialOf({ name: 'm', groups: ['gold'], claims: { tenant: 'a', tenants: ['a', 'b'] } }),
    );
    const replyAt = (options: object, tenant: string, consumer?: Consumer) => {
      const exchange = new FakeExchange({ params: { tenant } });
      exchange.identify(shared);
      if (consumer !== undefined) exchange.consumer = consumer;
      return (policy: ReturnType<typeof createPolicy> = createPolicy(authorize, options)) =>
        (policy.onRequest?.(exchange) as Reply | undefined)?.status ?? 200;
    };
    for (const [options, tenants] of [
      [{ groups: ['gold'], claims: { tenant: '{tenant}' } }, ['a']],
      [{ claims: { tenant: ['x', '{tenant}'] } }, ['a']],
      [{ claims: { tenants: { contains: ['a', '{tenant}'] } } }, ['a', 'b']],
      [{ claims: { tenants: { containsAny: ['{tenant}'] } } }, ['a', 'b']],
      [{ deny: { claims: { tenant: { equals: '{tenant}' } } } }, ['b', 'c']],
      [{ deny: { claims: { tenants: { contains: '{tenant}' } } } }, ['c']],
    ] as const) {
      const policy = createPolicy(authorize, options);
      for (const tenant of ['a', 'b', 'c', 'a', 'c', 'b']) {
        const expected = (tenants as readonly string[]).includes(tenant) ? 200 : 403;
        assert.equal(replyAt(options, tenant)(policy), expected, `${JSON.stringify(options)} ${tenant}`);
      }
    }
    const gold = createPolicy(authorize, { groups: ['gold'] });
    assert.equal(replyAt({}, 'a')(gold), 200);
    assert.equal(replyAt({}, 'a', { name: 'm', groups: [] })(gold), 403, 'a policy has named another consumer');
    assert.equal(replyAt({}, 'a')(gold), 200);
    assert.equal(replyAt({ groups: ['silver'] }, 'a')(), 403);
    const changing = { ...shared, claims: { role: 'admin' } as Record<string, unknown> };
    const admin = createPolicy(authorize, { claims: { role: 'admin' } });
    for (const [role, expected] of [
      ['admin', 200],
      ['guest', 403],
    ] as const) {
      changing.claims['role'] = role;
      const exchange = new FakeExchange();
      exchange.identify(changing);
      assert.equal((admin.onRequest?.(exchange) as Reply | undefined)?.status ?? 200, expected);
    }
  });

  test('never fails, whatever is in the claims', () => {
    const options = { claims: { a: { startsWith: 'x', atLeast: 1 }, 'a.b': ['{p}', 1], c: { contains: 'x' } } };
    const policies = [createPolicy(authorize, options), createPolicy(authorize, { deny: options })];
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'a.b', '__proto__'), fc.jsonValue()), (claims) => {
        for (const policy of policies) {
          const reply = policy.onRequest?.(exchangeOf({ claims })) as Reply | undefined;
          assert.ok(reply === undefined || reply.status === 403);
        }
      }),
    );
  });

  test('has nothing of the caller in what it says', () => {
    const canary = 'CANARY';
    const caller = { name: canary, groups: [canary], scopes: [canary], claims: { c: canary } };
    for (const options of [
      { consumers: ['a'] },
      { groups: ['a'] },
      { scopes: ['a'] },
      { claims: { c: 'a' } },
      { deny: { claims: { c: { startsWith: 'C' } } } },
    ]) {
      const reply = createPolicy(authorize, options).onRequest?.(exchangeOf(caller));
      assert.equal((reply as Reply).code, 'FORBIDDEN');
      assert.doesNotMatch(JSON.stringify(reply), /CANARY/);
    }
  });

  test('asks those to authenticate whom nobody knows, in the words of whatever could have', () => {
    const env = new FakeEnv();
    env.earlier = [headerAuthenticator('a'), headerAuthenticator('b')];
    for (const policy of [
      createPolicy(authorize, { deny: { groups: ['x'] } }, env),
      createPolicy(defineRule({ name: 'rule', allows: () => true }), {}, env),
    ]) {
      assert.deepEqual(policy.onRequest?.(exchangeOf(null)), {
        status: 401,
        code: 'UNAUTHENTICATED',
        reason: 'nobody is known to call',
        headers: [
          ['www-authenticate', 'Custom realm="a"'],
          ['www-authenticate', 'Custom realm="b"'],
        ],
      });
    }
  });

  test('knows a consumer that a policy of the user has named', () => {
    const exchange = new FakeExchange({ consumer: { name: 'own', groups: ['g'] } });
    assert.equal(createPolicy(authorize, { consumers: ['own'] }).onRequest?.(exchange), undefined);
    const other = exchangeOf({ name: 'verified' });
    other.consumer = { name: 'renamed', groups: [] };
    assert.ok(createPolicy(authorize, { consumers: ['verified'] }).onRequest?.(other) !== undefined);
  });

  for (const wrong of [
    {},
    { consumers: [] },
    { claims: {} },
    { claims: { a: {} } },
    { claims: { a: [] } },
    { claims: { a: { equals: null } } },
    { claims: { a: { matches: '^x' } } },
    { claims: { 'a.b.c.d.e.f.g.h.i': 1 } },
    { deny: {} },
    { deny: { scopes: { any: ['a'] } } },
    { scopes: {} },
    { scopes: ['a b'] },
    { claims: { a: { startsWith: '' } } },
  ]) {
    test(`refuses ${JSON.stringify(wrong)}, which says nothing or what it does not know`, () => {
      assert.equal(authorize.options.safeParse(wrong).success, false);
    });
  }
});

suite('a rule of the user', () => {
  const replyOf = async (verdict: unknown, caller: Caller = { name: 'm' }): Promise<Reply | undefined | void> => {
    const rule = defineRule({ name: 'may-edit', allows: () => verdict as boolean });
    return createPolicy(rule).onRequest?.(exchangeOf(caller));
  };

  test('lets pass by true alone', async () => {
    assert.equal(await replyOf(true), undefined);
    assert.equal(await replyOf(Promise.resolve(true)), undefined);
    for (const verdict of [false, undefined, null, 0, 1, {}, 'not the owner', '', Promise.resolve(false)]) {
      const reply = await replyOf(verdict);
      const reason = typeof verdict === 'string' ? verdict : 'the rule may-edit does not allow it';
      assert.deepEqual(reply, { status: 403, code: 'FORBIDDEN', reason });
    }
  });

  test('lets nobody pass when it fails', async () => {
    const failing = defineRule({
      name: 'failing',
      allows() {
        throw new Error('broken');
      },
    });
    assert.throws(() => createPolicy(failing).onRequest?.(exchangeOf({ name: 'm' })), /broken/);
    await assert.rejects(replyOf(Promise.reject(new Error('broken'))), /broken/);
  });

  test('gets the request, the caller and its options', () => {
    const seen: unknown[] = [];
    const rule = defineRule({
      name: 'owner',
      options: z.strictObject({ claim: z.string() }),
      allows: ({ params }: Exchange, { claims }, { claim }) => {
        seen.push(claim);
        return claims[claim] === params['user'];
      },
    });
    const policy = createPolicy(rule, { claim: 'sub' });
    const at = { params: { user: 'u1' } };
    assert.equal(policy.onRequest?.(exchangeOf({ claims: { sub: 'u1' } }, at)), undefined);
    assert.ok(policy.onRequest?.(exchangeOf({ claims: { sub: 'u2' } }, at)) !== undefined);
    assert.deepEqual(
      seen,
      ['claim', 'claim'].map(() => 'sub'),
    );
    assert.equal(defineRule({ name: 'x', allows: () => true }).options.safeParse({ typo: 1 }).success, false);
    assert.deepEqual(rule.needs, ['consumer']);
  });
});
