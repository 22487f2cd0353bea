/** Who is refused while there is more to do than can be done: see `overload` in the configuration. */
import { type ErrorCode, errors } from '../errors.ts';
import type { Reply } from '../contract.ts';
import type { RouteHandling } from './route.ts';

/** How important a request is, from 0 for the least. The last class is never refused. */
export type ImportanceClass = 0 | 1 | 2 | 3;

export const neverRefused: ImportanceClass = 3;

/** Why a request was refused: its thread was late, or memory was short; and then also for the body that it has. */
const sheddingReasons = ['lag', 'memory', 'body'] as const;

type SheddingReason = (typeof sheddingReasons)[number];

/** Classes that can be refused, in their order. */
const refusable = ['low', 'normal', 'high'] as const;
/** Of the numbers of refusals there is one for each class, and that for each reason. */
const cellOf = (importance: number, reason: SheddingReason): number =>
  sheddingReasons.indexOf(reason) * refusable.length + importance;
const bodiesBegin = cellOf(0, 'body');

/** Requests that were refused since the start, of all threads. */
export interface SheddingTotals {
  readonly low: number;
  readonly normal: number;
  readonly high: number;
  /** Requests that were refused because their bodies would have had to be kept when memory was short. */
  readonly bodies: number;
}

/** Requests that were refused since the start, of all threads, for one reason. */
export interface SheddingCount {
  readonly importance: (typeof refusable)[number];
  readonly reason: SheddingReason;
  readonly count: number;
}

/**
 * From one request of a class to the next this is added, modulo 1. Multiples of the golden ratio are spread evenly, also of
 * every second, third … request (Weyl): a share of requests is refused, and no client that comes at a certain beat is always
 * one of them. So it needs no randomness.
 */
const goldenRatio = (Math.sqrt(5) - 1) / 2;

/** A body that is larger than this, or may be, is not kept while memory is short. */
const smallBody = 65_536;

/** What the requests of one thread ask. */
export class Shedding {
  /** See `LoadWatch.level`. 0 nearly always, and then nothing else is looked at. */
  level = 0;
  isMemoryShort = false;
  private levelCell = cellOf(0, 'lag');
  private readonly totals: BigInt64Array;
  private readonly positions = [0, 0, 0];
  private reply: Reply = refusal(5_000);

  /** Memory that all threads count in. */
  static createTotals(): SharedArrayBuffer {
    return new SharedArrayBuffer(sheddingReasons.length * refusable.length * 8);
  }

  static totalsIn(memory: SharedArrayBuffer): SheddingTotals {
    const totals = { low: 0, normal: 0, high: 0, bodies: 0 };
    for (const { importance, reason, count } of Shedding.countsIn(memory)) {
      totals[reason === 'body' ? 'bodies' : importance] += count;
    }
    return totals;
  }

  /** The same, with the reasons told apart. */
  static countsIn(memory: SharedArrayBuffer): SheddingCount[] {
    const cells = new BigInt64Array(memory);
    return sheddingReasons.flatMap((reason) =>
      refusable.map((importance, index) => {
        return { importance, reason, count: Number(Atomics.load(cells, cellOf(index, reason))) };
      }),
    );
  }

  constructor(totals: SharedArrayBuffer) {
    this.totals = new BigInt64Array(totals);
  }

  /** What those who are refused are told. */
  set retryAfterMs(ms: number) {
    this.reply = refusal(ms);
  }

  /** What `level` comes from. */
  set reason(reason: Exclude<SheddingReason, 'body'>) {
    this.levelCell = cellOf(0, reason);
  }

  /** Which share of the requests of a class is refused. */
  shareOf(importance: ImportanceClass): number {
    return importance === neverRefused ? 0 : Math.min(1, Math.max(0, this.level - importance));
  }

  /** What a request is answered that has just been routed; null to let it go on. To be asked only while `level` is not 0. */
  refusalFor({ importance, callerMayHave }: RouteHandling): Reply | null {
    if (callerMayHave === null) return this.refuse(importance);
    // Who calls will be known later. Whoever it is may be refused already, and then need not be asked.
    return this.shareOf(callerMayHave) === 1 ? this.count(this.levelCell + callerMayHave) : null;
  }

  /** Decides about one request of the class, for good. */
  refuse(importance: ImportanceClass): Reply | null {
    const share = this.shareOf(importance);
    if (share === 0) return null;
    const position = (this.positions[importance] + goldenRatio) % 1;
    this.positions[importance] = position;
    return position < share ? this.count(this.levelCell + importance) : null;
  }

  /** What a request is answered whose body would have to be kept; null to go on. To be asked only while `isMemoryShort`. */
  refusalOfBody({ importance }: Pick<RouteHandling, 'importance'>, bodyLength: number): Reply | null {
    const isSmall = bodyLength >= 0 && bodyLength <= smallBody;
    return isSmall || importance === neverRefused ? null : this.count(bodiesBegin + importance);
  }

  private count(cell: number): Reply {
    Atomics.add(this.totals, cell, 1n);
    return this.reply;
  }
}

function refusal(retryAfterMs: number): Reply {
  const code: ErrorCode = 'OVERLOADED';
  return {
    status: errors[code].status,
    code,
    reason: 'overload',
    headers: [['retry-after', String(Math.ceil(retryAfterMs / 1_000))]],
  };
}
