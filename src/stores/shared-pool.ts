/** How many requests are on their way at once, by key: `PermitPool` in memory that all threads share. */
import type { AdaptiveLimit, PermitPool } from '../contract.ts';
import type { SharedTable, TableDecision } from '../util/shared-table.ts';

/**
 * The entry of a key has a number for each thread: how many it holds, and how many wait in it. So the total that a decision is
 * made on and the note of who holds the permit are one step, and what a dead thread held is known exactly.
 */
const waiting = 2 ** 26;
const heldIn = (share: number): number => share % waiting;
const waitingIn = (share: number): number => Math.floor(share / waiting);

/**
 * An entry is there for as long as somebody holds a permit or waits; then it is forgotten at once. Should a table be full, those
 * with the least make room first, so that many who hold one do not make others forgotten who hold many.
 */
const whileHeld = 2 ** 50;

interface PoolShape {
  readonly seat: number;
  readonly limit: number | AdaptiveLimit;
  /** How many may wait. */
  readonly queue: number;
}

export interface PoolUse {
  readonly held: number;
  readonly waiting: number;
}

export class SharedPool implements PermitPool {
  private readonly table: SharedTable;
  private readonly salt: Int32Array;
  private readonly clock: { now(): number };
  private readonly step: Step;
  private readonly adaptive: AdaptiveLimit | null;
  inFlight = 0;

  /** Gives back all that a thread held. @returns whether that is done for every key; if not, it can be called again. */
  static forget(table: SharedTable, seat: number, nowMs: number): boolean {
    return table.sweep(nowMs, {
      decide(words) {
        if (words[seat] === 0) return NaN;
        words[seat] = 0;
        const left = words.reduce((sum, share) => sum + heldIn(share) + waitingIn(share), 0);
        return left > 0 ? whileHeld + left : 0;
      },
    });
  }

  /** How many permits of a key are held in all threads, and how many wait. */
  static look(table: SharedTable, salt: Int32Array, key: string, nowMs: number): PoolUse {
    let [held, queued] = [0, 0];
    const look: TableDecision = {
      decide(words) {
        [held, queued] = [0, 0];
        for (const share of words) {
          held += heldIn(share);
          queued += waitingIn(share);
        }
        return NaN;
      },
    };
    table.update(key, nowMs, look, salt);
    return { held, waiting: queued };
  }

  constructor(table: SharedTable, salt: Int32Array, shape: PoolShape, clock: { now(): number }) {
    this.table = table;
    this.salt = salt;
    this.clock = clock;
    this.step = new Step(shape);
    this.adaptive = typeof shape.limit === 'number' ? null : shape.limit;
  }

  tryAcquire(key: string): boolean {
    return this.make(key, 1, 0);
  }

  tryQueue(key: string): boolean {
    return this.make(key, 0, 1);
  }

  tryAdvance(key: string): boolean {
    return this.make(key, 1, -1);
  }

  leaveQueue(key: string): void {
    this.giveBack(key, 0, -1);
  }

  release(key: string): void {
    this.giveBack(key, -1, 0);
  }

  private make(key: string, held: number, queued: number): boolean {
    const { step } = this;
    step.held = held;
    step.queued = queued;
    if (this.adaptive !== null) step.limit = this.adaptive.current;
    if (!this.table.update(key, this.clock.now(), step, this.salt) || !step.isDone) return false;
    this.inFlight = step.allHeld;
    return true;
  }

  /**
   * A step is given up only after a thousand others came first. What is to be given back must not be lost, so it is tried
   * again; each of those others has made its own, which cannot go on for long.
   */
  private giveBack(key: string, held: number, queued: number): void {
    const { step } = this;
    step.held = held;
    step.queued = queued;
    while (!this.table.update(key, this.clock.now(), step, this.salt));
  }
}

class Step implements TableDecision {
  held = 0;
  queued = 0;
  limit: number;
  isDone = false;
  /** Of all threads, with what this step has changed. */
  allHeld = 0;
  private readonly shape: PoolShape;

  constructor(shape: PoolShape) {
    this.shape = shape;
    this.limit = typeof shape.limit === 'number' ? shape.limit : shape.limit.current;
  }

  decide(words: Float64Array): number {
    const { held, queued, limit } = this;
    const { seat, queue } = this.shape;
    let allHeld = 0;
    let allWaiting = 0;
    for (const share of words) {
      allHeld += heldIn(share);
      allWaiting += waitingIn(share);
    }
    this.isDone = (held <= 0 || allHeld < limit) && (queued <= 0 || allWaiting < queue);
    // Of an entry that had to make room nothing is left to be given back.
    const [ownHeld, ownWaiting] = [heldIn(words[seat]) + held, waitingIn(words[seat]) + queued];
    if (!this.isDone || ownHeld < 0) return NaN;
    words[seat] = ownHeld + Math.max(0, ownWaiting) * waiting;
    this.allHeld = allHeld + held;
    const left = this.allHeld + Math.max(0, allWaiting + queued);
    return left > 0 ? whileHeld + left : 0;
  }
}
