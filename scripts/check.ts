/**
 * Runs every check that is not a test, one after another, and prints the output of those that fail. `npm run check`
 * runs all of them, `npm run check -- types layers` only the named ones.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

interface Check {
  readonly name: string;
  readonly finds: string;
  /** Run with the project's own Node and tools first in `PATH`, as npm does. */
  readonly command: string;
}

const checks: readonly Check[] = [
  { name: 'types', finds: 'type errors', command: 'tsc -p .' },
  { name: 'lint', finds: 'suspicious code, long files and functions', command: 'oxlint' },
  { name: 'format', finds: 'files that `npm run format` would change', command: 'oxfmt --check' },
  { name: 'layers', finds: 'imports against the order of the layers', command: 'node scripts/check-layers.ts' },
  { name: 'dead-code', finds: 'files, exports and dependencies nobody uses', command: 'knip' },
  {
    name: 'reference',
    finds: 'generated reference pages that are out of date',
    command: 'node scripts/generate-reference.ts --check',
  },
  { name: 'links', finds: 'links in Markdown that lead nowhere', command: 'node scripts/check-links.ts' },
  { name: 'lock', finds: 'platform packages that the lock lacks', command: 'node scripts/complete-lock.ts --check' },
  {
    name: 'package',
    finds: 'a published package that cannot be used',
    command: 'node scripts/build.ts && publint --strict dist',
  },
];

function run({ name, finds, command }: Check): boolean {
  const begun = performance.now();
  const { status, stdout, stderr } = spawnSync(command, { shell: true, encoding: 'utf8', cwd: root });
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  console.log(`${status === 0 ? '✔' : '✖'} ${name} (${seconds} s): ${finds}`);
  if (status !== 0) console.log(`\n$ ${command}\n${stdout}${stderr}`);
  return status === 0;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !checks.some((check) => check.name === name));
if (unknown.length > 0) {
  console.error(`no such check: ${unknown.join(', ')}; there are: ${checks.map((check) => check.name).join(', ')}`);
  process.exitCode = 2;
} else {
  const chosen = checks.filter((check) => wanted.length === 0 || wanted.includes(check.name));
  const failed = chosen.filter((check) => !run(check));
  console.log(failed.length === 0 ? 'all checks passed' : `failed: ${failed.map((check) => check.name).join(', ')}`);
  if (failed.length > 0) process.exitCode = 1;
}
