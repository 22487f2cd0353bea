/** What limits count in: `LimitStore` in memory that all threads share. */
import { hash } from 'node:crypto';
import type {
  AdaptiveLimit,
  LimitCounter,
  LimitRule,
  LimitStore,
  LimitVerdict,
  MemoryLimiter,
  PermitPool,
} from '../contract.ts';
import { CalendarPeriods } from '../util/rate/calendar-period.ts';
import { CalendarWindow } from '../util/rate/calendar-window.ts';
import { FixedWindow } from '../util/rate/fixed-window.ts';
import { Gcra } from '../util/rate/gcra.ts';
import { type AdaptiveBounds, adaptiveWords } from '../util/rate/adaptive-limit.ts';
import type { RateAlgorithm } from '../util/rate/rate-algorithm.ts';
import { SlidingWindow, slidingWindowWords } from '../util/rate/sliding-window.ts';
import { SharedTable, type TableDecision } from '../util/shared-table.ts';
import { type LimitCount, LimitCounts } from './limit-counts.ts';
import { RefusedCallers, type Refusals } from './refused-callers.ts';
import { SharedAdaptiveLimit } from './shared-adaptive-limit.ts';
import { type PoolUse, SharedPool } from './shared-pool.ts';

/**
 * What all threads have in common. Memory that was never written to costs nothing, so what no limit uses is free.
 *
 * Limits whose windows are long have tables of their own: when a table is full, what expires first makes room, and what was
 * counted for a day must not displace what is counted for a second.
 */
export interface LimitMemory {
  /** Theoretical arrival times for windows of up to a minute. */
  readonly rates: SharedArrayBuffer;
  /** The same for longer ones. */
  readonly longRates: SharedArrayBuffer;
  /** Counts of fixed windows. */
  readonly windows: SharedArrayBuffer;
  /** Counts of days and months. */
  readonly quotas: SharedArrayBuffer;
  /** Logs of sliding windows. */
  readonly logs: SharedArrayBuffer;
  /** Who is on the way, and who waits. */
  readonly permits: SharedArrayBuffer;
  /** Limits that adapt themselves. */
  readonly adaptive: SharedArrayBuffer;
  readonly totals: SharedArrayBuffer;
  /** See `LimitCounts`. */
  readonly counts: SharedArrayBuffer;
  /** See `RefusedCallers`. */
  readonly refused: SharedArrayBuffer;
}

/** Decisions since the gateway has started. */
export interface LimitTotals {
  /** Requests that a limit has refused. */
  readonly refused: number;
  /** Requests that a limit would have refused if it were enforced. */
  readonly wouldRefuse: number;
  /** Keys that were forgotten before their time, because a table was full. */
  readonly evicted: number;
  /** Decisions that were refused because other threads kept changing what stands beside. */
  readonly gaveUp: number;
  /** Decisions that stores were asked for, which several machines have in common. */
  readonly askedOfStores: number;
  /** Decisions that a store should have made and has not, in time or at all. */
  readonly storeFailures: number;
  /** Those of them that were made in the memory of this machine instead. */
  readonly decidedLocally: number;
}

/** How many keys that live at a time each table is made for. */
export interface LimitCapacity {
  readonly rates: number;
  readonly windows: number;
  readonly logs: number;
  readonly permits: number;
}

const defaultCapacity: LimitCapacity = { rates: 1_000_000, windows: 262_144, logs: 32_768, permits: 16_384 };
const longWindowMs = 60_000;
/** One for each use of such a policy; there are never many. */
const adaptiveLimits = 4_096;
const [refusedTotal, wouldRefuseTotal, askedTotal, failedTotal, localTotal] = [0, 1, 2, 3, 4];
const totalsKept = 5;

/** @param threads how many may live at a time. */
export function createLimitMemory(threads: number, capacity: LimitCapacity = defaultCapacity): LimitMemory {
  const table = (keys: number, words: number): SharedArrayBuffer =>
    // One more than there are threads: whoever gives back what a dead one held is none of them.
    SharedTable.create({ capacity: keys, words, threads: threads + 1 });
  return {
    rates: table(capacity.rates, 0),
    longRates: table(capacity.rates, 0),
    windows: table(capacity.windows, 2),
    quotas: table(capacity.windows, 2),
    logs: table(capacity.logs, slidingWindowWords),
    permits: table(capacity.permits, threads),
    adaptive: table(adaptiveLimits, adaptiveWords),
    totals: new SharedArrayBuffer(totalsKept * 8),
    counts: LimitCounts.create(threads + 1),
    refused: RefusedCallers.create(threads + 1),
  };
}

export interface LimitClock {
  /** Monotonic milliseconds, the same for all threads. */
  now(): number;
  wallNow(): number;
}

