import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import {
  type BareItem,
  type Item,
  type Member,
  parseDictionary,
  parseItem,
  parseList,
  serializeBareItem,
  serializeDictionary,
  serializeItem,
  serializeList,
} from '../../src/http/structured-fields.ts';

/** Text, and what it is in its canonical form; null for what is none. */
const examples: readonly (readonly [text: string, canonical: string | null])[] = [
  ['42', '42'],
  ['-42', '-42'],
  ['00042', '42'],
  ['-0', '0'],
  ['999999999999999', '999999999999999'],
  ['9999999999999999', null],
  ['- 1', null],
  ['--1', null],
  ['+1', null],
  ['1.5', '1.5'],
  ['1.50', '1.5'],
  ['1.0', '1.0'],
  ['-0.0', '0.0'],
  ['0.125', '0.125'],
  ['999999999999.999', '999999999999.999'],
  ['9999999999999.9', null],
  ['1.', null],
  ['.5', null],
  ['1.1234', null],
  ['1.2.3', null],
  ['"foo bar"', '"foo bar"'],
  [String.raw`"a \"quoted\" \\ text"`, String.raw`"a \"quoted\" \\ text"`],
  [String.raw`"a\n"`, null],
  ['"unterminated', null],
  ['"föö"', null],
  ['"tab\there"', null],
  ["'single'", null],
  ['token', 'token'],
  ['*a/b:c!', '*a/b:c!'],
  ['a"b', null],
  [':cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:', ':cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:'],
  ['::', '::'],
  [':aGVsbG8:', null],
  [':aGVsbG9=:', null],
  [':a-_b:', null],
  [':aGVsbG8=', null],
  ['?1', '?1'],
  ['?0', '?0'],
  ['?2', null],
  ['?', null],
  ['@1659578233', '@1659578233'],
  ['@-1', '@-1'],
  ['@1.5', null],
  ['@', null],
  ['%"This is intended for display to %c3%bcsers."', '%"This is intended for display to %c3%bcsers."'],
  ['%"%41"', '%"A"'],
  ['%"%C3%BC"', null],
  ['%"%c3"', null],
  ['%"%c"', null],
  ['%x', null],
  ['a;b=1;c', 'a;b=1;c'],
  ['a;  b=?1', 'a;b'],
  ['a;b=1;b=2', 'a;b=2'],
  ['a ;b', null],
  ['a;B=1', null],
  ['a;=1', null],
  ['  a  ', 'a'],
  ['\ta', null],
  ['a b', null],
  ['', null],
  ['(a)', null],
];

suite('items of structured fields (RFC 9651, section 3.3)', () => {
  for (const [text, canonical] of examples) {
    test(`${JSON.stringify(text)} is ${canonical ?? 'none'}`, () => {
      const item = parseItem(text);
      assert.equal(item === null ? null : serializeItem(item), canonical);
    });
  }
});

suite('lists and dictionaries (RFC 9651, sections 3.1 and 3.2)', () => {
  const lists: readonly (readonly [string, string | null])[] = [
    ['sugar, tea, rum', 'sugar, tea, rum'],
    ['sugar,\ttea ,rum', 'sugar, tea, rum'],
    ['("foo" "bar"), ("baz"), ()', '("foo" "bar"), ("baz"), ()'],
    ['( "foo"; a=1;b=2 );lvl=5', '("foo";a=1;b=2);lvl=5'],
    ['', ''],
    ['a,', null],
    [',a', null],
    ['a,,b', null],
    ['("foo""bar")', null],
    ['("foo", "bar")', null],
    ['("foo"', null],
    ['((a))', null],
  ];
  for (const [text, canonical] of lists) {
    test(`the list ${JSON.stringify(text)}`, () => {
      const list = parseList(text);
      assert.equal(list === null ? null : serializeList(list), canonical);
    });
  }
  const dictionaries: readonly (readonly [string, string | null])[] = [
    ['en="Applepie", da=:w4ZibGV0w6ZydGU=:', 'en="Applepie", da=:w4ZibGV0w6ZydGU=:'],
    ['a=?0, b, c; foo=bar', 'a=?0, b, c;foo=bar'],
    ['rating=1.5, feelings=(joy sadness)', 'rating=1.5, feelings=(joy sadness)'],
    ['a=1, b=2;x=1;y=2, c=(a b);valid', 'a=1, b=2;x=1;y=2, c=(a b);valid'],
    ['a=1,b=2,a=3', 'a=3, b=2'],
    ['', ''],
    ['a=', null],
    ['A=1', null],
    ['a = 1', null],
    ['a=1;', null],
    ['a=1 b=2', null],
    ['__proto__=1', null],
    ['constructor=1', 'constructor=1'],
  ];
  for (const [text, canonical] of dictionaries) {
    test(`the dictionary ${JSON.stringify(text)}`, () => {
      const dictionary = parseDictionary(text);
      assert.equal(dictionary === null ? null : serializeDictionary(dictionary), canonical);
    });
  }
});

