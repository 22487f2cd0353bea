import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { parseStrictJson } from '../../src/util/strict-json.ts';

/** What is refused says nothing of the text. */
function isRefused(text: string, maxDepth = 8): boolean {
  try {
    parseStrictJson(text, maxDepth);
    return false;
  } catch (error) {
    assert.ok(error instanceof SyntaxError);
    assert.match(error.message, /^(?:not JSON|too deep|a name twice in an object)$/);
    return true;
  }
}

suite('strict JSON', () => {
  test('is what JSON.parse makes of it, whatever it is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(0, 1, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        assert.deepEqual(parseStrictJson(text, 20), JSON.parse(text));
      }),
    );
  });

  test('has no name twice in an object, however it is written', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 2 }), (name, between) => {
        const codes = Array.from({ length: name.length }, (_, i) => name.charCodeAt(i).toString(16).padStart(4, '0'));
        const escaped = codes.map((code) => `\\u${code}`).join('');
        const twice = `{${JSON.stringify(name)}:${JSON.stringify(between)},"${escaped}":1}`;
        assert.ok(isRefused(twice));
        assert.ok(isRefused(`[{"a":[${twice}]}]`));
      }),
    );
    for (const text of [
      '{"a":1,"a":1}',
      '{"a":{},"b":{"c":[],"c":[]}}',
      String.raw`{"\"":1,"\u0022":2}`,
      '{"__proto__":1,"__proto__":2}',
      '{"":1,"":2}',
      '[{"a":"}","a":"{"}]',
    ]) {
      assert.ok(isRefused(text), text);
    }
  });

  test('may have a name again in another object, and in texts', () => {
    for (const text of [
      '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}',
      String.raw`{"a":"\"a\":1,","b":"{\"a\":"}`,
      '["a","a","a"]',
      '{"a":["a","a"],"b":"a"}',
      String.raw`{"a\\":1,"a":"\\"}`,
    ]) {
      assert.deepEqual(parseStrictJson(text, 8), JSON.parse(text), text);
    }
  });

  test('is not deeper than it may be', () => {
    assert.ok(!isRefused('[[[1]]]', 3));
    assert.ok(isRefused('[[[[1]]]]', 3));
    assert.ok(!isRefused('[{"a":[]},{"b":[]},"[[[["]', 3));
    assert.ok(isRefused('[{"a":[{}]}]', 3));
    assert.ok(isRefused('['.repeat(100_000) + ']'.repeat(100_000)));
  });

  test('is nothing else', () => {
    for (const text of [
      '',
      ' ',
      '{',
      '{"a"}',
      "{'a':1}",
      '{"a":1,}',
      '01',
      'NaN',
      '[1] 2',
      '\u{feff}{}',
      '"\n"',
      '{"a":1}\0',
    ]) {
      assert.ok(isRefused(text), text);
    }
  });
});
