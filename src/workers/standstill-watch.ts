/** Sees which threads stand still, from the main thread, by their heartbeats. */
import type { ServingThread } from './serving-thread.ts';

/** So many looks in a row without a beat, of which a thread that turns has one for nearly each look. */
const stillLooks = 3;
/** So long nothing that is only a pause takes: a collection of garbage, or a configuration that is compiled. */
const stalledLooks = 40;

interface Seen {
  beats: number;
  /** How many looks ago that was. */
  looks: number;
}

/**
 * Looks are counted, and not milliseconds: where the whole process stood still, or the machine slept, nobody has looked
 * meanwhile, and no thread is to blame.
 */
export class StandstillWatch {
  /** Somewhat more than a thread takes from beat to beat. */
  static readonly lookEveryMs = 25;
  private seen = new Map<Pulse, Seen>();

  /**
   * @param threads those that serve.
   * @returns one that has just stood still for a second; null for none.
   */
  look<T extends Pulse>(threads: readonly T[]): T | null {
    const before = this.seen;
    this.seen = new Map();
    let stalled: T | null = null;
    for (const thread of threads) {
      const { beats } = thread;
      const seen = before.get(thread) ?? { beats: -1, looks: 0 };
      seen.looks = seen.beats === beats ? seen.looks + 1 : 0;
      seen.beats = beats;
      this.seen.set(thread, seen);
      if (seen.looks === stalledLooks) stalled = thread;
    }
    return stalled;
  }

  /** Whether a thread does not turn at the moment, as far as was seen. */
  isStill(thread: Pulse): boolean {
    return (this.seen.get(thread)?.looks ?? 0) >= stillLooks;
  }
}

type Pulse = Pick<ServingThread, 'beats'>;
