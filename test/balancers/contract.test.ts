/** What every balancer holds, whatever its algorithm. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { balancers } from '../../src/balancers/index.ts';
import type { BalancerTarget } from '../../src/contract.ts';
import { FakeExchange } from '../support/fake-exchange.ts';

const exchange = new FakeExchange();

function targetsOf(weights: readonly number[]): BalancerTarget[] {
  return weights.map((weight, index) => ({ url: `http://192.0.2.${index}:80`, weight, inFlight: 0 }));
}

const weights = fc.array(fc.nat({ max: 20 }), { maxLength: 12 });

for (const [name, definition] of balancers) {
  suite(`the balancer ${name}`, () => {
    test('is found by the name it has, and has a sentence for the reference', () => {
      assert.equal(definition.name, name);
      assert.match(definition.summary, /^[A-Z].*\.$/);
    });

    test('picks from no targets by picking none', () => {
      assert.equal(definition.create([]).pick(exchange, []), -1);
    });

    test('picks none when every target was tried', () => {
      const balancer = definition.create(targetsOf([1, 2, 3]));
      assert.equal(balancer.pick(exchange, [0, 1, 2]), -1);
      assert.notEqual(balancer.pick(exchange, []), -1);
    });

    test('never picks a target of weight 0, not even as the last resort', () => {
      const balancer = definition.create(targetsOf([0, 1, 0]));
      for (let i = 0; i < 10; i++) assert.equal(balancer.pick(exchange, []), 1);
      assert.equal(balancer.pick(exchange, [1]), -1);
      assert.equal(definition.create(targetsOf([0, 0])).pick(exchange, []), -1);
    });

    test('tries each target at most once for one exchange, and all before it gives up', () => {
      fc.assert(
        fc.property(weights, fc.nat({ max: 30 }), (ofTargets, picksBefore) => {
          const balancer = definition.create(targetsOf(ofTargets));
          for (let i = 0; i < picksBefore; i++) balancer.pick(exchange, []);
          const tried: number[] = [];
          for (;;) {
            const index = balancer.pick(exchange, tried);
            if (index === -1) break;
            assert.ok(index >= 0 && index < ofTargets.length);
            assert.ok(!tried.includes(index), 'a target was tried twice');
            tried.push(index);
          }
          const inUse = [...ofTargets.keys()].filter((index) => ofTargets[index] > 0);
          assert.deepEqual(
            tried.toSorted((a, b) => a - b),
            inUse,
          );
        }),
      );
    });

    test('never picks a target that was tried, in whatever order picks and retries come', () => {
      const attempts = fc.array(fc.uniqueArray(fc.nat({ max: 11 }), { maxLength: 12 }), { maxLength: 40 });
      fc.assert(
        fc.property(weights, attempts, (ofTargets, triedBefore) => {
          const balancer = definition.create(targetsOf(ofTargets));
          for (const tried of triedBefore) {
            const index = balancer.pick(exchange, tried);
            const left = ofTargets.some((weight, i) => weight > 0 && !tried.includes(i));
            if (left) assert.ok(ofTargets[index] > 0 && !tried.includes(index));
            else assert.equal(index, -1);
          }
        }),
      );
    });

    test('keeps the turns of one upstream apart from those of another', () => {
      const targets = targetsOf([1, 1, 1]);
      const one = definition.create(targets);
      const other = definition.create(targets);
      const first = one.pick(exchange, []);
      one.pick(exchange, []);
      assert.equal(other.pick(exchange, []), first);
    });

    test('gives equal targets equal shares over every full turn', () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 12 }), fc.nat({ max: 50 }), (count, offset) => {
          const balancer = definition.create(targetsOf(Array.from({ length: count }, () => 1)));
          for (let i = 0; i < offset; i++) balancer.pick(exchange, []);
          const picked = Array.from({ length: count }, () => balancer.pick(exchange, []));
          assert.deepEqual(
            picked.toSorted((a, b) => a - b),
            [...Array(count).keys()],
          );
        }),
      );
    });
  });
}
