import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { Policy } from '../../src/contract.ts';
import { quota } from '../../src/policies/quota.ts';
import { FakeEnv, FakeExchange, createPolicy, runThrough } from '../support/fake-exchange.ts';
import { limited, passing } from '../support/limited.ts';

suite('several limits on one route', () => {
  /** What a limit has left for the client of a plain request. */
  const leftOf = async (policy: Policy): Promise<number> => {
    const exchange = new FakeExchange();
    await policy.onRequest?.(exchange);
    exchange.respond({});
    const left = Number(/;r=(\d+)/.exec(exchange.responseHeaders.get('ratelimit') ?? '')![1]);
    return left + 1;
  };

  test('all apply, and a refusal is charged to none of them', async () => {
    const env = new FakeEnv();
    const make = (name: string, rate: string, algorithm: string): Policy => limited({ name, rate, algorithm }, env);
    const policies = [
      make('a', '20/1d', 'gcra'),
      make('b', '20/1d', 'sliding-window'),
      make('c', '20/1d', 'fixed-window'),
      createPolicy(quota, { limit: 20, per: 'day', name: 'd' }, env),
      make('e', '3/1d', 'gcra'),
    ];
    assert.equal(await passing(policies), 3);
    for (let i = 0; i < 10; i++) {
      const { status, headers } = await runThrough(policies, new FakeExchange());
      assert.equal(status, 429);
      assert.match(
        headers.getAll('ratelimit').join(),
        /^"a";r=17;t=\d+, "b";r=17;t=\d+, "c";r=17;t=\d+, "d";r=17;t=\d+/,
      );
    }
    for (const [name, algorithm] of [
      ['a', 'gcra'],
      ['b', 'sliding-window'],
      ['c', 'fixed-window'],
    ]) {
      assert.equal(await leftOf(make(name, '20/1d', algorithm)), 17, name);
    }
    assert.equal(await leftOf(createPolicy(quota, { limit: 20, per: 'day', name: 'd' }, env)), 17);
  });

  test('charge what no limit refuses, whoever else answers', async () => {
    const env = new FakeEnv();
    const first = limited({ rate: '5/1d', name: 'first' }, env);
    const login: Policy = { onRequest: () => ({ status: 401 }) };
    const last = limited({ rate: '5/1d', name: 'last' }, env);
    for (let i = 0; i < 3; i++) await runThrough([first, login, last], new FakeExchange());
    assert.equal(await leftOf(first), 2);
    assert.equal(await leftOf(last), 5);
  });

  test('are what each is by itself on the requests that all of them allow', async () => {
    const one = fc.record({
      limit: fc.integer({ min: 1, max: 8 }),
      window: fc.constantFrom('100ms', '1s', '10s'),
      algorithm: fc.constantFrom('gcra', 'sliding-window', 'fixed-window'),
      cost: fc.constantFrom(1, 1, 2),
    });
    const waits = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 4 }), waits, async (given, sent) => {
        const rules = given.map((rule, index) => ({
          ...rule,
          cost: Math.min(rule.cost, rule.limit),
          name: `n${index}`,
        }));
        const env = new FakeEnv();
        const policies = rules.map((rule) => limited(rule, env));
        // Each alone; asked with a copy of its history whether it would allow the request.
        const history: number[] = [];
        for (const waitMs of sent) {
          env.nowMs += waitMs;
          const { status } = await runThrough(policies, new FakeExchange());
          const verdicts = await Promise.all(rules.map((rule) => wouldAllow(rule, history, env.nowMs)));
          assert.equal(status === 200, verdicts.every(Boolean));
          if (status === 200) history.push(env.nowMs);
        }
      }),
      { numRuns: 40 },
    );
  });

  async function wouldAllow(rule: object, history: readonly number[], nowMs: number): Promise<boolean> {
    const env = new FakeEnv();
    const policy = limited(rule, env);
    for (const at of history) {
      env.nowMs = at;
      assert.equal((await runThrough([policy], new FakeExchange())).status, 200);
    }
    env.nowMs = nowMs;
    return (await runThrough([policy], new FakeExchange())).status === 200;
  }
});
