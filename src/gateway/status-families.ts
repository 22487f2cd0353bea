/** The metrics that are read when somebody asks: what the gateway knows of itself anyway. */
import type { ExposedFamily, Sample } from '../telemetry/metrics/exposition.ts';
import type { GatewayCounts, GatewayStatus, ThreadOverload, ThreadStatus } from './gateway.ts';

/** What the control plane adds. */
export interface ControlFacts {
  readonly version: string;
  readonly isReady: boolean;
  readonly revision: { readonly number: number; readonly digest: string; readonly appliedAt: number };
  /** How often another configuration was to serve, by what came of it. */
  readonly reloads: Readonly<Record<string, number>>;
  /** Limits of concurrency that adapt themselves, as they are for the moment. */
  readonly adaptiveLimits: readonly {
    /** As in `gatewright_ratelimit_total`; the route is empty where several have it in common. */
    readonly route: string;
    readonly policy: string;
    readonly limit: number;
  }[];
}

export interface ProcessFacts {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Since 1970. */
  readonly startSeconds: number;
}

export interface MetricsSource {
  readonly status: GatewayStatus;
  readonly counts: GatewayCounts;
  readonly process: ProcessFacts;
  /** null for a gateway without one, inside another program. */
  readonly control: ControlFacts | null;
}

export interface StatusFamily extends Omit<ExposedFamily, 'samples' | 'bounds'> {
  readonly read: (source: MetricsSource) => readonly Sample[];
}

const one = (value: number, ...labels: readonly string[]): Sample => ({ labels, value });

const byName = (values: Readonly<Record<string, number>>): readonly Sample[] =>
  Object.entries(values).map(([name, value]) => one(value, name));

/** One for each thread that answers. */
const threadsBy =
  (value: (thread: ThreadStatus) => number) =>
  ({ status }: MetricsSource): readonly Sample[] =>
    status.threads.filter(answers).map((thread) => one(value(thread), String(thread.thread)));

const answers = ({ state }: ThreadStatus): boolean => state === 'serving' || state === 'draining';

/** The same, of those that look whether they have more to do than they can. */
const overloadsBy =
  (values: (overload: ThreadOverload, thread: string) => readonly Sample[]) =>
  ({ status }: MetricsSource): readonly Sample[] =>
    status.threads
      .filter(answers)
      .flatMap(({ overload, thread }) => (overload === null ? [] : values(overload, String(thread))));

const sum = <T>(items: readonly T[], value: (item: T) => number): number =>
  items.reduce((total, item) => total + value(item), 0);

