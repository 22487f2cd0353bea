/** Time as a parameter: production passes `systemClock`, tests a clock they turn by hand. */
export interface Clock {
  /** Monotonic milliseconds; for durations and deadlines. */
  now(): number;
  /** Milliseconds since the epoch; for dates in logs and headers only. */
  wallNow(): number;
  /** Calls `callback` every `periodMs` until the returned function is called. Does not keep the process alive. */
  every(periodMs: number, callback: () => void): () => void;
}

/** The global is a getter, and requests ask for the time several times each. */
const monotonic = performance;

export const systemClock: Clock = {
  now: () => monotonic.now(),
  wallNow: () => Date.now(),
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};
