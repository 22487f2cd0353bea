/** Charges whose true cost is known only later: what was used beyond them is owed, what was not is given back. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { CalendarWindow } from '../../../src/util/rate/calendar-window.ts';
import { FixedWindow } from '../../../src/util/rate/fixed-window.ts';
import { Gcra } from '../../../src/util/rate/gcra.ts';
import { SlidingWindow, slidingWindowWords } from '../../../src/util/rate/sliding-window.ts';
import { type Charge, KeyedLimit } from './limiter-of.ts';

const windowMs = 1000;
const gcra = (limit: number, capacity = limit): KeyedLimit =>
  new KeyedLimit(new Gcra({ limit, windowMs, capacity }), 0);
const fixed = (limit: number): KeyedLimit => new KeyedLimit(new FixedWindow({ limit, windowMs }), 2);
const sliding = (limit: number): KeyedLimit =>
  new KeyedLimit(new SlidingWindow({ limit, windowMs }), slidingWindowWords);
const daily = (limit: number): KeyedLimit => {
  const own: KeyedLimit = new KeyedLimit(
    new CalendarWindow(
      limit,
      () => {
        const startMs = Math.floor(own.nowMs / windowMs) * windowMs;
        return { startMs, endMs: startMs + windowMs };
      },
      () => own.nowMs,
    ),
    2,
  );
  return own;
};

const all: readonly (readonly [string, (limit: number) => KeyedLimit])[] = [
  ['gcra', gcra],
  ['a fixed window', fixed],
  ['a sliding window', sliding],
  ['a calendar window', daily],
];

interface Step {
  readonly waitMs: number;
  readonly cost: number;
  readonly used: number;
  /** Which of the requests that are on their way is answered before this one comes; -1: none. */
  readonly answered: number;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    waitMs: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 300 })),
    cost: fc.integer({ min: 1, max: 8 }),
    used: fc.integer({ min: 0, max: 16 }),
    answered: fc.integer({ min: -1, max: 3 }),
  }),
  { maxLength: 80 },
);

/** Has requests on their way, and corrects what each was charged when it is answered. */
class Traffic {
  readonly own: KeyedLimit;
  private readonly under: (Charge & { readonly used: number })[] = [];

  constructor(own: KeyedLimit) {
    this.own = own;
  }

  /** What of it was used beyond what was charged; null when nothing is answered. */
  answer(which: number): number | null {
    const [one] = which < 0 ? [] : this.under.splice(which, 1);
    if (one === undefined) return null;
    if (one.used > one.cost) this.own.debit(one.used - one.cost);
    else if (one.used < one.cost) this.own.takeBack(one.cost - one.used, one);
    return Math.max(0, one.used - one.cost);
  }

  send({ cost, used }: Step): boolean {
    if (!this.own.charge(cost)) return false;
    this.under.push({ cost, used, at: this.own.nowMs, mark: this.own.algorithm.mark });
    return true;
  }
}

