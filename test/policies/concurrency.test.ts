import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Outcome, Policy, Reply } from '../../src/contract.ts';
import { concurrency } from '../../src/policies/concurrency.ts';
import { rateLimit } from '../../src/policies/rate-limit.ts';
import { FakeEnv, FakeExchange, type FakeRequest, createPolicy, outcomeOf } from '../support/fake-exchange.ts';

/** Time passes only when the test says so, and whoever waits goes on once it has. */
class SlowEnv extends FakeEnv {
  private readonly sleepers: { untilMs: number; wake: () => void }[] = [];

  override wait(ms: number): Promise<void> {
    return new Promise((wake) => this.sleepers.push({ untilMs: this.nowMs + ms, wake }));
  }

  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(endMs, this.nowMs + 10);
      for (const sleeper of this.sleepers.splice(0)) {
        if (sleeper.untilMs <= this.nowMs) sleeper.wake();
        else this.sleepers.push(sleeper);
      }
      await settled();
    }
  }

  get isAwaited(): boolean {
    return this.sleepers.length > 0;
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Requests that have come as far as a policy lets them. */
class Requests {
  private readonly policies: readonly Policy[];

  constructor(...policies: Policy[]) {
    this.policies = policies;
  }

  begin(request: FakeRequest = {}) {
    const exchange = new FakeExchange(request);
    const state: { exchange: FakeExchange; outcome: 'waits' | 'passed' | Reply } = { exchange, outcome: 'waits' };
    void this.run(exchange).then((reply) => (state.outcome = reply ?? 'passed'));
    return state;
  }

  end({ exchange }: { readonly exchange: FakeExchange }, outcome: Partial<Outcome> = {}): void {
    for (const policy of this.policies) policy.onFinish?.(exchange, { ...outcomeOf(200), ...outcome });
  }

  private async run(exchange: FakeExchange): Promise<Reply | undefined> {
    for (const policy of this.policies) {
      const result = policy.onRequest?.(exchange);
      const reply = result instanceof Promise ? await result : result;
      if (reply !== undefined) return reply;
    }
    return undefined;
  }
}

const codeOf = (outcome: 'waits' | 'passed' | Reply): string =>
  typeof outcome === 'string' ? outcome : String(outcome.code);

suite('concurrency', () => {
  test('lets so many be on their way, each until it ends', async () => {
    const requests = new Requests(createPolicy(concurrency, { limit: 2 }));
    const [one, other, more] = [requests.begin(), requests.begin(), requests.begin()];
    await settled();
    assert.deepEqual(
      [one, other, more].map(({ outcome }) => codeOf(outcome)),
      ['passed', 'passed', 'TOO_MANY_CONCURRENT'],
    );
    const { headers, status } = more.outcome as Reply;
    assert.deepEqual([status, headers], [429, [['retry-after', '1']]]);
    requests.end(more);
    requests.end(one);
    requests.end(one);
    const [next, last] = [requests.begin(), requests.begin()];
    await settled();
    assert.deepEqual(
      [next, last].map(({ outcome }) => codeOf(outcome)),
      ['passed', 'TOO_MANY_CONCURRENT'],
    );
  });

  test('counts each key by itself', async () => {
    const requests = new Requests(createPolicy(concurrency, { limit: 1, by: 'header:k' }));
    const all = ['a', 'b', 'a'].map((k) => requests.begin({ headers: { k } }));
    await settled();
    assert.deepEqual(
      all.map(({ outcome }) => codeOf(outcome)),
      ['passed', 'passed', 'TOO_MANY_CONCURRENT'],
    );
  });

  test('lets as many wait as the queue has room for, and go in the order in which they came', async () => {
    const env = new SlowEnv();
    const requests = new Requests(createPolicy(concurrency, { limit: 1, queue: 2, queueTimeout: '1s' }, env));
    const all = [requests.begin(), requests.begin(), requests.begin(), requests.begin()];
    const outcomes = (): string[] => all.map(({ outcome }) => codeOf(outcome));
    await settled();
    assert.deepEqual(outcomes(), ['passed', 'waits', 'waits', 'TOO_MANY_CONCURRENT']);
    requests.end(all[0]);
    await settled();
    assert.deepEqual(outcomes(), ['passed', 'passed', 'waits', 'TOO_MANY_CONCURRENT'], 'at once');
    requests.end(all[1]);
    await settled();
    requests.end(all[2]);
    assert.equal(codeOf(all[2].outcome), 'passed');
    await env.pass(20);
    assert.equal(env.isAwaited, false, 'nobody looks when nobody waits');
  });

  test('lets nobody wait for more than a second unless it is told', async () => {
    for (const [options, waitMs] of [
      [{}, 1_000],
      [{ queueTimeout: '3s' }, 3_000],
    ] as const) {
      const env = new SlowEnv();
      const requests = new Requests(createPolicy(concurrency, { limit: 1, queue: 1, ...options }, env));
      const all = [requests.begin(), requests.begin()];
      await env.pass(waitMs - 10);
      assert.equal(all[1].outcome, 'waits');
      await env.pass(20);
      assert.equal(codeOf(all[1].outcome), 'TOO_MANY_CONCURRENT');
      for (const one of all) requests.end(one);
    }
  });

  test('refuses who has waited for long enough, and forgets who has gone', async () => {
    const env = new SlowEnv();
    const requests = new Requests(createPolicy(concurrency, { limit: 1, queue: 1, queueTimeout: '1s' }, env));
    const first = requests.begin();
    const late = requests.begin();
    await env.pass(990);
    assert.equal(late.outcome, 'waits');
    await env.pass(20);
    assert.equal(codeOf(late.outcome), 'TOO_MANY_CONCURRENT');
    requests.end(late);

    const gone = requests.begin();
    await settled();
    assert.equal(gone.outcome, 'waits');
    requests.end(gone);
    const next = requests.begin();
    requests.end(first);
    await settled();
    assert.equal(next.outcome, 'passed', 'and not whoever has gone');
    requests.end(next);
    assert.equal(codeOf(requests.begin().outcome), 'waits');
    await settled();
  });

  test('a permit that another thread gives back is found', async () => {
    const [one, other] = [new SlowEnv(), new SlowEnv()];
    other.limitMemory = one.limitMemory;
    const options = { limit: 1, queue: 5, queueTimeout: '1s', name: 'shared' };
    const here = new Requests(createPolicy(concurrency, options, one));
    const there = new Requests(createPolicy(concurrency, options, other));
    const [held, waits] = [here.begin(), there.begin()];
    await other.pass(100);
    assert.equal(waits.outcome, 'waits');
    here.end(held);
    await other.pass(20);
    assert.equal(waits.outcome, 'passed');
  });

  test('a refusal is charged to no other limit of the route', async () => {
    const env = new FakeEnv();
    const limit = createPolicy(rateLimit, { rate: '10/1d' }, env);
    const requests = new Requests(limit, createPolicy(concurrency, { limit: 1 }, env));
    const all = Array.from({ length: 20 }, () => requests.begin());
    await settled();
    assert.equal(all.filter(({ outcome }) => outcome === 'passed').length, 1);
    const { responseHeaders } = all[19].exchange;
    all[19].exchange.respond({});
    assert.match(responseHeaders.get('ratelimit')!, /r=9;/);
  });

  test('that is not enforced refuses nobody and counts who would have been', async () => {
    const env = new FakeEnv();
    const requests = new Requests(createPolicy(concurrency, { limit: 1, enforce: false, queue: 5 }, env));
    const all = [requests.begin(), requests.begin(), requests.begin()];
    await settled();
    assert.deepEqual(
      all.map(({ outcome }) => outcome),
      ['passed', 'passed', 'passed'],
    );
    assert.equal(env.limits.totals.wouldRefuse, 2);
    for (const one of all) requests.end(one);
  });

  test('adapts, where it is told to, to how long the upstream takes, as one for all threads', async () => {
    const [one, other] = [new SlowEnv(), new SlowEnv()];
    other.limitMemory = one.limitMemory;
    const options = { limit: 'adaptive', min: 2, max: 50 };
    const [here, there] = [
      new Requests(createPolicy(concurrency, options, one)),
      new Requests(createPolicy(concurrency, options, other)),
    ];
    const room = async (): Promise<number> => {
      const all = Array.from({ length: 60 }, (_, index) => (index % 2 === 0 ? here : there).begin());
      await settled();
      for (const [index, request] of all.entries()) (index % 2 === 0 ? here : there).end(request, { upstreamMs: -1 });
      return all.filter(({ outcome }) => outcome === 'passed').length;
    };
    const pass = async (upstreamMs: number, outcome: Partial<Outcome> = {}): Promise<void> => {
      for (let round = 0; round < 100; round++) {
        one.nowMs = other.nowMs += 50;
        const all = Array.from({ length: 60 }, () => [here.begin(), there.begin()]).flat();
        await settled();
        for (const [index, request] of all.entries()) {
          (index % 2 === 0 ? here : there).end(request, { ...outcome, upstreamMs });
        }
      }
    };
    assert.equal(await room(), 20, 'at first');
    await pass(10);
    assert.equal(await room(), 50, 'as long as it takes no longer');
    await pass(900, { status: 503 });
    await pass(900, { status: 499, code: 'CLIENT_CLOSED' });
    await pass(-1);
    assert.equal(await room(), 50, 'by what says nothing of it');
  });

  test('falls at once when answers take much longer, or do not come', async () => {
    for (const outcome of [{}, { status: 504, code: 'UPSTREAM_TIMEOUT' }] as const) {
      const env = new SlowEnv();
      const requests = new Requests(createPolicy(concurrency, { limit: 'adaptive', max: 50, name: 'all' }, env));
      const round = async (upstreamMs: number, result: Partial<Outcome>): Promise<number> => {
        env.nowMs += 50;
        const all = Array.from({ length: 60 }, () => requests.begin());
        await settled();
        for (const request of all) requests.end(request, { ...result, upstreamMs });
        return all.filter((request) => request.outcome === 'passed').length;
      };
      for (let i = 0; i < 60; i++) await round(10, {});
      assert.equal(await round(10, {}), 50);
      let passed = 50;
      // Before it is halved to see whether all only takes longer, which here it does.
      for (let i = 0; i < 10; i++) passed = Math.min(passed, await round(70, outcome));
      assert.ok(passed < 30, String(passed));
      for (let i = 0; i < 200; i++) passed = await round(70, outcome);
      assert.equal(passed, 50);
    }
  });

  test('refuses options that promise what is not there', () => {
    for (const options of [
      {},
      { limit: 0 },
      { limit: 'adaptable' },
      { limit: 'adaptive', by: 'consumer' },
      { limit: 'adaptive', by: ['route', 'ip'] },
      { limit: 'adaptive', min: 0 },
      { limit: 'adaptive', min: 10, max: 9 },
      { limit: 'adaptive', max: 3 },
      { limit: 5, min: 1 },
      { limit: 5, max: 10 },
      { limit: 1, queue: -1 },
      { limit: 1, queue: 1, queueTimeout: '1h' },
      { limit: 1, queueTimeout: '5s' },
      { limit: 1, queue: 0, queueTimeout: '5s' },
    ]) {
      assert.equal(concurrency.options.safeParse(options).success, false, JSON.stringify(options));
    }
  });
});
