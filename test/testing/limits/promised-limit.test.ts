import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type PromisedLimit, dueAmong, mostAtOnce, mostWithin } from '../../../src/testing/limits/promised-limit.ts';

const bucket: PromisedLimit = { algorithm: 'gcra', limit: 100, windowMs: 1000, burst: 20 };
const sliding: PromisedLimit = { algorithm: 'sliding-window', limit: 100, windowMs: 1000, burst: 0 };
const fixed: PromisedLimit = { algorithm: 'fixed-window', limit: 100, windowMs: 1000, burst: 0 };

suite('what a limit promises', () => {
  for (const [name, promised, atOnce, within] of [
    ['a bucket: the limit and its burst', bucket, 21, { 1: 21, 10: 21, 100: 30, 1000: 120, 2000: 220 }],
    ['a sliding window: the limit', sliding, 100, { 1: 100, 1000: 100, 1001: 200, 2000: 200 }],
    ['a fixed window: twice the limit, across its end', fixed, 100, { 1: 200, 1000: 200, 1001: 300, 2000: 300 }],
  ] as const) {
    test(name, () => {
      assert.equal(mostAtOnce(promised), atOnce);
      for (const [spanMs, most] of Object.entries(within)) {
        assert.equal(mostWithin(promised, Number(spanMs)), most, `${spanMs} ms`);
      }
    });
  }
});

suite('what is due among requests', () => {
  /** One each millisecond. */
  const steady = Float64Array.from({ length: 2500 }, (_, index) => index);

  test('all that come at once, and then the rate', () => {
    assert.equal(dueAmong(bucket, steady), 21 + 249);
    assert.equal(dueAmong(sliding, steady), 300);
    assert.equal(dueAmong(fixed, steady), 300);
  });

  test('the rate alone when there was nothing left at the beginning', () => {
    assert.equal(dueAmong(bucket, steady, false), 249);
  });

  test('no more than come', () => {
    const rare = Float64Array.from({ length: 5 }, (_, index) => index * 100);
    for (const promised of [bucket, sliding, fixed]) {
      assert.equal(dueAmong(promised, rare), 5);
      assert.equal(dueAmong(promised, new Float64Array(0)), 0);
    }
  });

  test('what is not asked for while nobody comes is lost beyond the burst', () => {
    const paused = steady.filter((ms) => ms < 100 || ms >= 2000);
    assert.equal(dueAmong(bucket, paused), 21 + 9 + 21 + 49);
  });
});
