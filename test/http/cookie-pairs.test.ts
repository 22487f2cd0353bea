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

  test('are found in time that grows with the field, however many blanks are in it', () => {
    const field = `key=a${' '.repeat(400_000)}b; c${'\t'.repeat(400_000)}d=1`;
    const begun = performance.now();
    assert.equal(readCookies([field], 'key')[0].length, 400_002);
    assert.equal(withoutCookies([field], 'key')?.[0].length, 400_004);
    // Looked for by a regular expression, their ends take minutes to find.
    assert.ok(performance.now() - begun < 2_000);
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
