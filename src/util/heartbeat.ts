/**
 * Lets the main thread see that another thread's event loop hangs: its owner bumps a cell from a timer, and who watches
 * asks for how long the cell has not changed. No times cross between threads, only that something changed, so that the
 * clock is the watcher's own.
 *
 * ## Layout, in 32-bit words
 *
 *     0        magic and version of this layout     written once, by `create`
 *     1        threads                              written once
 *     16 + 16t the beats of thread t, modulo 2³², 64 bytes apart; atomic addition by thread t alone
 */
import type { Clock } from './clock.ts';

const magic = 0x5347_4801;
const wordsPerCell = 16;

export class Heartbeat {
  readonly buffer: SharedArrayBuffer;
  private readonly cells: Int32Array;
  private readonly clock: Clock;
  /** For each thread the beats that were seen last, and when they were seen first. */
  private readonly seen: { beats: number; sinceMs: number }[];

  /** Hand the buffer to the threads that shall beat, whose numbers go from 0 to `threads`, exclusive. */
  static create(threads: number): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer((1 + threads) * wordsPerCell * 4);
    const cells = new Int32Array(buffer);
    cells[0] = magic;
    cells[1] = threads;
    return buffer;
  }

  /** @throws {TypeError} when the buffer holds no heartbeats. */
  static attach(buffer: SharedArrayBuffer, clock: Clock): Heartbeat {
    return new Heartbeat(buffer, clock);
  }

  private constructor(buffer: SharedArrayBuffer, clock: Clock) {
    this.buffer = buffer;
    this.cells = new Int32Array(buffer);
    if (this.cells[0] !== magic) throw new TypeError('the buffer holds no heartbeats');
    this.clock = clock;
    const sinceMs = clock.now();
    this.seen = Array.from({ length: this.cells[1] }, (_, thread) => ({ beats: this.beatsOf(thread), sinceMs }));
  }

  /** Called by the thread itself, from its event loop. */
  beat(thread: number): void {
    Atomics.add(this.cells, (1 + thread) * wordsPerCell, 1);
  }

  /**
   * For how many milliseconds no beat of a thread has been seen, counted from this watcher's first look after the last
   * one. So it is short by at most the time between two looks, and a watcher that was itself late never finds others
   * hanging for that: its first look after a beat starts anew.
   */
  silentMs(thread: number): number {
    const seen = this.seen[thread];
    const beats = this.beatsOf(thread);
    const nowMs = this.clock.now();
    if (beats !== seen.beats) {
      seen.beats = beats;
      seen.sinceMs = nowMs;
    }
    return nowMs - seen.sinceMs;
  }

  /** Counts the silence of a thread from now on, because it has just been started. */
  restart(thread: number): void {
    this.seen[thread] = { beats: this.beatsOf(thread), sinceMs: this.clock.now() };
  }

  private beatsOf(thread: number): number {
    return Atomics.load(this.cells, (1 + thread) * wordsPerCell);
  }
}
