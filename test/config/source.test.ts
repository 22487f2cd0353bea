import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { dump, load } from 'js-yaml';
import type { Path } from '../../src/config/problem.ts';
import {
  type SourceDocument,
  type SourceText,
  readJsonDocument,
  readYamlDocument,
} from '../../src/config/source/document.ts';
import { Interpolations } from '../../src/config/source/interpolation.ts';

function sourceOf(text: string): SourceText {
  const interpolations = new Interpolations({
    env: {},
    readFile: () => {
      throw new Error('no files');
    },
  });
  return { file: 'gateway.yaml', text, interpolations };
}

const yaml = (text: string): SourceDocument => readYamlDocument(sourceOf(text));
const json = (text: string): SourceDocument => readJsonDocument(sourceOf(text));

function told({ problems }: SourceDocument): string[] {
  return problems.map(({ line, column, code, message }) => `${line}:${column} ${code} ${message}`);
}

function at(document: SourceDocument, path: Path, atKey = false): string {
  const { line, column } = document.locate(path, atKey);
  return `${line}:${column}`;
}

/** Values as a configuration has them. */
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      fc.string(),
      fc.constantFrom(
        'true',
        'no',
        '~',
        '',
        '0x1F',
        '1e3',
        '.5',
        '- a',
        'a: b',
        '# c',
        'null',
        '2027-12-31',
        '"',
        "'",
        '{',
        '&a',
        '*a',
        '!x',
      ),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.string({ maxLength: 8 }).filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 4 },
    ),
  ),
})).value;

/** What interpolates would be refused here; that is another test's. */
const withoutReferences = (value: unknown): boolean => !JSON.stringify(value).includes('${');

suite('YAML', () => {
  test('means what it means to its parser, in block and in flow style', () => {
    fc.assert(
      fc.property(values.filter(withoutReferences), fc.constantFrom(-1, 0, 1), (value, flowLevel) => {
        const text = dump(value, { flowLevel });
        const document = yaml(text);
        assert.deepEqual(told(document), []);
        // Both sides lose the sign of a zero.
        assert.deepEqual(JSON.parse(JSON.stringify(document.value)), JSON.parse(JSON.stringify(load(text))));
      }),
      { numRuns: 500 },
    );
  });

  test('has the words of the core schema of YAML 1.2, and no others', () => {
    const text =
      'a: yes\nb: 0x10\nc: .5\nd: 1e3\ne: ~\nf:\n200: 0o17\ng: True\nh: 2027-12-31\ni: 1_000\nj: 012\nk: -.inf';
    assert.deepEqual(yaml(text).value, {
      a: 'yes',
      b: 16,
      c: 0.5,
      d: 1000,
      e: null,
      f: null,
      200: 15,
      g: true,
      h: '2027-12-31',
      i: '1_000',
      j: 12,
      k: -Infinity,
    });
  });

  test('tells every duplicate key, and keeps the first value', () => {
    const document = yaml('a: 1\nb: {x: 1, x: 2}\na: 3\nc:\n  - {y: 1, "y": 2}\n');
    assert.deepEqual(told(document), [
      '2:11 DUPLICATE_KEY "x" is written twice here',
      '3:1 DUPLICATE_KEY "a" is written twice here',
      '5:12 DUPLICATE_KEY "y" is written twice here',
    ]);
    assert.deepEqual(document.value, { a: 1, b: { x: 1 }, c: [{ y: 1 }] });
  });

  test('tells several syntax errors, but not the consequences of the first', () => {
    assert.deepEqual(told(yaml('a: [1, 2\nb: 3\n')), [
      '2:1 SYNTAX this line is indented too little for the list, mapping or string above that is still open',
    ]);
    assert.deepEqual(told(yaml('a: 1\n\tb: 2\nc: "\\q"\nd: 4\n')), [
      '2:1 SYNTAX indent with spaces: a tab cannot indent YAML',
      '3:6 SYNTAX unknown escape sequence',
    ]);
  });

  test('refuses what a configuration has no use for', () => {
    assert.deepEqual(told(yaml('a: !!binary aGk=')), ['1:4 SYNTAX the tag !!binary has no meaning here']);
    assert.deepEqual(told(yaml('a: !js/function x')), ['1:4 SYNTAX the tag !js/function has no meaning here']);
    assert.deepEqual(told(yaml('? [a]\n: b')), ['1:3 SYNTAX a key must be plain text']);
    assert.deepEqual(told(yaml('a: 1\n---\nb: 2\n')), [
      '2:1 SYNTAX a configuration is one document: there is a second one',
    ]);
    assert.deepEqual(told(yaml('__proto__: {polluted: true}')), ['1:1 BAD_NAME a key cannot be called __proto__']);
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
  });

  test('knows aliases, each with the anchor that was the last before it', () => {
    const text = 'a: &x [1, 2]\nb: *x\nc: &y {k: *x}\nd: &x 3\ne: *y\nf: *x\n';
    assert.deepEqual(yaml(text).value, { a: [1, 2], b: [1, 2], c: { k: [1, 2] }, d: 3, e: { k: [1, 2] }, f: 3 });
    assert.deepEqual(told(yaml('a: *nope')), ['1:5 SYNTAX there is no anchor &nope before this']);
    assert.deepEqual(told(yaml('a: &a [*a]')), ['1:9 SYNTAX the alias *a is inside of what it stands for']);
  });

  test('does not let aliases stand for billions of nodes', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let n = 1; n < 12; n++) {
      lines.push(
        `a${n}: &a${n} [${Array(10)
          .fill(`*a${n - 1}`)
          .join(', ')}]`,
      );
    }
    assert.match(told(yaml(lines.join('\n'))).join(), /SYNTAX the aliases stand for too much$/);
    const chain = ['a0: &a0 [x]'];
    for (let n = 1; n < 5000; n++) chain.push(`a${n}: &a${n} [*a${n - 1}]`);
    assert.match(told(yaml(chain.join('\n'))).join(), /SYNTAX this is nested too deeply$/);
  });

  test('does not follow nesting without end', () => {
    assert.match(told(yaml('['.repeat(100_000))).join(), /SYNTAX/);
    assert.match(told(yaml('- '.repeat(100_000))).join(), /SYNTAX/);
  });

  test('takes an empty text for a configuration of nothing', () => {
    for (const text of ['', '\n', '# only a comment\n', '---\n', '\ufeff']) {
      assert.equal(yaml(text).value, null, JSON.stringify(text));
      assert.deepEqual(told(yaml(text)), []);
    }
  });

  test('knows where things are', () => {
    const document = yaml(
      'a:\n  b: |\n    text\n  c: \'q\'\n  d:\n    - x\n    - {y: 1}\n  e: &n\n    f: 1\ng: {h: [i, "j"]}\n',
    );
    assert.equal(at(document, ['a']), '1:1');
    assert.equal(at(document, ['a', 'b']), '2:6');
    assert.equal(at(document, ['a', 'b'], true), '2:3');
    assert.equal(at(document, ['a', 'c']), '4:6');
    assert.equal(at(document, ['a', 'd']), '5:3');
    assert.equal(at(document, ['a', 'd', 0]), '6:7');
    assert.equal(at(document, ['a', 'd', 1, 'y']), '7:11');
    assert.equal(at(document, ['a', 'd', 1, 'y'], true), '7:8');
    assert.equal(at(document, ['a', 'e', 'f'], true), '9:5');
    assert.equal(at(document, ['g', 'h', 1]), '10:12');
  });

  test('points to the nearest thing that is there for what is not', () => {
    const document = yaml('a:\n  b: 1\n');
    assert.equal(at(document, ['a', 'missing']), '1:1');
    assert.equal(at(document, ['a', 'b', 'deeper']), '2:6');
    assert.equal(at(document, ['z']), '1:1');
  });

  test('never throws, whatever the text is', () => {
    const pieces = fc.constantFrom(
      'a',
      ':',
      ' ',
      '\n',
      '- ',
      '{',
      '}',
      '[',
      ']',
      ',',
      '"',
      "'",
      '|',
      '>',
      '&x',
      '*x',
      '!t',
      '#',
      '?',
      '%',
      '---',
      '...',
      '\t',
      '\r',
      '${',
      'env:X',
      '\u0000',
      '\u2028',
      '\ud800',
      '\ufeff',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
        const document = yaml(parts.join(''));
        assert.ok(document.value !== undefined || document.problems.length > 0);
        for (const { line, column } of document.problems) assert.ok(line >= 1 && column >= 1);
      }),
      { numRuns: 2000 },
    );
  });
});

