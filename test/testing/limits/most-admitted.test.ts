/** Spans of time over what was admitted: found as by trying all of them, and never to the detriment of who keeps a limit. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { type AdmittedTimes, mostForCertain, mostPossible } from '../../../src/testing/limits/most-admitted.ts';
import { type PromisedLimit, limitAlgorithms, mostWithin } from '../../../src/testing/limits/promised-limit.ts';

/** Pairs of when a request was sent and how long it took, in small whole numbers: ties are where such code goes wrong. */
const pairs = fc.array(fc.tuple(fc.nat(40), fc.nat(12)), { maxLength: 25 });

function timesOf(list: readonly (readonly [sent: number, took: number])[]): AdmittedTimes {
  return {
    sentMs: Float64Array.from(list, ([sent]) => sent),
    answeredMs: Float64Array.from(list, ([sent, took]) => sent + took),
  };
}

/** The most over all spans that begin at a time on a grid finer than that of the times. */
function byTrying(
  { sentMs, answeredMs }: AdmittedTimes,
  spanMs: number,
  isWithin: (sent: number, answered: number, from: number, to: number) => boolean,
): number {
  let most = 0;
  for (let from = -60; from <= 60; from += 0.5) {
    const count = sentMs.filter((sent, index) => isWithin(sent, answeredMs[index], from, from + spanMs)).length;
    most = Math.max(most, count);
  }
  return most;
}

suite('the most that were admitted within a span', () => {
  test('for certain are those that were sent and answered within it', () => {
    fc.assert(
      fc.property(pairs, fc.integer({ min: 1, max: 30 }), (list, spanMs) => {
        const times = timesOf(list);
        const expected = byTrying(times, spanMs, (sent, answered, from, to) => sent >= from && answered < to);
        assert.equal(mostForCertain(times, spanMs), expected);
      }),
    );
  });

  test('possibly are those that were on their way at any moment of it', () => {
    fc.assert(
      fc.property(pairs, fc.integer({ min: 1, max: 30 }), (list, spanMs) => {
        const times = timesOf(list);
        const expected = byTrying(times, spanMs, (sent, answered, from, to) => answered >= from && sent < to);
        assert.equal(mostPossible(times, spanMs), expected);
      }),
    );
  });

  test('nothing is nothing', () => {
    assert.equal(mostForCertain(timesOf([]), 10), 0);
    assert.equal(mostPossible(timesOf([]), 10), 0);
  });

  test('what was on its way for as long as the span is not in any for certain', () => {
    const times = timesOf([
      [0, 10],
      [0, 9],
    ]);
    assert.equal(mostForCertain(times, 10), 1);
    assert.equal(mostPossible(times, 10), 2);
  });
});

/** Decides requests that come at these times as an exact limit of the kind does, written down anew and plainly. */
function decide({ algorithm, limit, windowMs, burst }: PromisedLimit, times: readonly number[]): number[] {
  const admitted: number[] = [];
  let [level, since, windowEnds, inWindow] = [0, 0, -Infinity, 0];
  for (const now of times) {
    if (algorithm === 'gcra') {
      level = Math.max(0, level - ((now - since) * limit) / windowMs);
      since = now;
      if (level + 1 > burst + 1 + 1e-9) continue;
      level++;
    } else if (algorithm === 'sliding-window') {
      if (admitted.filter((at) => at > now - windowMs).length >= limit) continue;
    } else {
      if (now >= windowEnds) [windowEnds, inWindow] = [now + windowMs, 0];
      if (inWindow >= limit) continue;
      inWindow++;
    }
    admitted.push(now);
  }
  return admitted;
}

suite('a gateway that keeps its limit', () => {
  for (const algorithm of limitAlgorithms) {
    test(`is never seen to break it, however long answers take: ${algorithm}`, () => {
      const cases = fc.record({
        limit: fc.integer({ min: 1, max: 6 }),
        windowMs: fc.constantFrom(10, 12, 30),
        burst: fc.nat(algorithm === 'gcra' ? 5 : 0),
        gaps: fc.array(fc.tuple(fc.nat(6), fc.nat(20), fc.nat(20)), { maxLength: 60 }),
        spanMs: fc.constantFrom(1, 5, 10, 12, 25, 30, 60),
      });
      fc.assert(
        fc.property(cases, ({ gaps, spanMs, ...rule }) => {
          const promised: PromisedLimit = { ...rule, algorithm };
          let now = 0;
          const arrivals = gaps.map(([gap, before, after]) => ({ at: (now += gap), before, after }));
          const admitted = decide(
            promised,
            arrivals.map(({ at }) => at),
          );
          // Of those that came at the same time it does not matter which were admitted.
          const left = [...arrivals];
          const seen = admitted.map(
            (at) =>
              left.splice(
                left.findIndex((one) => one.at === at),
                1,
              )[0],
          );
          const times = {
            sentMs: Float64Array.from(seen, ({ at, before }) => at - before),
            answeredMs: Float64Array.from(seen, ({ at, after }) => at + after),
          };
          const certain = mostForCertain(times, spanMs);
          assert.ok(certain <= mostWithin(promised, spanMs), `${certain} of ${mostWithin(promised, spanMs)}`);
          assert.ok(certain <= mostPossible(times, spanMs));
        }),
      );
    });
  }
});
