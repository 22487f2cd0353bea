import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Policy } from '../../src/contract.ts';
import { quota } from '../../src/policies/quota.ts';
import { rateLimit } from '../../src/policies/rate-limit.ts';
import { FakeEnv, FakeExchange, type FakeResult, createPolicy, runThrough } from '../support/fake-exchange.ts';
import { consumer, field, limited, passing } from '../support/limited.ts';

const tokens = { before: 10, after: 'response-header:X-Tokens-Used' };

/** A request whose response says what it has used. */
function ask(policies: readonly Policy[], used?: string | readonly string[], status = 200): Promise<FakeResult> {
  const headers = used === undefined ? {} : { 'x-tokens-used': used };
  return runThrough(policies, new FakeExchange(), { status, headers });
}

/** What is left, without charging: the limit is asked with a request that another limit refuses. */
async function leftOf(policy: Policy): Promise<number> {
  const exchange = new FakeExchange();
  await policy.onRequest?.(exchange);
  exchange.respond({});
  policy.onFinish?.(exchange, {
    status: 200,
    code: null,
    bytesIn: 0,
    bytesOut: 0,
    durationMs: 1,
    upstreamMs: 1,
    attempts: 1,
  });
  return Number(/;r=(\d+)/.exec(exchange.responseHeaders.get('ratelimit') ?? '')![1]) + 10;
}

suite('a cost that the response corrects', () => {
  for (const [name, make] of [
    ['gcra', (env: FakeEnv) => limited({ rate: '100/1h', cost: tokens }, env)],
    ['sliding-window', (env: FakeEnv) => limited({ rate: '100/1h', cost: tokens, algorithm: 'sliding-window' }, env)],
    ['fixed-window', (env: FakeEnv) => limited({ rate: '100/1h', cost: tokens, algorithm: 'fixed-window' }, env)],
    ['quota', (env: FakeEnv) => createPolicy(quota, { limit: 100, per: 'day', cost: tokens }, env)],
  ] as const) {
    test(`by ${name}: is charged with what was used, less or more than the estimate`, async () => {
      const policy = make(new FakeEnv());
      await ask([policy], '3');
      assert.equal(await leftOf(policy), 97);
    });

    test(`by ${name}: what goes beyond the limit is owed`, async () => {
      const policy = make(new FakeEnv());
      await ask([policy], '60');
      const second = await ask([policy], '90');
      assert.equal(second.status, 200, 'there was enough for the estimate');
      const third = await ask([policy]);
      assert.equal(third.status, 429);
      assert.match(field(third, 'ratelimit'), /;r=0;/);
    });
  }

  test('is what it was estimated at where nothing is told, whatever the response is', async () => {
    for (const [used, status] of [
      [undefined, 200],
      [undefined, 502],
      ['', 200],
      ['-1', 200],
      ['1.5', 200],
      ['1e9', 200],
      ['many', 200],
      ['9'.repeat(16), 200],
      [['3', '4'], 200],
    ] as const) {
      const policy = limited({ rate: '100/1h', cost: tokens });
      await ask([policy], used, status);
      assert.equal(await leftOf(policy), 90, JSON.stringify(used));
    }
  });

  test('may be nothing at all', async () => {
    const policy = limited({ rate: '100/1h', cost: tokens });
    await ask([policy], '0');
    assert.equal(await leftOf(policy), 100);
  });

  test('is at most the limit, or what is said, however much is told', async () => {
    const lying = '999999999999999';
    const env = new FakeEnv();
    const policy = limited({ rate: '100/1h', cost: tokens }, env);
    await ask([policy], lying);
    assert.equal((await ask([policy])).status, 429);
    env.nowMs += 3_600_000;
    assert.notEqual((await ask([policy])).status, 429);

    const bounded = limited({ rate: '100/1h', cost: { ...tokens, max: 20 } });
    await ask([bounded], lying);
    assert.equal(await leftOf(bounded), 80);
  });

  test('counts the other way round as well: an estimate above the bound stays what it was', async () => {
    const policy = limited({ rate: '100/1h', cost: { before: 'header:x-estimate', after: tokens.after, max: 5 } });
    const exchange = new FakeExchange({ headers: { 'x-estimate': '40' } });
    await runThrough([policy], exchange, { headers: { 'x-tokens-used': '90' } });
    const { exchange: next } = await ask([policy]);
    assert.match(next.responseHeaders.get('ratelimit')!, /;r=59;/);
  });

  test('is nothing when another limit has refused the request', async () => {
    const env = new FakeEnv();
    const first = limited({ rate: '100/1h', cost: tokens, name: 'tokens' }, env);
    const second = limited({ rate: '1/1h', name: 'requests' }, env);
    const told: Policy = { onResponse: ({ responseHeaders }) => responseHeaders.set('x-tokens-used', '50') };
    await ask([first, second], '1');
    assert.equal((await runThrough([first, second, told], new FakeExchange())).status, 429);
    assert.equal(await leftOf(first), 99);
  });

  test('is told by a policy, by the end', async () => {
    const counting: Policy = {
      onRequest: ({ values }) => void values.set('estimate', 30),
      onResponse: ({ values }) => void values.set('used', 7),
    };
    const cost = { before: 'value:estimate', after: 'value:used' };
    const policy = limited({ rate: '100/1h', cost });
    const exchange = new FakeExchange();
    counting.onRequest!(exchange) as void;
    await policy.onRequest!(exchange);
    exchange.respond({});
    assert.match(exchange.responseHeaders.get('ratelimit')!, /;r=70;/);
    counting.onResponse!(exchange) as void;
    policy.onFinish!(exchange, {
      status: 200,
      code: null,
      bytesIn: 0,
      bytesOut: 0,
      durationMs: 1,
      upstreamMs: 1,
      attempts: 1,
    });
    // One without a value is charged 1.
    const next = await runThrough([policy], new FakeExchange());
    assert.match(field(next, 'ratelimit'), /;r=92;/);
  });

  test('stays an estimate when what a policy has told is no whole number', async () => {
    for (const used of [1.5, -1, NaN, Infinity, 'x', '']) {
      const policy = limited({ rate: '100/1h', cost: { before: 10, after: 'value:used' } });
      await runThrough([{ onRequest: ({ values }) => void values.set('used', used) }, policy], new FakeExchange());
      assert.equal(await leftOf(policy), 90, String(used));
    }
  });

  test('of a limit that is not enforced is corrected as well', async () => {
    const env = new FakeEnv();
    await ask([limited({ rate: '100/1h', cost: tokens, enforce: false, name: 'n' }, env)], '55');
    assert.equal(await leftOf(limited({ rate: '100/1h', cost: tokens, name: 'n' }, env)), 45);
  });

  test('is refused where it makes no sense', () => {
    for (const cost of [
      { before: 10 },
      { after: 'x-tokens-used' },
      { after: 'response-header:' },
      { after: 'response-trailer:' },
      { after: 'trailer:x' },
      { after: 'response-header:not a name' },
      { after: 'value:' },
      { after: 'header:x-tokens-used' },
      { before: 0, after: 'response-header:x' },
      { before: 10, after: 'response-header:x', max: 5 },
      { before: 101, after: 'response-header:x' },
      { after: 'response-header:x', more: 1 },
    ]) {
      assert.equal(rateLimit.options.safeParse({ rate: '100/1m', cost }).success, false, JSON.stringify(cost));
    }
  });
});

