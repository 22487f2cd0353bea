/** The scenarios in which wrk puts load on the gateways, in rounds in which the arms take turns. */
import type { Arm } from '../arms/arm.ts';
import { checkEqualWork, startGateway, type RunningGateway } from '../gateway.ts';
import { coresBusyMicros, processTree, residentBytes, sleep, treeCpuMicros, type Sample } from '../measure.ts';
import { probe, type ProbeRequest } from '../probe.ts';
import { MEBIBYTE } from '../upstream.ts';
import { runWrk, startWrk, type RunningLoad, type WrkLoad, type WrkResult } from '../wrk.ts';
import type { Bench, Metric, Row } from './scenario.ts';

export const LOAD_METRICS: readonly Metric[] = [
  { key: 'cpuMicros', title: 'CPU µs/request', digits: 1 },
  { key: 'requestsPerSecond', title: 'requests/s', digits: 0 },
  { key: 'p50Millis', title: 'p50 ms', digits: 2 },
  { key: 'p99Millis', title: 'p99 ms', digits: 2 },
  { key: 'rssMiB', title: 'RSS MiB', digits: 0 },
  { key: 'corePercent', title: 'core used %', digits: 0 },
];

/** What load to put on the arms of a scenario. */
export interface LoadPlan {
  /** Client connections. */
  readonly connections: number;
  /** The request that wrk will repeat, for checking the answer beforehand. */
  readonly request: ProbeRequest;
  /** What the answer's body must be: its exact text, or its length in bytes. */
  readonly dueBody: string | number;
  readonly script: string;
  readonly scriptArgs?: readonly string[];
  readonly tls?: boolean;
  readonly routes?: number;
}

interface Contestant {
  readonly row: Row;
  readonly gateway: RunningGateway;
  readonly load: WrkLoad;
  /** Length of one right answer on the wire. */
  readonly answerBytes: number;
  alone: Sample;
}

/** Long enough for the arms that are compiled while they run. */
const WARM_UP_SECONDS = 2;

/** One arm of a scenario together with the load it gets; usually the same load for all. */
export interface Entry {
  readonly arm: Arm;
  readonly title?: string;
  readonly name?: string;
  readonly plan: LoadPlan;
}

/**
 * In each round: starts all arms, checks and warms each of them, measures how fast each is alone, then what a request costs
 * when they take turns, and ends them. The same program, started twice, may well differ from itself by a twentieth.
 */
export async function runLoad(bench: Bench, entries: readonly Entry[]): Promise<Row[]> {
  const rows = entries.map(({ arm, name = arm.name, title = arm.title }): Row => {
    return { arm: name, title, samples: [], failure: undefined };
  });
  for (let round = 1; round <= bench.rounds; round++) {
    const contestants: Contestant[] = [];
    try {
      // Each round begins with another one, in case it matters who is first.
      for (let i = 0; i < entries.length; i++) {
        const index = (i + round) % entries.length;
        const [entry, row] = [entries[index], rows[index]];
        if (row.failure !== undefined) continue;
        await unlessItFails(bench, row, async () => {
          const contestant = await enter(bench, entry, row);
          contestants.push(contestant);
          contestant.alone = await measureAlone(bench, contestant);
        });
      }
      await measureInTurn(bench, round, contestants);
    } finally {
      await Promise.all(contestants.map(({ gateway }) => bench.lab.stop(gateway.running)));
    }
  }
  return rows;
}

async function enter(bench: Bench, { arm, plan }: Entry, row: Row): Promise<Contestant> {
  const { tls = false, routes = 0 } = plan;
  const { headers = {} } = plan.request;
  const gateway = await startGateway(bench.lab, arm, { upstreamPort: bench.upstream.port, tls, routes, headers });
  try {
    await checkEqualWork(gateway.endpoint, routes, headers);
    const answer = await probe(gateway.endpoint, plan.request);
    const body = typeof plan.dueBody === 'string' ? answer.body.toString() : answer.body.length;
    if (answer.status !== 200 || body !== plan.dueBody) {
      throw new Error(`answered ${answer.status} with ${answer.body.length} bytes, which is not the upstream's answer`);
    }
    const load: WrkLoad = {
      endpoint: gateway.endpoint,
      path: plan.request.path,
      headers,
      seconds: bench.seconds,
      connections: bench.connections ?? plan.connections,
      script: plan.script,
      scriptArgs: plan.scriptArgs ?? [],
    };
    await runWrk(bench.lab, { ...load, seconds: WARM_UP_SECONDS });
    return { row, gateway, load, answerBytes: answer.wireBytes, alone: {} };
  } catch (error) {
    await bench.lab.stop(gateway.running);
    throw error;
  }
}

