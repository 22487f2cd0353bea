/**
 * At most `limit` within any span as long as the window, exactly. What was admitted is kept as a log of up to 24 groups: when
 * the last of a group came, and how many there are. A group leaves the window as a whole, with its last one, so that the log
 * errs to one side only: a limit of up to 24 is used to the full, of a larger one a few permits may be free later than
 * they need to be. When a group more is wanted than there are, the two neighbours become one that lose the least by it.
 */
import type { WindowRule } from './fixed-window.ts';
import type { DebitDecision, RateAlgorithm, UndoDecision } from './rate-algorithm.ts';

const groups = 24;
/** Numbers of an entry: how many groups there are; then of each when its last one came, and how many it has. */
export const slidingWindowWords = 1 + 2 * groups;

const atOf = (group: number): number => 1 + 2 * group;
const countOf = (group: number): number => 2 + 2 * group;

/** What is shown may be torn; nothing in it is to be believed, least of all how long a loop takes. */
function sizeOf(words: Float64Array): number {
  return Math.min(groups, Math.max(0, Math.trunc(words[0]) || 0));
}

export class SlidingWindow implements RateAlgorithm {
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
    this.undo = new UndoInLog(rule.windowMs, (words) => this.expiryOf(words));
    this.debit = { cost: 0, decide: (words, isNew, nowMs) => this.add(words, isNew, nowMs) };
  }

  decide(words: Float64Array, isNew: boolean, nowMs: number): number {
    const { limit, windowMs } = this.rule;
    const { cost } = this;
    if (isNew) words[0] = 0;
    const count = forgetBefore(words, nowMs - windowMs);
    this.isAllowed = count + cost <= limit;
    const charged = this.isAllowed ? count + cost : count;
    if (this.isAllowed && cost > 0) this.mark = note(words, nowMs, cost);
    const lastMs = lastOf(words);
    this.remaining = Math.max(0, limit - charged);
    this.resetMs = charged === 0 ? 0 : lastMs + windowMs - nowMs;
    this.moreMs = charged === 0 ? 0 : words[atOf(0)] + windowMs - nowMs;
    if (charged > limit) this.moreMs = this.freeInMs(words, charged - limit + 1, nowMs);
    this.retryMs = this.isAllowed ? 0 : cost > limit ? Infinity : this.freeInMs(words, charged + cost - limit, nowMs);
    if (!this.isAllowed || cost === 0) return NaN;
    return lastMs + windowMs + this.rankMs(charged);
  }

  /** It counts from when it is known. */
  private add(words: Float64Array, isNew: boolean, nowMs: number): number {
    if (isNew) words[0] = 0;
    forgetBefore(words, nowMs - this.rule.windowMs);
    note(words, nowMs, this.debit.cost);
    return this.expiryOf(words);
  }

  private expiryOf(words: Float64Array): number {
    return lastOf(words) + this.rule.windowMs + this.rankMs(sumOf(words));
  }

  /** How long until that many have left the window. */
  private freeInMs(words: Float64Array, wanted: number, nowMs: number): number {
    const size = sizeOf(words);
    let freed = 0;
    for (let i = 0; i < size; i++) {
      freed += words[countOf(i)];
      if (freed >= wanted) return words[atOf(i)] + this.rule.windowMs - nowMs;
    }
    return this.rule.windowMs;
  }

  /** Those with more in them are kept longer than they need to be. */
  private rankMs(count: number): number {
    return (this.rule.windowMs * Math.min(count, 2 * this.rule.limit)) / this.rule.limit;
  }
}

/** Drops the groups that have left the window; how many the others have. */
function forgetBefore(words: Float64Array, beforeMs: number): number {
  const size = sizeOf(words);
  let gone = 0;
  while (gone < size && words[atOf(gone)] <= beforeMs) gone++;
  if (gone > 0) words.copyWithin(atOf(0), atOf(gone), atOf(size));
  words[0] = size - gone;
  return sumOf(words);
}

function sumOf(words: Float64Array): number {
  const size = sizeOf(words);
  let sum = 0;
  for (let i = 0; i < size; i++) sum += words[countOf(i)];
  return sum;
}

function lastOf(words: Float64Array): number {
  const size = sizeOf(words);
  return size === 0 ? 0 : words[atOf(size - 1)];
}

/** Adds to the log; the time of it there. A thread whose time is a little behind that of another one adds to the last. */
function note(words: Float64Array, nowMs: number, cost: number): number {
  let size = sizeOf(words);
  const lastMs = lastOf(words);
  if (size > 0 && lastMs >= nowMs) {
    words[countOf(size - 1)] += cost;
    return lastMs;
  }
  if (size === groups) {
    mergeCheapest(words);
    size--;
  }
  words[atOf(size)] = nowMs;
  words[countOf(size)] = cost;
  words[0] = size + 1;
  return nowMs;
}

/** Makes two neighbours one: the earlier ones of both stay as long as the later ones do. */
function mergeCheapest(words: Float64Array): void {
  let cheapest = 0;
  let least = Infinity;
  for (let i = 0; i < groups - 1; i++) {
    const loss = words[countOf(i)] * (words[atOf(i + 1)] - words[atOf(i)]);
    if (loss >= least) continue;
    least = loss;
    cheapest = i;
  }
  words[countOf(cheapest + 1)] += words[countOf(cheapest)];
  words.copyWithin(atOf(cheapest), atOf(cheapest + 1), atOf(groups));
  words[0] = groups - 1;
}

/** The charge is in the first group whose last one came no earlier. */
class UndoInLog implements UndoDecision {
  cost = 0;
  back = 0;
  chargedAtMs = 0;
  mark = 0;
  private readonly windowMs: number;
  private readonly expiryOf: (words: Float64Array) => number;

  constructor(windowMs: number, expiryOf: (words: Float64Array) => number) {
    this.windowMs = windowMs;
    this.expiryOf = expiryOf;
  }

  decide(words: Float64Array, isNew: boolean, nowMs: number): number {
    // Once it has left the window, what stands there is somebody else's.
    if (isNew || this.mark <= nowMs - this.windowMs) return NaN;
    const size = sizeOf(words);
    for (let i = 0; i < size; i++) {
      if (words[atOf(i)] < this.mark) continue;
      words[countOf(i)] -= Math.min(this.back, words[countOf(i)]);
      return this.expiryOf(words);
    }
    return NaN;
  }
}
