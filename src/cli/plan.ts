/** `gatewright plan NEW [--against OLD | --admin URL]`: what a new configuration would change. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Change, changeKinds, formatChange, impacts } from '../config/plan/change.ts';
import type { DiffSurroundings } from '../config/plan/comparison.ts';
import { diffConfigs } from '../config/plan/diff-configs.ts';
import { type PolicyFacts, factsOf } from '../config/plan/policy-facts.ts';
import { markHidden } from '../config/plan/unknown-value.ts';
import { sortProblems } from '../config/problem.ts';
import type { GatewayConfig, PolicyUse } from '../config/schema.ts';
import type { PolicyDefinition } from '../contract.ts';
import { suggest } from '../config/suggest.ts';
import { builtinPolicies } from '../policies/index.ts';
import { AdminUnreachable, tokenVariable } from './admin-client.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';
import { type CommandConfig, loadCommandConfig } from './load-config.ts';
import { count, countErrors, problemLines, problemObject } from './problem-report.ts';
import { fetchRunningConfig } from './running-config.ts';

export interface PlanOptions {
  readonly format: 'text' | 'json';
  /** The file of the configuration to compare with. */
  readonly against?: string;
  /** The URL of the admin port of the gateway to compare with. */
  readonly admin?: string;
  /** Kinds of changes, or what they are about, separated by commas. */
  readonly failOn?: string;
}

/** One of the two configurations. */
interface Side {
  readonly config: GatewayConfig;
  /** How it is called in the report. */
  readonly name: string;
  /** Places whose values are hidden. */
  readonly hidden: readonly string[];
  /** Null for the one that a gateway serves: of that one, files and modules are elsewhere. */
  readonly loaded: CommandConfig | null;
}

/**
 * Reports on standard output what the configuration `file` changes.
 * @returns the exit code: 0; 1 when a configuration has an error, or there is a change that `failOn` names; 2 for wrong
 * usage; 3 when the admin API cannot be asked.
 */
export async function runPlan(file: string, options: PlanOptions, io: CommandIo): Promise<number> {
  const { against, admin, failOn = '' } = options;
  const failing = failOn.split(',').flatMap((word) => (word.trim() === '' ? [] : [word.trim()]));
  const mistake = mistakeIn(options, failing);
  if (mistake !== null) {
    io.stderr.write(`${mistake} Try: gatewright plan --help\n`);
    return exitCodes.usage;
  }
  const after = await loadSide(file, options, io);
  const before = admin === undefined ? await loadSide(against!, options, io) : await fetchSide(admin, io);
  if (after === null || before === null) return exitCodes.failed;
  if (before === 'unreachable') return exitCodes.unreachable;
  // Which policies there are in a configuration that came over the network is not looked into.
  const plan = makePlan(before, after, await builtinPolicies.load(builtinPolicies.names));
  const failed = plan.filter(({ kind, impact }) => failing.includes(kind) || failing.includes(impact));
  const report = { before, after, changes: plan, failed };
  io.stdout.write(options.format === 'json' ? toJson(report) : toText(report));
  return failed.length === 0 ? exitCodes.fine : exitCodes.failed;
}

/** What is wrong with how the command is used, or null. */
function mistakeIn({ against, admin }: PlanOptions, failing: readonly string[]): string | null {
  if (against === undefined && admin === undefined) {
    return 'Say what to compare with: --against FILE, or --admin URL for a gateway that runs.';
  }
  if (against !== undefined && admin !== undefined) return 'Give --against or --admin, not both.';
  const known = [...Object.keys(changeKinds), ...impacts];
  const unknown = failing.find((word) => !known.includes(word));
  if (unknown === undefined) return null;
  const meant = suggest(unknown, known);
  const hint = meant === undefined ? `It knows ${known.join(', ')}.` : `Did you mean ${meant}?`;
  return `--fail-on knows no changes called ${JSON.stringify(unknown)}. ${hint}`;
}

