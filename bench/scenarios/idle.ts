/** What ten thousand clients cost that are connected and ask for nothing. */
import type { Arm } from '../arms/arm.ts';
import { checkEqualWork, startGateway } from '../gateway.ts';
import type { Running } from '../lab.ts';
import { NODE } from '../arms/node-servers.ts';
import { openFilesLimit, processTree, residentBytes, sleep, type Sample } from '../measure.ts';
import { HOST } from '../probe.ts';
import { MEBIBYTE } from '../upstream.ts';
import { runWrk } from '../wrk.ts';
import { join } from 'node:path';
import { inRounds } from './rounds.ts';
import type { Bench, Scenario } from './scenario.ts';

const CONNECTIONS = 10_000;
/** A gateway also needs files for its upstream connections, its libraries and itself. */
const FILES_NEEDED = CONNECTIONS * 1.5;
const SETTLE_MS = 2_000;
const HOLDER = join(import.meta.dirname, '..', 'clients', 'hold-connections.ts');

export const idle: Scenario = {
  name: 'idle',
  title: '10,000 idle connections',
  method:
    `A warm gateway, then ${CONNECTIONS.toLocaleString('en')} clients that each make one request and stay connected. ` +
    'Growth of RSS divided by their number; what the kernel keeps for a socket is not in it.',
  metrics: [
    { key: 'kibPerConnection', title: 'KiB/connection', digits: 1 },
    { key: 'rssBeforeMiB', title: 'RSS before MiB', digits: 0 },
    { key: 'rssAfterMiB', title: 'RSS after MiB', digits: 0 },
  ],
  reference: 'nginx',
  arms: ['gatewright', 'nginx', 'haproxy', 'caddy', 'undici', 'fastify', 'node-http'],
  rounds: 1,
  seconds: 0,
  async run(bench, arms) {
    if (openFilesLimit() < FILES_NEEDED) {
      throw new Error(`needs ${FILES_NEEDED} open files; try: ulimit -n ${FILES_NEEDED}`);
    }
    return inRounds(
      bench,
      arms,
      (arm) => measureArm(bench, arm),
      (sample) => `${sample.kibPerConnection.toFixed(1)} KiB/connection`,
    );
  },
};

async function measureArm(bench: Bench, arm: Arm): Promise<Sample> {
  const gateway = await startGateway(bench.lab, arm, { upstreamPort: bench.upstream.port, clients: CONNECTIONS });
  let holder: Running | undefined;
  try {
    const { endpoint, running } = gateway;
    await checkEqualWork(endpoint, 0);
    // A heap that has never worked grows at its first requests; that is not the price of a connection.
    await runWrk(bench.lab, { endpoint, path: '/', seconds: 3, connections: 128, script: 'get.lua' });
    await sleep(SETTLE_MS);
    const before = residentBytes(processTree(running.pid));
    holder = bench.lab.startLoad(
      'holder',
      {
        command: NODE,
        args: [HOLDER, String(endpoint.port), String(CONNECTIONS), HOST],
      },
      true,
    );
    const opened = await nextCount(holder);
    await sleep(SETTLE_MS);
    const after = residentBytes(processTree(running.pid));
    holder.child.stdin?.write('count\n');
    const stillOpen = await nextCount(holder);
    if (stillOpen !== CONNECTIONS) {
      throw new Error(`of ${CONNECTIONS} connections ${opened} were served and ${stillOpen} stayed open`);
    }
    return {
      kibPerConnection: (after - before) / CONNECTIONS / 1024,
      rssBeforeMiB: before / MEBIBYTE,
      rssAfterMiB: after / MEBIBYTE,
    };
  } finally {
    if (holder) {
      holder.child.stdin?.end();
      await holder.ended;
    }
    await bench.lab.stop(gateway.running);
  }
}

function nextCount(holder: Running): Promise<number> {
  return new Promise((resolve, reject) => {
    holder.child.stdout?.once('data', (line: Buffer) =>
      resolve((JSON.parse(line.toString()) as { open: number }).open),
    );
    void holder.ended.then((how) => reject(new Error(`the program that holds the connections ended (${how})`)));
  });
}
