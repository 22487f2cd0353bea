/** What was sent and answered, counted: how many, how fast, and how many within any span. */
import type { LimitMeasurement, SpanCount } from './limit-measurement.ts';
import type { Exchanges } from './load-plan.ts';
import { type AdmittedTimes, mostForCertain, mostPossible } from './most-admitted.ts';
import { type PromisedLimit, dueAmong, mostWithin } from './promised-limit.ts';

export type ExchangeCounts = Pick<
  LimitMeasurement,
  | 'spanMs'
  | 'sent'
  | 'admitted'
  | 'refused'
  | 'other'
  | 'failed'
  | 'statuses'
  | 'answers'
  | 'spans'
  | 'window'
  | 'keysBeyond'
  | 'due'
>;

export interface CountRules {
  readonly refusedStatuses: readonly number[];
  /** Whether spans are judged without allowance for the clock of the gateway. */
  readonly hasSameClock: boolean;
  /** Whether nobody can have been counted under these keys before. */
  readonly areKeysNew: boolean;
}

/** What became of a request: no answer, an admission, a refusal, or another answer. */
type Fate = 'failed' | 'admitted' | 'refused' | 'other';

export function countExchanges(exchanges: Exchanges, promised: PromisedLimit, rules: CountRules): ExchangeCounts {
  const { sentMs, answeredMs, status } = exchanges;
  const refused = new Set(rules.refusedStatuses);
  const fates = Array.from(status, (code) => fateOf(code, refused));
  const spanMs = status.length === 0 ? 0 : largest(answeredMs) + largest(sentMs.map((ms) => -ms));
  const spans = spansWithin(promised.windowMs, spanMs).map((length) => new SpanOfAll(promised, length, rules));
  let [due, keysBeyond] = [0, 0];
  for (const indices of byKey(exchanges)) {
    const of = (column: Float64Array, ...wanted: readonly Fate[]): Float64Array =>
      Float64Array.from(indices.filter((index) => wanted.includes(fates[index])).map((index) => column[index]));
    const admitted = { sentMs: of(sentMs, 'admitted'), answeredMs: of(answeredMs, 'admitted') };
    if (spans.filter((span) => span.isBeyond(admitted)).length > 0) keysBeyond++;
    // When each was decided is not known; the gateway has the benefit of the doubt.
    const isFresh = rules.areKeysNew || fates[firstSent(indices, sentMs)] === 'admitted';
    const dueOf = (times: Float64Array): number => dueAmong(promised, times.toSorted(), isFresh);
    due += Math.min(dueOf(of(sentMs, 'admitted', 'refused')), dueOf(of(answeredMs, 'admitted', 'refused')));
  }
  const told = spans.map((span) => span.told());
  const count = (wanted: Fate): number => fates.filter((fate) => fate === wanted).length;
  return {
    spanMs,
    sent: status.length,
    admitted: count('admitted'),
    refused: count('refused'),
    other: count('other'),
    failed: count('failed'),
    statuses: statusesOf(status),
    answers: answerTimes(exchanges),
    spans: told,
    window: told.find(({ spanMs: length }) => length === promised.windowMs)!,
    keysBeyond,
    due,
  };
}

/**
 * What a span is shortened by before it is judged, so that a gateway is not blamed for its clock: clocks that are being set
 * right may differ by a thousandth, and many gateways count in whole milliseconds.
 */
function allowanceMs(spanMs: number): number {
  return 1 + spanMs / 1000;
}

/** Spans of one length, over all keys. */
class SpanOfAll {
  private readonly spanMs: number;
  private readonly judgedMs: number;
  private readonly allowed: number;
  private certain = 0;
  private possible = 0;

  constructor(promised: PromisedLimit, spanMs: number, { hasSameClock }: CountRules) {
    this.spanMs = spanMs;
    this.judgedMs = hasSameClock ? spanMs : Math.max(0, spanMs - allowanceMs(spanMs));
    this.allowed = mostWithin(promised, spanMs);
  }

  /** Takes the times of one key into account. @returns whether it had more than is allowed, for certain. */
  isBeyond(admitted: AdmittedTimes): boolean {
    const certain = mostForCertain(admitted, this.judgedMs);
    this.certain = Math.max(this.certain, certain);
    this.possible = Math.max(this.possible, mostPossible(admitted, this.spanMs));
    return certain > this.allowed;
  }

  told(): SpanCount {
    const { spanMs, allowed, certain, possible } = this;
    return { spanMs, allowed, certain, possible };
  }
}

function fateOf(status: number, refused: ReadonlySet<number>): Fate {
  if (status === 0) return 'failed';
  if (refused.has(status)) return 'refused';
  return status >= 200 && status < 400 ? 'admitted' : 'other';
}

/** The window, parts and multiples of it as far as the measurement reaches, and all of the measurement. */
function spansWithin(windowMs: number, wholeMs: number): number[] {
  const lengths = [windowMs / 10, windowMs / 2, 2 * windowMs, 5 * windowMs, 10 * windowMs];
  const whole = Math.ceil(wholeMs) + 1;
  const fitting = lengths.filter((length) => length >= 10 && length < whole);
  return [...new Set([...fitting, windowMs, whole])].toSorted((a, b) => a - b);
}

function byKey({ key }: Exchanges): number[][] {
  const groups = new Map<number, number[]>();
  for (const [index, one] of key.entries()) {
    const group = groups.get(one);
    if (group === undefined) groups.set(one, [index]);
    else group.push(index);
  }
  return [...groups.values()];
}

function firstSent(indices: readonly number[], sentMs: Float64Array): number {
  return indices.reduce((first, index) => (sentMs[index] < sentMs[first] ? index : first), indices[0]);
}

function statusesOf(status: Uint16Array): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const code of status) if (code !== 0) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

function answerTimes({ sentMs, answeredMs, status }: Exchanges): LimitMeasurement['answers'] {
  const times = answeredMs.map((ms, index) => ms - sentMs[index]).filter((_, index) => status[index] !== 0);
  times.sort();
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99), longestMs: at(1) };
}

function largest(values: Float64Array): number {
  let most = -Infinity;
  for (const value of values) most = Math.max(most, value);
  return most;
}
