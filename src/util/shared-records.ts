/**
 * Cells in shared memory that hold a record of several words each, and change in one atomic step.
 *
 * No processor compares and swaps more than a few words. So a cell holds no data but says *which* record is its own: a
 * thread copies the record of a cell into a record that is the thread's own (its spare), changes it there, and swaps the
 * two by one compare-and-swap. It wins, and the record it replaced is its new spare; or it loses, nothing has happened,
 * and it starts again from what is there now. There is no lock and no half-made change: whoever dies, at whatever
 * point, leaves every cell as it was before or after.
 *
 * ## Layout, in 32-bit words from the given offset
 *
 *     0           cells              written once, by `format`
 *     1           words per record   written once; a multiple of 2, so that records are aligned to 8 bytes
 *     2           threads            written once
 *     3           records            written once: one for each cell, and a reserve from which spares are taken
 *     4           next               the first record of the reserve that nobody has taken; atomic addition
 *     5           lost               spares that threads took with them when they died; atomic addition
 *     16 + 16t    the spare of thread t, 64 bytes apart: its record + 1, 0 when it never had one, -1 while it commits.
 *                 Written by thread t alone, plainly.
 *     …           heads              64 bits for each cell: the number of its record less its own (low half of the pair)
 *                 and a version that grows by one with every commit. Written by compare-and-swap only. In zeroed memory
 *                 each cell has its own record, so that what is never used is never written and takes no memory.
 *     …           records            written by whoever has one as its spare, plainly
 *
 * ## Why this is right
 *
 * - A record is in one place: it belongs to one cell or is one thread's spare. `commit` exchanges two of them, and only
 *   the owner of a spare writes to it. So a record is never written while it is a cell's.
 * - What is read from a record may be torn, if meanwhile it was replaced and is somebody's spare. A reader must
 *   therefore not believe it before `commit` or `isCurrent` has returned true. Either is a compare-and-swap, which
 *   orders the reads before it also on ARM, where a plain load of the head would not.
 * - The head of a cell returns to an earlier value only after 2³² commits to that cell. To mistake one for the other, a
 *   thread would have to stand still between `read` and `commit` for exactly that many, minutes at the fastest, and
 *   find the same record there.
 * - A commit fails only because another one succeeded, so that all threads together always make progress.
 * - A thread that dies in `commit` between the swap and the note of its new spare leaves -1: nobody can tell which of two
 *   records was its own. That record is lost and counted, and the thread's successor takes one of the reserve. The way
 *   from one instruction to the other has no point at which V8 would end a thread, so that the reserve is for the
 *   unforeseen.
 *
 * One thread number is used by at most one living thread: a successor attaches once its predecessor has exited. Within
 * a thread there may be several `SharedRecords` over the same memory.
 */
export interface RecordsShape {
  readonly cells: number;
  readonly wordsPerRecord: number;
  /** Thread numbers go from 0 to this, exclusive. */
  readonly threads: number;
}

const headerWords = 16;
/** 64 bytes, so that two threads never write to one cache line. */
const wordsPerSpare = 16;
const [atCells, atWordsPerRecord, atThreads, atRecords, atNext, atLost] = [0, 1, 2, 3, 4, 5];
const isCommitting = -1;

export class SharedRecords {
  /** The whole buffer; `read` and `spare` return indexes into it. */
  readonly ints: Int32Array;
  /** The same memory; its indexes are half of those of `ints`. */
  readonly floats: Float64Array;
  /** The same again, for copying: no bits of a word change on their way, as those of a number that is none may. */
  readonly pairsOfWords: BigInt64Array;
  readonly cells: number;
  readonly wordsPerRecord: number;
  readonly threads: number;

  private readonly base: number;
  private readonly spareAt: number;
  private readonly recordsAt: number;
  private readonly headsAt: number;
  private readonly heads: BigInt64Array;

  /** The cell that was read last, its head as it was then, and the head to be: the two halves of each. */
  private cell = 0;
  private readonly halves = new Int32Array(4);
  private readonly pairs = new BigInt64Array(this.halves.buffer);

  /** Bytes that records of this shape need; a multiple of 64. */
  static byteLength(shape: RecordsShape): number {
    const layout = layoutOf(shape);
    return alignTo(16, layout.recordsAt + layout.records * layout.wordsPerRecord) * 4;
  }