/** @returns null when it has errors, which have then been said. */
async function loadSide(file: string, { format }: PlanOptions, io: CommandIo): Promise<Side | null> {
  const loaded = await loadCommandConfig(file, io);
  if (loaded === null) return null;
  const problems = sortProblems([...loaded.problems, ...(await loaded.analyse())]);
  if (loaded.config !== null && countErrors(problems) === 0) {
    return { config: loaded.config, name: file, hidden: [], loaded };
  }
  io.stdout.write(format === 'json' ? asJson(problemObject(file, problems)) : asText(problemLines(file, problems)));
  return null;
}

/** @returns `unreachable` when it could not be asked, which has then been said. */
async function fetchSide(url: string, io: CommandIo): Promise<Side | 'unreachable'> {
  try {
    const { config, revision } = await fetchRunningConfig(url, io.env[tokenVariable]);
    const { document, places } = markHidden(config);
    return { config: document, name: `revision ${revision} at ${url}`, hidden: places, loaded: null };
  } catch (error) {
    if (!(error instanceof AdminUnreachable)) throw error;
    io.stderr.write(`${error.message}\n`);
    return 'unreachable';
  }
}

function makePlan(before: Side, after: Side, builtin: ReadonlyMap<string, PolicyDefinition>): readonly Change[] {
  const sides = [after.loaded, before.loaded].filter((loaded) => loaded !== null);
  const known = ({ name, module }: PolicyUse): PolicyFacts | undefined => {
    if (module === null) {
      const definition = builtin.get(name);
      return definition && factsOf(definition);
    }
    return sides.map(({ modulePolicies }) => modulePolicies[module]).find((facts) => facts !== undefined);
  };
  const surroundings: DiffSurroundings = {
    secrets: sides.flatMap(({ secrets }) => secrets),
    factsOf: known,
    // The files of a gateway that runs may be those of another machine.
    fingerprintOf: (path, side) => (side === 'before' && before.loaded === null ? null : fingerprint(path)),
  };
  // What came over the network is JSON, and what is compared with it must be so as well.
  const config = before.loaded === null ? (JSON.parse(JSON.stringify(after.config)) as GatewayConfig) : after.config;
  return diffConfigs(before.config, config, surroundings);
}

function fingerprint(path: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch {
    return null;
  }
}

interface Report {
  readonly before: Side;
  readonly after: Side;
  readonly changes: readonly Change[];
  readonly failed: readonly Change[];
}

const asText = (lines: readonly string[]): string => `${lines.join('\n')}\n`;
const asJson = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;

function countsOf(changes: readonly Change[]): [impact: string, number: number][] {
  return impacts.map((impact) => [impact, changes.filter((change) => change.impact === impact).length]);
}

function toJson({ before, after, changes, failed }: Report): string {
  return asJson({
    file: after.name,
    against: before.name,
    ok: failed.length === 0,
    counts: Object.fromEntries(countsOf(changes)),
    failedOn: [...new Set(failed.map(({ kind }) => kind))],
    notCompared: before.hidden,
    changes,
  });
}

const headings = { security: 'Security', traffic: 'Traffic', other: 'Other' } as const;

function toText({ before, after, changes, failed }: Report): string {
  const lines: string[] = [];
  for (const impact of impacts) {
    const own = changes.filter((change) => change.impact === impact);
    if (own.length > 0) lines.push(headings[impact], ...own.map((change) => `  ${formatChange(change)}`), '');
  }
  const counts = countsOf(changes).flatMap(([impact, number]) => (number === 0 ? [] : [`${number} ${impact}`]));
  const total = count(changes.length, 'change');
  lines.push(
    `${after.name} against ${before.name}: ${total === '' ? 'no changes' : `${total} (${counts.join(', ')})`}`,
  );
  const { hidden } = before;
  if (hidden.length > 0) {
    lines.push(`Not compared, because the admin API does not show secrets: ${hidden.join(', ')}`);
  }
  lines.push(...failed.map((change) => `failed on ${change.kind}: ${formatChange(change)}`));
  return asText(lines);
}
