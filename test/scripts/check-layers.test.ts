import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLayers } from '../../scripts/check-layers.ts';

const check = (files: Record<string, string>): string[] =>
  checkLayers(Object.entries(files).map(([path, text]) => ({ path, text })));

test('a unit may import itself and what ranks lower', () => {
  const files = {
    'wire/pool.ts': `import { a } from './timer.ts'; import { b } from '../http/grammar.ts'; import type { C } from '../contract.ts';`,
    'contract.ts': `import { errors } from './errors.ts';`,
    'index.ts': `export { x } from './gateway.ts'; export * from './contract.ts';`,
    'cli/main.ts': `import { y } from '../admin/server.ts';`,
  };
  assert.deepEqual(check(files), []);
});

test('importing upwards is reported with file and line', () => {
  const problems = check({ 'http/path.ts': `\nimport { pool } from '../wire/pool.ts';` });
  assert.deepEqual(problems, ['src/http/path.ts:2  imports ../wire/pool.ts, but wire ranks above http']);
});

test('siblings may not import each other', () => {
  assert.match(
    check({ 'policies/cors.ts': `import x from '../config/schema.ts';` })[0] ?? '',
    /config is a sibling of policies/,
  );
  assert.match(check({ 'cli/main.ts': `import x from '../index.ts';` })[0] ?? '', /index is a sibling of cli/);
});

for (const [way, text] of [
  ['a dynamic import', `const x = await import('../wire/pool.ts');`],
  ['an import type', `type X = import('../wire/pool.ts').X;`],
  ['a re-export', `export { x } from '../wire/pool.ts';`],
  ['a re-export of everything', `export * from '../wire/pool.ts';`],
  ['a type-only import', `import type { X } from '../wire/pool.ts';`],
  ['an import for its side effects', `import '../wire/pool.ts';`],
  ['the entry of a thread', `new Worker(new URL('../wire/pool.ts', import.meta.url));`],
] as const) {
  test(`${way} counts as an import`, () => {
    assert.match(check({ 'http/path.ts': text })[0] ?? '', /wire ranks above http/);
  });
}

test('what only looks like an import does not count', () => {
  const text = `// import '../wire/a.ts'\nconst s = "import '../wire/b.ts'"; const r = /import '..\\/wire\\/c.ts'/;`;
  assert.deepEqual(check({ 'http/path.ts': text }), []);
});

test('a dynamic import whose name is computed is refused', () => {
  for (const name of ['name', '`../wire/pool.ts`', "'../wire/' + name"]) {
    assert.match(check({ 'http/path.ts': `await import(${name});` })[0] ?? '', /not a plain string/);
  }
});

test('src imports nothing outside src, and names TypeScript files', () => {
  assert.match(check({ 'http/path.ts': `import x from '../../test/x.ts';` })[0] ?? '', /not under src/);
  assert.match(check({ 'http/path.ts': `import x from './grammar.js';` })[0] ?? '', /names a \.ts file/);
});

test('a new unit needs a rank', () => {
  assert.match(check({ 'helpers/x.ts': '' })[0] ?? '', /helpers has no rank/);
  assert.match(check({ 'index.ts': `import x from './helpers/x.ts';` })[0] ?? '', /helpers has no rank/);
});

test('a third-party package is imported in one file only', () => {
  const files = {
    'util/schema.ts': `export { z } from 'zod';`,
    'config/parse.ts': `import { z } from 'zod/v4'; import { parse } from 'yaml';`,
    'wire/pool.ts': `import net from 'node:net'; import { a } from '@scope/pkg/deep';`,
    'wire/server.ts': `import net from 'node:net'; type T = import('@scope/pkg').T;`,
  };
  assert.deepEqual(check(files), [
    'the package zod is imported in 2 files: config/parse.ts, util/schema.ts',
    'the package @scope/pkg is imported in 2 files: wire/pool.ts, wire/server.ts',
  ]);
});
