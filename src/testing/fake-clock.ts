/** A clock that tests turn by hand. */
import type { Clock } from '../util/clock.ts';

interface FakeTimer {
  readonly periodMs: number;
  readonly callback: () => void;
  dueMs: number;
}

export class FakeClock implements Clock {
  private monotonicMs = 0;
  private wallMs: number;
  private readonly timers = new Set<FakeTimer>();

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

  /** The monotonic time of the timer that is due first; Infinity when none runs. */
  get nextDueAt(): number {
    return this.first()?.dueMs ?? Infinity;
  }

  /** Of those that are due at the same time the one that was started first. */
  private first(): FakeTimer | null {
    let first: FakeTimer | null = null;
    for (const timer of this.timers) if (first === null || timer.dueMs < first.dueMs) first = timer;
    return first;
  }

  /** Lets time pass; whatever becomes due is called in order. */
  advance(ms: number): void {
    const end = this.monotonicMs + ms;
    for (;;) {
      const next = this.first();
      if (next === null || next.dueMs > end) break;
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
