/**
 * The tests on generated input, with far more of it than continuous integration has time for, and with another seed each
 * time. `npm run fuzz` takes minutes; `npm run fuzz -- SEED` repeats what an earlier run found.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const seed = process.argv[2] ?? String(Date.now() % 2 ** 31);
const env = {
  ...process.env,
  GATEWRIGHT_FUZZ_SEED: seed,
  /** Messages that our parser and the one of Node must agree on. */
  GATEWRIGHT_FUZZ_MESSAGES: '1000000',
  /** Inputs that are thrown at a process of the gateway. */
  GATEWRIGHT_FLOOD_INPUTS: '100000',
};
const tests = ['test/fuzz/**/*.test.ts', 'test/integration/malformed-flood.test.ts'];

console.log(`seed ${seed}`);
const { status } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', ...tests], {
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  stdio: 'inherit',
  env,
});
process.exitCode = status ?? 1;
