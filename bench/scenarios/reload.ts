/** Reloads under load: whether anything is lost, and what those who are served notice. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configuration, configurationFile, gatewrightArm } from '../arms/gatewright.ts';
import type { Assignment } from '../arms/arm.ts';
import { NODE } from '../arms/node-servers.ts';
import { assign, launchGateway, type RunningGateway } from '../gateway.ts';
import { sleep, type Sample } from '../measure.ts';
import { HOST, probe } from '../probe.ts';
import { runWrk, type WrkResult } from '../wrk.ts';
import { refuseBadAnswers } from './load.ts';
import { smallGet } from './proxying.ts';
import { inRounds } from './rounds.ts';
import type { Bench, Scenario } from './scenario.ts';

const EVERY_MS = 500;
const WEB_SOCKETS = 20;
const MANY_ROUTES = 10_000;
const MANY_ROUTES_RELOADS = 7;
const REST_MS = 1_000;
const PROGRAM = join(import.meta.dirname, '..', 'clients', 'web-sockets.ts');

export const RELOAD_ARM = 'gatewright-reload';
export const RELOAD_10K_ARM = 'gatewright-reload-10k';

export const reload: Scenario = {
  name: 'reload',
  title: 'Reloads under full load',
  method:
    `Two threads, ${smallGet.connections} connections as in the bare scenario and ${WEB_SOCKETS} WebSockets that talk ` +
    `all the time. Every ${EVERY_MS} ms the file changes and SIGHUP is sent: one time routes and a second listener come ` +
    'or go, the other time the file is broken. Any failed request or cut WebSocket makes the arm drop out. The p99 is ' +
    'compared to that of the same load without reloads, before.',
  metrics: [
    { key: 'p99Ratio', title: 'p99 with / without', digits: 2 },
    { key: 'p99Millis', title: 'p99 ms', digits: 2 },
    { key: 'requestsPerSecond', title: 'requests/s', digits: 0 },
    { key: 'applied', title: 'applied', digits: 0 },
    { key: 'refused', title: 'refused', digits: 0 },
    { key: 'echoes', title: 'WebSocket echoes', digits: 0 },
  ],
  reference: undefined,
  arms: ['gatewright'],
  rounds: 1,
  seconds: 30,
  run: (bench) =>
    inRounds(
      bench,
      [gatewrightArm(RELOAD_ARM, 'Gatewright, 2 threads', { threads: 2 })],
      () => measureUnderLoad(bench),
      ({ p99Ratio, applied, refused }) =>
        `${applied} applied, ${refused} refused, p99 ${p99Ratio.toFixed(2)} × that without reloads`,
    ),
};

export const reload10k: Scenario = {
  name: 'reload-10k',
  title: `Reload of ${MANY_ROUTES.toLocaleString('en')} routes`,
  method:
    'Two threads, on the cores of the gateway and of the load, which there is none of. From the signal until all threads serve the new configuration; and the longest time that the event ' +
    'loop of a thread stood still meanwhile.',
  metrics: [
    { key: 'reloadMs', title: 'reload ms', digits: 0 },
    { key: 'stallMs', title: 'longest stall ms', digits: 0 },
  ],
  reference: undefined,
  arms: ['gatewright'],
  rounds: 3,
  seconds: 0,
  run: (bench) =>
    inRounds(
      bench,
      [gatewrightArm(RELOAD_10K_ARM, 'Gatewright, 2 threads', { threads: 2 })],
      () => measureManyRoutes(bench),
      ({ reloadMs, stallMs }) => `${reloadMs.toFixed(0)} ms, longest stall ${stallMs.toFixed(0)} ms`,
    ),
};

interface Reloadable {
  readonly gateway: RunningGateway;
  readonly file: string;
  readonly text: string;
  readonly adminPort: number;
}

async function start(
  bench: Bench,
  routes: number,
  edit: (text: string) => string,
  cores?: string,
): Promise<Reloadable> {
  const assignment: Assignment = await assign(bench.lab, 'reload', { upstreamPort: bench.upstream.port, routes });
  const file = configurationFile(assignment);
  const text = edit(configuration(assignment, { threads: 2 }));
  writeFileSync(file, text);
  const launch = { command: NODE, args: [join(import.meta.dirname, '../../src/cli/main.js'), 'run', file] };
  const gateway = await launchGateway(bench.lab, 'reload', launch, assignment, cores);
  return { gateway, file, text, adminPort: assignment.adminPort };
}

// ---- under load ------------------------------------------------------------------------------------------------------

async function measureUnderLoad(bench: Bench): Promise<Sample> {
  const { lab } = bench;
  const socketPort = await lab.freePort();
  const extraPort = await lab.freePort();
  const server = lab.startLoad('web-socket-server', { command: NODE, args: [PROGRAM, 'serve', String(socketPort)] });
  const upstream = `upstreams:\n  sockets: {targets: ["http://127.0.0.1:${socketPort}"]}`;
  const route = '  sockets: {match: {path: /socket}, upstream: sockets}\n';
  const target = await start(bench, 0, (text) => text.replace('upstreams:', upstream) + route);
  try {
    const talk = await startTalking(bench, target.gateway.endpoint.port);
    const load = (seconds: number): Promise<WrkResult> =>
      runWrk(lab, { ...smallGet, endpoint: target.gateway.endpoint, path: smallGet.request.path, seconds });
    await load(3);
    const answer = await probe(target.gateway.endpoint, smallGet.request);
    const calm = await load(bench.seconds);
    const ending = new AbortController();
    const reloading = reloadAgainAndAgain(target, extraPort, ending.signal);
    const busy = await load(bench.seconds);
    ending.abort();
    await reloading;
    refuseBadAnswers(busy, smallGet.connections, answer.wireBytes);
    const { cut, echoes } = await talk();
    if (cut > 0) throw new Error(`${cut} of ${WEB_SOCKETS} WebSockets were cut`);
    return {
      p99Ratio: busy.p99Micros / calm.p99Micros,
      p99Millis: busy.p99Micros / 1000,
      requestsPerSecond: busy.requests / (busy.durationMicros / 1e6),
      applied: countLogged(target, 'the configuration was changed'),
      refused: countLogged(target, 'the configuration was refused; what served before serves on'),
      echoes,
    };
  } finally {
    await lab.stop(target.gateway.running);
    await lab.stop(server);
  }
}

/** Ends with the right configuration. */
async function reloadAgainAndAgain(
  { file, gateway, text }: Reloadable,
  extraPort: number,
  ending: AbortSignal,
): Promise<void> {
  const changed =
    text.replace('listeners:', `listeners:\n  extra: {host: 127.0.0.1, port: ${extraPort}}`) +
    '  changing: {match: {path: /changing/*}, respond: {status: 204}}\n';
  for (let turn = 0; !ending.aborted; turn++) {
    writeFileSync(
      file,
      turn % 2 === 1 ? 'listeners: {web: {port: eighty}}\nroutes: [' : turn % 4 === 0 ? changed : text,
    );
    process.kill(gateway.running.pid, 'SIGHUP');
    await sleep(EVERY_MS);
  }
}

