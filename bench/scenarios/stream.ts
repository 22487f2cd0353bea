/** Whether memory stays flat while a gibibyte passes through a slow reader, in either direction. */
import { join } from 'node:path';
import type { Arm } from '../arms/arm.ts';
import { NODE } from '../arms/node-servers.ts';
import { startGateway } from '../gateway.ts';
import { processTree, residentBytes, sleep, treeCpuMicros, type Sample } from '../measure.ts';
import { probe } from '../probe.ts';
import { MEBIBYTE } from '../upstream.ts';
import { inRounds } from './rounds.ts';
import type { Bench, Metric, Scenario } from './scenario.ts';

const STREAM_BYTES = 1024 * MEBIBYTE;
const BYTES_PER_SECOND = 128 * MEBIBYTE;
const SAMPLE_EVERY_MS = 50;
const PROGRAM = join(import.meta.dirname, '..', 'clients', 'slow-stream.ts');

type Direction = 'download' | 'upload';

const METRICS: readonly Metric[] = [
  { key: 'growthMiB', title: 'RSS growth MiB', digits: 1 },
  { key: 'rssBeforeMiB', title: 'RSS before MiB', digits: 0 },
  { key: 'cpuMicrosPerMiB', title: 'CPU µs/MiB', digits: 0 },
];

export const streamDown: Scenario = streamScenario(
  'stream-down',
  '1 GiB to a slow client',
  'The client does not read for 2 s, then reads 128 MiB/s; the upstream could send faster.',
  'download',
);

export const streamUp: Scenario = streamScenario(
  'stream-up',
  '1 GiB to a slow upstream',
  'The upstream does not read for 2 s, then reads 128 MiB/s; the client could send faster.',
  'upload',
);

function streamScenario(name: string, title: string, who: string, direction: Direction): Scenario {
  return {
    name,
    title,
    method: `${who} Highest RSS seen (every ${SAMPLE_EVERY_MS} ms) less the RSS before.`,
    metrics: METRICS,
    reference: undefined,
    arms: ['gatewright', 'nginx', 'haproxy', 'undici'],
    rounds: 1,
    seconds: 0,
    run: (bench, arms) =>
      inRounds(
        bench,
        arms,
        (arm) => measureArm(bench, arm, direction),
        (sample) => `grew by ${sample.growthMiB.toFixed(1)} MiB`,
      ),
  };
}

async function measureArm(bench: Bench, arm: Arm, direction: Direction): Promise<Sample> {
  const upstreamPort = await bench.lab.freePort();
  const upstream = bench.lab.startLoad('stream-upstream', program('serve', upstreamPort));
  try {
    await untilListening(upstreamPort);
    const gateway = await startGateway(bench.lab, arm, { upstreamPort });
    try {
      return await stream(bench, gateway.running.pid, gateway.endpoint.port, direction);
    } finally {
      await bench.lab.stop(gateway.running);
    }
  } finally {
    await bench.lab.stop(upstream);
  }
}

async function stream(bench: Bench, pid: number, port: number, direction: Direction): Promise<Sample> {
  // The first requests make any runtime load and compile; that memory is not the stream's.
  for (let i = 0; i < 50; i++) await probe({ port, tls: false }, { path: '/' });
  await sleep(500);
  const tree = processTree(pid);
  const before = residentBytes(tree);
  const cpuBefore = treeCpuMicros(pid);
  let highest = before;
  const sampling = setInterval(() => (highest = Math.max(highest, residentBytes(tree))), SAMPLE_EVERY_MS);
  try {
    const client = bench.lab.startLoad('stream-client', program(direction, port), true);
    let output = '';
    client.child.stdout?.on('data', (text: Buffer) => (output += text.toString()));
    const closed = new Promise((resolve) => client.child.once('close', resolve));
    const how = await client.ended;
    await closed;
    const { bytes } = output ? (JSON.parse(output) as { bytes: number }) : { bytes: 0 };
    if (bytes !== STREAM_BYTES) throw new Error(`${bytes} of ${STREAM_BYTES} bytes arrived (the client: ${how})`);
  } finally {
    clearInterval(sampling);
  }
  return {
    growthMiB: (highest - before) / MEBIBYTE,
    rssBeforeMiB: before / MEBIBYTE,
    cpuMicrosPerMiB: (treeCpuMicros(pid) - cpuBefore) / (STREAM_BYTES / MEBIBYTE),
  };
}

function program(role: 'serve' | Direction, port: number): { command: string; args: string[] } {
  return { command: NODE, args: [PROGRAM, role, String(port), String(STREAM_BYTES), String(BYTES_PER_SECOND)] };
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    const answer = await probe({ port, tls: false }, { path: '/' }).catch(() => undefined);
    if (answer) return;
    await sleep(10);
  }
  throw new Error('the upstream for streams did not start');
}
