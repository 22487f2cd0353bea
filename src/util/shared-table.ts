/**
 * A hash table of fixed size in shared memory: text keys, a few numbers for each, changed by all threads in single
 * atomic steps. For state that is one truth for the machine: limits, concurrency by key, ejections.
 *
 * A key has one bucket, and a bucket is one record of `SharedRecords` with twelve ways in it, each of which holds
 * the hash of a key, when its entry expires, and the entry's words. Everything that can happen to an entry (it is made,
 * charged, expires and is reused, is evicted, is forgotten) replaces the record of its bucket by one compare-and-swap.
 * From that follows what the callers rely on:
 *
 * - A decision and its charge are one step. What `decide` was shown is what its answer replaces, or the step did
 *   not happen and `decide` is asked again; no update is lost or made twice, also while other keys of the bucket come,
 *   expire and are evicted.
 * - A key has at most one entry: to make one, the whole bucket must still be as it was when the key was not in it.
 * - A step has no middle: a thread that dies leaves no claimed slot, no lock and no half of an entry.
 * - Nobody waits. A step is repeated only when another thread's step in the same bucket succeeded meanwhile, and at most
 *   `maxAttempts` times; then `update` says that it gave up and has changed nothing.
 *
 * Entries whose time is over are as good as free. In a bucket whose entries all live the one that would expire first
 * makes room, and is counted: it is the one with the least to forget, so that a flood of new keys displaces its own
 * kind and not the debt of those who are being limited.
 *
 * Keys are known by a 128-bit keyed hash whose seed is drawn for every table; see `KeyedHash`. A client can neither choose
 * keys that share a bucket nor two that share an entry.
 *
 * ## Layout, in 32-bit words
 *
 *     0        magic and version of this layout     written once, by `create`
 *     1        words of an entry                    written once
 *     2        evicted    entries that made room while they lived; atomic addition, modulo 2³²
 *     3        gave up    updates that did; atomic addition, modulo 2³²
 *     4 … 7    the seed of the hash                 written once
 *     16 …     `SharedRecords`, one cell for each bucket. A record is:
 *                float64 × 12        when the entry of each way expires, in milliseconds; 0: there is none
 *                float64 × 12 × n    the n words of each way
 *                int32 × 12 × 4      the hash of each way
 */
import { KeyedHash } from './keyed-hash.ts';
import { SharedRecords } from './shared-records.ts';

/** What is to become of an entry. Reuse one object and leave results in its fields, and nothing is allocated. */
export interface TableDecision {
  /**
   * Called at least once for each update. Looks at the words of an entry and changes them in place. May be called again
   * when another thread came first, and only the last call counts; so each call has to set all of its results anew, must not
   * touch the table, and must bear any numbers in the words: a call that will not count may be shown torn ones.
   * @param isNew there was no entry, or its time was over; all words are 0.
   * @param expiresAtMs when the entry is going to be forgotten; 0 when it is new.
   * @returns When the entry may be forgotten, in milliseconds of the clock of `nowMs`. At `nowMs` or before: at once.
   * NaN: the entry stays as it was, and changes made to the words are dropped.
   */
  decide(words: Float64Array, isNew: boolean, nowMs: number, expiresAtMs: number): number;
}

/** Room for what a bucket holds. */
export class BucketCopy {
  /** Four words for each way. */
  readonly hashes = new Int32Array(ways * hashWords);
  /** When the entry of each way expires; 0: there is none. */
  readonly expiresAtMs = new Float64Array(ways);
  /** Those of the first way, then those of the second, and so on. */
  readonly words: Float64Array;

  /** @param words of an entry. */
  constructor(words: number) {
    this.words = new Float64Array(ways * words);
  }
}

export interface TableShape {
  /** How many living entries it is made for; there is more room than that, so that hardly any bucket is full. */
  readonly capacity: number;
  /**
   * Numbers in an entry: doubles, so integers up to 2⁵³ are exact. With 0 all that is kept of a key is when its entry
   * expires.
   */
  readonly words: number;
  /** Thread numbers go from 0 to this, exclusive. */
  readonly threads: number;
  /** Four words for the hash; random unless given. */
  readonly seed?: Int32Array;
}

