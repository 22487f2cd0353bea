/** The command line of the bench. */
import { parseArgs } from 'node:util';
import { ARMS } from './arms/all.ts';
import { SCENARIOS } from './scenarios/all.ts';

export interface Options {
  readonly scenarios: readonly string[];
  /** Undefined: each scenario's own list. */
  readonly arms: readonly string[] | undefined;
  readonly rounds: number | undefined;
  readonly seconds: number | undefined;
  readonly connections: number | undefined;
  readonly gatewayCores: string;
  readonly loadCores: string;
  /** Undefined: no file. */
  readonly outputDirectory: string | undefined;
  /** The middle of the report's file name. */
  readonly label: string;
}

export const USAGE = `npm run bench -- [options]

  --quick               bare only, two short rounds: one to two minutes
  --scenario NAMES      ${SCENARIOS.map(({ name }) => name).join(', ')} or all (default)
  --arms NAMES          ${ARMS.map(({ name }) => name).join(', ')}
  --rounds N            rounds per scenario (default: the scenario's)
  --seconds N           seconds of load per arm and round (default: the scenario's)
  --connections N       client connections under load (default: the scenario's)
  --gateway-core LIST   cores of the gateway under test, as taskset takes them (default 0)
  --load-cores LIST     cores of wrk and the upstream (default 1)
  --output DIRECTORY    where the report goes (default bench/results)
  --no-file             print only
  --help`;

/** Thrown for a command line that cannot be followed; the message says what to do. */
export class UsageError extends Error {}

/** Undefined when only help was asked for. */
export function readOptions(args: readonly string[], defaultOutput: string): Options | undefined {
  const { values } = parse(args);
  if (values.help) return undefined;
  const names = values.quick ? ['bare'] : list(values.scenario ?? 'all');
  const scenarios = names.includes('all') ? SCENARIOS.map(({ name }) => name) : names;
  refuseUnknown('scenario', scenarios, SCENARIOS);
  const arms = values.arms === undefined ? undefined : list(values.arms);
  refuseUnknown('arm', arms ?? [], ARMS);
  return {
    scenarios,
    arms,
    rounds: positive('rounds', values.rounds) ?? (values.quick ? 2 : undefined),
    seconds: positive('seconds', values.seconds) ?? (values.quick ? 2 : undefined),
    connections: positive('connections', values.connections),
    gatewayCores: values['gateway-core'],
    loadCores: values['load-cores'],
    outputDirectory: values['no-file'] ? undefined : (values.output ?? defaultOutput),
    label: values.quick ? 'quick' : names.join('+'),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        scenario: { type: 'string' },
        arms: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        connections: { type: 'string' },
        'gateway-core': { type: 'string', default: '0' },
        'load-cores': { type: 'string', default: '1' },
        output: { type: 'string' },
        'no-file': { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new UsageError(`--${name} wants a whole number above 0, not ${text}`);
  }
  return value;
}

function refuseUnknown(kind: string, names: readonly string[], known: readonly { readonly name: string }[]): void {
  for (const name of names) {
    if (known.some((entry) => entry.name === name)) continue;
    throw new UsageError(`unknown ${kind} ${name}; there are ${known.map((entry) => entry.name).join(', ')}`);
  }
}
