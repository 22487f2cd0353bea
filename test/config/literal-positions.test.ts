import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { Path } from '../../src/config/problem.ts';
import { type SourceDocument, type SourceText, readModuleDocument } from '../../src/config/source/document.ts';
import { Interpolations } from '../../src/config/source/interpolation.ts';

function sourceOf(text: string): SourceText {
  return { file: 'gateway.config.ts', text, interpolations: new Interpolations({ env: {}, readFile: () => '' }) };
}

function at(document: SourceDocument, path: Path, atKey = false): string {
  const { line, column } = document.locate(path, atKey);
  return `${line}:${column}`;
}

suite('a configuration in TypeScript', () => {
  const text = `import { defineGateway } from 'gatewright';
const port = 8080; // not { this: one }
export default defineGateway({
  listeners: { web: { port } },
  /* upstreams: { wrong: 1 } */
  upstreams: {
    'my-app': { targets: [\`http://x:\${port}\`, "http://y:1"], balance: pick('a', { b: 1 }) },
  },
  ...rest({ routes: 1 }),
  routes: Object.fromEntries([]),
  "telemetry": { accessLog: { redact: ['a, }', 'b'] as const } },
});
`;

  test('shows where the keys of the exported literal are', () => {
    const document = readModuleDocument(sourceOf(text), {});
    const where = (needle: string): string => {
      const before = text.slice(0, text.indexOf(needle)).split('\n');
      return `${before.length}:${before.at(-1)!.length + 1}`;
    };
    assert.equal(at(document, ['listeners', 'web', 'port'], true), where('port }'));
    assert.equal(at(document, ['upstreams', 'my-app', 'targets', 1]), where('"http://y:1"'));
    assert.equal(at(document, ['upstreams', 'my-app', 'balance'], true), where('balance'));
    assert.equal(at(document, ['routes'], true), where('routes: Object'));
    assert.equal(at(document, ['routes', 'computed', 'upstream']), where('Object.from'));
    assert.equal(at(document, ['telemetry', 'accessLog', 'redact', 1]), where("'b']"));
  });

  test('finds a literal that was given a name before', () => {
    const named = 'const config: Config = {\n  a: 1,\n};\nexport default config;\n';
    assert.equal(at(readModuleDocument(sourceOf(named), {}), ['a'], true), '2:3');
  });

  test('points to the beginning when there is nothing to see', () => {
    for (const code of [
      '',
      'export default make();',
      'export default',
      'export default defineGateway({',
      'module.exports = {}',
    ]) {
      assert.equal(at(readModuleDocument(sourceOf(code), {}), ['a', 'b']).split(':')[0], '1');
    }
  });

  test('never throws, whatever the text is', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '(',
      ')',
      ',',
      ':',
      'a',
      '"',
      "'",
      '`',
      '//',
      '/*',
      '*/',
      '\n',
      '...',
      '\\',
      ' ',
      '${',
      'b: 1',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => {
        readModuleDocument(sourceOf(`export default {${parts.join('')}`), {}).locate(['a', 'b', 0], false);
      }),
      { numRuns: 2000 },
    );
  });

  test('exports data only', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    const { value, problems } = readModuleDocument(sourceOf('export default {}'), {
      fine: [1, 'x', null],
      gone: undefined,
      call: () => 1,
      date: new Date(0),
      loop,
    });
    assert.deepEqual(Object.keys(value as object), ['fine', 'call', 'date', 'loop']);
    assert.deepEqual(
      problems.map(({ code, path }) => `${code} ${path[0]}`),
      ['BAD_VALUE call', 'BAD_VALUE date', 'BAD_VALUE loop'],
    );
  });
});