const magic = 0x5347_5401;
const headerWords = 16;
const [atMagic, atWords, atEvicted, atGaveUp, atSeed] = [0, 1, 2, 3, 4];
/**
 * Keys spread over buckets like a Poisson distribution. With twelve ways and so much room, of as many as the table is made for
 * three in ten thousand find their bucket full; with eight ways it would be seven times as many.
 */
const ways = 12;
const roomPerEntry = 2.6;
/** An entry may have one for each thread: of 1024 that serve, with all that are being replaced and still finish something. */
const mostWords = 16_384;
const hashWords = 4;
/** Far more than threads could make one lose in a row; still well under a millisecond. */
const maxAttempts = 1000;
/** Words that are copied one by one. */
const longestLoop = 128;

export class SharedTable {
  readonly buffer: SharedArrayBuffer;
  private readonly header: Int32Array;
  private readonly records: SharedRecords;
  private readonly hash: KeyedHash;
  private readonly digest = new Int32Array(hashWords);
  /** The words of the entry at hand, as `decide` sees them. */
  private readonly words: Float64Array;
  /** Words of 32 bits from the beginning of a record to its hashes. */
  private readonly hashesAt: number;

  /** A new, empty table. Hand its `buffer` to the threads that shall attach. */
  static create({ capacity, words, threads, seed }: TableShape): SharedArrayBuffer {
    if (!(Number.isInteger(capacity) && capacity >= 1 && capacity <= 2 ** 24)) {
      throw new RangeError(`not a capacity from 1 to ${2 ** 24}: ${capacity}`);
    }
    if (!(Number.isInteger(words) && words >= 0 && words <= mostWords)) {
      throw new RangeError(`not 0 to ${mostWords} words: ${words}`);
    }
    const cells = Math.ceil((roomPerEntry * capacity) / ways);
    const shape = { cells, wordsPerRecord: ways * (2 + 2 * words + hashWords), threads };
    const buffer = new SharedArrayBuffer(headerWords * 4 + SharedRecords.byteLength(shape));
    SharedRecords.format(buffer, headerWords * 4, shape);
    const header = new Int32Array(buffer, 0, headerWords);
    header[atMagic] = magic;
    header[atWords] = words;
    header.set((seed ?? crypto.getRandomValues(new Int32Array(hashWords))).subarray(0, hashWords), atSeed);
    return buffer;
  }

  /**
   * @param thread the number of the calling thread; no other living thread has it.
   * @throws {TypeError} when the buffer holds no table.
   */
  static attach(buffer: SharedArrayBuffer, thread: number): SharedTable {
    return new SharedTable(buffer, thread);
  }

  /** The same as `evicted`, for whoever is none of the threads. */
  static evictedIn(buffer: SharedArrayBuffer): number {
    return Atomics.load(new Int32Array(buffer, 0, headerWords), atEvicted) >>> 0;
  }

  /** Gives an empty table another seed. Whoever attached before hashes by the old one. */
  static reseed(buffer: SharedArrayBuffer, seed: Int32Array): void {
    new Int32Array(buffer, 0, headerWords).set(seed.subarray(0, hashWords), atSeed);
  }

  private constructor(buffer: SharedArrayBuffer, thread: number) {
    this.buffer = buffer;
    this.header = new Int32Array(buffer, 0, headerWords);
    if (this.header[atMagic] !== magic) throw new TypeError('the buffer holds no shared table');
    this.records = new SharedRecords(buffer, headerWords * 4, thread);
    this.hash = new KeyedHash(this.header.subarray(atSeed, atSeed + hashWords));
    this.words = new Float64Array(this.header[atWords]);
    this.hashesAt = ways * 2 * (1 + this.words.length);
  }

  /** Entries there is room for. */
  get slots(): number {
    return this.records.cells * ways;
  }

  get buckets(): number {
    return this.records.cells;
  }

