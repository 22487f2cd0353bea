/**
 * The generic cell rate algorithm (ITU-T I.371, annex A; as a "virtual scheduler"). All that is kept of a key is one time: when
 * it would have nothing to pay off any more, its *theoretical arrival time*. That is also when its entry expires, so an entry
 * has no other number. Each charge moves it on by the interval of one permit; it may be ahead of the clock by as much as may come at once.
 *
 * It is a bucket of `capacity` permits that is filled at the rate of the limit: within any span of time at most `capacity`
 * and what the rate allows in that span are admitted.
 */
import type { DebitDecision, RateAlgorithm, UndoDecision } from './rate-algorithm.ts';

/** What sums of intervals may be off, in milliseconds: ten nanoseconds. */
const roundingMs = 1e-5;

export interface GcraRule {
  readonly limit: number;
  readonly windowMs: number;
  /** How many may come at once. */
  readonly capacity: number;
}

export class Gcra implements RateAlgorithm {
  cost = 1;
  isAllowed = false;
  remaining = 0;
  resetMs = 0;
  moreMs = 0;
  retryMs = 0;
  mark = 0;
  readonly undo: UndoDecision;
  readonly debit: DebitDecision;
  /** Of one permit. */
  private readonly intervalMs: number;
  /** How far the theoretical arrival time may be ahead. */
  private readonly mostMs: number;

  constructor({ limit, windowMs, capacity }: GcraRule) {
    this.intervalMs = windowMs / limit;
    this.mostMs = capacity * this.intervalMs;
    this.undo = new UndoGcra(this.intervalMs);
    this.debit = new DebitGcra(this.intervalMs, this.mostMs + windowMs);
  }

  decide(_words: Float64Array, _isNew: boolean, nowMs: number, arrivalMs: number): number {
    const debtMs = Math.max(0, arrivalMs - nowMs);
    const chargedMs = debtMs + this.cost * this.intervalMs;
    this.isAllowed = chargedMs <= this.mostMs + roundingMs;
    this.tell(this.isAllowed ? chargedMs : debtMs);
    if (!this.isAllowed) {
      const isPossible = this.cost * this.intervalMs <= this.mostMs + roundingMs;
      this.retryMs = isPossible ? chargedMs - this.mostMs : Infinity;
      return NaN;
    }
    this.retryMs = 0;
    if (this.cost === 0) return NaN;
    this.mark = nowMs + chargedMs;
    return this.mark;
  }

  private tell(debtMs: number): void {
    const left = this.mostMs - debtMs;
    this.remaining = Math.max(0, Math.floor((left + roundingMs) / this.intervalMs));
    this.resetMs = debtMs;
    this.moreMs = debtMs === 0 ? 0 : Math.max(0, (this.remaining + 1) * this.intervalMs - left);
  }
}

/**
 * Without the charge, the key might have had nothing to pay off for a while in which it now had, and that time is gone. How
 * much of the charge is still there is certain in two cases: all of it if nothing else has happened to the key; and, whatever
 * has happened, at least what the time since then has not paid off yet. No more than that is given back. Of a part the same
 * holds: what would have been charged without it is what time pays off first.
 */
class UndoGcra implements UndoDecision {
  cost = 0;
  back = 0;
  chargedAtMs = 0;
  mark = 0;
  private readonly intervalMs: number;

  constructor(intervalMs: number) {
    this.intervalMs = intervalMs;
  }

  decide(_words: Float64Array, isNew: boolean, nowMs: number, arrivalMs: number): number {
    if (isNew) return NaN;
    const backMs = this.back * this.intervalMs;
    const chargeMs = this.cost * this.intervalMs;
    const leftMs =
      arrivalMs === this.mark ? backMs : Math.min(backMs, chargeMs - Math.max(0, nowMs - this.chargedAtMs));
    if (!(leftMs > 0)) return NaN;
    return arrivalMs - leftMs;
  }
}

/** A window and all that may come at once is as long as it can take to pay off; what goes beyond that is forgiven. */
class DebitGcra implements DebitDecision {
  cost = 0;
  private readonly intervalMs: number;
  private readonly mostMs: number;

  constructor(intervalMs: number, mostMs: number) {
    this.intervalMs = intervalMs;
    this.mostMs = mostMs;
  }

  decide(_words: Float64Array, _isNew: boolean, nowMs: number, arrivalMs: number): number {
    const debtMs = Math.max(0, arrivalMs - nowMs);
    return nowMs + Math.max(debtMs, Math.min(this.mostMs, debtMs + this.cost * this.intervalMs));
  }
}
