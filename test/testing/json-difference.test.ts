import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { jsonDifferences } from '../../src/testing/json-difference.ts';

const paths = (expected: unknown, actual: unknown, partial = false): string[] =>
  jsonDifferences(expected, actual, partial).map(({ path }) => path);

describe('the differences of two values of JSON', () => {
  it('are named by where they are', () => {
    assert.deepEqual(paths({ a: [1, { b: 2 }] }, { a: [1, { b: 3 }] }), ['.a[1].b']);
    assert.deepEqual(paths({ 'a-b': 1 }, { 'a-b': '1' }), ['["a-b"]']);
    assert.deepEqual(paths(1, 2), ['']);
    assert.deepEqual(paths({ a: 1 }, { b: 1 }), ['.a', '.b']);
    assert.deepEqual(paths([1], [1, 2]), ['[1]']);
    assert.deepEqual(paths(null, {}), ['']);
    assert.deepEqual(paths([], {}), ['']);
    assert.deepEqual(paths({ toString: 1 }, {}), ['.toString']);
  });

  it('are not those of what is there besides, where a part is enough', () => {
    assert.deepEqual(paths({ a: 1 }, { a: 1, b: 2 }, true), []);
    assert.deepEqual(paths([{ id: 2 }], [{ id: 1 }, { id: 2, more: true }], true), []);
    assert.deepEqual(paths({ a: [3] }, { a: [1, 2] }, true), ['.a[]']);
    assert.deepEqual(paths({ a: { b: 1 } }, { a: null }, true), ['.a']);
  });

  it('are none of a value with itself, and some of two that differ', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.boolean(), (one, other, partial) => {
        assert.deepEqual(paths(one, structuredClone(one), partial), []);
        if (partial) return;
        const isSame = canonical(one) === canonical(other);
        assert.equal(paths(one, other).length === 0, isSame);
      }),
    );
  });

  it('are not listed without end', () => {
    assert.equal(
      paths(
        Array.from({ length: 1000 }, () => 1),
        Array.from({ length: 1000 }, () => 2),
      ).length,
      10,
    );
  });
});

/** As text, with the keys in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