async function startTalking(bench: Bench, port: number): Promise<() => Promise<{ cut: number; echoes: number }>> {
  const args = [PROGRAM, 'talk', String(port), String(WEB_SOCKETS), HOST];
  const running = bench.lab.startLoad('web-socket-clients', { command: NODE, args }, true);
  let onLine: (line: string) => void = () => {};
  const nextLine = (): Promise<string> => new Promise((resolve) => (onLine = resolve));
  running.child.stdout!.setEncoding('utf8').on('data', (text: string) => onLine(text));
  const opened = await Promise.race([nextLine(), running.ended, sleep(10_000).then(() => 'nothing')]);
  if (!opened.includes('open')) throw new Error(`the WebSockets could not be opened: ${opened}`);
  return async () => {
    running.child.stdin!.write('\n');
    const line = await nextLine();
    await bench.lab.stop(running);
    return JSON.parse(line) as { cut: number; echoes: number };
  };
}

// ---- many routes -----------------------------------------------------------------------------------------------------

async function measureManyRoutes(bench: Bench): Promise<Sample> {
  const { gatewayCores, loadCores } = bench.lab;
  // There is no load: the threads have all cores for themselves.
  const target = await start(bench, MANY_ROUTES, (text) => text, `${gatewayCores},${loadCores}`);
  try {
    const times: number[] = [];
    for (let turn = 1; turn <= MANY_ROUTES_RELOADS; turn++) {
      // What is said of the routes of the last turn is found out after they are served.
      await sleep(REST_MS);
      appendFileSync(target.file, `  turn-${turn}: {match: {path: /turn-${turn}}, respond: {status: 204}}\n`);
      const begun = Date.now();
      process.kill(target.gateway.running.pid, 'SIGHUP');
      await untilLogged(target, 'the configuration was changed', turn);
      times.push(lastLoggedAt(target, 'the configuration was changed') - begun);
    }
    const status = await fetch(`http://127.0.0.1:${target.adminPort}/api/v1/status`);
    const { threads } = (await status.json()) as { threads: { stallMs: number }[] };
    const sorted = times.toSorted((a, b) => a - b);
    return { reloadMs: sorted[sorted.length >> 1], stallMs: Math.max(...threads.map(({ stallMs }) => stallMs)) };
  } finally {
    await bench.lab.stop(target.gateway.running);
  }
}

// ---- the log ---------------------------------------------------------------------------------------------------------

interface LogLine {
  readonly time: string;
  readonly msg: string;
}

function linesOf({ gateway }: Reloadable, message: string): LogLine[] {
  const lines = readFileSync(gateway.running.logFile, 'utf8').split('\n');
  return lines.filter((line) => line.includes(`"msg":"${message}"`)).map((line) => JSON.parse(line) as LogLine);
}

const countLogged = (target: Reloadable, message: string): number => linesOf(target, message).length;

const lastLoggedAt = (target: Reloadable, message: string): number =>
  Date.parse(linesOf(target, message).at(-1)?.time ?? '');

async function untilLogged(target: Reloadable, message: string, times: number): Promise<void> {
  for (let attempt = 0; attempt < 2_000; attempt++) {
    if (countLogged(target, message) >= times) return;
    await sleep(5);
  }
  throw new Error(`the log does not say ${JSON.stringify(message)} for the ${times}. time`);
}