suite('JSON', () => {
  test('means what it means to JSON.parse', () => {
    fc.assert(
      fc.property(values.filter(withoutReferences), fc.constantFrom(undefined, 2, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        const document = json(text);
        assert.deepEqual(told(document), []);
        assert.deepEqual(document.value, JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  test('accepts exactly what JSON.parse accepts', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"\\u0041"',
      '"\\x"',
      '"',
      '1',
      '-',
      '0',
      '01',
      '1.',
      '.5',
      '1e5',
      'true',
      'nul',
      'null',
      ' ',
      '\n',
      '\u0001',
      '/',
      '\\',
      'a',
    );
    const isJson = (text: string): boolean => {
      try {
        JSON.parse(text);
        return true;
      } catch {
        return false;
      }
    };
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        const isAccepted = !told(json(text)).some((line) => line.includes('SYNTAX'));
        assert.equal(isAccepted, isJson(text), text);
      }),
      { numRuns: 5000 },
    );
  });

  test('tells duplicate keys and the place of the first error', () => {
    assert.deepEqual(told(json('{"a": 1,\n "a": 2}')), ['2:2 DUPLICATE_KEY "a" is written twice here']);
    assert.deepEqual(told(json('{"a": 1,\n}')), ['2:1 SYNTAX JSON has no comma before }']);
    assert.deepEqual(told(json('{"a": \'x\'}')), [
      '1:7 SYNTAX a value is expected: a string in double quotes, a number, true, false, null, { or [',
    ]);
    assert.deepEqual(told(json('[1,]')), ['1:4 SYNTAX JSON has no comma before ]']);
    assert.deepEqual(told(json('{"a": 1} // no')), ['1:10 SYNTAX JSON has no comments']);
    assert.deepEqual(told(json('// no\n{}')), ['1:1 SYNTAX JSON has no comments']);
    assert.deepEqual(told(json('{"a": 1, /* no */ "b": 1}')), ['1:10 SYNTAX JSON has no comments']);
    assert.deepEqual(told(json('{"a": "never ends')), ['1:7 SYNTAX this string does not end']);
    assert.match(told(json('['.repeat(100_000))).join(), /SYNTAX this is nested too deeply/);
  });

  test('knows where things are', () => {
    const document = json('{\n  "a": {"b": [1, "x"]},\n  "c": true\n}');
    assert.equal(at(document, ['a', 'b', 1]), '2:18');
    assert.equal(at(document, ['a', 'b'], true), '2:9');
    assert.equal(at(document, ['c']), '3:8');
  });
});
