/** Every limit store decides alike: the memory of a machine, and Redis. The latter's time is set by the test. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { LimitRule, LimitVerdict, Limiter, LimiterSource } from '../../src/contract.ts';
import { SharedLimits, createLimitMemory } from '../../src/stores/shared-limits.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { RedisThread, ServerTime } from '../support/redis-limits.ts';
import { RedisServer } from '../support/redis-server.ts';
import type { Scope } from '../support/scope.ts';

interface Vectors {
  readonly limiter: { readonly rate_per_s: number; readonly limit: number };
  readonly steps: readonly {
    readonly at: number;
    readonly cost: number;
    readonly remaining: number;
    readonly reset: number;
    readonly retry: number;
    readonly limited: boolean;
  }[];
}

const vectors = JSON.parse(readFileSync(new URL('../corpora/gcra-vectors.json', import.meta.url), 'utf8')) as Vectors;

/** A store whose time goes on by the hand of the test. */
interface TimedStore {
  readonly limits: LimiterSource;
  readonly advance: (ms: number) => Promise<void>;
}

const memoryStore = (): Promise<TimedStore> => {
  const clock = new FakeClock();
  const limits = new SharedLimits(
    createLimitMemory(1, { rates: 1024, windows: 1024, logs: 64, permits: 64 }),
    0,
    clock,
  );
  return Promise.resolve({ limits, advance: async (ms) => clock.advance(ms) });
};

async function redisStore(t: Scope): Promise<TimedStore> {
  const server = await RedisServer.start(t);
  const clock = new FakeClock();
  const time = new ServerTime(server);
  const now = (): Promise<void> => time.set(Math.round(clock.wallNow() * 1000));
  await now();
  const { script } = ServerTime;
  const thread = await RedisThread.open(t, server, { clock, script });
  const advance = async (ms: number): Promise<void> => {
    await thread.batches.settle();
    clock.advance(ms);
    await now();
  };
  return { limits: thread.limits(), advance };
}

const stores: Readonly<Record<string, (t: Scope) => Promise<TimedStore>>> = { memory: memoryStore, redis: redisStore };

const sample: readonly LimitRule[] = [
  { algorithm: 'gcra', limit: 7, windowMs: 60_000, capacity: 7 },
  { algorithm: 'gcra', limit: 7, windowMs: 3_600_000, capacity: 7 },
  { algorithm: 'sliding-window', limit: 7, windowMs: 1000 },
  { algorithm: 'fixed-window', limit: 7, windowMs: 1000 },
  { algorithm: 'calendar', limit: 7, per: 'day', timeZone: 'UTC' },
];

async function useUp(limiter: Limiter, key: string): Promise<number> {
  let count = 0;
  while ((await limiter.charge(key, 1)).isAllowed) count++;
  return count;
}

const copied = async (verdict: LimitVerdict | Promise<LimitVerdict>): Promise<LimitVerdict> => ({ ...(await verdict) });

