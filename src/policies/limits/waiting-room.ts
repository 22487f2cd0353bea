/**
 * Requests of this thread that wait for a permit, in the order in which they came. A permit that this thread gives back goes to the
 * next that waits here at once; for one that another thread gives back it is looked every few milliseconds, and only
 * while somebody waits. How many wait in all threads together the pool knows.
 */
import type { Exchange, PermitPool, PolicyEnv } from '../../contract.ts';

const lookMs = 10;

interface Waiter {
  readonly exchange: Exchange;
  readonly pool: PermitPool;
  readonly key: string;
  readonly untilMs: number;
  readonly onHeld: () => void;
  readonly resolve: (isHeld: boolean) => void;
}

type Line = Set<Waiter>;

export class WaitingRoom {
  private readonly timeoutMs: number;
  private readonly env: Pick<PolicyEnv, 'now' | 'wait'>;
  private readonly waiters = new Map<Exchange, Waiter>();
  private readonly lines = new Map<PermitPool, Map<string, Line>>();
  private isLooking = false;

  /** @param timeoutMs how long one waits; 0: nobody does. */
  constructor(timeoutMs: number, env: Pick<PolicyEnv, 'now' | 'wait'>) {
    this.timeoutMs = timeoutMs;
    this.env = env;
  }

  hasWaiting(pool: PermitPool, key: string): boolean {
    return this.waiters.size > 0 && this.lineFor(pool, key) !== undefined;
  }

  /**
   * Null when there is no room. Otherwise resolves with whether it got a permit; `onHeld` is called at the very moment it has,
   * so that the permit is given back however the exchange ends.
   */
  enter(exchange: Exchange, pool: PermitPool, key: string, onHeld: () => void): Promise<boolean> | null {
    if (this.timeoutMs === 0 || !pool.tryQueue(key)) return null;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter = { exchange, pool, key, untilMs: this.env.now() + this.timeoutMs, onHeld, resolve };
    this.waiters.set(exchange, waiter);
    let ofPool = this.lines.get(pool);
    if (ofPool === undefined) this.lines.set(pool, (ofPool = new Map<string, Line>()));
    const line = ofPool.get(key);
    if (line === undefined) ofPool.set(key, new Set([waiter]));
    else line.add(waiter);
    if (!this.isLooking) void this.look();
    return promise;
  }

  /** The exchange has ended; it may have been waiting. */
  leave(exchange: Exchange): void {
    const waiter = this.waiters.size === 0 ? undefined : this.waiters.get(exchange);
    if (waiter !== undefined) this.giveUp(waiter);
  }

  /** A permit was given back here. */
  callNext(pool: PermitPool, key: string): void {
    if (this.waiters.size === 0) return;
    const line = this.lineFor(pool, key);
    if (line !== undefined) advance(line, (waiter) => this.remove(waiter));
  }

  private lineFor(pool: PermitPool, key: string): Line | undefined {
    return this.lines.get(pool)?.get(key);
  }

  private async look(): Promise<void> {
    this.isLooking = true;
    while (this.waiters.size > 0) {
      await this.env.wait(lookMs);
      const nowMs = this.env.now();
      for (const waiter of this.waiters.values()) if (waiter.untilMs <= nowMs) this.giveUp(waiter);
      for (const ofPool of this.lines.values()) {
        for (const line of ofPool.values()) advance(line, (waiter) => this.remove(waiter));
      }
    }
    this.isLooking = false;
  }

  private giveUp(waiter: Waiter): void {
    this.remove(waiter);
    waiter.pool.leaveQueue(waiter.key);
    waiter.resolve(false);
  }

  private remove(waiter: Waiter): void {
    const { exchange, pool, key } = waiter;
    this.waiters.delete(exchange);
    const ofPool = this.lines.get(pool);
    const line = ofPool?.get(key);
    if (ofPool === undefined || line === undefined) return;
    line.delete(waiter);
    if (line.size === 0) ofPool.delete(key);
    if (ofPool.size === 0) this.lines.delete(pool);
  }
}

/** Lets the first go for as long as there are permits. */
function advance(line: Line, remove: (waiter: Waiter) => void): void {
  for (const waiter of line) {
    if (!waiter.pool.tryAdvance(waiter.key)) return;
    remove(waiter);
    waiter.onHeld();
    waiter.resolve(true);
  }
}
