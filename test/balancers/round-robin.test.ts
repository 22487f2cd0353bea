import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { roundRobin } from '../../src/balancers/round-robin.ts';
import type { BalancerTarget } from '../../src/contract.ts';
import { FakeExchange } from '../support/fake-exchange.ts';

const exchange = new FakeExchange();
const targets: BalancerTarget[] = [1, 5, 0, 1].map((weight, i) => ({
  url: `http://192.0.2.${i}`,
  weight,
  inFlight: 0,
}));

suite('round robin', () => {
  test('takes the targets in their order, again and again, whatever their weights above 0', () => {
    const balancer = roundRobin.create(targets);
    assert.deepEqual(
      Array.from({ length: 7 }, () => balancer.pick(exchange, [])),
      [0, 1, 3, 0, 1, 3, 0],
    );
  });

  test('moves on from the target that was tried, so a retry does not wait for its turn', () => {
    const balancer = roundRobin.create(targets);
    assert.equal(balancer.pick(exchange, []), 0);
    assert.equal(balancer.pick(exchange, [0]), 1);
    assert.equal(balancer.pick(exchange, [0, 1]), 3);
    assert.equal(balancer.pick(exchange, []), 0);
  });
});