for (const [name, open] of Object.entries(stores)) {
  suite(`limits in ${name}`, { skip: name === 'redis' && unlessInstalled('redis-server') }, () => {
    test('decide as the vectors for GCRA say', async (t) => {
      const { limits, advance } = await open(t);
      const { limit, rate_per_s: rate } = vectors.limiter;
      const limiter = limits.limiter('a', { algorithm: 'gcra', limit: rate, windowMs: 1000, capacity: limit });
      let atMs = 0;
      for (const step of vectors.steps) {
        if (step.at > atMs) await advance(step.at - atMs);
        atMs = step.at;
        const { isAllowed, remaining, resetMs, retryMs } = await limiter.charge('key', step.cost);
        const told = [!isAllowed, remaining, Math.round(resetMs * 1000) / 1000];
        assert.deepEqual(told, [step.limited, step.remaining, step.reset], JSON.stringify(step));
        if (step.limited) assert.equal(retryMs === Infinity ? -1 : Math.round(retryMs), step.retry);
      }
    });

    test('admit as many as they are for, of each key, and again when time has passed', async (t) => {
      const { limits, advance } = await open(t);
      for (const rule of sample) {
        const limiter = limits.limiter(JSON.stringify(rule), rule);
        assert.equal(await useUp(limiter, 'a'), 7, rule.algorithm);
        assert.equal(await useUp(limiter, 'b'), 7, rule.algorithm);
        const other = limits.limiter(`another ${JSON.stringify(rule)}`, rule);
        assert.equal((await copied(other.charge('a', 1))).remaining, 6, 'another limit');
      }
      await advance(86_400_000);
      for (const rule of sample) assert.equal(await useUp(limits.limiter(JSON.stringify(rule), rule), 'a'), 7);
    });

    test('take back what was charged, and only that', async (t) => {
      const { limits } = await open(t);
      for (const rule of sample) {
        const limiter = limits.limiter(JSON.stringify(rule), rule);
        await limiter.charge('a', 2);
        const charged = await copied(limiter.charge('a', 3));
        limiter.undo('a', 3, charged);
        assert.equal((await copied(limiter.charge('a', 0))).remaining, 5, rule.algorithm);
        assert.equal(await useUp(limiter, 'a'), 5, rule.algorithm);
      }
    });

    test('what was used beyond a charge is charged whatever is left, and has to be paid off first', async (t) => {
      const { limits, advance } = await open(t);
      for (const rule of sample) {
        const limiter = limits.limiter(JSON.stringify(rule), rule);
        limiter.correct('a', 2, 9, await copied(limiter.charge('a', 2)));
        const refused = await copied(limiter.charge('a', 1));
        assert.deepEqual([refused.isAllowed, refused.remaining], [false, 0], rule.algorithm);
        // However much it is.
        limiter.correct('b', 1, 1_000_000_000, await copied(limiter.charge('b', 1)));
        assert.equal((await copied(limiter.charge('b', 1))).isAllowed, false, rule.algorithm);
      }
      const [perMinute, , sliding, fixed, calendar] = sample.map((rule) => limits.limiter(JSON.stringify(rule), rule));
      await advance(1001);
      for (const limiter of [sliding, fixed]) assert.equal(await useUp(limiter, 'a'), 7);
      // Nine in a minute of seven: two of them are paid off by then that it had not.
      assert.ok(Math.abs((await copied(perMinute.charge('a', 1))).retryMs - (3 * 60_000) / 7 + 1001) < 0.01);
      await advance(120_000);
      assert.equal(await useUp(perMinute, 'b'), 7, 'nobody owes more than a window beyond what may come at once');
      assert.equal(await useUp(calendar, 'a'), 0);
      await advance(86_400_000);
      assert.equal(await useUp(calendar, 'a'), 7);
    });

    test('of a charge that was too much, what is still there is given back', async (t) => {
      const { limits, advance } = await open(t);
      const limiters = sample.map((rule) => limits.limiter(JSON.stringify(rule), rule));
      for (const [index, limiter] of limiters.entries()) {
        limiter.correct('a', 5, 2, await copied(limiter.charge('a', 5)));
        assert.equal(await useUp(limiter, 'a'), 5, sample[index].algorithm);
        limiter.correct('b', 5, 0, await copied(limiter.charge('b', 5)));
        assert.equal(await useUp(limiter, 'b'), 7, sample[index].algorithm);
      }
      const late: LimitVerdict[] = [];
      for (const limiter of limiters) late.push(await copied(limiter.charge('c', 5)));
      await advance(60_001);
      // What others have charged since is theirs.
      for (const [index, limiter] of limiters.entries()) {
        if (sample[index].algorithm === 'calendar') continue;
        const there = (await copied(limiter.charge('c', 1))).remaining;
        limiter.correct('c', 5, 1, late[index]);
        const { remaining } = await copied(limiter.charge('c', 0));
        assert.equal(remaining, sample[index].algorithm === 'gcra' && index === 1 ? there + 4 : there, `${index}`);
      }
    });

    test('a cost that there can never be is refused for good, and charges nothing', async (t) => {
      const { limits } = await open(t);
      for (const rule of sample) {
        const limiter = limits.limiter(JSON.stringify(rule), rule);
        const refused = await copied(limiter.charge('a', 8));
        assert.deepEqual([refused.isAllowed, refused.retryMs, refused.remaining], [false, Infinity, 7], rule.algorithm);
        assert.ok((await copied(limiter.charge('a', 7))).isAllowed);
      }
    });

    test('a key of a megabyte is as good as any other', async (t) => {
      const { limits } = await open(t);
      const limiter = limits.limiter('a', sample[0]);
      const long = 'k'.repeat(2 ** 20);
      assert.equal(await useUp(limiter, long), 7);
      assert.equal(await useUp(limiter, `${long}.`), 7);
      assert.equal(await useUp(limiter, ''), 7);
    });
  });
}

