import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { FixedWindow } from '../../../src/util/rate/fixed-window.ts';
import { SlidingWindow, slidingWindowWords } from '../../../src/util/rate/sliding-window.ts';
import { KeyedLimit, mostWithin } from './limiter-of.ts';

const fixed = (limit: number, windowMs: number): KeyedLimit => new KeyedLimit(new FixedWindow({ limit, windowMs }), 2);
const sliding = (limit: number, windowMs: number): KeyedLimit =>
  new KeyedLimit(new SlidingWindow({ limit, windowMs }), slidingWindowWords);

const steps = fc.array(
  fc.record({
    waitMs: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 800 })),
    cost: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 0, max: 8 })),
  }),
  { maxLength: 200 },
);
const windowMs = fc.integer({ min: 1, max: 3000 });

suite('the fixed window', () => {
  test('counts in windows, each of which begins with the first request after the last one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), windowMs, steps, (limit, length, sent) => {
        const own = fixed(limit, length);
        let [count, end] = [0, 0];
        for (const { waitMs, cost } of sent) {
          own.nowMs += waitMs;
          if (own.nowMs >= end) count = 0;
          const isAllowed = count + cost <= limit;
          assert.equal(own.charge(cost), isAllowed);
          if (isAllowed && cost > 0) {
            if (count === 0 && own.nowMs >= end) end = own.nowMs + length;
            count += cost;
          }
          assert.equal(own.algorithm.remaining, limit - count);
          if (!isAllowed && cost <= limit) assert.equal(own.algorithm.retryMs, end - own.nowMs);
        }
      }),
    );
  });

  test('takes a charge back for as long as its window is open, and not from a later one', () => {
    const own = fixed(2, 100);
    assert.ok(own.charge() && own.charge());
    own.nowMs = 50;
    const { mark } = own.algorithm;
    own.undo(1, 0, mark);
    assert.ok(own.charge());
    assert.equal(own.charge(), false);
    own.nowMs = 100;
    assert.ok(own.charge() && own.charge());
    own.undo(1, 0, mark);
    assert.equal(own.charge(), false);
  });
});

suite('the sliding window', () => {
  test('of up to 24 is exactly a log of what was admitted', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 24 }), windowMs, steps, (limit, length, sent) => {
        const own = sliding(limit, length);
        let log: { at: number; cost: number }[] = [];
        for (const { waitMs, cost } of sent) {
          own.nowMs += waitMs;
          log = log.filter(({ at }) => at + length > own.nowMs);
          const count = log.reduce((sum, one) => sum + one.cost, 0);
          assert.equal(own.charge(cost), count + cost <= limit);
          if (own.algorithm.isAllowed && cost > 0) log.push({ at: own.nowMs, cost });
          assert.equal(own.algorithm.remaining, limit - log.reduce((sum, one) => sum + one.cost, 0));
        }
      }),
    );
  });

  test('never admits more than the limit within any window, whatever comes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), windowMs, steps, (limit, length, sent) => {
        const own = sliding(limit, length);
        const admitted: number[] = [];
        for (const { waitMs, cost } of sent) {
          own.nowMs += waitMs;
          if (own.charge(cost)) for (let i = 0; i < cost; i++) admitted.push(own.nowMs);
        }
        assert.ok(mostWithin(admitted, length) <= limit);
      }),
    );
  });

  test('of a large limit is used to 99 % at ten times the limit', () => {
    const [limit, length] = [1000, 1000];
    const own = sliding(limit, length);
    let admitted = 0;
    const windows = 20;
    for (let i = 0; i < windows * limit * 10; i++) {
      own.nowMs = i / 10;
      if (own.charge()) admitted++;
    }
    assert.ok(admitted <= limit * windows);
    assert.ok(admitted >= limit * windows * 0.99, `${admitted} of ${limit * windows}`);
  });

  test('says when the same charge is allowed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), windowMs, steps, (limit, length, sent) => {
        const own = sliding(limit, length);
        for (const { waitMs, cost } of sent) {
          own.nowMs += waitMs;
          if (own.charge(cost) || cost > limit) continue;
          own.nowMs += own.algorithm.retryMs;
          assert.equal(own.charge(cost), true);
        }
      }),
    );
  });

  test('a charge that is taken back leaves room for one, and never for more', () => {
    const step = fc.record({
      waitMs: fc.integer({ min: 0, max: 60 }),
      what: fc.constantFrom('charge', 'charge', 'reserve', 'undo'),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.array(step, { maxLength: 150 }), (limit, sent) => {
        const own = sliding(limit, 1000);
        const admitted: number[] = [];
        const reserved: { at: number; mark: number }[] = [];
        for (const { waitMs, what } of sent) {
          own.nowMs += waitMs;
          if (what === 'undo') {
            const one = reserved.shift();
            if (one !== undefined) own.undo(1, one.at, one.mark);
          } else if (own.charge()) {
            if (what === 'reserve') reserved.push({ at: own.nowMs, mark: own.algorithm.mark });
            else admitted.push(own.nowMs);
          }
        }
        assert.ok(mostWithin(admitted, 1000) <= limit);
      }),
    );
  });

  test('bears any numbers in an entry that another thread is writing', () => {
    const algorithm = new SlidingWindow({ limit: 10, windowMs: 1000 });
    fc.assert(
      fc.property(
        fc.array(fc.double(), { minLength: slidingWindowWords, maxLength: slidingWindowWords }),
        (numbers) => {
          algorithm.decide(Float64Array.from(numbers), false, 5);
          algorithm.undo.decide(Float64Array.from(numbers), false, 5, 10);
        },
      ),
    );
  });
});
