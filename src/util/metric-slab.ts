/**
 * The metrics of one thread in shared memory. The thread writes, the main thread reads (`MetricMerge`).
 *
 * A series (a family of metrics with a value for each of its labels) is looked up once and is a number from then on, so
 * that to record is to add to an element of an array: no atomic operation, no text, no map. There are at most as many series as the slab
 * was made for. What comes after that is recorded in its family's `other`, the series whose labels all say so, and is
 * counted. The slab belongs to the number of the thread, not to its life: a successor attaches to it and counts on, so
 * that no counter ever goes back.
 *
 * ## Layout; widths in brackets, everything written by the owner alone unless said otherwise
 *
 *     header      [int32 × 16]          0 magic and version, 1 series there is room for, 2 cells for each, 3 room for text,
 *                                       4 a hash of the families: written once, by `create`;
 *                                       5 series there are: stored atomically, after all that belongs to the series;
 *                                       6 series that found no room
 *                                       7 text that is in use
 *     directory   [int32 × 6 each]      family, where the text begins, its length, room for it, the generation, unused
 *     cells       [float64 × n each]    a counter has its value; a histogram its sum, then how many values were in each
 *                                       bucket and not in the one before, the last bucket being what is above all bounds
 *     text        [uint16 each]         label values as JSON, in UTF-16 code units
 *
 * ## Places that are free again
 *
 * What a series was for may be gone, and then its place can be another's. The generation of a place says whose it is, and is
 * stored atomically: it is odd while the place is nobody's. To give a place up is to make it odd and nothing else, so that a
 * reader who has just looked still reads what is right. It is only reused after `settle`, which is called much later than
 * any reading takes: then all that belongs to the new series is written, and its generation, which is even, after that.
 *
 * ## What a reader sees
 *
 * It loads the number of series atomically, so everything in the directory and the text below it is there. Cells are plain,
 * aligned 64-bit doubles that one thread writes and that only grow. On every processor that Node supports in 64
 * bits a store of such a double is one instruction, and a load sees all of it or nothing; ECMAScript alone would promise
 * that for 32 bits only. So a reader sees an old value or a new one, and never less than it saw before. Two
 * cells are not read at one moment: the sum of a histogram may be one value ahead of its buckets or behind. How many values it has is
 * the sum of its buckets, and not stored, so that these agree at all times.
 */
import { KeyedHash } from './keyed-hash.ts';

/** Metrics of one name. All threads and the reader declare the same ones, in the same order. */
export interface MetricFamily {
  readonly name: string;
  readonly labels: readonly string[];
  /** A histogram: the upper bounds of its buckets, inclusive and ascending; above the last one there is one more. */
  readonly bounds?: readonly number[];
  /**
   * The part of all series, of whichever family, beyond which there are no new ones of this: what clients could make many of
   * is not to take the room of what they cannot. By default 1.
   */
  readonly share?: number;
}

export interface SlabShape {
  readonly families: readonly MetricFamily[];
  /** Series there is room for, with one `other` for each family among them. */
  readonly maxSeries: number;
}

const magic = 0x5347_4d01;
const headerWords = 16;
const [atMagic, atMaxSeries, atWidth, atTextRoom, atFamilies, atSeries, atDropped, atTextUsed] = [
  0, 1, 2, 3, 4, 5, 6, 7,
];
const entryWords = 6;
const [atFamily, atText, atTextLength, atRoom, atGeneration] = [0, 1, 2, 3, 4];
/** Room for label values: on average for each series, and for one at most. Series with longer ones are `other`. */
const textPerSeries = 128;
const maxTextPerSeries = 1024;
const maxDroppedKnown = 10_000;

export class MetricSlab {
  readonly buffer: SharedArrayBuffer;
  readonly families: readonly MetricFamily[];
  /**
   * How many series there may be, if that is less than there is room for. Those that there are stay when it becomes less.
   * For the thread that writes, and only known to it.
   */
  limit: number;
  /** Another one when places were given up: numbers that were kept may be those of other series then. */
  epoch = 0;
  private readonly header: Int32Array;
  private readonly directory: Int32Array;
  private readonly cells: Float64Array;
  private readonly text: Uint16Array;
  private readonly width: number;
  /** Which number a series has, by its family and its text. */
  private readonly numbers = new Map<string, number>();
  /** The bounds of each series that is a histogram. */
  private readonly bounds: (readonly number[] | undefined)[] = [];
  /** Places that nobody has, and those that were given up so lately that somebody may still read them. */
  private free: number[] = [];
  private leaving: number[] = [];
  /** Hashes of series that found no room, so that each is counted once. */
  private readonly dropped = new Set<number>();
  private readonly hash = new KeyedHash(crypto.getRandomValues(new Int32Array(4)));