suite('a cost that is corrected later', () => {
  for (const [name, make] of all) {
    test(`of ${name}: what was used beyond is owed, and nothing passes before`, () => {
      const own = make(10);
      own.nowMs = 100;
      assert.ok(own.charge(1));
      own.debit(14);
      assert.equal(own.charge(1), false);
      assert.equal(own.charge(0), false);
      assert.equal(own.algorithm.remaining, 0);
      own.charge(1);
      const { retryMs } = own.algorithm;
      assert.ok(retryMs > 0 && retryMs <= windowMs, `${retryMs}`);
      own.nowMs += retryMs;
      assert.ok(own.charge(1));
    });

    test(`of ${name}: what was not used can be used by the next one`, () => {
      const own = make(10);
      own.nowMs = 100;
      assert.ok(own.charge(8));
      const charge = { cost: 8, at: own.nowMs, mark: own.algorithm.mark };
      assert.equal(own.charge(3), false);
      own.takeBack(5, charge);
      assert.ok(own.charge(7));
      assert.equal(own.charge(1), false);
    });

    test(`of ${name}: whatever is said to have been used, nobody is locked out for longer than that`, () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 20 }),
          fc.array(fc.integer({ min: 1, max: 1e9 }), { maxLength: 20 }),
          (limit, said) => {
            const own = make(limit);
            for (const used of said) {
              own.nowMs += 7;
              own.debit(used);
            }
            if (own.charge(1)) return;
            own.nowMs += own.algorithm.retryMs;
            assert.ok(own.nowMs <= said.length * 7 + windowMs + windowMs / limit + 0.001);
            assert.ok(own.charge(1));
          },
        ),
      );
    });

    test(`of ${name}: with nothing known yet it is charged as a whole`, () => {
      const own = make(5);
      own.debit(5);
      assert.equal(own.charge(1), false);
    });
  }

  test('by GCRA never lets in what a bucket that knew all true costs at once would not', () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 40 }), steps, (capacity, sent) => {
        // So many that the debt is never as large as it may get.
        const limit = 2000;
        const traffic = new Traffic(gcra(limit, capacity));
        const { own } = traffic;
        let [level, atMs] = [capacity, 0];
        for (const step of sent) {
          own.nowMs += step.waitMs / 20;
          level = Math.min(capacity, level + ((own.nowMs - atMs) * limit) / windowMs);
          atMs = own.nowMs;
          level -= traffic.answer(step.answered) ?? 0;
          if (!traffic.send(step)) continue;
          level -= Math.min(step.cost, step.used);
          assert.ok(level > -0.001, `admitted in debt: ${level}`);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('by a sliding window never lets in more than the limit of what is known to be used', () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 60 }), steps, (limit, sent) => {
        const traffic = new Traffic(sliding(limit));
        const { own } = traffic;
        const log: { at: number; cost: number }[] = [];
        for (const step of sent) {
          own.nowMs += step.waitMs;
          const owed = traffic.answer(step.answered) ?? 0;
          if (owed > 0) log.push({ at: own.nowMs, cost: owed });
          if (!traffic.send(step)) continue;
          log.push({ at: own.nowMs, cost: Math.min(step.cost, step.used) });
          const within = log.filter(({ at }) => at + windowMs > own.nowMs).reduce((sum, { cost }) => sum + cost, 0);
          assert.ok(within <= limit, `${within} of ${limit}`);
        }
      }),
      { numRuns: 500 },
    );
  });

  for (const [name, make, isCalendar] of [
    ['fixed', fixed, false],
    ['calendar', daily, true],
  ] as const) {
    test(`by a ${name} window is exactly the sum of what is known of it`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 8, max: 60 }), steps, (limit, sent) => {
          const own = make(limit);
          let [count, start] = [0, -Infinity];
          const under: (Charge & { used: number; start: number })[] = [];
          const turn = (): void => {
            if (own.nowMs < start + windowMs) return;
            [count, start] = [0, isCalendar ? Math.floor(own.nowMs / windowMs) * windowMs : own.nowMs];
          };
          for (const { waitMs, cost, used, answered } of sent) {
            own.nowMs += waitMs;
            const [one] = answered < 0 ? [] : under.splice(answered, 1);
            if (one !== undefined && one.used > one.cost) {
              turn();
              own.debit(one.used - one.cost);
              count += one.used - one.cost;
            } else if (one !== undefined && one.used < one.cost) {
              own.takeBack(one.cost - one.used, one);
              if (one.start === start && own.nowMs < start + windowMs) count -= one.cost - one.used;
            }
            const isOver = own.nowMs >= start + windowMs;
            const known = isOver ? 0 : count;
            assert.equal(own.charge(cost), known + cost <= limit);
            if (!own.algorithm.isAllowed) continue;
            turn();
            count += cost;
            under.push({ cost, used, at: own.nowMs, mark: own.algorithm.mark, start });
          }
        }),
        { numRuns: 300 },
      );
    });
  }

  test('of a part gives back as much as is certain, also when others have come meanwhile', () => {
    const own = gcra(100);
    assert.ok(own.charge(50));
    const charge = { cost: 50, at: 0, mark: own.algorithm.mark };
    own.nowMs = 100;
    assert.ok(own.charge(1));
    // Time has paid off ten, of what would have been charged anyway.
    own.takeBack(30, charge);
    own.charge(0);
    assert.equal(own.algorithm.remaining, 100 - (50 - 30 - 10 + 1));
  });

  test('bears any numbers in an entry that another thread is writing', () => {
    const { debit } = new SlidingWindow({ limit: 10, windowMs });
    fc.assert(
      fc.property(
        fc.array(fc.double(), { minLength: slidingWindowWords, maxLength: slidingWindowWords }),
        (numbers) => void debit.decide(Float64Array.from(numbers), false, 5, 10),
      ),
    );
  });
});