  /** Makes the records in zeroed memory; all words of all records are 0. Once, before anybody attaches. */
  static format(buffer: SharedArrayBuffer, byteOffset: number, shape: RecordsShape): void {
    const layout = layoutOf(shape);
    const ints = new Int32Array(buffer, byteOffset, headerWords);
    ints[atCells] = shape.cells;
    ints[atWordsPerRecord] = layout.wordsPerRecord;
    ints[atThreads] = shape.threads;
    ints[atRecords] = layout.records;
    ints[atNext] = shape.cells;
  }

  /**
   * @param byteOffset where `format` made them; a multiple of 64.
   * @param thread the number of the calling thread.
   * @throws {RangeError} when there is no such thread number, or so many threads died while they committed that no
   * spare is left.
   */
  constructor(buffer: SharedArrayBuffer, byteOffset: number, thread: number) {
    this.ints = new Int32Array(buffer);
    this.floats = new Float64Array(buffer);
    this.pairsOfWords = new BigInt64Array(buffer);
    this.base = byteOffset / 4;
    this.cells = this.ints[this.base + atCells];
    this.wordsPerRecord = this.ints[this.base + atWordsPerRecord];
    this.threads = this.ints[this.base + atThreads];
    if (!(Number.isInteger(thread) && thread >= 0 && thread < this.threads)) {
      throw new RangeError(`no such thread: ${thread} of ${this.threads}`);
    }
    const layout = layoutOf(this);
    this.recordsAt = this.base + layout.recordsAt;
    this.headsAt = this.base + layout.headsAt;
    this.heads = new BigInt64Array(buffer, byteOffset + layout.headsAt * 4, this.cells);
    this.spareAt = this.base + headerWords + thread * wordsPerSpare;
    if (this.ints[this.spareAt] <= 0) this.takeSpare();
  }

  /** Spares that died with their thread. */
  get lost(): number {
    return Atomics.load(this.ints, this.base + atLost);
  }

  /** Where in `ints` the record of a cell begins. The last cell that was read is the one that `commit` is about. */
  read(cell: number): number {
    this.pairs[0] = Atomics.load(this.heads, cell);
    this.cell = cell;
    return this.recordsAt + (cell + this.halves[0]) * this.wordsPerRecord;
  }

  /** Another number after each commit to a cell (modulo 2³²): what has the same one as before has not changed since. */
  versionOf(cell: number): number {
    return Atomics.load(this.ints, this.headsAt + cell * 2 + 1);
  }

  /** The same as it was a moment ago, and in no order with other reads; for a look at very many, at a quarter of the cost. */
  peekVersion(cell: number): number {
    return this.ints[this.headsAt + cell * 2 + 1];
  }

  /** Where in `ints` this thread's own record begins. It holds anything; all of its words have to be written. */
  spare(): number {
    return this.recordsAt + (this.ints[this.spareAt] - 1) * this.wordsPerRecord;
  }

  /** Whether the record that was read has been the cell's until now, and what was read from it is therefore true. */
  isCurrent(): boolean {
    const head = this.pairs[0];
    return Atomics.compareExchange(this.heads, this.cell, head, head) === head;
  }

  /** Makes the spare the record of the cell; false, without any effect, when the cell has changed since it was read. */
  commit(): boolean {
    const { ints, spareAt, cell, halves, pairs } = this;
    const spare = ints[spareAt];
    const head = pairs[0];
    halves[2] = spare - 1 - cell;
    halves[3] = (halves[1] + 1) | 0;
    ints[spareAt] = isCommitting;
    const isDone = Atomics.compareExchange(this.heads, cell, head, pairs[1]) === head;
    ints[spareAt] = isDone ? cell + halves[0] + 1 : spare;
    return isDone;
  }

  private takeSpare(): void {
    const { ints, base, spareAt } = this;
    if (ints[spareAt] === isCommitting) Atomics.add(ints, base + atLost, 1);
    const record = Atomics.add(ints, base + atNext, 1);
    if (record >= ints[base + atRecords]) {
      Atomics.sub(ints, base + atNext, 1);
      throw new RangeError('no spare record is left: too many threads died while they wrote');
    }
    ints[spareAt] = record + 1;
  }
}

function layoutOf({ cells, wordsPerRecord, threads }: RecordsShape) {
  if (!(cells >= 1 && wordsPerRecord >= 1 && threads >= 1)) throw new RangeError('no cells, words or threads');
  const headsAt = headerWords + threads * wordsPerSpare;
  return {
    headsAt,
    recordsAt: alignTo(16, headsAt + cells * 2),
    wordsPerRecord: alignTo(2, wordsPerRecord),
    records: cells + threads + 64,
  };
}

function alignTo(unit: number, value: number): number {
  return Math.ceil(value / unit) * unit;
}
