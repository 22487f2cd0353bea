import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { ExpiringCache } from '../../src/util/expiring-cache.ts';

suite('ExpiringCache', () => {
  test('gives back what was set until its time is over', () => {
    const cache = new ExpiringCache<number>(10);
    cache.set('a', 1, 100);
    assert.equal(cache.get('a', 99), 1);
    assert.equal(cache.get('a', 100), undefined);
    assert.equal(cache.size, 0);
  });

  test('never has more than it may, and never a value that is not the last one set, or is over', () => {
    const step = fc.tuple(fc.constantFrom('set', 'get', 'delete'), fc.integer({ min: 0, max: 30 }), fc.nat(50));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 2, max: 12 }), (steps, max) => {
        const cache = new ExpiringCache<number>(max);
        const last = new Map<string, { value: number; until: number }>();
        for (const [index, [kind, number, ttl]] of steps.entries()) {
          const key = `k${number}`;
          if (kind === 'set') {
            cache.set(key, index, index + ttl);
            last.set(key, { value: index, until: index + ttl });
          } else if (kind === 'delete') {
            cache.delete(key);
            last.delete(key);
          } else {
            const found = cache.get(key, index);
            const known = last.get(key);
            if (found !== undefined) assert.ok(known !== undefined && known.value === found && index < known.until);
          }
          assert.ok(cache.size <= Math.max(2, max));
        }
      }),
    );
  });

  test('keeps what is in use while others come and go', () => {
    const cache = new ExpiringCache<string>(100);
    cache.set('used', 'yes', Infinity);
    for (let i = 0; i < 10_000; i++) {
      cache.set(`other ${i}`, 'no', Infinity);
      assert.equal(cache.get('used', 0), 'yes');
    }
    assert.ok(cache.size <= 100);
  });

  test('forgets all at once', () => {
    const cache = new ExpiringCache<number>(4);
    cache.set('a', 1, Infinity);
    cache.set('b', 2, Infinity);
    cache.set('c', 3, Infinity);
    cache.clear();
    assert.equal(cache.size, 0);
    assert.equal(cache.get('a', 0), undefined);
  });
});