/** What operators can know and do about limits, without being a request. */
export interface LimitBook {
  /** By what is one limit to operators: see `LimitStore.counter`. Null when there are too many to count each by itself. */
  countOf(identity: string): LimitCount | null;
  /** Whom it has refused most, of those that it has refused within the last hour. */
  refusedMost(identity: string, count: number): readonly Refusals[];
  /** What is left to a key. Charges nothing. */
  consumption(identity: string, rule: LimitRule, key: string): Pick<LimitVerdict, 'remaining' | 'resetMs' | 'moreMs'>;
  /** What a limit that adapts itself is for the moment. */
  adaptedLimit(identity: string, bounds: AdaptiveBounds): number;
  /** How many of a key are on their way, and how many wait. */
  permitsInUse(identity: string, key: string): PoolUse;
  /** From now on nothing has been charged to the key. */
  forgetKey(identity: string, rule: LimitRule, key: string): void;
}

export class SharedLimits implements LimitStore, LimitBook {
  private readonly tables: Readonly<Record<Exclude<keyof LimitMemory, 'totals' | 'counts' | 'refused'>, SharedTable>>;
  private readonly counts: LimitCounts;
  private readonly callers: RefusedCallers;
  private readonly totalCells: BigInt64Array<SharedArrayBuffer>;
  private readonly seat: number;
  private readonly clock: LimitClock;

  /** @param seat a number that no other living thread has. */
  constructor(memory: LimitMemory, seat: number, clock: LimitClock) {
    const attach = (buffer: SharedArrayBuffer): SharedTable => SharedTable.attach(buffer, seat);
    this.tables = {
      rates: attach(memory.rates),
      longRates: attach(memory.longRates),
      windows: attach(memory.windows),
      quotas: attach(memory.quotas),
      logs: attach(memory.logs),
      permits: attach(memory.permits),
      adaptive: attach(memory.adaptive),
    };
    this.counts = new LimitCounts(memory.counts, seat);
    this.callers = new RefusedCallers(memory.refused, seat, clock);
    this.totalCells = new BigInt64Array(memory.totals);
    this.seat = seat;
    this.clock = clock;
  }

  limiter(identity: string, rule: LimitRule): MemoryLimiter {
    const [table, algorithm] = this.algorithmFor(rule);
    return new SharedLimiter(table, algorithm, saltOf(identity), this.clock);
  }

  permits(identity: string, limit: number | AdaptiveLimit, queue: number): PermitPool {
    return new SharedPool(this.tables.permits, saltOf(identity), { seat: this.seat, limit, queue }, this.clock);
  }

  adaptive(identity: string, bounds: AdaptiveBounds): AdaptiveLimit {
    return new SharedAdaptiveLimit(this.tables.adaptive, saltOf(identity), bounds, this.clock);
  }

  adaptedLimit(identity: string, bounds: AdaptiveBounds): number {
    return this.adaptive(identity, bounds).current;
  }

  counter(identity: string): LimitCounter {
    const salt = saltOf(identity);
    return this.counts.counterOf(identity, (caller, isEnforced) => this.callers.add(salt, caller, isEnforced));
  }

  countOf(identity: string): LimitCount | null {
    return this.counts.totalsOf(identity);
  }

  refusedMost(identity: string, count: number): Refusals[] {
    return this.callers.most(saltOf(identity), count);
  }

  consumption(identity: string, rule: LimitRule, key: string): Pick<LimitVerdict, 'remaining' | 'resetMs' | 'moreMs'> {
    const { remaining, resetMs, moreMs } = this.limiter(identity, rule).charge(key, 0);
    return { remaining, resetMs, moreMs };
  }

  permitsInUse(identity: string, key: string): PoolUse {
    return SharedPool.look(this.tables.permits, saltOf(identity), key, this.clock.now());
  }

  forgetKey(identity: string, rule: LimitRule, key: string): void {
    const [table] = this.algorithmFor(rule);
    while (!table.update(key, this.clock.now(), forgotten, saltOf(identity)));
  }

  noteRefusal(isEnforced: boolean): void {
    Atomics.add(this.totalCells, isEnforced ? refusedTotal : wouldRefuseTotal, 1n);
  }

  /** Notes that a store was asked for so many decisions. */
  noteAsked(count: number): void {
    Atomics.add(this.totalCells, askedTotal, BigInt(count));
  }

  /** Notes that a store has not made a decision; `isLocal`: it was made here. */
  noteStoreFailure(isLocal: boolean): void {
    Atomics.add(this.totalCells, failedTotal, 1n);
    if (isLocal) Atomics.add(this.totalCells, localTotal, 1n);
  }

