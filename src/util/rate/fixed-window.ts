/**
 * Counts in windows one after the other: the first that comes opens one, and after its time the next that comes opens another.
 * Within each at most `limit` are admitted, and so within any span as long as a window at most twice as many.
 */
import type { DebitDecision, RateAlgorithm, UndoDecision } from './rate-algorithm.ts';

export interface WindowRule {
  readonly limit: number;
  readonly windowMs: number;
}

const [atCount, atEnd] = [0, 1];

export class FixedWindow implements RateAlgorithm {
  cost = 1;
  isAllowed = false;
  remaining = 0;
  resetMs = 0;
  moreMs = 0;
  retryMs = 0;
  mark = 0;
  readonly undo: UndoDecision;
  readonly debit: DebitDecision;
  private readonly rule: WindowRule;

  constructor(rule: WindowRule) {
    this.rule = rule;
    this.undo = new UndoInWindow((count) => this.rankMs(count));
    this.debit = new DebitInWindow(rule.windowMs, (count) => this.rankMs(count));
  }

  decide(words: Float64Array, isNew: boolean, nowMs: number): number {
    const { limit, windowMs } = this.rule;
    const isOpen = !isNew && words[atEnd] > nowMs;
    const endMs = isOpen ? words[atEnd] : nowMs + windowMs;
    const count = isOpen ? words[atCount] : 0;
    this.isAllowed = count + this.cost <= limit;
    const charged = this.isAllowed ? count + this.cost : count;
    this.remaining = Math.max(0, limit - charged);
    this.resetMs = charged === 0 ? 0 : endMs - nowMs;
    this.moreMs = this.resetMs;
    this.retryMs = this.isAllowed ? 0 : this.cost > limit ? Infinity : endMs - nowMs;
    if (!this.isAllowed || this.cost === 0) return NaN;
    words[atCount] = charged;
    words[atEnd] = endMs;
    this.mark = endMs;
    return endMs + this.rankMs(charged);
  }

  /** All windows of a limit may end at the same time; those with more in them are kept longer than they need to be. */
  private rankMs(count: number): number {
    return (this.rule.windowMs * Math.min(count, 2 * this.rule.limit)) / this.rule.limit;
  }
}

/** A sum knows no order: what was charged in a window can be taken back as long as it is open. */
class UndoInWindow implements UndoDecision {
  cost = 0;
  back = 0;
  chargedAtMs = 0;
  mark = 0;
  private readonly rankMs: (count: number) => number;

  constructor(rankMs: (count: number) => number) {
    this.rankMs = rankMs;
  }

  decide(words: Float64Array, isNew: boolean): number {
    if (isNew || words[atEnd] !== this.mark) return NaN;
    words[atCount] = Math.max(0, words[atCount] - this.back);
    return words[atEnd] + this.rankMs(words[atCount]);
  }
}

/** It counts in the window in which it is known. */
class DebitInWindow implements DebitDecision {
  cost = 0;
  private readonly windowMs: number;
  private readonly rankMs: (count: number) => number;

  constructor(windowMs: number, rankMs: (count: number) => number) {
    this.windowMs = windowMs;
    this.rankMs = rankMs;
  }

  decide(words: Float64Array, isNew: boolean, nowMs: number): number {
    const isOpen = !isNew && words[atEnd] > nowMs;
    words[atEnd] = isOpen ? words[atEnd] : nowMs + this.windowMs;
    words[atCount] = (isOpen ? words[atCount] : 0) + this.cost;
    return words[atEnd] + this.rankMs(words[atCount]);
  }
}