  /** An empty slab. Hand the buffer to the thread that shall write and to the one that shall read. */
  static create({ families, maxSeries }: SlabShape): SharedArrayBuffer {
    if (!(Number.isInteger(maxSeries) && maxSeries >= families.length && families.length > 0)) {
      throw new RangeError(`no room for ${families.length} families in ${maxSeries} series`);
    }
    // The width in doubles is a counter's, or that of the widest histogram: its sum, its buckets and the one above them.
    const width = Math.max(1, ...families.map(({ bounds }) => (bounds === undefined ? 1 : bounds.length + 2)));
    const textRoom = Math.max(maxSeries * textPerSeries, families.length * maxTextPerSeries);
    const layout = layoutOf(maxSeries, width, textRoom);
    const buffer = new SharedArrayBuffer(layout.byteLength);
    const header = new Int32Array(buffer, 0, headerWords);
    header.set([magic, maxSeries, width, textRoom, hashOf(families)], atMagic);
    return buffer;
  }

  /**
   * For the thread that writes, of which there is one at a time, and for readers, which call nothing but what reads.
   * @throws {TypeError} when the buffer holds no slab, or one of other families.
   */
  static attach(buffer: SharedArrayBuffer, families: readonly MetricFamily[]): MetricSlab {
    return new MetricSlab(buffer, families);
  }

  private constructor(buffer: SharedArrayBuffer, families: readonly MetricFamily[]) {
    this.buffer = buffer;
    this.families = families;
    this.header = new Int32Array(buffer, 0, headerWords);
    if (this.header[atMagic] !== magic) throw new TypeError('the buffer holds no metric slab');
    if (this.header[atFamilies] !== hashOf(families)) throw new TypeError('the slab is one of other metric families');
    const [maxSeries, width, textRoom] = [this.header[atMaxSeries], this.header[atWidth], this.header[atTextRoom]];
    const layout = layoutOf(maxSeries, width, textRoom);
    this.limit = maxSeries;
    this.width = width;
    this.directory = new Int32Array(buffer, layout.directoryAt, maxSeries * entryWords);
    this.cells = new Float64Array(buffer, layout.cellsAt, maxSeries * width);
    this.text = new Uint16Array(buffer, layout.textAt, textRoom);
    const { seriesCount } = this;
    for (let series = 0; series < seriesCount; series++) {
      if (this.generationOf(series) % 2 !== 0) {
        this.free.push(series);
        continue;
      }
      const { family, labels } = this.describe(series);
      this.remember(series, families.indexOf(family), JSON.stringify(labels));
    }
  }

  /** Places of series that there are, those that were given up included. */
  get seriesCount(): number {
    return Atomics.load(this.header, atSeries);
  }

  /**
   * Series that found no room and are part of `other`. Each counts once in the life of the thread that met it, which
   * stops counting at 10,000.
   */
  get droppedSeries(): number {
    return Atomics.load(this.header, atDropped);
  }

  /**
   * The number of a series, for `add` or `observe`; to be kept by whoever will record.
   * @param family its index in `families`.
   * @param labels a value for each label of the family.
   */
  series(family: number, labels: readonly string[]): number {
    const text = JSON.stringify(labels);
    const known = this.numbers.get(keyOf(family, text));
    if (known !== undefined) return known;
    if (labels.length !== this.families[family].labels.length) {
      throw new TypeError(`${this.families[family].name} has labels ${this.families[family].labels.join(', ')}`);
    }
    // Whatever may become of the others, a family has a series to fall back on, before it has any else.
    const other = JSON.stringify(labels.map(() => 'other'));
    const fallback = this.numbers.get(keyOf(family, other)) ?? this.append(family, other);
    if (text === other) return fallback;
    if (this.hasRoomFor(family, text)) return this.append(family, text);

    this.countDropped(keyOf(family, text));
    return fallback;
  }

  /** Adds to a counter; never less than 0. */
  add(series: number, amount: number): void {
    this.cells[series * this.width] += amount;
  }

  /** Adds a value to a histogram. What is below 0, or no number, counts as 0, since no sum may go back. */
  observe(series: number, value: number): void {
    const bounds = this.bounds[series];
    if (bounds === undefined) throw new TypeError('a counter is no histogram');
    const at = series * this.width;
    const counted = value > 0 ? value : 0;
    let bucket = 0;
    while (bucket < bounds.length && counted > bounds[bucket]) bucket++;
    this.cells[at] += counted;
    this.cells[at + 1 + bucket] += 1;
  }

  /** Whose a place is: odd for nobody's, and never the same for two series that have it one after the other. */
  generationOf(series: number): number {
    return Atomics.load(this.directory, series * entryWords + atGeneration);
  }

  /** The series of all places that are somebody's. */
  *numbersInUse(): Iterable<number> {
    yield* this.numbers.values();
  }