  get totals(): LimitTotals {
    const total = (index: number): number => Number(Atomics.load(this.totalCells, index));
    const tables = Object.values(this.tables);
    return {
      refused: total(refusedTotal),
      wouldRefuse: total(wouldRefuseTotal),
      evicted: tables.reduce((sum, { evicted }) => sum + evicted, 0),
      gaveUp: tables.reduce((sum, { gaveUp }) => sum + gaveUp, 0),
      askedOfStores: total(askedTotal),
      storeFailures: total(failedTotal),
      decidedLocally: total(localTotal),
    };
  }

  /** Gives back what a thread held. Only once it has ended, and before another one gets its seat. */
  forget(seat: number): boolean {
    return SharedPool.forget(this.tables.permits, seat, this.clock.now());
  }

  private algorithmFor(rule: LimitRule): readonly [SharedTable, RateAlgorithm] {
    const { tables, clock } = this;
    switch (rule.algorithm) {
      case 'gcra':
        return [rule.windowMs <= longWindowMs ? tables.rates : tables.longRates, new Gcra(rule)];
      case 'fixed-window':
        return [tables.windows, new FixedWindow(rule)];
      case 'sliding-window':
        return [tables.logs, new SlidingWindow(rule)];
      case 'calendar': {
        const periods = new CalendarPeriods(rule.per, rule.timeZone, () => clock.wallNow());
        return [
          tables.quotas,
          new CalendarWindow(
            rule.limit,
            () => periods.now(),
            () => clock.wallNow(),
          ),
        ];
      }
    }
  }
}

const forgotten: TableDecision = { decide: () => 0 };

/** Of what a limit is, not of who chose the key; so it has to be the same everywhere and needs no secret. */
function saltOf(identity: string): Int32Array {
  const digest = hash('sha256', identity, 'buffer');
  return Int32Array.from({ length: 4 }, (_, i) => digest.readInt32LE(i * 4));
}

class SharedLimiter implements MemoryLimiter {
  private readonly table: SharedTable;
  private readonly algorithm: RateAlgorithm;
  private readonly salt: Int32Array;
  private readonly clock: LimitClock;
  /** The key that was charged last, which for many limits is always the same, and its digest. */
  private lastKey: string | null = null;
  private readonly digest = new Int32Array(4);
  private readonly verdict: { -readonly [K in keyof LimitVerdict]: LimitVerdict[K] } = {
    source: 'memory',
    isAllowed: false,
    remaining: 0,
    resetMs: 0,
    moreMs: 0,
    retryMs: 0,
    chargedAtMs: 0,
    mark: 0,
  };

  constructor(table: SharedTable, algorithm: RateAlgorithm, salt: Int32Array, clock: LimitClock) {
    this.table = table;
    this.algorithm = algorithm;
    this.salt = salt;
    this.clock = clock;
  }

  charge(key: string, cost: number): LimitVerdict {
    const { algorithm, verdict } = this;
    const nowMs = this.clock.now();
    algorithm.cost = cost;
    if (key !== this.lastKey) {
      this.table.digestOf(key, this.salt, this.digest);
      this.lastKey = key;
    }
    const isDecided = this.table.updateDigest(this.digest, nowMs, algorithm);
    // What could not be charged must not pass, or the limit were none.
    verdict.isAllowed = isDecided && algorithm.isAllowed;
    verdict.remaining = isDecided ? algorithm.remaining : 0;
    verdict.resetMs = algorithm.resetMs;
    verdict.moreMs = algorithm.moreMs;
    verdict.retryMs = isDecided ? algorithm.retryMs : 1;
    verdict.chargedAtMs = nowMs;
    verdict.mark = algorithm.mark;
    return verdict;
  }

  undo(key: string, cost: number, { chargedAtMs, mark }: Pick<LimitVerdict, 'chargedAtMs' | 'mark'>): void {
    this.giveBack(key, cost, cost, { chargedAtMs, mark });
  }

  correct(key: string, charged: number, used: number, charge: Pick<LimitVerdict, 'chargedAtMs' | 'mark'>): void {
    if (used < charged) this.giveBack(key, charged, charged - used, charge);
    if (used <= charged) return;
    const { debit } = this.algorithm;
    debit.cost = used - charged;
    this.insist(key, debit);
  }

  private giveBack(
    key: string,
    cost: number,
    back: number,
    { chargedAtMs, mark }: Pick<LimitVerdict, 'chargedAtMs' | 'mark'>,
  ): void {
    const { undo } = this.algorithm;
    undo.cost = cost;
    undo.back = back;
    undo.chargedAtMs = chargedAtMs;
    undo.mark = mark;
    this.table.update(key, this.clock.now(), undo, this.salt);
  }

  /** What was used must not be forgotten because others came first a thousand times. Each of them has made its own step. */
  private insist(key: string, decision: TableDecision): void {
    while (!this.table.update(key, this.clock.now(), decision, this.salt));
  }
}
