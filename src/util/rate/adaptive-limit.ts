/**
 * How many requests an upstream is given at once when nobody has said how many it bears: found from how long it takes to
 * answer. As long as more at once do not take longer each, there may be more; where they do, they only wait in the
 * upstream instead of here.
 *
 * After the gradient algorithm of Netflix (concurrency-limits, `GradientLimit.java` and `Gradient2Limit.java`: tolerance,
 * head room of √limit, smoothing) as Envoy has taken it up (adaptive concurrency filter, `gradient_controller.cc`: windows of
 * samples, a base that is measured at lower concurrency). Both have a weakness that is seen to here. A base that is an average
 * of what is measured under load rises with the queue that it should find, and the limit with it without end (Gradient2). One
 * that is measured at a concurrency of 3 refuses nearly everybody meanwhile (Envoy). So the base is learned only while at most
 * half of the limit is in use; where that never happens by itself, the limit is halved for two windows every few seconds, as
 * BBR does to find its shortest round trip (draft-ietf-ccwg-bbr, ProbeRTT): halving drains what queue there may be, for it is
 * kept below the other half.
 *
 * Each sample counts for at most eight times the base, so that a few requests that hang say no more than that they are slow.
 * Means of windows are compared, and not minima: a route has quick and slow requests, and the quickest say nothing of the others.
 *
 * All state is a few numbers, changed by one step for a batch of samples, so that it can be in memory that threads share.
 */

/** How many numbers the state has. All zero is the beginning. */
export const adaptiveWords = 10;

const [
  atLimit,
  /** What the mean of a window was without a queue; 0: not known yet. */
  atBase,
  /** The window that is under way: when it began, samples, and the sums of them. */
  atBegan,
  atCount,
  atLatencies,
  atInFlight,
  /** 0: steady, 1: halved and draining, 2: halved and measuring. */
  atPhase,
  /** What the limit was before it was halved last. */
  atWhole,
  /** When it is halved next, and after how long again. */
  atProbe,
  atProbeEvery,
] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/** Half as much again as the base is no sign of a queue. */
const tolerance = 1.5;
/** The most that a window takes from the limit is half of it, before smoothing. */
const steepest = 0.5;
const smoothing = 0.5;
/** How far the base follows a window without a queue. */
const learning = 0.2;
/** A sample counts for at most so many times the base. */
const mostBases = 8;
/** A window has enough samples to compare, and lasts for longer than the changes before it take to be seen. */
const enoughSamples = 20;
const shortestWindowMs = 100;
const longestWindowMs = 5_000;
/** In the first, only what is quick has been answered yet. */
const firstWindowMs = 1_000;
/** Where few come, fewer are enough. */
const patienceMs = 2_000;
const fewSamples = 5;
/** What was begun so long ago says nothing any more. */
const staleMs = 30_000;
const soonestProbeMs = 1_000;
const latestProbeMs = 16_000;
/** A base that has moved by more than this is looked at again soon. */
const movedBy = 0.2;
/** So that little of the time is spent with half the limit. */
const windowsBetweenProbes = 20;
const windowsWhileMoving = 5;

export interface AdaptiveBounds {
  readonly min: number;
  readonly max: number;
}

/** Samples that came together. */
export interface LatencySamples {
  readonly count: number;
  /** The sum of their latencies in milliseconds, each capped by `sampleCap`. */
  readonly latenciesMs: number;
  /** The sum of how many were in flight when each of them began. */
  readonly inFlight: number;
}

/** From here it is adapted. */
const firstLimit = 20;

/** The limit as of now. */
export function adaptedLimit(words: Float64Array, { min, max }: AdaptiveBounds): number {
  const limit = words[atLimit];
  return Math.min(max, Math.max(min, limit > 0 ? Math.floor(limit) : firstLimit));
}

/** What one sample counts for at most. */
export function sampleCap(words: Float64Array): number {
  return words[atBase] > 0 ? mostBases * words[atBase] : Infinity;
}

