/** A clock that tests turn by hand. */
import type { Clock } from '../../src/util/clock.ts';

export class FakeClock implements Clock {
  private monotonicMs = 0;
  private wallMs: number;
  private readonly timers = new Set<{ readonly periodMs: number; readonly callback: () => void; dueMs: number }>();

  constructor(wallMs: number = Date.UTC(2026, 0, 1)) {
    this.wallMs = wallMs;
  }

  now(): number {
    return this.monotonicMs;
  }

  wallNow(): number {
    return this.wallMs;
  }

  every(periodMs: number, callback: () => void): () => void {
    const timer = { periodMs, callback, dueMs: this.monotonicMs + periodMs };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** How many timers have not been stopped. */
  get running(): number {
    return this.timers.size;
  }

  /** Lets time pass; whatever becomes due is called in order. */
  advance(ms: number): void {
    const end = this.monotonicMs + ms;
    for (;;) {
      const next = [...this.timers]
        .filter(({ dueMs }) => dueMs <= end)
        .toSorted((a, b) => a.dueMs - b.dueMs)
        .at(0);
      if (next === undefined) break;
      this.moveTo(next.dueMs);
      next.dueMs += next.periodMs;
      next.callback();
    }
    this.moveTo(end);
  }

  private moveTo(monotonicMs: number): void {
    this.wallMs += monotonicMs - this.monotonicMs;
    this.monotonicMs = monotonicMs;
  }
}
