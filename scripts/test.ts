/**
 * Runs the tests: all of them, or the files that the arguments name; `npm test -- --test-name-pattern x` those with such a
 * name. Each file is a process of its own, and most of what these do is to compile the same sources; so what one has compiled
 * the others find.
 */
import { globSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');

/** Where tests take longest: they come first, so that none of them is left for the end, where it would run alone. */
const longest = ['examples', 'workers', 'cli', 'scripts', 'integration', 'router', 'policies'];

function rank(file: string): number {
  const [, folder] = relative(root, file).split(sep);
  return longest.includes(folder) ? longest.indexOf(folder) : longest.length;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'test-name-pattern': { type: 'string', multiple: true },
    'test-concurrency': { type: 'string', default: '3' },
  },
});
const all = globSync('test/**/*.test.ts', { cwd: root }).map((file) => join(root, file));
const named = positionals.map((file) => resolve(file));

process.env['NODE_COMPILE_CACHE'] = join(root, 'node_modules/.cache/compiled');
const events = run({
  cwd: root,
  files: (named.length > 0 ? named : all).toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)),
  // Many of them wait more than they work; with more at a time than this they would wait for each other.
  concurrency: Number(values['test-concurrency']),
  timeout: 120_000,
  testNamePatterns: values['test-name-pattern'],
  execArgv: ['--import', join(root, 'scripts/leave-out-locales.ts')],
});
events.on('test:fail', () => (process.exitCode = 1));
events.compose(new spec()).pipe(process.stdout);
