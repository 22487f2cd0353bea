import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { StoreOutages } from '../../src/stores/store-outages.ts';

suite('an outage of a store', () => {
  test('is told by the first of the threads that have it, and its end by the last', () => {
    const memory = StoreOutages.create();
    const [one, two, three] = [0, 1, 2].map((seat) => new StoreOutages(memory, seat).of('a'));
    assert.equal(one.begins(), true);
    assert.equal(two.begins(), false);
    assert.equal(one.ends(), false);
    assert.equal(three.begins(), false, 'one has it still');
    assert.equal(two.ends(), false);
    assert.equal(three.ends(), true);
    assert.equal(two.begins(), true, 'another one');
    assert.equal(two.ends(), true);
  });

  test('is of one store', () => {
    const memory = StoreOutages.create();
    const [one, two] = [0, 1].map((seat) => new StoreOutages(memory, seat));
    assert.equal(one.of('a').begins(), true);
    assert.equal(two.of('b').begins(), true);
    assert.equal(two.of('a').begins(), false);
    // Also where nobody can keep them apart any more: then each thread tells.
    for (let i = 0; i < 1_000; i++) assert.equal(one.of(`store ${i}`).begins(), true);
    assert.equal(two.of('store 999').begins(), true);
    assert.equal(two.of('store 0').begins(), false);
  });

  test('is not over with a thread that has died or has let go of the store, nor goes it on for ever', () => {
    const memory = StoreOutages.create();
    const [one, two] = [0, 63].map((seat) => new StoreOutages(memory, seat).of('a'));
    assert.equal(one.begins(), true);
    assert.equal(two.begins(), false);
    StoreOutages.forget(memory, 0);
    assert.equal(two.ends(), true);
    assert.equal(two.begins(), true);
    two.forget();
    assert.equal(one.begins(), true);
  });

  test('of threads of which two share a bit is told once all the same', () => {
    const memory = StoreOutages.create();
    const [one, two] = [3, 67].map((seat) => new StoreOutages(memory, seat).of('a'));
    assert.deepEqual([one.begins(), two.begins()], [true, false]);
    assert.deepEqual([one.ends(), two.ends()], [true, false]);
  });
});