const key = fc.stringMatching(/^[a-z*][a-z0-9_\-.*]{0,8}$/);
const bareItem: fc.Arbitrary<BareItem> = fc.oneof(
  fc.integer().map((value) => ({ kind: 'integer' as const, value })),
  fc.integer().map((n) => ({ kind: 'decimal' as const, value: n / 1000 })),
  fc.stringMatching(/^[\x20-\x7e]{0,12}$/).map((value) => ({ kind: 'string' as const, value })),
  fc.stringMatching(/^[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]{0,8}$/).map((value) => ({ kind: 'token' as const, value })),
  fc.uint8Array({ maxLength: 12 }).map((value) => ({ kind: 'bytes' as const, value: Buffer.from(value) })),
  fc.boolean().map((value) => ({ kind: 'boolean' as const, value })),
  fc.integer().map((value) => ({ kind: 'date' as const, value })),
  fc.string({ unit: 'grapheme', maxLength: 8 }).map((value) => ({ kind: 'display' as const, value })),
);
const parameters = fc
  .uniqueArray(fc.tuple(key, bareItem), { selector: ([name]) => name, maxLength: 3 })
  .map((all) => new Map(all));
const item: fc.Arbitrary<Item> = fc.tuple(bareItem, parameters).map(([value, about]) => ({ value, parameters: about }));
const innerList = fc.tuple(fc.array(item, { maxLength: 3 }), parameters);
const member: fc.Arbitrary<Member> = fc.oneof(
  item,
  innerList.map(([items, about]) => ({ items, parameters: about })),
);

test('what is serialised is parsed to what it was', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(key, member), { maxLength: 4 }), (entries) => {
      const dictionary = new Map(entries);
      assert.deepEqual(parseDictionary(serializeDictionary(dictionary)), dictionary);
      const list = entries.map(([, one]) => one);
      assert.deepEqual(parseList(serializeList(list)), list);
    }),
  );
});

test('whatever the text is, it is refused or has one canonical form', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 30 }),
    fc
      .array(fc.constantFrom('a', '=', '"', '(', ')', ';', ',', ' ', ':', '1', '.', '?', '@', '%', '\\'), {
        maxLength: 20,
      })
      .map((all) => all.join('')),
  );
  fc.assert(
    fc.property(text, (given) => {
      const dictionary = parseDictionary(given);
      if (dictionary !== null) {
        const once = serializeDictionary(dictionary);
        assert.equal(serializeDictionary(parseDictionary(once)!), once);
      }
      const one = parseItem(given);
      if (one !== null) assert.equal(serializeItem(parseItem(serializeItem(one))!), serializeItem(one));
    }),
    { numRuns: 2000 },
  );
});

test('long hostile text takes time in proportion to its length', () => {
  const shapes = [
    '"'.padEnd(60_000, 'a'),
    `"${'\\"'.repeat(30_000)}`,
    '('.repeat(60_000),
    `a${';a'.repeat(30_000)}=`,
    `:${'A'.repeat(60_000)}`,
    'a,'.repeat(30_000),
    `%"${'%41'.repeat(20_000)}`,
    `a${' '.repeat(60_000)}b`,
  ];
  const startedAt = performance.now();
  for (const shape of shapes) {
    assert.equal(parseItem(shape), null);
    assert.equal(parseDictionary(shape), null);
    assert.equal(parseList(shape), null);
  }
  assert.ok(performance.now() - startedAt < 2000);
});

test('what no structured field can carry is a defect of whoever has made it', () => {
  const impossible: readonly BareItem[] = [
    { kind: 'integer', value: 1.5 },
    { kind: 'integer', value: 1e15 },
    { kind: 'date', value: Number.NaN },
    { kind: 'decimal', value: Infinity },
    { kind: 'decimal', value: 1e12 },
    { kind: 'string', value: 'ä' },
    { kind: 'string', value: 'a\r\nb' },
    { kind: 'token', value: '' },
    { kind: 'token', value: 'a b' },
  ];
  for (const value of impossible) assert.throws(() => serializeBareItem(value), RangeError);
});
