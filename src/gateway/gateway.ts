/** What a gateway is, without what it is made of: cheap to import. */
import type { GatewayConfig } from '../config/schema.ts';
import type { ConsumerChange } from '../consumers/consumer-index.ts';
import type { BanTotals } from '../stores/shared-bans.ts';
import type { AttemptTotals } from '../stores/shared-damping.ts';
import type { SheddingCount, SheddingTotals } from '../proxy/shedding.ts';
import type { QuotaKeeping } from '../stores/quota-keeper.ts';
import type { LimitTotals } from '../stores/shared-limits.ts';
import type { CountedMetrics } from '../telemetry/metrics/counted-series.ts';

/** A gateway, wherever its threads are. */
export interface Gateway {
  /** Opens the listeners. Rejects with a `ListenError` if one of them cannot be opened; then none is. */
  start(): Promise<readonly ListenerAddress[]>;
  /**
   * Moves to another configuration, all of it or none: when this rejects, what served before serves on, unchanged. What
   * was begun with the old configuration is finished with it.
   */
  apply(publication: Publication): Promise<readonly ListenerAddress[]>;
  /** How it is at the moment. */
  status(): Promise<GatewayStatus>;
  /**
   * What was counted since the start, by all threads and by those that were there before them.
   * @param maxSeries how many series to tell apart.
   */
  counted(maxSeries: number): GatewayCounts;
  /** Stops accepting, finishes what was begun, and breaks off what is left after the grace. */
  stop(graceMs: number): Promise<void>;
}

/** A configuration on its way to what serves. */
export interface Publication {
  /** Counts up. */
  readonly revision: number;
  readonly config: GatewayConfig;
  /** Values that no log may show. */
  readonly secrets: readonly string[];
  /** Differs when the code that the configuration brings along has changed, which only new threads can run. */
  readonly codeDigest: string;
  /** Instead of `config.consumers`: in what they differ from those that are known. */
  readonly consumers?: ConsumerChange;
}

export interface ListenerAddress {
  readonly name: string;
  /** As in `http://127.0.0.1:8080` or `unix:/run/gw.sock`. */
  readonly url: string;
}

export interface GatewayStatus {
  readonly threads: readonly ThreadStatus[];
  readonly listeners: readonly ListenerStatus[];
  readonly upstreams: readonly UpstreamStatus[];
  /** Attempts to authenticate since the start, of all threads. */
  readonly authentication: AttemptTotals;
  /** Decisions of limits since the start, of all threads. */
  readonly limits: LimitTotals;
  /** How it is with the database of quotas; null without one. */
  readonly quotas: QuotaKeeping | null;
  /** Requests that were refused for `overload` since the start, of all threads. */
  readonly overload: SheddingTotals;
  readonly protection: ProtectionTotals;
}

/** How much there is to do on a thread, and what is refused for it. */
export interface ThreadOverload {
  /** By how much its event loop was late all the time, of the last half second or more. */
  readonly lagMs: number;
  /** Which share of its memory is in use; 0 where that is not looked at. */
  readonly memory: number;
  /** Which share of the requests is refused, by importance. */
  readonly refused: { readonly low: number; readonly normal: number; readonly high: number };
}

/** Who was turned away since the start, of all threads. */
export interface ProtectionTotals {
  /** Connections over what one address may have, or that came too fast. */
  readonly connectionsRefused: number;
  /** Addresses that were forgotten while they counted, because there were too many. */
  readonly addressesForgotten: number;
  readonly bans: BanTotals;
}

export interface GatewayCounts extends CountedMetrics {
  /** Entries of shared memory that were forgotten before their time, besides those of limits. */
  readonly evicted: {
    /** Failed and successful attempts to authenticate. */
    readonly damping: number;
    /** Sessions that were ended, nonces that were used. */
    readonly noted: number;
  };
  /** What `GatewayStatus.overload` says, with the reasons. */
  readonly shed: readonly SheddingCount[];
}

export interface ThreadStatus {
  /** From 0; a replacement gets the number of the thread that it replaces. */
  readonly thread: number;
  /** `silent`: it has not answered lately. */
  readonly state: 'starting' | 'serving' | 'draining' | 'silent';
  /** What it serves; 0 before it does. */
  readonly revision: number;
  /** Wall-clock milliseconds. */
  readonly startedAt: number;
  /** How often it was replaced after it had died or hung. */
  readonly restarts: number;
  /** Open connections of clients. */
  readonly connections: number;
  /** Exchanges that have begun and not ended. */
  readonly inFlight: number;
  /** Exchanges that have ended since it started. */
  readonly served: number;
  /** The longest time that its event loop stood still, of the last half minute or more; 0 if it is not measured. */
  readonly stallMs: number;
  /** Of its heap, what is in use. */
  readonly heapBytes: number;
  /** null where nothing is looked at: there is no `overload` in what it serves. */
  readonly overload: ThreadOverload | null;
}

export interface ListenerStatus extends ListenerAddress {
  /** Open connections of clients, of all threads. */
  readonly connections: number;
}

export interface UpstreamStatus {
  readonly name: string;
  readonly targets: readonly TargetStatus[];
}

export interface TargetStatus {
  /** As configured. */
  readonly url: string;
  readonly weight: number;
  /** Attempts under way, of all threads. */
  readonly inFlight: number;
  /** Open connections to it, of all threads. */
  readonly connections: number;
}

/** What was begun for something that is no longer configured, or served, may take this long; WebSockets included. */
export const drainGraceMs = 30_000;

/** A listener that could not be opened. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

export interface GatewayLog {
  info(message: string, about: Readonly<Record<string, unknown>>): void;
  warn(message: string, about: Readonly<Record<string, unknown>>): void;
  error(message: string, about: Readonly<Record<string, unknown>>): void;
}