/** How fast it is, and how long one waits, when it has the whole load for a while. */
async function measureAlone(bench: Bench, { gateway, load, answerBytes }: Contestant): Promise<Sample> {
  const { pid } = gateway.running;
  const cpuBefore = treeCpuMicros(pid);
  const startedAt = performance.now();
  const result = await runWrk(bench.lab, load);
  const wallMicros = (performance.now() - startedAt) * 1000;
  refuseBadAnswers(result, load.connections, answerBytes);
  return {
    requestsPerSecond: result.requests / (result.durationMicros / 1e6),
    p50Millis: result.p50Micros / 1000,
    p99Millis: result.p99Micros / 1000,
    corePercent: ((treeCpuMicros(pid) - cpuBefore) / wallMicros) * 100,
  };
}

/** Long against what it costs to change to another arm, short against what else happens on a machine. */
const SLICE_MS = 100;

interface Turn {
  readonly contestant: Contestant;
  readonly load: RunningLoad;
  readonly cpuBefore: number;
  hasEnded: boolean;
}

/**
 * What a request costs: the arms get their load in slices, one after another, again and again, so that whatever slows the
 * machine for longer than a moment slows all of them alike.
 */
async function measureInTurn(bench: Bench, round: number, contestants: readonly Contestant[]): Promise<void> {
  const { lab } = bench;
  const taking = contestants.filter(({ row }) => row.failure === undefined);
  const coreBefore = coresBusyMicros(lab.gatewayCores);
  const startedAt = performance.now();
  const turns = taking.map((contestant): Turn => {
    const cpuBefore = treeCpuMicros(contestant.gateway.running.pid);
    const load = startWrk(lab, { ...contestant.load, seconds: bench.seconds * taking.length });
    lab.pause(load.running);
    const turn = { contestant, load, cpuBefore, hasEnded: false };
    void load.running.ended.then(() => (turn.hasEnded = true));
    return turn;
  });
  while (turns.some(({ hasEnded }) => !hasEnded)) {
    for (const { load, hasEnded } of turns) {
      if (hasEnded) continue;
      lab.resume(load.running);
      await sleep(SLICE_MS);
      lab.pause(load.running);
    }
  }
  const wallMicros = (performance.now() - startedAt) * 1000;
  const used = turns.map((turn) => treeCpuMicros(turn.contestant.gateway.running.pid) - turn.cpuBefore);
  const foreignMicros = coresBusyMicros(lab.gatewayCores) - coreBefore - used.reduce((sum, micros) => sum + micros, 0);
  for (const [index, { contestant, load }] of turns.entries()) {
    const { row } = contestant;
    await unlessItFails(bench, row, async () => {
      const result = await load.result;
      refuseBadAnswers(result, contestant.load.connections, contestant.answerBytes);
      row.samples.push({
        ...contestant.alone,
        cpuMicros: used[index] / result.requests,
        rssMiB: residentBytes(processTree(contestant.gateway.running.pid)) / MEBIBYTE,
        foreignPercent: (Math.max(0, foreignMicros) / wallMicros) * 100,
      });
      bench.say(`  round ${round}  ${row.arm}  ${(used[index] / result.requests).toFixed(2)} µs/request`);
    });
  }
}

/** A wrong status, a lost connection or an answer of the wrong length makes the measurement worthless. */
export function refuseBadAnswers(result: WrkResult, connections: number, answerBytes: number): void {
  const { requests, bytes, badStatuses, connectErrors, readErrors, writeErrors, timeouts } = result;
  if (requests === 0) throw new Error('no request was answered');
  if (badStatuses > 0) throw new Error(`${badStatuses} of ${requests} answers had a status other than 2xx or 3xx`);
  const broken = connectErrors + readErrors + writeErrors + timeouts;
  if (broken > 0) {
    throw new Error(
      `connections failed: ${connectErrors} connecting, ${readErrors} reading, ${writeErrors} writing, ` +
        `${timeouts} timed out`,
    );
  }
  // wrk does not look at lengths, but it counts bytes. Every connection may have been cut off within one answer.
  const surplus = bytes - requests * answerBytes;
  const slack = connections * answerBytes + bytes * 0.001;
  if (Math.abs(surplus) > slack) {
    throw new Error(`answers had ${(bytes / requests).toFixed(1)} bytes on average where ${answerBytes} were due`);
  }
}

/** An arm that fails drops out with its reason; the others go on. */
export async function unlessItFails(bench: Bench, row: Row, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    row.failure = (error as Error).message.replaceAll(/\s*\n\s*/g, ' · ');
    bench.say(`  ${row.arm} drops out: ${row.failure}`);
  }
}