suite('limits by the value of a policy', () => {
  test('count each value by itself, and who has none by its address', async () => {
    const policy = limited({ rate: '2/1h', by: 'value:tenant' });
    const tenant = (name: string | number): Policy => ({ onRequest: ({ values }) => void values.set('tenant', name) });
    assert.equal(await passing([tenant('a'), policy]), 2);
    assert.equal(await passing([tenant(7), policy]), 2);
    assert.equal(await passing([tenant('7'), policy]), 0);
    assert.equal(await passing([policy]), 2);
    assert.equal(await passing([tenant('192.0.2.10'), policy]), 2, 'nobody is taken for an address');
  });
});

suite('quotas by consumer and group', () => {
  test('give each what is his, and all others the default', async () => {
    const policy = createPolicy(quota, { limits: { vip: 3, gold: 2, default: 1 }, per: 'day' });
    assert.equal(await passing([policy], consumer('vip', 'gold')), 3);
    assert.equal(await passing([policy], consumer('someone', 'gold')), 2);
    assert.equal(await passing([policy], consumer('other')), 1);
    assert.equal(await passing([policy]), 1);
  });

  test('beside a limit for all', async () => {
    const policy = createPolicy(quota, { limit: 1, limits: { gold: 2 }, per: 'month' });
    assert.equal(await passing([policy], consumer('someone', 'gold')), 2);
    assert.equal(await passing([policy], consumer('other')), 1);
  });

  test('need one for everybody else, once', () => {
    for (const options of [
      { per: 'day' },
      { limits: { gold: 5 }, per: 'day' },
      { limit: 1, limits: { default: 5 }, per: 'day' },
      { limits: { gold: 0, default: 5 }, per: 'day' },
      { limits: { gold: 3, default: 5 }, per: 'day', cost: 4 },
    ]) {
      assert.equal(quota.options.safeParse(options).success, false, JSON.stringify(options));
    }
  });
});
