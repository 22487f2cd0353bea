import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import * as fc from 'fast-check';
import type { LinearRegex } from '../../src/proxy/router/linear-regex.ts';
import { compileLinearRegex } from '../../src/proxy/router/linear-regex.ts';

// The oracle backtracks. What repeats repetitions of repetitions would keep it busy for hours, if it did not then go on
// with an engine of its own that does not.
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');

function compiled(source: string): LinearRegex {
  const regex = compileLinearRegex(source);
  if ('error' in regex) throw new Error(`${source}: ${regex.error}`);
  return regex;
}

/** `(?i)` is not ECMAScript's notation. */
function oracle(source: string): RegExp {
  return source.startsWith('(?i)') ? new RegExp(source.slice(4), 'i') : new RegExp(source);
}

const agrees = (source: string, text: string): void =>
  assert.equal(compiled(source).test(text), oracle(source).test(text), `${source} on ${JSON.stringify(text)}`);

describe('compileLinearRegex', () => {
  const expressions = [
    '^/v[0-9]+/',
    '^Mobile',
    'a|b|',
    '',
    '^$',
    '$^',
    'x$',
    '^(?:a|bc)*$',
    '(a*)*b',
    '(a|b)*a(a|b){3}',
    '^a{2}$',
    '^a{2,}$',
    '^a{0,2}$',
    'a{0}',
    '^(ab?){2,3}c$',
    '[^a-c]',
    '[a\\-z]',
    '[-a]',
    '[a-]',
    '[\\d\\w]',
    '\\.',
    '\\/',
    '[.]',
    '^\\s*$',
    '\\S',
    '\\D',
    '\\W',
    '\\x41',
    '\\u0041',
    '(?i)abc',
    '(?i)[^a]',
    '(?i)\\xe9',
    '^(?<year>\\d{4})-(\\d\\d)$',
    '.',
    '^.$',
    'a.?b',
    'a+?b',
    'a??b',
    '(?:^|/)x(?:/|$)',
    '(?:$)*a',
    '(^)*a',
    'a(?:b|$)',
    '[[]',
    '\\t',
    '[\\]]',
    '(|a)+b',
    '(?:a?){3}b',
    '^(?:){1,3}a',
    '\\-\\_\\@',
  ];
  const texts = [
    '',
    'a',
    'b',
    'c',
    'A',
    'ab',
    'abc',
    'ABC',
    'aab',
    'aaab',
    'aaa',
    'ba',
    'aabb',
    'bab',
    'babab',
    '/v1/x',
    '/v/',
    'Mobile',
    'x Mobile',
    'x',
    '/x',
    'x/',
    '/x/',
    'x/y',
    '-',
    ']',
    '[',
    '.',
    '\t',
    '\n',
    ' ',
    '\u00e9',
    '\u00c9',
    '\u00a0',
    '\u00ff',
    '2026-05',
    '-_@',
    'axb',
    '\r',
  ];
  for (const source of expressions) {
    it(`matches /${source}/ as RegExp does`, () => texts.forEach((text) => agrees(source, text)));
  }

  it('takes characters above 0xff for none of those that an expression names', () => {
    assert.equal(compiled('[^a]').test('\u{4e00}'), true);
    assert.equal(compiled('^\\w|\\xff|\\s$').test('\u{4e00}\u2028'), false);
  });

  const refused: readonly (readonly [source: string, why: RegExp])[] = [
    ['(?=a)', /lookahead/],
    ['a(?!b)', /lookahead/],
    ['(?<=a)b', /lookbehind/],
    ['(?<!a)b', /lookbehind/],
    ['(?>a)', /atomic/],
    ['(a)\\1', /backreference/],
    ['(?<x>a)\\k<x>', /backreference/],
    ['\\bfoo', /word boundary/],
    ['\\p{L}', /Unicode property/],
    ['\\q', /no meaning/],
    ['\\0', /no meaning/],
    ['a(?i)b', /very beginning/],
    ['(?m)a', /very beginning/],
    ['(a', /not closed/],
    ['a)', /without a \(/],
    ['[a', /not closed/],
    ['[', /not closed/],
    ['[]', /not supported/],
    ['[^]', /not supported/],
    ['[b-a]', /wrong way round/],
    ['[\\d-z]', /range/],
    ['[a-\\d]', /range/],
    ['[[:alpha:]]', /\[:alpha:\]/],
    ['*', /nothing to repeat/],
    ['a**', /nothing to repeat/],
    ['a*+', /nothing to repeat/],
    ['a{1}{2}', /nothing to repeat/],
    ['^*', /cannot be repeated/],
    ['a{', /\\\{/],
    ['a{,2}', /\\\{/],
    ['}', /\\\}/],
    [']', /\\\]/],
    ['a{2,1}', /wrong way round/],
    ['a{1001}', /further than/],
    ['(?:a{100}){100}', /too large/],
    ['((((((((){1000}){1000}){1000}){1000}){1000}){1000}){1000})', /too large/],
    ['\\', /ends with/],
    ['\\x4', /two hexadecimal/],
    ['\\u012', /four/],
    ['\\u1234', /bytes/],
    ['caf\u00e9', /not printable ASCII/],
    ['a\nb', /not printable ASCII/],
    ['a'.repeat(5000), /longer than/],
    ['('.repeat(60) + ')'.repeat(60), /nested deeper/],
  ];
  for (const [source, why] of refused) {
    it(`refuses ${source.slice(0, 40)} and says why`, () => {
      const result = compileLinearRegex(source);
      assert.ok('error' in result, 'was accepted');
      assert.match(result.error, why);
    });
  }

  it('agrees with RegExp on generated expressions and texts', () => {
    const atom = fc.constantFrom('a', 'b', 'c', '/', '.', '[ab]', '[^a]', '[b-c/]', '\\d', '\\w', '\\.', '\\s');
    const { expression } = fc.letrec<{ expression: string; term: string }>((tie) => ({
      expression: fc
        .array(fc.array(tie('term'), { maxLength: 4 }), { minLength: 1, maxLength: 3 })
        .map((branches) => branches.map((terms) => terms.join('')).join('|')),
      term: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc
          .tuple(atom, fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,3}', '{2,}', '*?'))
          .map((parts) => parts.join('')),
        fc.constantFrom('^', '$'),
        fc
          .tuple(tie('expression'), fc.constantFrom('', '*', '+', '?', '{0,2}', '{2}'))
          .map(([inside, count]) => `(?:${inside})${count}`),
      ),
    }));
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'C', '/', '0', '.', ' '), maxLength: 12 });
    fc.assert(
      fc.property(
        fc.constantFrom('', '(?i)'),
        expression,
        fc.array(text, { minLength: 5, maxLength: 10 }),
        (flag, source, all) => {
          fc.pre(!('error' in compileLinearRegex(flag + source)));
          for (const each of all) agrees(flag + source, each);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('stays right and small when a text needs more states than are kept', () => {
    // Sixteen characters behind an `a`: the deterministic automaton has 2^16 states.
    const regex = compiled('a[ab]{16}c');
    let random = 1;
    const text = Array.from({ length: 20_000 }, () =>
      (random = (random * 48_271) % 0x7fff_ffff) % 2 === 0 ? 'a' : 'b',
    ).join('');
    assert.equal(regex.test(text), false);
    assert.equal(regex.test(`${text}a${'b'.repeat(16)}c`), true);
    const { states } = regex as unknown as { states: Map<string, unknown> };
    assert.ok(states.size > 0 && states.size <= 8192, `${states.size} states are kept`);
  });

  it('makes no more states for a long text than for a short one', () => {
    // (a*)*b makes a backtracking matcher take exponential time.
    const regex = compiled('^(a*)*b$');
    const { states } = regex as unknown as { states: Map<string, unknown> };
    assert.equal(regex.test('a'.repeat(10)), false);
    const { size } = states;
    assert.equal(regex.test('a'.repeat(100_000)), false);
    assert.equal(states.size, size);
  });
});
