/** `npm run bench`: Gatewright beside other gateways, in one run, on one core. README.md says how to read it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { ARMS } from './arms/all.ts';
import type { Arm } from './arms/arm.ts';
import { Lab, firstLineOf } from './lab.ts';
import { coreNumbers } from './measure.ts';
import { readOptions, USAGE, UsageError, type Options } from './options.ts';
import { markdownReport, scenarioSection, verdictTable, type RunFacts } from './report.ts';
import { SCENARIOS } from './scenarios/all.ts';
import type { Row, Scenario, ScenarioResult } from './scenarios/scenario.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const WANTED_OPEN_FILES = 65_536;

const say = (line: string): void => console.log(line);

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2), join(import.meta.dirname, 'results'));
  if (!options) {
    say(USAGE);
    return 0;
  }
  requireTools();
  prepareOwnProcess(options);
  const leftOut: string[] = [];
  const versions = installedArms(options, leftOut);
  const lab = new Lab(options.gatewayCores, options.loadCores);
  const results: ScenarioResult[] = [];
  try {
    const upstream = await startUpstream(lab);
    for (const name of options.scenarios) {
      const scenario = SCENARIOS.find((known) => known.name === name);
      const contestants = ARMS.filter((arm) => versions.has(arm) && takesPart(arm, scenario, options));
      if (!scenario || contestants.length === 0) continue;
      const result = await runScenario(lab, upstream, scenario, contestants, options, leftOut);
      if (result) results.push(result);
    }
  } finally {
    await lab.close();
  }
  conclude(options, factsOf(options, lab, versions, results, leftOut), results);
  const ownFailure = results
    .flatMap(({ rows }) => rows)
    .some(({ arm, failure }) => arm.startsWith('gatewright') && failure);
  return results.length === 0 || ownFailure ? 1 : 0;
}

/** A scenario whose precondition this machine does not meet is left out with the reason; the others go on. */
async function runScenario(
  lab: Lab,
  upstream: Upstream,
  scenario: Scenario,
  contestants: readonly Arm[],
  options: Options,
  leftOut: string[],
): Promise<ScenarioResult | undefined> {
  const rounds = options.rounds ?? scenario.rounds;
  const seconds = scenario.seconds === 0 ? 0 : (options.seconds ?? scenario.seconds);
  say(`\n${scenario.title} (${rounds} × ${contestants.map(({ name }) => name).join(', ')})`);
  let rows: Row[];
  try {
    rows = await scenario.run({ lab, upstream, rounds, seconds, connections: options.connections, say }, contestants);
  } catch (error) {
    leftOut.push(`${scenario.title}: ${(error as Error).message}`);
    say(`  left out: ${(error as Error).message}`);
    return undefined;
  }
  if (rows.length === 0) return undefined;
  const result: ScenarioResult = { scenario, rounds, seconds, rows };
  say(`\n${scenarioSection(result)}`);
  return result;
}

function takesPart(arm: Arm, scenario: Scenario | undefined, { arms }: Options): boolean {
  return (arms ?? scenario?.arms ?? []).includes(arm.name);
}

/** The arms that can run here with their versions; for the others a line that says what to install. */
function installedArms(options: Options, leftOut: string[]): Map<Arm, string> {
  const found = new Map<Arm, string>();
  for (const arm of ARMS) {
    const wanted = options.scenarios.some((name) =>
      takesPart(
        arm,
        SCENARIOS.find((known) => known.name === name),
        options,
      ),
    );
    if (!wanted) continue;
    const version = arm.version();
    if (version !== undefined) {
      found.set(arm, version);
      continue;
    }
    leftOut.push(`${arm.title}: not installed (${arm.installHint})`);
    say(`${arm.title} is left out: not installed. To have it: ${arm.installHint}`);
  }
  return found;
}

/** Without these nothing can be measured at all. */
function requireTools(): void {
  if (process.platform !== 'linux') throw new UsageError('the bench reads /proc and pins cores: it needs Linux');
  const needed = [
    ['wrk', ['--version'], 'wrk'],
    ['nginx', ['-v'], 'nginx'],
    ['taskset', ['--version'], 'util-linux'],
    ['openssl', ['version'], 'openssl'],
  ] as const;
  const missing = needed
    .filter(([command, args]) => firstLineOf(command, args) === undefined)
    .map(([, , name]) => name);
  if (missing.length > 0) throw new UsageError(`these are needed: apt-get install ${missing.join(' ')}`);
}

/** The bench itself stays off the gateway's core, and what it starts may have many files open if the system allows. */
function prepareOwnProcess({ gatewayCores, loadCores }: Options): void {
  for (const core of [...coreNumbers(gatewayCores), ...coreNumbers(loadCores)]) {
    if (core >= cpus().length) throw new UsageError(`there is no core ${core}: this machine has ${cpus().length}`);
  }
  const own = String(process.pid);
  spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', loadCores, own]);
  // Fails without the right to raise the hard limit; the scenario that needs it says so then.
  spawnSync('prlimit', ['--pid', own, `--nofile=${WANTED_OPEN_FILES}:${WANTED_OPEN_FILES}`]);
}

function factsOf(
  options: Options,
  lab: Lab,
  versions: ReadonlyMap<Arm, string>,
  results: readonly ScenarioResult[],
  leftOut: readonly string[],
): RunFacts {
  const took = new Set(results.flatMap(({ scenario }) => scenario.arms).concat(options.arms ?? []));
  const named = [...versions]
    .filter(([arm]) => took.has(arm.name))
    .map(([arm, version]) => [arm.title, version] as const);
  return {
    date: new Date().toISOString().slice(0, 10),
    command: ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
    gatewayCores: lab.gatewayCores,
    loadCores: lab.loadCores,
    coresStayAwake: lab.coresStayAwake,
    versions: new Map([...named, ['wrk', firstLineOf('wrk', ['--version'])?.split(' ')[1] ?? 'unknown']]),
    leftOut,
  };
}

function conclude(options: Options, facts: RunFacts, results: readonly ScenarioResult[]): void {
  if (results.length === 0) return;
  say(`\n${verdictTable(results)}`);
  if (options.outputDirectory === undefined) return;
  mkdirSync(options.outputDirectory, { recursive: true });
  const file = join(options.outputDirectory, `${facts.date}-${options.label}.md`);
  writeFileSync(file, markdownReport(facts, results));
  say(`\n${file}`);
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
