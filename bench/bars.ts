/** What Gatewright is to reach, as ratios within one run. The one absolute time is the start. */
import { pairedDifferences, pairedRatios, summarise, type Summary } from './measure.ts';
import { BARE_ARM } from './scenarios/authentication.ts';
import {
  ONE_LIMIT_ARM,
  REDIS_EXACT_ARM,
  REDIS_LEASE_ARM,
  THREE_LIMITS_ARM,
  UNLIMITED_ARM,
} from './scenarios/limits.ts';
import { FEW_ROUTES_ARM, MANY_ROUTES_ARM } from './scenarios/routing.ts';
import { RELOAD_10K_ARM, RELOAD_ARM } from './scenarios/reload.ts';
import { ONE_THREAD_ARM, TWO_THREADS_ARM } from './scenarios/threads.ts';
import type { ScenarioResult } from './scenarios/scenario.ts';

interface Bar {
  readonly what: string;
  readonly scenario: string;
  readonly arm: string;
  /** The arm to divide by; undefined compares the value itself. */
  readonly against: string | undefined;
  readonly metric: string;
  readonly limit: number;
  readonly aim?: number;
  /** What a value without `against`, or a difference, is counted in. */
  readonly unit?: string;
  /** What is on top of `against`, not how many times as much it is. */
  readonly isDifference?: true;
}

export interface Verdict {
  readonly what: string;
  readonly limit: string;
  readonly measured: string;
  /** Undefined when this run did not measure it. */
  readonly holds: boolean | undefined;
}

const CPU = { arm: 'gatewright', metric: 'cpuMicros' };

const BARS: readonly Bar[] = [
  { what: 'bare GET: CPU against nginx', scenario: 'bare', against: 'nginx', limit: 1.35, aim: 1.2, ...CPU },
  { what: 'bare GET: CPU against undici behind node:http', scenario: 'bare', against: 'undici', limit: 0.65, ...CPU },
  { what: 'bare GET: CPU against Caddy', scenario: 'bare', against: 'caddy', limit: 0.45, ...CPU },
  {
    what: 'bare GET with `pipelining: 8`: CPU against nginx',
    scenario: 'bare',
    against: 'nginx',
    limit: 1.15,
    ...CPU,
    arm: 'gatewright-pipelining',
  },
  { what: '1 MiB responses: CPU against nginx', scenario: 'response', against: 'nginx', limit: 0.8, ...CPU },
  { what: 'TLS: CPU against nginx', scenario: 'tls', against: 'nginx', limit: 1.3, ...CPU },
  {
    what: '100,000 routes: CPU against 10 routes',
    scenario: 'routes-100k',
    against: FEW_ROUTES_ARM,
    limit: 1.05,
    ...CPU,
    arm: MANY_ROUTES_ARM,
  },
  { what: 'API key: CPU against none', scenario: 'api-key', against: BARE_ARM, limit: 1.05, ...CPU, arm: 'api-key' },
  { what: 'JWT: CPU against none', scenario: 'jwt', against: BARE_ARM, limit: 1.07, ...CPU, arm: 'jwt' },
  { what: 'session: CPU against none', scenario: 'session', against: BARE_ARM, limit: 1.1, ...CPU, arm: 'session' },
  {
    what: 'a rate limit: CPU against none',
    scenario: 'rate-limit',
    against: UNLIMITED_ARM,
    limit: 1.03,
    ...CPU,
    arm: ONE_LIMIT_ARM,
  },
  {
    what: 'three rate limits: CPU against none',
    scenario: 'rate-limit',
    against: UNLIMITED_ARM,
    limit: 1.06,
    ...CPU,
    arm: THREE_LIMITS_ARM,
  },
  {
    what: 'a rate limit in Redis: CPU on top of none',
    scenario: 'shared-limit',
    against: UNLIMITED_ARM,
    isDifference: true,
    limit: 12,
    unit: 'µs',
    ...CPU,
    arm: REDIS_EXACT_ARM,
  },
  {
    what: 'a rate limit leased from Redis: CPU against none',
    scenario: 'shared-limit',
    against: UNLIMITED_ARM,
    limit: 1.04,
    ...CPU,
    arm: REDIS_LEASE_ARM,
  },
  single('1 GiB to a slow client: growth of RSS', 'stream-down', 'growthMiB', 64, 'MiB'),
  single('1 GiB to a slow upstream: growth of RSS', 'stream-up', 'growthMiB', 64, 'MiB'),
  single('an idle connection', 'idle', 'kibPerConnection', 8, 'KiB'),
  single('start to first served request', 'start', 'startMs', 500, 'ms'),
  {
    what: 'two threads: CPU against one',
    scenario: 'threads',
    against: ONE_THREAD_ARM,
    limit: 1.05,
    ...CPU,
    arm: TWO_THREADS_ARM,
  },
  { ...single('reloads under load: p99 against none', 'reload', 'p99Ratio', 1.5, '×'), arm: RELOAD_ARM },
  { ...single('reload of 10,000 routes', 'reload-10k', 'reloadMs', 500, 'ms'), arm: RELOAD_10K_ARM },
  { ...single('reload of 10,000 routes: longest stall', 'reload-10k', 'stallMs', 50, 'ms'), arm: RELOAD_10K_ARM },
];

function single(what: string, scenario: string, metric: string, limit: number, unit: string): Bar {
  return { what, scenario, arm: 'gatewright', against: undefined, metric, limit, unit };
}

/** One verdict per bar; a bar whose scenario or arms were not part of the run is not judged. */
export function judge(results: readonly ScenarioResult[]): Verdict[] {
  return BARS.map((bar) => {
    const summary = measured(
      bar,
      results.find(({ scenario }) => scenario.name === bar.scenario),
    );
    const aim = bar.aim === undefined ? '' : ` (aim ${bar.aim})`;
    return {
      what: bar.what,
      limit: bar.unit ? `≤ ${bar.limit} ${bar.unit}` : `≤ ${bar.limit} ×${aim}`,
      measured: summary ? inWords(summary, bar) : 'not measured',
      holds: summary ? summary.median <= bar.limit : undefined,
    };
  });
}

function measured(bar: Bar, result: ScenarioResult | undefined): Summary | undefined {
  const samplesOf = (name: string) => result?.rows.find(({ arm, failure }) => arm === name && !failure)?.samples ?? [];
  const own = samplesOf(bar.arm);
  if (bar.against === undefined) return summarise(own.map((sample) => sample[bar.metric]));
  const others = samplesOf(bar.against);
  return summarise(
    bar.isDifference ? pairedDifferences(own, others, bar.metric) : pairedRatios(own, others, bar.metric),
  );
}

function inWords({ median, min, max }: Summary, { unit }: Bar): string {
  const show = (value: number): string => value.toFixed(unit === undefined || unit === '×' ? 2 : unit === 'ms' ? 0 : 1);
  return `${show(median)} ${unit ?? '×'} [${show(min)}–${show(max)}]`;
}
