/**
 * Counts within periods of the calendar. Which one it is depends on the wall clock, which can be set; how long an entry is
 * kept does not. When the clock is put back, what was charged in the period that had begun already counts on: nothing is
 * given out twice. Put forward, it begins the next period, as time would have done.
 */
import type { Period } from './calendar-period.ts';
import type { DebitDecision, RateAlgorithm, UndoDecision } from './rate-algorithm.ts';

/** Where in an entry are what was charged, and when the period has begun that it was charged in (of the wall clock). */
export const calendarWords = { count: 0, period: 1 } as const;

const { count: atCount, period: atPeriod } = calendarWords;
/** An entry is kept for longer than its period, so that a clock that is put back by up to a day finds it. */
const graceMs = 86_400_000;

export class CalendarWindow implements RateAlgorithm {
  cost = 1;
  isAllowed = false;
  remaining = 0;
  resetMs = 0;
  moreMs = 0;
  retryMs = 0;
  mark = 0;
  readonly undo: UndoDecision;
  readonly debit: DebitDecision;
  private readonly limit: number;
  private readonly period: () => Period;
  private readonly wallNow: () => number;

  /** @param period the one that it is now. */
  constructor(limit: number, period: () => Period, wallNow: () => number) {
    this.limit = limit;
    this.period = period;
    this.wallNow = wallNow;
    this.undo = new UndoInPeriod();
    this.debit = { cost: 0, decide: (words, isNew, nowMs) => this.add(words, isNew, nowMs) };
  }

  decide(words: Float64Array, isNew: boolean, nowMs: number): number {
    const { limit, cost } = this;
    const { startMs } = this.period();
    const isKnown = !isNew && words[atPeriod] >= startMs;
    const count = isKnown ? words[atCount] : 0;
    const leftMs = this.leftMs();
    this.isAllowed = count + cost <= limit;
    const charged = this.isAllowed ? count + cost : count;
    this.remaining = Math.max(0, limit - charged);
    this.resetMs = leftMs;
    this.moreMs = leftMs;
    this.retryMs = this.isAllowed ? 0 : cost > limit ? Infinity : leftMs;
    if (!this.isAllowed || cost === 0) return NaN;
    words[atCount] = charged;
    words[atPeriod] = isKnown ? words[atPeriod] : startMs;
    this.mark = words[atPeriod];
    return this.expiry(nowMs, charged);
  }

  /** It counts in the period in which it is known. */
  private add(words: Float64Array, isNew: boolean, nowMs: number): number {
    const { startMs } = this.period();
    const isKnown = !isNew && words[atPeriod] >= startMs;
    words[atCount] = (isKnown ? words[atCount] : 0) + this.debit.cost;
    words[atPeriod] = isKnown ? words[atPeriod] : startMs;
    return this.expiry(nowMs, words[atCount]);
  }

  private leftMs(): number {
    return Math.max(1, this.period().endMs - this.wallNow());
  }

  /** Those with more in them are kept longest. */
  private expiry(nowMs: number, count: number): number {
    return nowMs + this.leftMs() + graceMs * (1 + Math.min(2, count / this.limit));
  }
}

/** How long the entry is kept stays as it is: the latest charge has said so. */
class UndoInPeriod implements UndoDecision {
  cost = 0;
  back = 0;
  chargedAtMs = 0;
  mark = 0;
  decide(words: Float64Array, isNew: boolean, _nowMs: number, expiresAtMs: number): number {
    if (isNew || words[atPeriod] !== this.mark) return NaN;
    words[atCount] = Math.max(0, words[atCount] - this.back);
    return expiresAtMs;
  }
}