  /** What keys are hashed with: with the same one, a key has the same digest in another table. */
  get seed(): Int32Array {
    return this.header.slice(atSeed, atSeed + hashWords);
  }

  /** Entries that made room for others while they lived, modulo 2³². */
  get evicted(): number {
    return Atomics.load(this.header, atEvicted) >>> 0;
  }

  /** Updates that gave up, modulo 2³². */
  get gaveUp(): number {
    return Atomics.load(this.header, atGaveUp) >>> 0;
  }

  /**
   * Decides about the entry of a key and does so, in one step.
   * @param nowMs of a clock that all threads share, as `Clock.now` is within a process.
   * @param salt four words that make the same key another one: whose entries they are, without a longer key to hash. Drawn
   * from what they stand for by a hash that has nothing to do with the table's own.
   * @returns Whether the last decision took effect. False after `maxAttempts` steps of others in between; nothing has
   * changed then, and the caller has to fail in the direction that is safe for it.
   */
  update(key: string, nowMs: number, decision: TableDecision, salt: Int32Array | null = null): boolean {
    this.digestOf(key, salt, this.digest);
    return this.updateOne(nowMs, decision);
  }

  /** Puts into four words what `update` would look for, and `updateDigest` looks for. */
  digestOf(key: string, salt: Int32Array | null, into: Int32Array): void {
    this.hash.hash(key, into);
    if (salt !== null) for (let i = 0; i < hashWords; i++) into[i] ^= salt[i];
  }

  /**
   * The same for a key of which only the digest is known: its hash by this seed, with the salt in it.
   * @param digest four words.
   */
  updateDigest(digest: Int32Array, nowMs: number, decision: TableDecision): boolean {
    for (let i = 0; i < hashWords; i++) this.digest[i] = digest[i];
    return this.updateOne(nowMs, decision);
  }

  /** Which bucket a digest belongs to. */
  bucketOf(digest: Int32Array): number {
    return (digest[0] >>> 0) % this.records.cells;
  }

  /** Another number after each change of a bucket. */
  versionOf(bucket: number): number {
    return this.records.versionOf(bucket);
  }

  /** See `SharedRecords.peekVersion`. */
  peekVersion(bucket: number): number {
    return this.records.peekVersion(bucket);
  }

