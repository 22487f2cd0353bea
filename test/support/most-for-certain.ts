/** Requests that were admitted, by when each came to the limit and when it had passed it. */
export interface Admitted {
  readonly beforeMs: number;
  readonly afterMs: number;
}

/**
 * The most that were admitted within any window for certain: those that came to the limit no earlier than it begins, and had
 * passed it before it ends. When exactly between the two it was decided nobody knows.
 */
export function mostForCertain(admitted: readonly Admitted[], windowMs: number): number {
  const sorted = admitted.toSorted((a, b) => a.beforeMs - b.beforeMs);
  let most = 0;
  for (let from = 0, to = 0; from < sorted.length; from++) {
    const endMs = sorted[from].beforeMs + windowMs;
    while (to < sorted.length && sorted[to].beforeMs < endMs) to++;
    if (to - from <= most) continue;
    most = Math.max(most, sorted.slice(from, to).filter(({ afterMs }) => afterMs < endMs).length);
  }
  return most;
}