/** Notes samples, and adapts the limit where a window is full. */
export function adaptLimit(words: Float64Array, nowMs: number, samples: LatencySamples, bounds: AdaptiveBounds): void {
  const isStale = nowMs - words[atBegan] > staleMs && words[atCount] < fewSamples;
  if (words[atLimit] === 0 || isStale) begin(words, nowMs, bounds);
  words[atCount] += samples.count;
  words[atLatencies] += samples.latenciesMs;
  words[atInFlight] += samples.inFlight;

  const elapsedMs = nowMs - words[atBegan];
  const meanMs = words[atLatencies] / words[atCount];
  const shortestMs = words[atBase] === 0 ? firstWindowMs : shortestWindowMs;
  const isLongEnough = elapsedMs >= Math.min(longestWindowMs, Math.max(shortestMs, 2 * meanMs));
  const hasEnough = words[atCount] >= (elapsedMs >= patienceMs ? fewSamples : enoughSamples);
  if (!isLongEnough || !hasEnough) return;
  // Where the clock is too coarse for it, nothing has taken no time.
  endWindow(words, nowMs, Math.max(meanMs, 0.05), bounds);
  words[atBegan] = nowMs;
  words[atCount] = 0;
  words[atLatencies] = 0;
  words[atInFlight] = 0;
}

function begin(words: Float64Array, nowMs: number, bounds: AdaptiveBounds): void {
  if (words[atLimit] === 0) words[atLimit] = adaptedLimit(words, bounds);
  else if (words[atPhase] !== 0) words[atLimit] = words[atWhole];
  words[atPhase] = 0;
  words[atBegan] = nowMs;
  words[atCount] = 0;
  words[atLatencies] = 0;
  words[atInFlight] = 0;
  words[atProbe] = nowMs + soonestProbeMs;
  words[atProbeEvery] = soonestProbeMs;
}

function endWindow(words: Float64Array, nowMs: number, meanMs: number, bounds: AdaptiveBounds): void {
  if (words[atPhase] === 1) {
    // What was in flight before it was halved has gone.
    words[atPhase] = 2;
    return;
  }
  if (words[atPhase] === 2) {
    endProbe(words, nowMs, meanMs);
    return;
  }
  const limit = words[atLimit];
  const isHalfFree = words[atInFlight] / words[atCount] <= limit / 2;
  if (words[atBase] === 0) words[atBase] = meanMs;
  else if (isHalfFree || meanMs < words[atBase]) words[atBase] += learning * (meanMs - words[atBase]);
  if (isHalfFree) {
    // Who has no need of the limit does not say whether there may be more.
    words[atProbe] = nowMs + words[atProbeEvery];
    return;
  }
  const gradient = Math.min(1, Math.max(steepest, (tolerance * words[atBase]) / meanMs));
  const room = Math.sqrt(limit);
  // With all of the room where there is a queue, halving a small limit would not drain it.
  const next = gradient === 1 ? limit + room : limit - smoothing * (limit * (1 - gradient) - room / 2);
  words[atLimit] = Math.min(bounds.max, Math.max(bounds.min, next));
  // A fall by half says that the upstream has less room, or only that all takes longer; which of them is found out at once.
  const hasFallen = words[atLimit] < words[atWhole] / 2;
  if (nowMs >= words[atProbe] || hasFallen) beginProbe(words, bounds);
}

function beginProbe(words: Float64Array, { min }: AdaptiveBounds): void {
  words[atPhase] = 1;
  words[atWhole] = words[atLimit];
  words[atLimit] = Math.max(min, words[atLimit] / 2);
}

function endProbe(words: Float64Array, nowMs: number, meanMs: number): void {
  const hasMoved = Math.abs(meanMs / words[atBase] - 1) > movedBy;
  const everyMs = hasMoved ? soonestProbeMs : Math.min(latestProbeMs, 2 * words[atProbeEvery]);
  words[atBase] = meanMs;
  words[atLimit] = words[atWhole];
  words[atPhase] = 0;
  words[atProbeEvery] = everyMs;
  const windows = hasMoved ? windowsWhileMoving : windowsBetweenProbes;
  words[atProbe] = nowMs + Math.max(everyMs, windows * (nowMs - words[atBegan]));
}
