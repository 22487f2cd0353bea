/**
 * The table of exactness: every kind of limit, on one hot key and on ten thousand, on two and on eight threads, at ten times
 * what it allows, measured from outside like any gateway. Prints Markdown; the exit code is 1 when a promise was broken.
 *
 *     npm run exactness                                     # 20 seconds each, about six minutes
 *     npm run exactness -- --seconds 5 --threads 2
 *     npm run exactness -- --redis redis://127.0.0.1:6379 --processes 2     # gateways that share their limits
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { type NamedMeasurement, limitsMarkdown } from '../src/testing/limits/limits-markdown.ts';
import { exactnessCases, exactnessConfig, measureExactness } from '../test/support/exactness.ts';

const command = join(import.meta.dirname, '../src/cli/main.js');
const readyWithinMs = 30_000;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    threads: { type: 'string', default: '2,8' },
    processes: { type: 'string', default: '1' },
    redis: { type: 'string' },
    mode: { type: 'string' },
    only: { type: 'string' },
  },
});

const cases = exactnessCases({ rate: '200/1s', keys: 10_000, ratePerKey: '2/15s' }).filter(
  ({ name }) => values.only === undefined || values.only.split(',').includes(name),
);

interface Gateway {
  readonly origin: string;
  readonly child: ChildProcess;
}

/** Starts the real program and resolves once it serves. */
async function startGateway(folder: string, threads: number, index: number): Promise<Gateway> {
  // While a store does not answer in time each machine counts for itself, which is more than the limit and not what is measured.
  const store = values.redis === undefined ? {} : { store: 'shared', onStoreFailure: 'closed' };
  const mode = values.mode === undefined ? {} : { mode: values.mode };
  const config = {
    ...exactnessConfig(cases, threads, { ...store, ...mode }),
    ...(values.redis === undefined ? {} : { stores: { shared: { type: 'redis', url: values.redis, timeout: '2s' } } }),
    admin: { host: '127.0.0.1', port: 0 },
  };
  const file = join(folder, `gateway-${index}.json`);
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(process.execPath, [command, 'run', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), readyWithinMs);
  let origin = '';
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    const record = line.startsWith('{') ? (JSON.parse(line) as Readonly<Record<string, unknown>>) : {};
    if (record['msg'] === 'listening' && record['listener'] === 'web') origin = String(record['url']);
    if (record['msg'] === 'ready') break;
  }
  clearTimeout(timer);
  child.stderr.resume();
  if (origin === '') throw new Error(`the gateway did not start:\n${said.join('\n')}`);
  return { origin: origin.replace(/\/$/, ''), child };
}

async function stop({ child }: Gateway): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function measureAll(threads: number, rows: NamedMeasurement[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'gatewright-exactness-'));
  const gateways: Gateway[] = [];
  try {
    const processes = Number(values.processes);
    for (let i = 0; i < processes; i++) gateways.push(await startGateway(folder, threads, i));
    const origins = gateways.map(({ origin }) => origin);
    for (const one of cases) {
      const run = { origins, seconds: Number(values.seconds), waits: 3, clients: 4 };
      const measured = await measureExactness(one, run);
      const where = processes > 1 ? `${processes} processes, ${threads} threads each` : `${threads} threads`;
      rows.push({ name: where, measured });
      console.error(`${where}, ${one.name}: ${measured.verdict}`);
      for (const { kind, text } of measured.findings) console.error(`  ${kind}: ${text}`);
    }
  } finally {
    await Promise.all(gateways.map(stop));
    rmSync(folder, { recursive: true, force: true });
  }
}

const rows: NamedMeasurement[] = [];
for (const threads of values.threads.split(',')) await measureAll(Number(threads), rows);
console.log(limitsMarkdown(rows));
process.exitCode = rows.some(({ measured }) => measured.verdict === 'broken') ? 1 : 0;
