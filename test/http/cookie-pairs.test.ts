import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { readCookies, withoutCookies } from '../../src/http/cookie-pairs.ts';

suite('single cookies', () => {
  test('are found by their exact name, all of them', () => {
    const fields = ['a=1; key=one;key = two ', 'Key=no; xkey=no; key', '\tkey=three=3'];
    assert.deepEqual(readCookies(fields, 'key'), ['one', 'two', 'three=3']);
    assert.deepEqual(readCookies(['\u00a0key=no'], 'key'), []);
    assert.deepEqual(readCookies([], 'key'), []);
  });

  test('are taken out, and the rest stays as it was', () => {
    assert.deepEqual(withoutCookies(['a=1; key=x; b=2', 'key=y'], 'key'), ['a=1; b=2']);
    assert.deepEqual(withoutCookies(['key=x; a=1'], 'key'), ['a=1']);
    assert.equal(withoutCookies(['a=1; b=2'], 'key'), null);
  });

  test('are gone once they were taken out, whatever the field', () => {
    const text = fc
      .array(fc.constantFrom('key', '=', ';', ' ', '\t', 'a', '"'), { maxLength: 12 })
      .map((a) => a.join(''));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 3 }), (fields) => {
        const rest = withoutCookies(fields, 'key') ?? fields;
        assert.deepEqual(readCookies(rest, 'key'), []);
        assert.deepEqual(readCookies(rest, 'a'), readCookies(fields, 'a'));
      }),
    );
  });
});
