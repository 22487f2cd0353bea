import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { Gcra } from '../../../src/util/rate/gcra.ts';
import { KeyedLimit, mostWithin } from './limiter-of.ts';

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

const vectors = JSON.parse(
  readFileSync(new URL('../../corpora/gcra-vectors.json', import.meta.url), 'utf8'),
) as Vectors;

const gcra = (limit: number, windowMs: number, capacity = limit): KeyedLimit =>
  new KeyedLimit(new Gcra({ limit, windowMs, capacity }), 0);

/** A bucket with whole numbers: permits times the window, so that nothing is rounded. */
class Bucket {
  private level: number;
  private atMs = 0;
  private readonly full: number;
  private readonly limit: number;
  private readonly windowMs: number;

  constructor(limit: number, windowMs: number, capacity: number) {
    this.full = capacity * windowMs;
    this.level = this.full;
    this.limit = limit;
    this.windowMs = windowMs;
  }

  charge(nowMs: number, cost: number): boolean {
    this.level = Math.min(this.full, this.level + (nowMs - this.atMs) * this.limit);
    this.atMs = nowMs;
    if (cost * this.windowMs > this.level) return false;
    this.level -= cost * this.windowMs;
    return true;
  }

  get remaining(): number {
    return Math.floor(this.level / this.windowMs);
  }
}

const rule = fc.record({
  limit: fc.integer({ min: 1, max: 1000 }),
  windowMs: fc.integer({ min: 1, max: 100_000 }),
  capacity: fc.integer({ min: 1, max: 1500 }),
});
const steps = fc.array(
  fc.record({
    waitMs: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 5000 })),
    cost: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 0, max: 20 })),
  }),
  { maxLength: 200 },
);

suite('GCRA', () => {
  test('decides as the vectors say', () => {
    const { limiter, steps: due } = vectors;
    const limit = gcra(limiter.rate_per_s, 1000, limiter.limit);
    for (const step of due) {
      limit.nowMs = step.at;
      const isAllowed = limit.charge(step.cost);
      const { remaining, resetMs, retryMs } = limit.algorithm;
      assert.deepEqual(
        { limited: !isAllowed, remaining, reset: resetMs, retry: isAllowed || retryMs === Infinity ? -1 : retryMs },
        { limited: step.limited, remaining: step.remaining, reset: step.reset, retry: step.retry },
        JSON.stringify(step),
      );
    }
  });

  test('is a bucket that is filled evenly', () => {
    fc.assert(
      fc.property(rule, steps, ({ limit, windowMs, capacity }, sent) => {
        const [own, bucket] = [gcra(limit, windowMs, capacity), new Bucket(limit, windowMs, capacity)];
        for (const { waitMs, cost } of sent) {
          own.nowMs += waitMs;
          assert.equal(own.charge(cost), bucket.charge(own.nowMs, cost));
          assert.equal(own.algorithm.remaining, bucket.remaining);
        }
      }),
    );
  });

  test('says when the same charge is allowed, and not a millisecond too late', () => {
    fc.assert(
      fc.property(rule, steps, ({ limit, windowMs, capacity }, sent) => {
        const own = gcra(limit, windowMs, capacity);
        for (const { waitMs, cost } of sent) {
          own.nowMs += waitMs;
          if (own.charge(cost)) continue;
          const { retryMs } = own.algorithm;
          if (retryMs === Infinity) {
            assert.ok(cost > capacity);
            continue;
          }
          const refusedAt = own.nowMs;
          own.nowMs = refusedAt + retryMs - 0.001;
          assert.equal(own.charge(cost), false);
          own.nowMs = refusedAt + retryMs;
          assert.equal(own.charge(cost), true);
        }
      }),
    );
  });

  test('admits within any window at most the limit and what comes at once besides the one that is due', () => {
    fc.assert(
      fc.property(rule, steps, ({ limit, windowMs, capacity }, sent) => {
        const own = gcra(limit, windowMs, capacity);
        const admitted: number[] = [];
        for (const { waitMs } of sent) {
          own.nowMs += waitMs;
          if (own.charge()) admitted.push(own.nowMs);
        }
        assert.ok(mostWithin(admitted, windowMs) <= limit + capacity - 1);
      }),
    );
  });

  test('a charge that is taken back at once leaves nothing behind', () => {
    fc.assert(
      fc.property(rule, steps, ({ limit, windowMs, capacity }, sent) => {
        const [own, other] = [gcra(limit, windowMs, capacity), gcra(limit, windowMs, capacity)];
        for (const { waitMs, cost } of sent) {
          own.nowMs += waitMs;
          other.nowMs += waitMs;
          if (own.charge(cost) && cost > 0) own.undo(cost);
          assert.equal(own.charge(), other.charge());
          assert.equal(own.algorithm.remaining, other.algorithm.remaining);
        }
      }),
    );
  });

  test('a charge that is taken back later never lets more in than if it had not been made', () => {
    const step = fc.record({
      waitMs: fc.integer({ min: 0, max: 300 }),
      what: fc.constantFrom('charge', 'charge', 'reserve', 'undo'),
    });
    fc.assert(
      fc.property(rule, fc.array(step, { maxLength: 100 }), ({ limit, windowMs, capacity }, sent) => {
        const [own, strict] = [gcra(limit, windowMs, capacity), new Bucket(limit, windowMs, capacity)];
        const reserved: { at: number; mark: number }[] = [];
        for (const { waitMs, what } of sent) {
          own.nowMs += waitMs;
          if (what === 'undo') {
            const one = reserved.shift();
            if (one !== undefined) own.undo(1, one.at, one.mark);
          } else if (own.charge()) {
            if (what === 'reserve') reserved.push({ at: own.nowMs, mark: own.algorithm.mark });
            // Only what stays is charged to the reference, which has to allow every one of them.
            else assert.ok(strict.charge(own.nowMs, 1));
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
