import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { weightedRoundRobin } from '../../src/balancers/weighted-round-robin.ts';
import { FakeExchange } from '../support/fake-exchange.ts';

const exchange = new FakeExchange();

function balancerOf(weights: readonly number[]) {
  return weightedRoundRobin.create(weights.map((weight, i) => ({ url: `http://192.0.2.${i}`, weight, inFlight: 0 })));
}

suite('weighted round robin', () => {
  test('interleaves as nginx does: weights 5, 1, 1 give a a b a c a a', () => {
    const balancer = balancerOf([5, 1, 1]);
    const cycle = [0, 0, 1, 0, 2, 0, 0];
    assert.deepEqual(
      Array.from({ length: 14 }, () => balancer.pick(exchange, [])),
      [...cycle, ...cycle],
    );
  });

  test('gives each target exactly its weight over a full cycle, and ends where it began', () => {
    const weights = fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(weights, (ofTargets) => {
        const balancer = balancerOf(ofTargets);
        const cycleLength = ofTargets.reduce((sum, weight) => sum + weight, 0);
        const first = Array.from({ length: cycleLength }, () => balancer.pick(exchange, []));
        const second = Array.from({ length: cycleLength }, () => balancer.pick(exchange, []));
        assert.deepEqual(
          ofTargets.map((_, index) => first.filter((picked) => picked === index).length),
          ofTargets,
        );
        assert.deepEqual(second, first);
      }),
    );
  });

  test('never strays from the exact share of a target by a whole round of the targets', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(weights, (ofTargets) => {
        const balancer = balancerOf(ofTargets);
        const total = ofTargets.reduce((sum, weight) => sum + weight, 0);
        const picks = ofTargets.map(() => 0);
        for (let n = 1; n <= total; n++) {
          picks[balancer.pick(exchange, [])]++;
          ofTargets.forEach((weight, index) => {
            assert.ok(Math.abs(picks[index] - (n * weight) / total) < ofTargets.length);
          });
        }
      }),
    );
  });

  test('keeps the proportions of the others exactly while one target fails every time', () => {
    const balancer = balancerOf([3, 2, 1]);
    const served = [0, 0, 0];
    for (let i = 0; i < 600; i++) {
      const first = balancer.pick(exchange, []);
      served[first === 0 ? balancer.pick(exchange, [0]) : first]++;
    }
    assert.deepEqual(served, [0, 400, 200]);
  });
});
