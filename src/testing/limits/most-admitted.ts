/**
 * How many were admitted within a span of time, as far as a client can know. The decision about a request falls at some
 * moment between its being sent and the arrival of its answer, and nobody outside knows at which.
 *
 * - *For certain* within a span are those that were sent no earlier than it begins, and answered before it ends. Whatever the
 *   moments were, they lie within. So no gateway that keeps a limit can ever be seen to break it in this way.
 * - *Possibly* within it are those whose time on the way has any moment in common with it. The truth lies between the two.
 *
 * A span that begins at `x` has a request in it for certain if `answered - span < x <= sent`, and possibly if
 * `sent - span < x <= answered`. So each request has an interval of beginnings, and the most within any span is the most of
 * these intervals that have a point in common: not an estimate, and over all spans there are, not only those of a grid.
 */

/** Of the requests that were admitted, pairwise, by one clock. */
export interface AdmittedTimes {
  readonly sentMs: Float64Array;
  readonly answeredMs: Float64Array;
}

/** The most that were admitted for certain within any span of this length. */
export function mostForCertain({ sentMs, answeredMs }: AdmittedTimes, spanMs: number): number {
  const isWithin = (index: number): boolean => answeredMs[index] - sentMs[index] < spanMs;
  const after = answeredMs.filter((_, index) => isWithin(index)).map((ms) => ms - spanMs);
  const until = sentMs.filter((_, index) => isWithin(index));
  return mostInCommon(after, until);
}

/** The most that may have been admitted within any span of this length. */
export function mostPossible({ sentMs, answeredMs }: AdmittedTimes, spanMs: number): number {
  return mostInCommon(
    sentMs.map((ms) => ms - spanMs),
    Float64Array.from(answeredMs),
  );
}

/** The most of the intervals `(after, until]` that have a point in common. Sorts what it gets. */
function mostInCommon(after: Float64Array, until: Float64Array): number {
  after.sort();
  until.sort();
  let [most, begun] = [0, 0];
  for (let ended = 0; ended < until.length; ended++) {
    // The number of intervals is highest where one of them is about to end.
    while (begun < after.length && after[begun] < until[ended]) begun++;
    most = Math.max(most, begun - ended);
  }
  return most;
}
