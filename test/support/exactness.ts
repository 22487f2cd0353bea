/** What the promise of the limits is tried on: each algorithm, on one hot key and on many, at ten times the limit. */
import type { ConfigInput } from '../../src/config/schema.ts';
import { type LimitAlgorithm, type LimitMeasurement, measureLimit } from '../../src/testing/index.ts';

export interface ExactnessCase {
  /** The route that has this limit, which is also its path. */
  readonly name: string;
  readonly algorithm: LimitAlgorithm;
  readonly rate: string;
  readonly burst?: number;
  /** How many are counted, each by itself. */
  readonly keys: number;
}

const keyHeader = 'x-key';

/** How much the one key may, how many keys are many, and how much each of them may. */
export interface ExactnessScale {
  readonly rate: string;
  readonly keys: number;
  readonly ratePerKey: string;
}

export function exactnessCases({ rate, keys, ratePerKey }: ExactnessScale): readonly ExactnessCase[] {
  const kinds: readonly Omit<ExactnessCase, 'keys' | 'rate'>[] = [
    { name: 'gcra', algorithm: 'gcra' },
    { name: 'gcra-burst', algorithm: 'gcra', burst: 20 },
    { name: 'sliding', algorithm: 'sliding-window' },
    { name: 'fixed', algorithm: 'fixed-window' },
  ];
  const hot = kinds.map((kind) => Object.assign({}, kind, { rate, keys: 1 }));
  const many = kinds
    .filter(({ burst }) => burst === undefined)
    .map((kind) => Object.assign({}, kind, { name: `${kind.name}-keys`, rate: ratePerKey, keys }));
  return [...hot, ...many];
}

/** A gateway that has all of these. @param more of the options of each limit, such as a store. */
export function exactnessConfig(cases: readonly ExactnessCase[], threads: number, more: object = {}): ConfigInput {
  const routeOf = ({ name, algorithm, rate, burst }: ExactnessCase) => ({
    match: { path: `/${name}` },
    policies: [
      {
        rateLimit: {
          name,
          algorithm,
          rate,
          by: `header:${keyHeader}`,
          ...(burst === undefined ? {} : { burst }),
          ...more,
        },
      },
    ],
    respond: { body: 'hello' },
  });
  return {
    threads,
    telemetry: { accessLog: false },
    listeners: { web: { host: '127.0.0.1', port: 0 } },
    routes: Object.fromEntries(cases.map((one) => [one.name, routeOf(one)])),
  };
}

export interface ExactnessRun {
  /** Of gateways that share the limits; each begins with a scheme and ends with a port. */
  readonly origins: readonly string[];
  readonly seconds: number;
  /** How many times clients wait as they are told, afterwards. */
  readonly waits: number;
  /** Threads that send. */
  readonly clients: number;
}

export function measureExactness(
  { name, algorithm, rate, burst, keys }: ExactnessCase,
  { origins, seconds, waits, clients }: ExactnessRun,
): Promise<LimitMeasurement> {
  return measureLimit({
    url: origins.map((origin) => `${origin}/${name}`),
    rate,
    algorithm,
    burst,
    // Half a second more, so that the end does not fall on that of a window.
    duration: Math.round((seconds + 0.5) * 1000),
    byHeader: { name: keyHeader, keys },
    waits,
    clients,
    // What stands still on a machine that others use as well is not what is to be shown.
    stall: '10s',
    sameClock: true,
  });
}