  /** Gives up the places of series, but for a family's `other`. What they have counted is lost. */
  giveUp(series: readonly number[]): void {
    for (const one of series) {
      const { family, labels } = this.describe(one);
      if (labels.every((label) => label === 'other')) continue;
      this.numbers.delete(keyOf(this.families.indexOf(family), JSON.stringify(labels)));
      Atomics.add(this.directory, one * entryWords + atGeneration, 1);
      this.leaving.push(one);
      this.epoch++;
    }
  }

  /** What was given up before can be reused. To be called when whoever was reading then has long finished. */
  settle(): void {
    this.free.push(...this.leaving);
    this.leaving = [];
  }

  /** What a series is. */
  describe(series: number): { family: MetricFamily; labels: string[] } {
    const entry = series * entryWords;
    const start = this.directory[entry + atText];
    const text = String.fromCharCode(...this.text.subarray(start, start + this.directory[entry + atTextLength]));
    return { family: this.families[this.directory[entry + atFamily]], labels: JSON.parse(text) as string[] };
  }

  /** Adds the cells of a series to others: the value of a counter; the sum and the buckets of a histogram. */
  addTo(series: number, totals: Float64Array): void {
    for (let i = 0; i < totals.length; i++) totals[i] += this.cells[series * this.width + i];
  }

  private countDropped(key: string): void {
    const words = new Int32Array(4);
    this.hash.hash(key, words);
    const hash = (words[0] >>> 0) * 2 ** 20 + (words[1] >>> 12);
    if (this.dropped.has(hash) || this.dropped.size === maxDroppedKnown) return;
    this.dropped.add(hash);
    Atomics.store(this.header, atDropped, this.header[atDropped] + 1);
  }

  /** Whether there is room for a series beside an `other` for every family that has none yet. */
  private hasRoomFor(of: number, text: string): boolean {
    const missing = this.families.filter(
      ({ labels }, family) => !this.numbers.has(keyOf(family, JSON.stringify(labels.map(() => 'other')))),
    );
    const most = Math.min(this.limit, this.header[atMaxSeries]) * (this.families[of].share ?? 1);
    if (this.numbers.size + missing.length >= most || text.length > maxTextPerSeries) return false;
    const placesLeft = this.header[atMaxSeries] - this.header[atSeries] + this.free.length;
    if (placesLeft <= missing.length) return false;
    const isTextFit = this.textUsed + text.length <= this.text.length - missing.length * maxTextPerSeries;
    return isTextFit || this.freeFor(text) !== -1;
  }

  /** Which of the free places has room for a text already. */
  private freeFor(text: string): number {
    return this.free.findIndex((series) => this.directory[series * entryWords + atRoom] >= text.length);
  }

  private append(family: number, text: string): number {
    const fitting = this.freeFor(text);
    // Of those that have not, any: it gets more.
    const isReused = fitting !== -1 || this.free.length > 0;
    const series = isReused ? this.free.splice(fitting, 1)[0] : this.header[atSeries];
    const entry = series * entryWords;
    if (fitting === -1) {
      this.directory[entry + atText] = this.textUsed;
      this.directory[entry + atRoom] = text.length;
      this.header[atTextUsed] += text.length;
    }
    const start = this.directory[entry + atText];
    for (let i = 0; i < text.length; i++) this.text[start + i] = text.charCodeAt(i);
    this.directory[entry + atFamily] = family;
    this.directory[entry + atTextLength] = text.length;
    this.remember(series, family, text);
    if (isReused) {
      this.cells.fill(0, series * this.width, (series + 1) * this.width);
      Atomics.add(this.directory, entry + atGeneration, 1);
    } else Atomics.store(this.header, atSeries, series + 1);
    return series;
  }

  private remember(series: number, family: number, text: string): void {
    this.numbers.set(keyOf(family, text), series);
    this.bounds[series] = this.families[family].bounds;
  }

  private get textUsed(): number {
    return this.header[atTextUsed];
  }
}

function keyOf(family: number, text: string): string {
  return `${family}${text}`;
}

/** Offsets in bytes. */
function layoutOf(maxSeries: number, width: number, textRoom: number) {
  const directoryAt = headerWords * 4;
  const cellsAt = Math.ceil((directoryAt + maxSeries * entryWords * 4) / 64) * 64;
  const textAt = cellsAt + maxSeries * width * 8;
  return { directoryAt, cellsAt, textAt, byteLength: textAt + textRoom * 2 };
}

/** Tells families apart by mistake, not by malice, so the key is no secret. */
function hashOf(families: readonly MetricFamily[]): number {
  const words = new Int32Array(4);
  new KeyedHash(words).hash(JSON.stringify(families), words);
  return words[0];
}
