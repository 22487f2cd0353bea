import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { Policy } from '../../src/contract.ts';
import { type BareItem, isInnerList, parseList } from '../../src/http/structured-fields.ts';
import { rateLimit } from '../../src/policies/rate-limit.ts';
import { FakeEnv, FakeExchange, type FakeRequest, runThrough } from '../support/fake-exchange.ts';
import { consumer, field, limited, passing } from '../support/limited.ts';

suite('rateLimit', () => {
  test('lets the limit pass and refuses what is more, saying when to come again', async () => {
    const env = new FakeEnv();
    const policy = limited({ rate: '3/1m' }, env);
    for (const [left, inSeconds] of [
      [2, 20],
      [1, 40],
      [0, 20],
    ]) {
      const result = await runThrough([policy], new FakeExchange());
      assert.equal(result.status, 200);
      assert.equal(field(result, 'ratelimit-policy'), '"default";q=3;w=60');
      assert.equal(field(result, 'ratelimit'), `"default";r=${left};t=${inSeconds}`);
    }
    const refused = await runThrough([policy], new FakeExchange());
    assert.equal(refused.status, 429);
    assert.equal(refused.reply?.code, 'RATE_LIMITED');
    assert.equal(refused.reply?.detail, 'The limit "default" is reached.');
    assert.equal(field(refused, 'retry-after'), '20');
    assert.equal(field(refused, 'ratelimit'), '"default";r=0;t=20');
    env.nowMs += 20_000;
    assert.equal(await passing([policy]), 1);
    assert.equal(env.limits.totals.refused, 2);
  });

  test('says what the corpus has for valid, and nothing that is not', async () => {
    const corpus = JSON.parse(
      readFileSync(new URL('../corpora/rfc-field-vectors.json', import.meta.url), 'utf8'),
    ) as Record<string, { valid: string[]; invalid_must_be_ignored: string[] }>;
    const key = Object.keys(corpus).find((name) => name.startsWith('RateLimit'))!;
    // `pk` stands for bytes; those of the corpus are not in the one spelling that our parser takes.
    for (const line of corpus[key].valid) assert.equal(problemOf(line.replaceAll(/;pk=:[^:]*:/g, '')), null, line);
    for (const line of corpus[key].invalid_must_be_ignored) assert.notEqual(problemOf(line), null, line);

    const options = fc.record({
      limit: fc.integer({ min: 1, max: 1_000_000_000 }),
      windowMs: fc.integer({ min: 1, max: 100_000_000 }),
      algorithm: fc.constantFrom('gcra', 'sliding-window', 'fixed-window'),
      name: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/),
      headers: fc.constantFrom('standard', 'both'),
      cost: fc.integer({ min: 1, max: 1000 }),
    });
    await fc.assert(
      fc.asyncProperty(options, async ({ limit, windowMs, algorithm, name, headers, cost }) => {
        const policy = limited({
          limit,
          window: `${windowMs}ms`,
          algorithm,
          name,
          headers,
          cost: Math.min(cost, limit),
        });
        for (let i = 0; i < 3; i++) {
          const result = await runThrough([policy], new FakeExchange());
          assert.equal(problemOf(`RateLimit-Policy: ${field(result, 'ratelimit-policy')}`), null);
          assert.equal(problemOf(`RateLimit: ${field(result, 'ratelimit')}`), null);
          const wait = /;t=(\d+)$/.exec(field(result, 'ratelimit'))![1];
          // Retry-After should not be earlier than t.
          if (result.status === 429) assert.ok(Number(field(result, 'retry-after')) >= Number(wait));
        }
      }),
    );
  });

  test('tells in the older fields, in both, or not at all', async () => {
    const names = ['ratelimit', 'ratelimit-policy', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'];
    const told = async (headers: string): Promise<string[]> => {
      const result = await runThrough([limited({ rate: '10/10s', headers })], new FakeExchange());
      return names.filter((name) => result.headers.has(name));
    };
    assert.deepEqual(await told('standard'), names.slice(0, 2));
    assert.deepEqual(await told('legacy'), names.slice(2));
    assert.deepEqual(await told('both'), names);
    assert.deepEqual(await told('none'), []);
    const silent = limited({ rate: '1/10s', headers: 'none' });
    await runThrough([silent], new FakeExchange());
    assert.equal(field(await runThrough([silent], new FakeExchange()), 'retry-after'), '10');
  });

  test('leaves what the upstream says of its own limits, and says its own behind it', async () => {
    const headers = { ratelimit: '"upstream";r=1;t=1' };
    const result = await runThrough([limited({ rate: '10/10s' })], new FakeExchange(), { headers });
    assert.equal(field(result, 'ratelimit'), '"upstream";r=1;t=1, "default";r=9;t=1');
  });

  test('keeps apart whom it is to keep apart', async () => {
    const cases: [by: string | string[], one: FakeRequest, other: FakeRequest][] = [
      ['ip', { clientIp: '192.0.2.1' }, { clientIp: '192.0.2.2' }],
      ['ip', { clientIp: '2001:db8::1' }, { clientIp: '2001:db8:0:1::1' }],
      ['consumer', consumer('ann'), consumer('bob')],
      ['group', consumer('ann', 'a', 'b'), consumer('ann', 'b', 'a')],
      ['header:X-Key', { headers: { 'x-key': 'a' } }, { headers: { 'x-key': 'b' } }],
      ['header:x-key', { headers: { 'x-key': ['a', 'b'] } }, { headers: { 'x-key': ['a'] } }],
      ['cookie:k', { headers: { cookie: 'k=a' } }, { headers: { cookie: 'k=b' } }],
      ['query:k', { query: 'k=a' }, { query: '%6B=b' }],
      ['param:k', { params: { k: 'a' } }, { params: { k: 'b' } }],
      [['ip', 'header:x-key'], { headers: { 'x-key': 'a' } }, { headers: { 'x-key': 'b' } }],
      [['query:a', 'query:b'], { query: 'a=1&b=23' }, { query: 'a=12&b=3' }],
      [['query:a', 'query:b'], { query: 'a=192.0.2.10&b=1' }, { query: 'b=1' }],
      ['header:x-key', { headers: { 'x-key': 'k'.repeat(3000) } }, { headers: { 'x-key': `${'k'.repeat(2999)}j` } }],
    ];
    for (const [by, one, other] of cases) {
      const policy = limited({ rate: '2/1m', by });
      assert.equal(await passing([policy], one), 2, JSON.stringify(by));
      assert.equal(await passing([policy], one), 0, JSON.stringify(by));
      assert.equal(await passing([policy], other), 2, JSON.stringify(by));
    }
  });

  test('counts together what is one client, and everybody where that is asked for', async () => {
    const cases: [by: string, one: FakeRequest, other: FakeRequest][] = [
      ['ip', { clientIp: '2001:db8::1' }, { clientIp: '2001:db8::ffff:1' }],
      ['ip', { clientIp: '192.0.2.1', headers: { 'x-forwarded-for': '1.1.1.1' } }, { clientIp: '192.0.2.1' }],
      ['consumer', { ...consumer('ann'), clientIp: '192.0.2.1' }, { ...consumer('ann'), clientIp: '192.0.2.2' }],
      ['group', consumer('ann', 'gold'), consumer('bob', 'gold', 'other')],
      ['route', { clientIp: '192.0.2.1' }, { clientIp: '192.0.2.2' }],
      ['global', { clientIp: '192.0.2.1' }, { clientIp: '192.0.2.2' }],
    ];
    for (const [by, one, other] of cases) {
      const policy = limited({ rate: '2/1m', by });
      assert.equal(await passing([policy], one), 2, by);
      assert.equal(await passing([policy], other), 0, by);
    }
  });

  test('counts by its address whoever has nothing of what is asked for, and never as somebody who has', async () => {
    for (const by of ['consumer', 'group', 'header:k', 'cookie:k', 'query:k', 'param:k', 'claim:k']) {
      const policy = limited({ rate: '2/1m', by });
      assert.equal(await passing([policy], { clientIp: '192.0.2.1' }), 2, by);
      assert.equal(await passing([policy], { clientIp: '192.0.2.2' }), 2, by);
    }
    const policy = limited({ rate: '2/1m', by: 'header:k' });
    assert.equal(await passing([policy], { clientIp: '192.0.2.1' }), 2);
    assert.equal(await passing([policy], { headers: { k: '192.0.2.1' } }), 2);
  });

  test('by default counts consumers, and others by their address', async () => {
    const policy = limited({ rate: '2/1m' });
    assert.equal(await passing([policy], consumer('ann')), 2);
    assert.equal(await passing([policy], consumer('bob')), 2);
    assert.equal(await passing([policy]), 2);
    assert.equal(await passing([policy], { clientIp: '192.0.2.99' }), 2);
  });

  test('reads claims of what was verified', async () => {
    const policy = limited({ rate: '2/1m', by: 'claim:realm.tenant' });
    const run = async (tenant: unknown): Promise<number> => {
      const exchange = new FakeExchange();
      const claims = { realm: { tenant } };
      exchange.identify({ method: 'jwt', subject: 's', consumer: null, claims, scopes: [] });
      return (await runThrough([policy], exchange)).status;
    };
    assert.deepEqual([await run('a'), await run('a'), await run('a'), await run('b')], [200, 200, 429, 200]);
    assert.deepEqual([await run(7), await run(['x']), await run(null)], [200, 200, 200]);
  });

  test('has other rates for consumers and groups', async () => {
    const policy = limited({ rates: { vip: '6/1m', gold: '4/1m', default: '2/1m' } });
    assert.equal(await passing([policy]), 2);
    assert.equal(await passing([policy], consumer('ann')), 2);
    assert.equal(await passing([policy], consumer('bob', 'other', 'gold')), 4);
    assert.equal(await passing([policy], consumer('eve', 'gold', 'vip')), 6, 'the first that is written');
    assert.equal(await passing([policy], consumer('gold', 'vip')), 4, 'a consumer before its groups');
  });

  test('does not count who is exempt', async () => {
    const exempt = { consumers: ['ann'], groups: ['staff'], addresses: ['198.51.100.0/24'] };
    const policy = limited({ rate: '1/1m', by: 'global', exempt });
    assert.equal(await passing([policy], consumer('ann')), Infinity);
    assert.equal(await passing([policy], consumer('bob', 'staff')), Infinity);
    assert.equal(await passing([policy], { clientIp: '198.51.100.7' }), Infinity);
    assert.equal(await passing([policy]), 1);
    assert.equal(await passing([policy], consumer('ann')), Infinity);
  });

  test('charges what a request costs, and never nothing', async () => {
    assert.equal(await passing([limited({ rate: '10/1m', cost: 4 })]), 2);
    const policy = limited({ rate: '10/1m', cost: 'header:x-cost', by: 'header:x-client' });
    const each = (cost: string, client: string): FakeRequest => ({ headers: { 'x-cost': cost, 'x-client': client } });
    assert.equal(await passing([policy], each('5', 'a')), 2);
    for (const [index, cost] of ['0', '-1', '1.5', 'x', '', '1e1'].entries()) {
      assert.equal(await passing([policy], each(cost, `b${index}`)), 10, cost);
    }
    assert.equal(await passing([policy], each('11', 'c')), 0, 'more than there ever is');
    assert.equal(await passing([policy], each('10', 'c')), 1, 'which took nothing');
  });

  test('that is not enforced refuses nobody, says nothing, and tells the log', async () => {
    const env = new FakeEnv();
    const policy = limited({ rate: '2/1m', enforce: false }, env);
    assert.equal(await passing([policy]), Infinity);
    const result = await runThrough([policy], new FakeExchange());
    assert.equal(result.headers.has('ratelimit'), false);
    assert.deepEqual([env.limits.totals.refused, env.limits.totals.wouldRefuse], [0, 49]);
    assert.deepEqual(env.warnings, ['the limit "default" is not enforced; it would have refused 1 more']);
  });

  test('with a name is one wherever it is used, and without one is counted for each route', async () => {
    const memory = new FakeEnv().limitMemory;
    const onRoute = (route: string, label: string, options: object): Policy =>
      limited(options, Object.assign(new FakeEnv(), { route, label, limitMemory: memory }));
    const pairs = (options: object, label = 'rateLimit'): [Policy, Policy] => [
      onRoute('a', label, options),
      onRoute('b', label, options),
    ];
    for (const [isOne, [a, b]] of [
      [true, pairs({ rate: '2/1m' }, 'gold-limit')],
      [true, pairs({ rate: '2/1m', name: 'shared' })],
      [true, pairs({ rate: '2/1m', by: 'global' })],
      [false, pairs({ rate: '2/1m' })],
      [false, pairs({ rate: '2/1m', by: 'route' })],
      [false, pairs({ rate: '2/1m', by: ['route', 'ip'] }, 'per-route')],
    ] as const) {
      assert.equal(await passing([a]), 2);
      assert.equal(await passing([b]), isOne ? 0 : 2);
    }
    assert.equal(await passing([onRoute('a', 'gold-limit', { rate: '2/1m' })]), 0, 'the same after a reload');
    assert.equal(await passing([onRoute('a', 'gold-limit', { rate: '3/1m' })]), 3, 'another with another rate');
  });

  test('refuses options that promise what is not there, or nothing', () => {
    const refused: [object, RegExp][] = [
      [{}, /one of/],
      [{ rate: '0/1m' }, /not a rate/],
      [{ rate: '5/0s' }, /not a rate/],
      [{ rate: '1/1m', limit: 1, window: '1m' }, /one of/],
      [{ rate: '1/1m', rates: { default: '1/1m' } }, /one of/],
      [{ rates: { gold: '1/1m' } }, /one of/],
      [{ limit: 1 }, /go together/],
      [{ limit: 0, window: '1m' }, /limit|small/i],
      [{ rate: '1/400d' }, /too much/],
      [{ rate: '999999999999999/1m' }, /too much/],
      [{ rate: '1/1m', burst: 5, algorithm: 'fixed-window' }, /gcra only/],
      [{ rate: '10/1m', burst: -1 }, /burst|small/i],
      [{ rate: '10/1m', cost: 11 }, /ever pass/],
      [{ rate: '10/1m', burst: 2, cost: 4 }, /ever pass/],
      [{ rate: '10/1m', cost: 0 }, /cost|small|number/i],
      [{ rate: '10/1m', cost: 'x-cost' }, /where to read/],
      [{ rate: '10/1m', by: 'header' }, /header:NAME/],
      [{ rate: '10/1m', by: 'header:a b' }, /no name/],
      [{ rate: '10/1m', by: 'user' }, /is none of/],
      [{ rate: '10/1m', by: [] }, /by|small/i],
      [{ rate: '10/1m', mode: 'lease' }, /need not be leased/],
      [{ rate: '10/1m', store: 'shared', lease: { size: 5 } }, /mode: lease/],
      [{ rate: '10/1m', store: 'shared', mode: 'lease', lease: { share: '0%' } }, /nobody pass/],
      [{ rate: '10/1m', store: 'shared', mode: 'lease', lease: {} }, /lease/],
      [{ rate: '10/1m', onStoreFailure: 'local' }, /memory does not fail/],
      [{ rate: '10/1m', name: 'a"b' }, /a name has/],
    ];
    for (const [options, reason] of refused) {
      const result = rateLimit.options.safeParse(options);
      assert.equal(result.success, false, JSON.stringify(options));
      assert.match(JSON.stringify(result.error.issues), reason, JSON.stringify(options));
    }
    assert.ok(rateLimit.options.safeParse({ rate: '1/1m', store: 'memory', mode: 'exact' }).success);
  });
});

/** Why a line is no RateLimit or RateLimit-Policy field by the draft; null if it is. */
function problemOf(line: string): string | null {
  const [name, value] = [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()];
  const list = parseList(value);
  if (list === null || list.length === 0) return 'no list';
  const isNumber = (given: BareItem | undefined, min: number): boolean =>
    given?.kind === 'integer' && given.value >= min;
  for (const member of list) {
    if (isInnerList(member) || member.value.kind !== 'string') return 'a member is no string';
    const { parameters } = member;
    const [due, others] = name === 'RateLimit' ? ['r', [['t', 0]] as const] : ['q', [['w', 1]] as const];
    if (!isNumber(parameters.get(due), 0)) return `no ${due}`;
    for (const [other, min] of others) {
      if (parameters.has(other) && !isNumber(parameters.get(other), min)) return `a wrong ${other}`;
    }
  }
  return null;
}
