/**
 * `npm run fuzz`: the comparisons with llhttp on a million messages, from a new seed each time. GATEWRIGHT_FUZZ_MESSAGES
 * and GATEWRIGHT_FUZZ_SEED say otherwise; a failure names the seed that repeats it.
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';

const messages = process.env['GATEWRIGHT_FUZZ_MESSAGES'] ?? '1000000';
const seed = process.env['GATEWRIGHT_FUZZ_SEED'] ?? String(randomInt(2 ** 32));
const here = fileURLToPath(new URL('.', import.meta.url));

console.log(`${messages} messages from seed ${seed}`);
const { status } = spawnSync(
  process.execPath,
  ['--test', '--test-reporter=spec', '--test-concurrency=1', `${here}*.test.ts`],
  {
    stdio: 'inherit',
    env: { ...process.env, GATEWRIGHT_FUZZ_MESSAGES: messages, GATEWRIGHT_FUZZ_SEED: seed },
  },
);
process.exitCode = status ?? 1;
