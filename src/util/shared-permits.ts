/**
 * Permits over all threads: at no moment are more of a kind held than its limit, and what a dead thread held is given back exactly.
 *
 * A kind is one cell of `SharedRecords`, and its record has the share of each thread. So the decision, the total it is
 * made on and the note of who holds the permit are the same compare-and-swap. A total beside the shares would
 * be two writes, and a thread that died between them would leave a permit that is nobody's, or one given back twice. Here a
 * thread that dies has taken the permit and is known to hold it, or has not taken it; the bound of the error is 0.
 *
 * ## Layout, in 32-bit words
 *
 *     0        magic and version of this layout     written once, by `create`
 *     1        gave up    acquisitions refused because other threads kept coming first; atomic addition, modulo 2³²
 *     16 …     `SharedRecords`, one cell for each kind; a record has one word for each thread: how many it holds
 */
import { SharedRecords } from './shared-records.ts';

export interface PermitsShape {
  readonly kinds: number;
  /** Thread numbers go from 0 to this, exclusive. */
  readonly threads: number;
}

const magic = 0x5347_5001;
const [atMagic, atGaveUp] = [0, 1];
const headerWords = 16;
/** Far more than threads could make one lose in a row; still well under a millisecond. */
const maxAttempts = 1000;

export class SharedPermits {
  readonly buffer: SharedArrayBuffer;
  private readonly header: Int32Array;
  private readonly records: SharedRecords;
  private readonly thread: number;
  /** For each kind the releases of this thread that have not come through yet; see `settle`. */
  private readonly owed: Int32Array;

  /** No permit is held. Hand the buffer to the threads that shall attach. */
  static create({ kinds, threads }: PermitsShape): SharedArrayBuffer {
    const shape = { cells: kinds, wordsPerRecord: threads, threads };
    const buffer = new SharedArrayBuffer(headerWords * 4 + SharedRecords.byteLength(shape));
    SharedRecords.format(buffer, headerWords * 4, shape);
    new Int32Array(buffer)[atMagic] = magic;
    return buffer;
  }

  /**
   * @param thread the number of the calling thread; no other living thread has it, and a thread attaches once.
   * @throws {TypeError} when the buffer holds no permits.
   */
  static attach(buffer: SharedArrayBuffer, thread: number): SharedPermits {
    return new SharedPermits(buffer, thread);
  }

  private constructor(buffer: SharedArrayBuffer, thread: number) {
    this.buffer = buffer;
    this.header = new Int32Array(buffer, 0, headerWords);
    if (this.header[atMagic] !== magic) throw new TypeError('the buffer holds no shared permits');
    this.records = new SharedRecords(buffer, headerWords * 4, thread);
    this.thread = thread;
    this.owed = new Int32Array(this.records.cells);
  }

  /** Acquisitions that were refused only because other threads kept coming first, modulo 2³². */
  get gaveUp(): number {
    return Atomics.load(this.header, atGaveUp) >>> 0;
  }

  /**
   * Takes a permit if fewer than `limit` are held over all threads. False takes nothing. After `maxAttempts` permits that
   * came or went in between it is refused as well, and counted.
   */
  tryAcquire(kind: number, limit: number): boolean {
    const { records } = this;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const record = records.read(kind);
      // A permit whose release is still owed is free, and takes no second step.
      const owed = this.owed[kind];
      if (this.sumOf(record) - owed >= limit) {
        if (records.isCurrent()) return false;
      } else if (this.write(record, this.thread, this.heldAt(record, this.thread) - owed + 1)) {
        this.owed[kind] = 0;
        return true;
      }
    }
    Atomics.add(this.header, atGaveUp, 1);
    return false;
  }

  /**
   * Gives a permit back that this thread took.
   * @throws {RangeError} when the thread holds none: somebody released twice, and would let one too many in.
   */
  release(kind: number): void {
    this.owed[kind]++;
    this.settle(kind);
  }

  /** How many are held over all threads; null when other threads kept changing it. */
  total(kind: number): number | null {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const sum = this.sumOf(this.records.read(kind));
      if (this.records.isCurrent()) return sum;
    }
    return null;
  }

  /**
   * Gives back all that a thread held. Only once it has exited, and before its successor attaches.
   * @returns Whether that is done for every kind; if not, it can be called again.
   */
  forget(thread: number): boolean {
    let isDone = true;
    for (let kind = 0; kind < this.records.cells; kind++) {
      if (!this.forgetKind(kind, thread)) isDone = false;
    }
    return isDone;
  }

  private forgetKind(kind: number, thread: number): boolean {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const record = this.records.read(kind);
      if (this.heldAt(record, thread) === 0 ? this.records.isCurrent() : this.write(record, thread, 0)) return true;
    }
    return false;
  }

  /**
   * Gives back what is owed. A release must not be lost, nor repeated without a bound; so one that does not come
   * through stays owed until this thread's next step about that kind.
   */
  private settle(kind: number): void {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const record = this.records.read(kind);
      const share = this.heldAt(record, this.thread) - this.owed[kind];
      if (share < 0 ? !this.records.isCurrent() : !this.write(record, this.thread, share)) continue;
      this.owed[kind] = 0;
      if (share < 0) throw new RangeError('a permit is released that is not held');
      return;
    }
  }

  private heldAt(record: number, thread: number): number {
    return this.records.ints[record + thread];
  }

  private sumOf(record: number): number {
    const { ints, threads } = this.records;
    let sum = 0;
    for (let thread = 0; thread < threads; thread++) sum += ints[record + thread];
    return sum;
  }

  /** Replaces the record that was read by one with another share of one thread; false when it has changed meanwhile. */
  private write(record: number, thread: number, share: number): boolean {
    const { records } = this;
    const spare = records.spare();
    for (let i = 0; i < records.wordsPerRecord; i++) records.ints[spare + i] = records.ints[record + i];
    records.ints[spare + thread] = share;
    return records.commit();
  }
}
