/** Reading YAML in slices must not be told from reading it as a whole. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { dump } from 'js-yaml';
import { MAX_DEPTH, type SourceHandler, SourceError } from '../../src/config/source/handler.ts';
import { parseYamlEvents } from '../../src/config/source/yaml-events.ts';
import { EventReader } from '../../src/config/source/yaml-reader.ts';
import { findSlices, readSlices } from '../../src/config/source/yaml-slices.ts';

/** Writes down what it is told. */
class Recorder implements SourceHandler {
  readonly calls: string[] = [];
  mapping = (offset: number): number => this.calls.push(`mapping ${offset}`);
  list = (offset: number): number => this.calls.push(`list ${offset}`);
  key = (name: string, offset: number): number => this.calls.push(`key ${JSON.stringify(name)} ${offset}`);
  scalar = (value: unknown, offset: number): number => this.calls.push(`scalar ${JSON.stringify(value)} ${offset}`);
  end = (): number => this.calls.push('end');
}

/** What is told of a text, or null when it is refused. */
function told(read: (handler: SourceHandler) => void): string[] | null {
  const recorder = new Recorder();
  try {
    read(recorder);
    return recorder.calls;
  } catch (error) {
    assert.ok(error instanceof SourceError, String(error));
    return null;
  }
}

const whole = (text: string): string[] | null =>
  told((handler) => new EventReader(text, parseYamlEvents(text, MAX_DEPTH), handler).read());

function inSlices(text: string, slice: number): string[] | null {
  const slices = findSlices(text, { minSection: 1, slice });
  return slices === null ? null : told((handler) => readSlices(text, slices, handler));
}

const scalars = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.constantFrom('a\nb\n', 'a\n\n  b', '  x', '? a', ': b', '- c', 'routes:', '# no', 'x\u2028  y: z', '---', 'a: b'),
  fc.integer(),
  fc.constant(null),
);
const values = fc.oneof(
  scalars,
  fc.array(scalars, { maxLength: 3 }),
  fc.dictionary(fc.string({ maxLength: 3 }), fc.oneof(scalars, fc.array(scalars, { maxLength: 2 })), { maxKeys: 3 }),
);
const entries = fc.dictionary(fc.oneof(fc.stringMatching(/^[a-z]{1,4}$/), fc.string({ maxLength: 4 })), values, {
  maxKeys: 8,
});
const documents = fc.record({
  listeners: entries,
  routes: fc.oneof(entries, fc.array(values, { maxLength: 3 }), scalars),
  'z-last': values,
});

const sizes = fc.integer({ min: 1, max: 40 });
const styles = fc.record({
  indent: fc.integer({ min: 1, max: 4 }),
  lineWidth: fc.constantFrom(-1, 5, 80),
  flowLevel: fc.constantFrom(-1, 1, 2, 3),
});

suite('reading YAML in slices', () => {
  test('tells the same as reading it as a whole, if it tells anything', () => {
    let sliced = 0;
    fc.assert(
      fc.property(documents, styles, sizes, (document, style, slice) => {
        const text = dump(document, style);
        const parts = inSlices(text, slice);
        if (parts === null) return;
        sliced++;
        assert.deepEqual(parts, whole(text), text);
      }),
      { numRuns: 2000 },
    );
    assert.ok(sliced > 500, `only ${sliced} texts were sliced`);
  });

  test('tells the same also of damaged texts', () => {
    const damage = fc.constantFrom(
      '',
      ' ',
      '  ',
      '\n',
      '\n  ',
      '\n\n',
      '\r\n',
      '\t',
      ':',
      ': ',
      '? ',
      '\n  ? ',
      '\n  : ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      '#',
      '*a',
      '!x ',
      '|',
      '>-',
      '\n---\n',
      '\n...\n',
      '%',
      '\nroutes:\n',
      'x: \n',
      '\u2028',
      '\ufeff',
    );
    fc.assert(
      fc.property(
        documents,
        styles,
        sizes,
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 3 }), damage), { minLength: 1, maxLength: 3 }),
        (document, style, slice, wounds) => {
          let text = dump(document, style);
          for (const [where, removed, inserted] of wounds) {
            const at = where % (text.length + 1);
            text = text.slice(0, at) + inserted + text.slice(at + removed);
          }
          const parts = inSlices(text, slice);
          if (parts !== null) assert.deepEqual(parts, whole(text), JSON.stringify(text));
        },
      ),
      { numRuns: 5000 },
    );
  });

  test('leaves alone what could be torn apart', () => {
    for (const text of [
      'routes:\n  a: &x 1\n  b: *x\n',
      'routes:\n  {a: 1,\n  b: 2}\n',
      'routes:\n  - a\n  - b\n',
      'routes:\n  one line\n  and another\n',
      '{a: 1,\nroutes:\n  b: 2\n}',
      '"text\nroutes:\n  b: 2\n"',
      '- routes:\n  b: 2\n',
      'routes: |\n  a: 1\n  b: 2\n',
      'routes:\n',
      '',
    ]) {
      assert.equal(inSlices(text, 1), null, JSON.stringify(text));
    }
  });

  test('cuts what can be cut', () => {
    const text = 'a: 1\nroutes: # all of them\n  # first\n  r: {x: 1}\n\n  s:\n    y: |\n      r: 2\n  "t": 3\nz: 2\n';
    assert.deepEqual(
      findSlices(text, { minSection: 1, slice: 1 })?.cuts.map((at) => text.slice(at, at + 5)),
      ['  s:\n', '  "t"'],
    );
    assert.deepEqual(inSlices(text, 1), whole(text));
  });
});