  /** Copies what a bucket holds at one moment. @returns false when others kept changing it, and what is there is worth nothing. */
  copyBucket(bucket: number, into: BucketCopy): boolean {
    const { records, hashesAt } = this;
    const { ints, floats } = records;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const record = records.read(bucket);
      const { hashes, expiresAtMs, words } = into;
      for (let i = 0; i < ways; i++) expiresAtMs[i] = floats[record / 2 + i];
      for (let i = 0; i < words.length; i++) words[i] = floats[record / 2 + ways + i];
      for (let i = 0; i < hashes.length; i++) hashes[i] = ints[record + hashesAt + i];
      if (records.isCurrent()) return true;
    }
    return false;
  }

  /** Decides about the entry of the digest at hand. */
  private updateOne(nowMs: number, decision: TableDecision): boolean {
    const { digest, records } = this;
    const bucket = this.bucketOf(digest);
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const record = records.read(bucket);
      const way = this.wayOf(record);
      if (way >= 0 ? this.change(record, way, nowMs, decision) : this.make(record, ~way, nowMs, decision)) return true;
    }
    Atomics.add(this.header, atGaveUp, 1);
    return false;
  }

  /**
   * Decides about every living entry, one step for each: to give back what a dead thread held, or to look. An entry that lives
   * throughout is decided about once; one that is made meanwhile may be missed.
   * @returns Whether no entry was left out because others kept changing its bucket.
   */
  sweep(nowMs: number, decision: TableDecision): boolean {
    let isWhole = true;
    for (let bucket = 0; bucket < this.records.cells; bucket++) {
      for (let way = 0; way < ways; way++) {
        if (!this.sweepWay(bucket, way, nowMs, decision)) isWhole = false;
      }
    }
    return isWhole;
  }

  private sweepWay(bucket: number, way: number, nowMs: number, decision: TableDecision): boolean {
    const { records } = this;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const record = records.read(bucket);
      const isLiving = records.floats[record / 2 + way] > nowMs;
      if (isLiving ? this.change(record, way, nowMs, decision) : records.isCurrent()) return true;
    }
    Atomics.add(this.header, atGaveUp, 1);
    return false;
  }

  /** The way that holds the digest; if none does, the complement of the one that is free or would be first. */
  private wayOf(record: number): number {
    const { digest, hashesAt } = this;
    const { ints, floats } = this.records;
    let earliest = 0;
    let earliestMs = Number.POSITIVE_INFINITY;
    for (let way = 0; way < ways; way++) {
      const at = record + hashesAt + way * hashWords;
      if (isSameHash(ints, at, digest)) return way;
      const expiresAtMs = floats[record / 2 + way];
      if (expiresAtMs < earliestMs) {
        earliest = way;
        earliestMs = expiresAtMs;
      }
    }
    return ~earliest;
  }

  /** One step about the entry that a way has, or had until its time was over; whether the step was made. */
  private change(record: number, way: number, nowMs: number, decision: TableDecision): boolean {
    const { words, records } = this;
    const { floats } = records;
    const isNew = !(floats[record / 2 + way] > nowMs);
    const wordsAt = record / 2 + ways + way * words.length;
    for (let i = 0; i < words.length; i++) words[i] = isNew ? 0 : floats[wordsAt + i];
    const expiresAtMs = decision.decide(words, isNew, nowMs, isNew ? 0 : floats[record / 2 + way]);
    if (Number.isNaN(expiresAtMs)) return records.isCurrent();
    this.write(record, way, expiresAtMs > nowMs ? expiresAtMs : 0);
    return records.commit();
  }

  /** One step about a key that has no entry, in the way that would take it; whether the step was made. */
  private make(record: number, way: number, nowMs: number, decision: TableDecision): boolean {
    const { words, records, digest } = this;
    words.fill(0);
    const expiresAtMs = decision.decide(words, true, nowMs, 0);
    // What need not be remembered makes nobody else forgotten.
    if (!(expiresAtMs > nowMs)) return records.isCurrent();

    const isEvicting = records.floats[record / 2 + way] > nowMs;
    const at = this.write(record, way, expiresAtMs) + this.hashesAt + way * hashWords;
    for (let i = 0; i < hashWords; i++) records.ints[at + i] = digest[i];
    if (!records.commit()) return false;
    if (isEvicting) Atomics.add(this.header, atEvicted, 1);
    return true;
  }

  /** Copies a record into the spare, with the entry of one way replaced; where the spare begins. */
  private write(record: number, way: number, expiresAtMs: number): number {
    const { words, records } = this;
    const { ints, floats, pairsOfWords } = records;
    const spare = records.spare();
    const { wordsPerRecord } = records;
    // For a few words a loop is four times as fast as the call. As integers: not every hash would survive being a number.
    if (wordsPerRecord > longestLoop) ints.copyWithin(spare, record, record + wordsPerRecord);
    else {
      const from = record / 2;
      const to = spare / 2;
      const count = wordsPerRecord / 2;
      // Of twelve ways there are always a multiple of four.
      for (let i = 0; i < count; i += 4) {
        pairsOfWords[to + i] = pairsOfWords[from + i];
        pairsOfWords[to + i + 1] = pairsOfWords[from + i + 1];
        pairsOfWords[to + i + 2] = pairsOfWords[from + i + 2];
        pairsOfWords[to + i + 3] = pairsOfWords[from + i + 3];
      }
    }
    floats[spare / 2 + way] = expiresAtMs;
    const wordsAt = spare / 2 + ways + way * words.length;
    for (let i = 0; i < words.length; i++) floats[wordsAt + i] = words[i];
    return spare;
  }
}

function isSameHash(ints: Int32Array, at: number, digest: Int32Array): boolean {
  for (let i = 0; i < hashWords; i++) if (ints[at + i] !== digest[i]) return false;
  return true;
}