/** A family is one entry here. */
export const statusFamilies: readonly StatusFamily[] = [
  {
    name: 'gatewright_requests_in_flight',
    type: 'gauge',
    labels: [],
    help: 'Requests that have begun and not ended.',
    read: ({ status }) => [one(sum(status.threads, ({ inFlight }) => inFlight))],
  },
  {
    name: 'gatewright_connections',
    type: 'gauge',
    labels: ['listener'],
    help: 'Open connections of clients.',
    read: ({ status }) => status.listeners.map(({ name, connections }) => one(connections, name)),
  },
  {
    name: 'gatewright_upstream_requests_in_flight',
    type: 'gauge',
    labels: ['upstream'],
    help: 'Attempts to have a request answered by an upstream that are under way.',
    read: ({ status }) =>
      status.upstreams.map(({ name, targets }) =>
        one(
          sum(targets, ({ inFlight }) => inFlight),
          name,
        ),
      ),
  },
  {
    name: 'gatewright_upstream_connections',
    type: 'gauge',
    labels: ['upstream'],
    help: 'Open connections to the targets of an upstream.',
    read: ({ status }) =>
      status.upstreams.map(({ name, targets }) =>
        one(
          sum(targets, ({ connections }) => connections),
          name,
        ),
      ),
  },
  {
    name: 'gatewright_limit_refusals_total',
    type: 'counter',
    labels: ['result'],
    help: 'Requests that limits have refused, or would have refused if they were enforced.',
    read: ({ status: { limits } }) => byName({ refused: limits.refused, would_refuse: limits.wouldRefuse }),
  },
  {
    name: 'gatewright_limit_undecided_total',
    type: 'counter',
    labels: [],
    help: 'Decisions of limits that were refused because other threads kept changing what stands beside.',
    read: ({ status }) => [one(status.limits.gaveUp)],
  },
  {
    name: 'gatewright_limit_store_decisions_total',
    type: 'counter',
    labels: ['result'],
    help: 'Decisions of limits that stores were asked for, that they have failed to make, and that were made locally instead.',
    read: ({ status: { limits } }) =>
      byName({ asked: limits.askedOfStores, failed: limits.storeFailures, local: limits.decidedLocally }),
  },
  {
    name: 'gatewright_auth_attempts_total',
    type: 'counter',
    labels: ['result'],
    help: 'Attempts to authenticate that failed, were slowed down because others had failed, or were refused for that.',
    read: ({ status: { authentication: attempts } }) =>
      byName({ failed: attempts.failed, slowed: attempts.slowed, refused: attempts.refused }),
  },
  {
    name: 'gatewright_shared_evictions_total',
    type: 'counter',
    labels: ['table'],
    help: 'Entries of shared memory that were forgotten before their time because there were too many.',
    read: ({ status: { limits, protection }, counts }) =>
      byName({
        limits: limits.evicted,
        connections: protection.addressesForgotten,
        bans: protection.bans.evicted,
        ...counts.evicted,
      }),
  },
  {
    name: 'gatewright_connections_refused_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Connections that were turned away: of clients that are banned, or beyond what one may have or how fast they may come.',
    read: ({ status: { protection } }) =>
      byName({ banned: protection.bans.connections, limit: protection.connectionsRefused }),
  },
  {
    name: 'gatewright_bans_total',
    type: 'counter',
    labels: [],
    help: 'Bans that policies have made.',
    read: ({ status }) => [one(status.protection.bans.made)],
  },
  {
    name: 'gatewright_banned_requests_total',
    type: 'counter',
    labels: [],
    help: 'Requests of banned clients that were refused, on connections that were open.',
    read: ({ status }) => [one(status.protection.bans.requests)],
  },
  {
    name: 'gatewright_thread_up',
    type: 'gauge',
    labels: ['thread'],
    help: 'Whether a serving thread answers.',
    read: ({ status }) => status.threads.map((thread) => one(answers(thread) ? 1 : 0, String(thread.thread))),
  },
  {
    name: 'gatewright_thread_restarts_total',
    type: 'counter',
    labels: ['thread'],
    help: 'How often a thread was replaced after it had died or hung.',
    read: ({ status }) => status.threads.map(({ thread, restarts }) => one(restarts, String(thread))),
  },
  {
    name: 'gatewright_thread_stall_seconds',
    type: 'gauge',
    labels: ['thread'],
    help: 'The longest time that the event loop of a thread stood still, of the last half minute or more.',
    // Inside another program the event loop is that program's, and nobody watches it.
    read: (source) => (source.control === null ? [] : threadsBy(({ stallMs }) => stallMs / 1000)(source)),
  },
  {
    name: 'gatewright_thread_heap_bytes',
    type: 'gauge',
    labels: ['thread'],
    help: 'The heap of a thread that is in use.',
    read: threadsBy(({ heapBytes }) => heapBytes),
  },
  {
    name: 'gatewright_thread_lag_seconds',
    type: 'gauge',
    labels: ['thread'],
    help: 'By how much the event loop of a thread is late all the time, which overload is measured by.',
    read: overloadsBy(({ lagMs }, thread) => [one(lagMs / 1000, thread)]),
  },
  {
    name: 'gatewright_thread_memory_ratio',
    type: 'gauge',
    labels: ['thread'],
    help: 'Which share of the memory that a thread may have is in use, which overload is measured by.',
    read: overloadsBy(({ memory }, thread) => (memory === 0 ? [] : [one(memory, thread)])),
  },
  {
    name: 'gatewright_thread_refused_ratio',
    type: 'gauge',
    labels: ['thread', 'importance'],
    help: 'Which share of the requests of a thread is refused for overload.',
    read: overloadsBy(({ refused }, thread) =>
      Object.entries(refused).map(([importance, ratio]) => one(ratio, thread, importance)),
    ),
  },
  {
    name: 'gatewright_overload_refused_total',
    type: 'counter',
    labels: ['importance', 'reason'],
    help: 'Requests that were refused for overload: because a thread was late, memory was short, or a body was too large for that.',
    read: ({ counts }) => counts.shed.map(({ importance, reason, count }) => one(count, importance, reason)),
  },
  {
    name: 'gatewright_adaptive_limit',
    type: 'gauge',
    labels: ['route', 'policy'],
    help: 'How many requests a limit of concurrency that adapts itself lets be on their way at once.',
    read: ({ control }) =>
      control === null ? [] : control.adaptiveLimits.map(({ route, policy, limit }) => one(limit, route, policy)),
  },
  {
    name: 'gatewright_ready',
    type: 'gauge',
    labels: [],
    help: 'Whether every thread serves.',
    read: ({ control }) => (control === null ? [] : [one(control.isReady ? 1 : 0)]),
  },
  {
    name: 'gatewright_build_info',
    type: 'info',
    labels: ['version'],
    help: 'The version of the gateway.',
    read: ({ control }) => (control === null ? [] : [one(1, control.version)]),
  },
  {
    name: 'gatewright_config_revision_info',
    type: 'info',
    labels: ['revision', 'digest'],
    help: 'The configuration that serves: how many there have been in this process, and what identifies its text.',
    read: ({ control }) => (control === null ? [] : [one(1, String(control.revision.number), control.revision.digest)]),
  },
  {
    name: 'gatewright_config_applied_timestamp_seconds',
    type: 'gauge',
    labels: [],
    help: 'When the configuration that serves began to, in seconds since 1970.',
    read: ({ control }) => (control === null ? [] : [one(control.revision.appliedAt / 1000)]),
  },
  {
    name: 'gatewright_config_reloads_total',
    type: 'counter',
    labels: ['result'],
    help: 'How often another configuration was to serve, and was applied or refused.',
    read: ({ control }) => (control === null ? [] : byName(control.reloads)),
  },
  {
    name: 'gatewright_metrics_series',
    type: 'gauge',
    labels: [],
    help: 'Series of requests, upstreams and policies. A histogram counts once.',
    read: ({ counts }) => [one(counts.series.length)],
  },
  {
    name: 'gatewright_metrics_series_limit',
    type: 'gauge',
    labels: [],
    help: 'How many of them are told apart; the series other of each family may come on top.',
    read: ({ counts }) => [one(counts.maxSeries)],
  },
  {
    name: 'gatewright_metrics_series_dropped_total',
    type: 'counter',
    labels: [],
    help: 'Series that found no room and are part of other, each once for every thread that met it.',
    read: ({ counts }) => [one(counts.droppedSeries)],
  },
  {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    labels: [],
    help: 'Processor time of all threads, in user and system mode.',
    read: ({ process }) => [one(process.cpuSeconds)],
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    labels: [],
    help: 'Memory of the process that is resident.',
    read: ({ process }) => [one(process.residentBytes)],
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    labels: [],
    help: 'When the process began, in seconds since 1970.',
    read: ({ process }) => [one(process.startSeconds)],
  },
];
