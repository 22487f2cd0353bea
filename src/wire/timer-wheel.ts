/**
 * One coarse timer wheel per thread for all time-outs of connections and exchanges.
 *
 * Arming is what happens on every request, firing hardly ever does. So arming again only writes the new deadline; the
 * timer stays in its slot, and when that slot comes up it is either moved on or, if it was disarmed, dropped. A timer
 * fires less than two ticks late.
 */
import type { Clock } from '../util/clock.ts';

const slots = 512;

export class Timer {
  /** Monotonic time at which it fires; 0 while it is disarmed. Written by the wheel only. */
  deadlineAt = 0;
  /** The tick in whose slot it waits; -1 while it is in none. */
  tick = -1;
  next: Timer | null = null;
  previous: Timer | null = null;
  readonly fire: () => void;

  constructor(fire: () => void) {
    this.fire = fire;
  }

  /** Forgets the deadline. Costs one write. */
  disarm(): void {
    this.deadlineAt = 0;
  }
}

export class TimerWheel {
  /**
   * When what is being done now began: `now`, but for the microseconds since then. To ask the clock costs as much as to
   * parse a header, and a request would ask it six times. Only for what happens in the same turn as `beginTurn`.
   */
  turnAt: number;
  private readonly clock: Clock;
  private readonly tickMs: number;
  private readonly heads: (Timer | null)[] = Array.from({ length: slots }, () => null);
  private currentTick: number;
  private waiting = 0;
  private stopTicking: (() => void) | null = null;

  /** @param tickMs half of how late a timer may fire: it may miss a tick, and the ticks may miss the clock. */
  constructor(clock: Clock, tickMs = 25) {
    this.clock = clock;
    this.tickMs = tickMs;
    this.turnAt = clock.now();
    this.currentTick = Math.floor(this.turnAt / tickMs);
  }

  now(): number {
    return this.clock.now();
  }

  /** Called by whatever begins something that looks at `turnAt`: a request or a response has come, a promise is settled. */
  beginTurn(): void {
    this.turnAt = this.clock.now();
  }

  /** Makes the timer fire once, `delayMs` after `now`, or never if that is Infinity; an earlier deadline is forgotten. */
  arm(timer: Timer, delayMs: number, now = this.clock.now()): void {
    if (delayMs === Infinity) {
      timer.disarm();
      return;
    }
    timer.deadlineAt = now + delayMs;
    const tick = Math.ceil(timer.deadlineAt / this.tickMs);
    // It waits in an earlier slot: when that comes up it is moved on. In a later one it would fire too late.
    if (timer.tick !== -1 && timer.tick <= tick) return;
    if (timer.tick !== -1) this.unlink(timer);
    this.link(timer, tick);
  }

  private link(timer: Timer, tick: number): void {
    if (this.stopTicking === null) this.start();
    this.waiting++;
    timer.tick = Math.max(tick, this.currentTick + 1);
    const slot = timer.tick % slots;
    const first = this.heads[slot]!;
    timer.next = first;
    if (first !== null) first.previous = timer;
    this.heads[slot] = timer;
  }

  private unlink(timer: Timer): void {
    const { previous, next } = timer;
    if (previous === null) this.heads[timer.tick % slots] = next;
    else previous.next = next;
    if (next !== null) next.previous = previous;
    this.release(timer);
  }

  private release(timer: Timer): void {
    timer.next = null;
    timer.previous = null;
    timer.tick = -1;
    this.waiting--;
  }

  private start(): void {
    this.currentTick = Math.floor(this.clock.now() / this.tickMs);
    this.stopTicking = this.clock.every(this.tickMs, () => this.advance());
  }

  /** Works off every slot up to now; after a long stall no more than one round of the wheel. */
  private advance(): void {
    this.beginTurn();
    const now = this.turnAt;
    const nowTick = Math.floor(now / this.tickMs);
    const first = Math.max(this.currentTick + 1, nowTick - slots + 1);
    for (let tick = first; tick <= nowTick; tick++) {
      this.currentTick = tick;
      this.expire(tick % slots, now);
    }
    this.currentTick = Math.max(this.currentTick, nowTick);
    if (this.waiting === 0) {
      this.stopTicking?.();
      this.stopTicking = null;
    }
  }

  private expire(slot: number, now: number): void {
    let timer: Timer | null = this.heads[slot];
    const later: Timer[] = [];
    while (timer !== null) {
      const next: Timer | null = timer.next;
      const { deadlineAt } = timer;
      // Firing one may unlink or link any other, so the rest of the list must stand on its own.
      if (next !== null) next.previous = null;
      this.heads[slot] = next;
      this.release(timer);
      if (deadlineAt !== 0 && deadlineAt <= now) {
        timer.disarm();
        timer.fire();
      } else if (deadlineAt !== 0) {
        later.push(timer);
      }
      timer = this.heads[slot]!;
    }
    for (const waiting of later) {
      // Unless another timer, firing, has armed or disarmed it meanwhile.
      if (waiting.tick === -1 && waiting.deadlineAt !== 0) {
        this.link(waiting, Math.ceil(waiting.deadlineAt / this.tickMs));
      }
    }
  }
}
