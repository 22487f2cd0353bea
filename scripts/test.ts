/**
 * Runs the tests: all of them, or the files that the arguments name; `npm test -- --test-name-pattern x` those with such a
 * name. Most of what a process of tests does is to load the same sources; so what one has compiled the others find, and files
 * that start nothing share a process. Each of them can be run by itself, too.
 */
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '..');

/** Where tests take longest: they come first, so that none of them is left for the end, where it would run alone. */
const longest = ['examples', 'workers', 'cli', 'scripts', 'integration'];

/** Where tests neither start processes nor gateways, whose memory a process keeps for a while, nor change their own. */
const gentle = ['config', 'router', 'http', 'telemetry', 'wire'];

/** So few that none of them waits long for the others, so many that most need not be loaded again. */
const filesInGroup = 8;

const folderOf = (file: string): string => relative(root, file).split(sep)[1];

/** Files that load these. */
function grouped(folder: string, files: readonly string[]): string[] {
  const place = join(root, 'node_modules/.cache/test-groups');
  mkdirSync(place, { recursive: true });
  return Array.from({ length: Math.ceil(files.length / filesInGroup) }, (_, index) => {
    const some = files.slice(index * filesInGroup, (index + 1) * filesInGroup);
    const group = join(place, `${folder}-${index}.test.mjs`);
    writeFileSync(group, some.map((file) => `import ${JSON.stringify(pathToFileURL(file).href)};\n`).join(''));
    return group;
  });
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'test-name-pattern': { type: 'string', multiple: true },
    'test-concurrency': { type: 'string', default: '3' },
  },
});
const found = globSync('test/**/*.test.ts', { cwd: root })
  .map((file) => join(root, file))
  .toSorted();
const of = (folders: readonly string[]): string[] => found.filter((file) => folders.includes(folderOf(file)));
const all = [
  ...longest.flatMap((folder) => of([folder])),
  ...gentle.flatMap((folder) => grouped(folder, of([folder]))),
  ...found.filter((file) => ![...longest, ...gentle].includes(folderOf(file))),
];

process.env['NODE_COMPILE_CACHE'] = join(root, 'node_modules/.cache/compiled');
const events = run({
  cwd: root,
  files: positionals.length > 0 ? positionals.map((file) => resolve(file)) : all,
  // Many of them wait more than they work; with more at a time than this they would wait for each other.
  concurrency: Number(values['test-concurrency']),
  timeout: 120_000,
  testNamePatterns: values['test-name-pattern'],
  execArgv: ['--import', join(root, 'scripts/leave-out-locales.ts')],
});
events.on('test:fail', () => (process.exitCode = 1));
events.compose(new spec()).pipe(process.stdout);