const limit = fc.integer({ min: 1, max: 60 });
const windowMs = fc.integer({ min: 1, max: 5000 });
const rules: fc.Arbitrary<LimitRule> = fc.oneof(
  fc.record({
    algorithm: fc.constant('gcra' as const),
    limit: fc.oneof(limit, fc.integer({ min: 1, max: 3000 })),
    windowMs,
    capacity: fc.integer({ min: 1, max: 100 }),
  }),
  fc.record({ algorithm: fc.constantFrom('sliding-window' as const, 'fixed-window' as const), limit, windowMs }),
  fc.record({
    algorithm: fc.constant('calendar' as const),
    limit,
    per: fc.constantFrom('day' as const, 'month' as const),
    timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/Sao_Paulo'),
  }),
);
const steps = fc.array(
  fc.record({
    afterMs: fc.oneof(
      fc.constant(0),
      fc.integer({ min: 1, max: 200 }),
      fc.constantFrom(1000, 5000, 3_600_000, 86_400_000),
    ),
    cost: fc.integer({ min: 0, max: 12 }),
    undo: fc.boolean(),
    /** What is corrected: a charge of so many steps before, to so many. */
    correct: fc.option(
      fc.record({
        before: fc.nat(3),
        used: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 1e12 })),
      }),
    ),
  }),
  { minLength: 1, maxLength: 30 },
);

const nearly = (a: number, b: number): boolean => a === b || Math.abs(a - b) < 0.002;

suite('limits in redis and in memory', { skip: unlessInstalled('redis-server') }, () => {
  test('come to the same, whatever happens', { timeout: 120_000 }, async (t) => {
    const [memory, redis] = [await memoryStore(), await redisStore(t)];
    let round = 0;
    await fc.assert(
      fc.asyncProperty(rules, steps, fc.boolean(), async (rule, all, corrects) => {
        const identity = `${round++}`;
        const limiters = [memory, redis].map(({ limits }) => limits.limiter(identity, rule));
        const charged: { readonly cost: number; readonly verdicts: readonly LimitVerdict[] }[] = [];
        for (const { afterMs, cost, undo, correct } of all) {
          if (afterMs > 0) await Promise.all([memory.advance(afterMs), redis.advance(afterMs)]);
          const [ours, theirs] = await Promise.all(limiters.map((limiter) => copied(limiter.charge('key', cost))));
          assert.equal(theirs.isAllowed, ours.isAllowed);
          assert.equal(theirs.remaining, ours.remaining);
          for (const what of ['resetMs', 'moreMs', 'retryMs'] as const) {
            assert.ok(nearly(theirs[what], ours[what]), `${what}: ${theirs[what]} and ${ours[what]}`);
          }
          if (ours.isAllowed && cost > 0) {
            if (corrects) charged.push({ cost, verdicts: [ours, theirs] });
            else if (undo) [ours, theirs].forEach((verdict, i) => limiters[i].undo('key', cost, verdict));
          }
          const [one] = correct === null ? [] : charged.splice(-1 - correct.before, 1);
          if (one === undefined || correct === null) continue;
          one.verdicts.forEach((verdict, i) => limiters[i].correct('key', one.cost, correct.used, verdict));
        }
      }),
      { numRuns: Number(process.env['GATEWRIGHT_STORE_RUNS'] ?? 150) },
    );
  });
});
