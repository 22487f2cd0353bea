/**
 * Counts of what is in flight, over all threads: each thread counts for itself, a total is the sum. What a dead thread
 * still held is given back by forgetting its counts. A total is not a limit: two threads may both find it just below one.
 * Whoever must never exceed a limit takes `SharedPermits`.
 *
 * ## Layout, in 32-bit words
 *
 *     0        magic and version of this layout     written once, by `create`
 *     1        counters                             written once
 *     2        threads                              written once
 *     16 …     a row for each thread, a multiple of 64 bytes long, so that no two threads write to one cache line; in it
 *              a cell for each counter. Written by that thread alone, by atomic addition, until it is dead and
 *              `forget` sets its row to 0.
 *
 * Each change is one addition to one word. A thread that dies leaves what it had added and not yet taken away.
 */
export interface CountersShape {
  readonly counters: number;
  /** Thread numbers go from 0 to this, exclusive. */
  readonly threads: number;
}

const magic = 0x5347_4301;
const [atMagic, atCounters, atThreads] = [0, 1, 2];
const headerWords = 16;

export class SharedCounters {
  readonly buffer: SharedArrayBuffer;
  readonly counters: number;
  readonly threads: number;
  private readonly cells: Int32Array;
  private readonly rowWords: number;
  /** Where the calling thread's own row begins. */
  private readonly ownRow: number;

  /** All counts are 0. Hand the buffer to the threads that shall attach. */
  static create({ counters, threads }: CountersShape): SharedArrayBuffer {
    if (!(counters >= 1 && threads >= 1)) throw new RangeError('no counters or no threads');
    const buffer = new SharedArrayBuffer((headerWords + threads * rowWordsFor(counters)) * 4);
    const cells = new Int32Array(buffer);
    cells[atMagic] = magic;
    cells[atCounters] = counters;
    cells[atThreads] = threads;
    return buffer;
  }

  /**
   * @param thread the number of the calling thread; no other living thread has it.
   * @throws {TypeError} when the buffer holds no counters.
   */
  static attach(buffer: SharedArrayBuffer, thread: number): SharedCounters {
    return new SharedCounters(buffer, thread);
  }

  private constructor(buffer: SharedArrayBuffer, thread: number) {
    this.buffer = buffer;
    this.cells = new Int32Array(buffer);
    if (this.cells[atMagic] !== magic) throw new TypeError('the buffer holds no shared counters');
    this.counters = this.cells[atCounters];
    this.threads = this.cells[atThreads];
    this.rowWords = rowWordsFor(this.counters);
    this.ownRow = this.rowOf(thread);
  }

  increment(counter: number): void {
    Atomics.add(this.cells, this.ownRow + counter, 1);
  }

  /** Only what this thread has incremented. */
  decrement(counter: number): void {
    Atomics.sub(this.cells, this.ownRow + counter, 1);
  }

  /** The sum over all threads; while they count, that of some moments close together. */
  total(counter: number): number {
    let total = 0;
    for (let thread = 0; thread < this.threads; thread++) {
      total += Atomics.load(this.cells, headerWords + thread * this.rowWords + counter);
    }
    return total;
  }

  /** Gives back all that a thread held. Only once it has exited, and before its successor attaches. */
  forget(thread: number): void {
    const row = this.rowOf(thread);
    for (let counter = 0; counter < this.counters; counter++) Atomics.store(this.cells, row + counter, 0);
  }

  private rowOf(thread: number): number {
    if (!(Number.isInteger(thread) && thread >= 0 && thread < this.threads)) {
      throw new RangeError(`no such thread: ${thread} of ${this.threads}`);
    }
    return headerWords + thread * this.rowWords;
  }
}

function rowWordsFor(counters: number): number {
  return Math.ceil(counters / 16) * 16;
}
