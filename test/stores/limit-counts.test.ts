import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { RefusedCaller } from '../../src/contract.ts';
import { LimitCounts } from '../../src/stores/limit-counts.ts';

const caller = { consumer: null, clientIp: '192.0.2.1' };

suite('what limits have done', () => {
  test('is the sum of what all threads have counted, those before them in their seats included', () => {
    const buffer = LimitCounts.create(3);
    const told: boolean[] = [];
    const noted = (_: RefusedCaller, isEnforced: boolean): void => void told.push(isEnforced);
    const [one, other, reader] = [0, 1, 2].map((seat) => new LimitCounts(buffer, seat));
    for (const counts of [one, other, new LimitCounts(buffer, 1)]) {
      const counter = counts.counterOf('a', noted);
      counter.admitted();
      counter.admitted();
      counter.refused(true, caller);
    }
    other.counterOf('b', noted).refused(false, caller);
    assert.deepEqual(reader.totalsOf('a'), { admitted: 6, refused: 3, wouldRefuse: 0 });
    assert.deepEqual(reader.totalsOf('b'), { admitted: 0, refused: 0, wouldRefuse: 1 });
    assert.equal(reader.totalsOf('c'), null, 'nobody counts it');
    assert.deepEqual(told, [true, true, true, false]);
  });

  test('of more limits than there are places for is not told of each, and mixed up with none', () => {
    const buffer = LimitCounts.create(2);
    const noted = (): void => {};
    const counts = new LimitCounts(buffer, 0);
    for (let i = 0; i < 5000; i++) counts.counterOf(`limit ${i}`, noted).admitted();
    const told = Array.from({ length: 5000 }, (_, i) => counts.totalsOf(`limit ${i}`));
    assert.equal(told.filter((total) => total === null).length, 5000 - 4096);
    assert.ok(told.every((total) => total === null || total.admitted === 1));
  });
});
