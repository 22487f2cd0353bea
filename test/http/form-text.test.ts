import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { readParameters, withoutParameters } from '../../src/http/form-text.ts';

const piece = fc.constantFrom(
  'key',
  'KEY',
  'k%65y',
  '%6bey',
  'k+y',
  'other',
  '',
  '%',
  '%4',
  '%zz',
  '%C3%A9',
  'keys',
  'ke',
);
const parameter = fc.tuple(piece, fc.constantFrom('', '=', '=='), piece).map((parts) => parts.join(''));
const query = fc.array(parameter, { maxLength: 6 }).map((parameters) => parameters.join('&'));

suite('parameters of a query', () => {
  test('are read as URLSearchParams reads them', () => {
    fc.assert(
      fc.property(query, fc.constantFrom('key', 'k y', 'é', ''), (text, name) => {
        const expected = new URLSearchParams(text).getAll(name);
        if (name !== '') assert.deepEqual(readParameters(text, name) ?? [], expected);
      }),
    );
  });

  test('of a name are taken out under every spelling, and nothing else is', () => {
    fc.assert(
      fc.property(query, (text) => {
        const rest = withoutParameters(text, 'key');
        assert.equal(readParameters(rest, 'key'), null);
        const others = [...new URLSearchParams(text)].filter(([name]) => name !== 'key');
        assert.deepEqual([...new URLSearchParams(rest)], others);
        if (readParameters(text, 'key') === null) assert.equal(rest, text);
      }),
    );
  });

  test('that stay keep their bytes and their order', () => {
    assert.equal(withoutParameters('b=%7e&key=1&&a=+&k%65y=2&', 'key'), 'b=%7e&&a=+&');
    assert.equal(withoutParameters('key=1', 'key'), '');
  });
});
