/**
 * Where the CPU time of a load goes:
 *
 *   node bench/profile.ts [--load bare|response|upload|tls] [--routes N] [--arm gatewright] [--seconds 8] [--top 40]
 *
 * Puts the load of a scenario on a gateway that runs under `--cpu-prof` and prints, for each thread that worked, the
 * functions with the most time of their own while the load lasted.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ARMS } from './arms/all.ts';
import type { Arm } from './arms/arm.ts';
import { NODE } from './arms/node-servers.ts';
import { assign, launchGateway } from './gateway.ts';
import { Lab } from './lab.ts';
import { treeCpuMicros } from './measure.ts';
import type { LoadPlan } from './scenarios/load.ts';
import { LOAD_PLANS } from './scenarios/proxying.ts';
import { planFor } from './scenarios/routing.ts';
import { startUpstream } from './upstream.ts';
import { runWrk } from './wrk.ts';

/** The format of DevTools, as far as it is read here. Times are microseconds of CLOCK_MONOTONIC, as `hrtime` is. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
  readonly startTime: number;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

interface Recording {
  readonly profiles: readonly CpuProfile[];
  /** While the load lasted. */
  readonly span: Span;
  readonly requests: number;
}

const SAMPLE_EVERY_MICROS = 200;
const WARM_UP_SECONDS = 3;
/** Writing a profile takes a while. */
const STOP_GRACE_MS = 20_000;
const REPOSITORY = join(import.meta.dirname, '..');
/** What V8 shows as functions but is waiting, not work. */
const NOT_WORK = new Set(['(idle)', '(root)']);

const nowMicros = (): number => Number(process.hrtime.bigint() / 1000n);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      arm: { type: 'string', default: 'gatewright' },
      load: { type: 'string', default: 'bare' },
      routes: { type: 'string' },
      seconds: { type: 'string', default: '8' },
      top: { type: 'string', default: '40' },
    },
  });
  const arm = ARMS.find(({ name }) => name === values.arm);
  if (arm?.version() === undefined) throw new Error(`no arm ${values.arm}, or not installed`);
  const plan = values.routes === undefined ? LOAD_PLANS.get(values.load) : planFor(Number(values.routes));
  if (!plan) throw new Error(`no load ${values.load}; there are ${[...LOAD_PLANS.keys()].join(', ')}`);
  const lab = new Lab('0', '1');
  try {
    const { profiles, span, requests } = await record(lab, arm, plan, Number(values.seconds));
    for (const profile of profiles) printThread(profile, span, requests, Number(values.top));
  } finally {
    await lab.close();
  }
}

/** Runs the gateway under the profiler and the load; what it wrote when it ended is the profiles, one per thread. */
async function record(lab: Lab, arm: Arm, plan: LoadPlan, seconds: number): Promise<Recording> {
  const upstream = await startUpstream(lab);
  const { tls = false, routes = 0, connections, script, scriptArgs = [] } = plan;
  const assignment = await assign(lab, arm.name, { upstreamPort: upstream.port, tls, routes });
  const { command, args, env = {} } = arm.prepare(assignment);
  if (command !== NODE) throw new Error(`${arm.title} does not run on Node`);
  const { directory } = assignment;
  const profiling = ['--cpu-prof', '--cpu-prof-dir', directory, '--cpu-prof-interval', String(SAMPLE_EVERY_MICROS)];
  const launch = { command, args: [...profiling, ...args], env };
  const { running, endpoint } = await launchGateway(lab, arm.name, launch, assignment);
  const load = { endpoint, path: plan.request.path, connections, script, scriptArgs };
  await runWrk(lab, { ...load, seconds: WARM_UP_SECONDS });
  const cpuBefore = treeCpuMicros(running.pid);
  const from = nowMicros();
  const { requests } = await runWrk(lab, { ...load, seconds });
  const span = { from, to: nowMicros() };
  const each = (treeCpuMicros(running.pid) - cpuBefore) / requests;
  console.log(`${arm.title}: ${requests} requests, ${each.toFixed(1)} CPU µs/request under the profiler`);
  await lab.stop(running, STOP_GRACE_MS);
  const files = readdirSync(directory).filter((file) => file.endsWith('.cpuprofile'));
  if (files.length === 0) throw new Error('no profile was written: the gateway did not end on SIGTERM');
  const profiles = files.map((file) => JSON.parse(readFileSync(join(directory, file), 'utf8')) as CpuProfile);
  return { profiles, span, requests };
}

/** One line per function, those with the most time of their own first; nothing for a thread that only waited. */
function printThread(profile: CpuProfile, span: Span, requests: number, top: number): void {
  const selfMicros = selfTimes(profile, span);
  const total = [...selfMicros.values()].reduce((sum, micros) => sum + micros, 0);
  const share = total / (span.to - span.from);
  if (share < 0.02) return;
  console.log(`\nA thread that worked ${(share * 100).toFixed(0)} % of the time:\n`);
  console.log('   self  µs/request  function');
  for (const [name, micros] of [...selfMicros].toSorted((a, b) => b[1] - a[1]).slice(0, top)) {
    const percent = ((micros / total) * 100).toFixed(1).padStart(5);
    console.log(`${percent} %  ${(micros / requests).toFixed(2).padStart(10)}  ${name}`);
  }
}

function selfTimes({ nodes, samples, timeDeltas, startTime }: CpuProfile, { from, to }: Span): Map<string, number> {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, functionLabel(callFrame)]));
  const selfMicros = new Map<string, number>();
  let time = startTime;
  for (const [index, node] of samples.entries()) {
    time += timeDeltas[index];
    if (time < from || time > to) continue;
    const name = names.get(node) ?? '(unknown)';
    if (NOT_WORK.has(name)) continue;
    // A sample stands for the time until the next one.
    selfMicros.set(name, (selfMicros.get(name) ?? 0) + (timeDeltas[index + 1] ?? 0));
  }
  return selfMicros;
}

function functionLabel({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName || '(anonymous)';
  if (!url) return name;
  const file = url.startsWith('file:') ? relative(REPOSITORY, fileURLToPath(url)) : url;
  return `${name}  ${file}:${lineNumber + 1}`;
}

await main();
