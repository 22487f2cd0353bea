/** What a limit promises, whoever keeps it: the most within a span of any length, and the least that it has to let pass. */
import type { Rate } from '../../util/units.ts';

export const limitAlgorithms = ['gcra', 'sliding-window', 'fixed-window'] as const;
export type LimitAlgorithm = (typeof limitAlgorithms)[number];

export interface PromisedLimit extends Rate {
  readonly algorithm: LimitAlgorithm;
  /** Of `gcra`: how many may come at once besides the one that is due. Of the others it is 0. */
  readonly burst: number;
}

/** How many may come at once when nobody has come for long. */
export function mostAtOnce({ algorithm, limit, burst }: PromisedLimit): number {
  return algorithm === 'gcra' ? burst + 1 : limit;
}

/**
 * The most that may be admitted within any span of this length, its end exclusive. For a span as long as the window this is
 * the limit and its burst; of `fixed-window` twice the limit, since nobody but the gateway knows where its windows begin.
 */
export function mostWithin(promised: PromisedLimit, spanMs: number): number {
  const { algorithm, limit, windowMs } = promised;
  const windows = Math.ceil(spanMs / windowMs);
  switch (algorithm) {
    case 'gcra':
      // One falls due with each interval; the last of them only with the end, which is not in the span.
      return mostAtOnce(promised) + Math.ceil((spanMs * limit) / windowMs) - 1;
    case 'sliding-window':
      return limit * windows;
    case 'fixed-window':
      return limit * (windows + 1);
  }
}

/**
 * How many of these requests a limit without any fault would admit that decides each at the time given for it.
 * @param timesMs in ascending order.
 * @param isFresh false when there was nothing left as the first of them came; that of windows is then not known.
 */
export function dueAmong(promised: PromisedLimit, timesMs: Float64Array, isFresh = true): number {
  switch (promised.algorithm) {
    case 'gcra':
      return dueByGcra(promised, timesMs, isFresh);
    case 'sliding-window':
      return dueBySlidingWindow(promised, timesMs);
    case 'fixed-window':
      return dueByFixedWindow(promised, timesMs);
  }
}

/** What sums of intervals may be off. */
const roundingMs = 1e-6;

function dueByGcra(promised: PromisedLimit, timesMs: Float64Array, isFresh: boolean): number {
  const intervalMs = promised.windowMs / promised.limit;
  const mostMs = mostAtOnce(promised) * intervalMs;
  let paidAtMs = isFresh ? -Infinity : (timesMs[0] ?? 0) + mostMs;
  let due = 0;
  for (const timeMs of timesMs) {
    const nextMs = Math.max(paidAtMs, timeMs) + intervalMs;
    if (nextMs - timeMs > mostMs + roundingMs) continue;
    paidAtMs = nextMs;
    due++;
  }
  return due;
}

function dueBySlidingWindow({ limit, windowMs }: PromisedLimit, timesMs: Float64Array): number {
  const admittedMs: number[] = [];
  for (const timeMs of timesMs) {
    const before = admittedMs.at(-limit);
    if (before === undefined || before <= timeMs - windowMs) admittedMs.push(timeMs);
  }
  return admittedMs.length;
}

/** Windows that begin with the first request of each; those that begin with a clock let no fewer pass. */
function dueByFixedWindow({ limit, windowMs }: PromisedLimit, timesMs: Float64Array): number {
  let [due, count, endMs] = [0, 0, -Infinity];
  for (const timeMs of timesMs) {
    if (timeMs >= endMs) [count, endMs] = [0, timeMs + windowMs];
    if (count === limit) continue;
    count++;
    due++;
  }
  return due;
}
