/**
 * How fast a request body has to arrive. A client that sends a byte now and then is never still for long, and would hold
 * its connection and one to an upstream for as long as it likes (a slow POST, as slowhttptest sends it).
 */
import type { Timer, TimerWheel } from './timer-wheel.ts';

/** What one more stretch of time costs. */
const bytesPerStretch = 1024;
/** A stretch is the idle time-out; a shorter one is meant for clients that stand still, and this holds instead. */
const minStretchMs = 30_000;
/** Time that is given for nothing. */
const freeStretches = 2;

/** The time that one body may take. Only the client's counts: not while we do not take what it sends. */
export class BodyPace {
  private readonly wheel: TimerWheel;
  private readonly timer: Timer;
  private readonly idleMs: number;
  private readonly stretchMs: number;
  private startedAt: number;
  /** 0 while we read. */
  private pausedAt = 0;

  /** Begins at once. @param timer of the connection, which is armed with the time that is left. */
  constructor(wheel: TimerWheel, timer: Timer, idleMs: number) {
    this.wheel = wheel;
    this.timer = timer;
    this.idleMs = idleMs;
    this.stretchMs = Math.max(idleMs, minStretchMs);
    this.startedAt = wheel.now();
    this.goOn(0);
  }

  /** Gives the client time to send more. @param bytes that have arrived so far. */
  goOn(bytes: number): void {
    const now = this.wheel.now();
    if (this.pausedAt !== 0) this.startedAt += now - this.pausedAt;
    this.pausedAt = 0;
    const allowedMs = (freeStretches + bytes / bytesPerStretch) * this.stretchMs;
    this.wheel.arm(this.timer, Math.max(1, Math.min(this.idleMs, this.startedAt + allowedMs - now)), now);
  }

  /** What has arrived is not taken yet. */
  pause(): void {
    this.pausedAt = this.wheel.now();
    this.timer.disarm();
  }
}
