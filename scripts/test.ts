/**
 * Runs the tests, all of them unless the arguments say otherwise: `npm test -- --test-name-pattern x`. Each file is a process
 * of its own, and most of what these do is to compile the same sources; so what one has compiled the others find.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const options = ['--test', '--test-reporter=spec', '--test-concurrency=2', '--test-timeout=120000'];
const { status, error } = spawnSync(process.execPath, [...options, ...process.argv.slice(2), 'test/**/*.test.ts'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/compiled') },
});
if (error !== undefined) throw error;
process.exitCode = status ?? 1;
