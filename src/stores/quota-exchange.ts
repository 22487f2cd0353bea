/**
 * Keeps a file of quotas and the table in shared memory the same: what is charged here is written, and what another process
 * has charged meanwhile is counted here as well.
 *
 * Decisions are made in memory alone. So that two processes that have one file for a while (one takes over from the other)
 * neither lose nor double anything, what was last seen in the file is remembered of each entry, the *base*. What is here is
 * the base and what was charged here since; what is in the file is the base and what others have charged since. First what
 * others have written is taken in, by its difference to the base; then what differs from the file is written, whole.
 *
 * The work is bounded: the versions of all buckets are looked at, the entries only of those that have changed, and so many
 * of these are written at a time; the others' turn comes next.
 */
import { calendarWords } from '../util/rate/calendar-window.ts';
import { BucketCopy, type SharedTable, type TableDecision } from '../util/shared-table.ts';
import type { QuotaFile, QuotaRow } from './quota-file.ts';

interface ExchangeClock {
  /** Monotonic milliseconds. */
  now(): number;
  wallNow(): number;
}

/** Numbers in an entry. */
const quotaWords = 2;
const hashWords = 4;
const dayMs = 86_400_000;
/** No entry lives longer: a month, and as long as a clock that is put back is borne. */
const longestLifeMs = 40 * dayMs;
const cleanEveryMs = 3_600_000;

export interface ExchangeLimits {
  /** Rows that are written at a time. */
  readonly rowsAtOnce: number;
}

/** What is to be written of a time. */
interface Batch {
  readonly rows: { slot: number; digest: Uint8Array; count: number; periodMs: number; expiresMs: number }[];
  readonly looked: { bucket: number; version: number }[];
}

export class QuotaExchange {
  private readonly table: SharedTable;
  private readonly file: QuotaFile;
  private readonly clock: ExchangeClock;
  private readonly rowsAtOnce: number;
  /** By slot of the table: whose base is known, and the base. */
  private readonly baseHashes: Int32Array;
  private readonly baseCounts: Float64Array;
  private readonly basePeriods: Float64Array;
  /** The version of each bucket as it was when nothing in it differed from the file. */
  private readonly seen: Int32Array;
  private readonly copy = new BucketCopy(quotaWords);
  private readonly ways = this.copy.expiresAtMs.length;
  private readonly digest = new Int32Array(hashWords);
  private readonly takeIn = new TakeIn();
  private hasRun = false;
  private lastId = 0;
  private fileVersion = NaN;
  private cleanedAtMs = -Infinity;
  private cursor = 0;

  constructor(table: SharedTable, file: QuotaFile, clock: ExchangeClock, { rowsAtOnce }: ExchangeLimits) {
    this.table = table;
    this.file = file;
    this.clock = clock;
    this.rowsAtOnce = rowsAtOnce;
    this.baseHashes = new Int32Array(table.slots * hashWords);
    this.baseCounts = new Float64Array(table.slots);
    this.basePeriods = new Float64Array(table.slots);
    this.seen = new Int32Array(table.buckets);
  }

  /**
   * One exchange. The first one takes in all that is in the file: of what is in memory as well, the larger count.
   * @returns whether everything that had changed is written.
   * @throws when the file cannot be used at the moment. Nothing is lost then: the next exchange makes up for it.
   */
  run(): boolean {
    const { file } = this;
    const nowMs = this.clock.now();
    const isCleanDue = nowMs - this.cleanedAtMs >= cleanEveryMs;
    // Asked for first: what is written between the two is a reason to look again the next time.
    const { version } = file;
    if (version === this.fileVersion && !isCleanDue && !this.hasChanged()) return true;
    const isFirst = !this.hasRun;
    let batch: Batch = { rows: [], looked: [] };
    let lastId = 0;
    file.atOnce(() => {
      if (isCleanDue) file.clean(this.clock.wallNow());
      for (const row of file.since(this.lastId)) {
        this.take(row, nowMs, isFirst);
        lastId = row.id;
      }
      batch = this.collect(nowMs);
      for (const row of batch.rows) lastId = file.write(row.digest, row.count, row.periodMs, row.expiresMs);
    });
    this.lastId = Math.max(this.lastId, lastId);
    this.hasRun = true;
    this.fileVersion = version;
    if (isCleanDue) this.cleanedAtMs = nowMs;
    return this.settle(batch);
  }

  /** Everything in the batch is in the file. @returns whether that was all. */
  private settle({ rows, looked }: Batch): boolean {
    for (const { slot, digest, count, periodMs } of rows) this.setBase(slot, wordsOf(digest), count, periodMs);
    for (const { bucket, version } of looked) this.seen[bucket] = version;
    const isWhole = rows.length < this.rowsAtOnce;
    this.cursor = isWhole ? 0 : (looked.at(-1)!.bucket + 1) % this.table.buckets;
    return isWhole;
  }

  private hasChanged(): boolean {
    const { table, seen } = this;
    for (let bucket = 0; bucket < seen.length; bucket++) if (table.peekVersion(bucket) !== seen[bucket]) return true;
    return false;
  }

  /** What differs from the file, as much of it as may be written at a time. */
  private collect(nowMs: number): Batch {
    const { table, seen } = this;
    const batch: Batch = { rows: [], looked: [] };
    for (let step = 0; step < seen.length && batch.rows.length < this.rowsAtOnce; step++) {
      const bucket = (this.cursor + step) % seen.length;
      if (table.peekVersion(bucket) === seen[bucket]) continue;
      // Before the copy: what changes in between is found the next time.
      const version = table.versionOf(bucket);
      if (!table.copyBucket(bucket, this.copy)) continue;
      batch.looked.push({ bucket, version });
      for (let way = 0; way < this.ways; way++) this.collectWay(bucket, way, nowMs, batch);
    }
    return batch;
  }

  private collectWay(bucket: number, way: number, nowMs: number, { rows }: Batch): void {
    const { words, expiresAtMs, hashes } = this.copy;
    const slot = bucket * this.ways + way;
    if (!(expiresAtMs[way] > nowMs)) return;
    let count = words[way * quotaWords + calendarWords.count];
    let periodMs = words[way * quotaWords + calendarWords.period];
    let untilMs = expiresAtMs[way];
    const hash = hashes.subarray(way * hashWords, (way + 1) * hashWords);
    const isKnown = this.hasBase(slot, hash);
    if (isKnown && this.baseCounts[slot] === count && this.basePeriods[slot] === periodMs) return;
    const digest = bytesOf(hash);
    // There may be a row of it all the same: the table was full, and it was forgotten here.
    const row = isKnown ? null : this.file.find(digest);
    if (row !== null && this.isOfNow(row)) {
      this.update(row, nowMs, { isFirst: false, baseCount: 0 });
      // Not twice, should it come to nothing this time.
      this.setBase(slot, hash, row.count, row.periodMs);
      ({ count, periodMs, untilMs } = this.takeIn);
    }
    rows.push({ slot, digest, count, periodMs, expiresMs: this.clock.wallNow() + untilMs - nowMs });
  }

  /** Takes in a row that another process has written, or all had before this one. */
  private take(row: QuotaRow, nowMs: number, isFirst: boolean): void {
    if (!this.isOfNow(row)) return;
    const { table, digest } = this;
    digest.set(wordsOf(row.digest));
    const bucket = table.bucketOf(digest);
    let slot = this.slotOf(bucket);
    const isSamePeriod = slot >= 0 && this.hasBase(slot, digest) && this.basePeriods[slot] === row.periodMs;
    this.update(row, nowMs, { isFirst, baseCount: isSamePeriod ? this.baseCounts[slot] : 0 });
    if (slot < 0) slot = this.slotOf(bucket);
    if (slot < 0) return;
    this.setBase(slot, digest, row.count, row.periodMs);
  }

  /** A clock that went far ahead for a moment must not have the counts of then kept for years. */
  private isOfNow({ periodMs, expiresMs }: QuotaRow): boolean {
    const wallNowMs = this.clock.wallNow();
    return expiresMs > wallNowMs && periodMs <= wallNowMs + dayMs;
  }

  private update(row: QuotaRow, nowMs: number, { isFirst, baseCount }: { isFirst: boolean; baseCount: number }): void {
    const { takeIn, digest } = this;
    digest.set(wordsOf(row.digest));
    takeIn.rowCount = row.count;
    takeIn.rowPeriodMs = row.periodMs;
    takeIn.rowUntilMs = nowMs + Math.min(longestLifeMs, row.expiresMs - this.clock.wallNow());
    takeIn.baseCount = baseCount;
    takeIn.isFirst = isFirst;
    if (!this.table.updateDigest(digest, nowMs, takeIn)) throw new Error('the counts in memory kept changing');
  }

  /** Where the digest at hand has its entry, or had it last; -1 when it has none. */
  private slotOf(bucket: number): number {
    const { copy, digest } = this;
    if (!this.table.copyBucket(bucket, copy)) return -1;
    for (let way = 0; way < this.ways; way++) {
      const at = way * hashWords;
      if (copy.expiresAtMs[way] > 0 && isHash(copy.hashes, at, digest)) return bucket * this.ways + way;
    }
    return -1;
  }

  private hasBase(slot: number, hash: Int32Array): boolean {
    return isHash(this.baseHashes, slot * hashWords, hash);
  }

  private setBase(slot: number, hash: Int32Array, count: number, periodMs: number): void {
    this.baseHashes.set(hash, slot * hashWords);
    this.baseCounts[slot] = count;
    this.basePeriods[slot] = periodMs;
  }
}

/** Has an entry count what a row of the file says. */
class TakeIn implements TableDecision {
  rowCount = 0;
  rowPeriodMs = 0;
  /** Until when it is kept, of the monotonic clock. */
  rowUntilMs = 0;
  /** What of the row's count is in the entry already. */
  baseCount = 0;
  /** The entry knows nothing of the file yet. What both have is then the same, but for what one of them has missed. */
  isFirst = false;
  /** What the entry is by now. */
  count = 0;
  periodMs = 0;
  untilMs = 0;

  decide(words: Float64Array, isNew: boolean, _nowMs: number, expiresAtMs: number): number {
    const { count, period } = calendarWords;
    const isLater = isNew || this.rowPeriodMs > words[period];
    const isSame = !isLater && this.rowPeriodMs === words[period];
    if (isLater) {
      words[count] = this.rowCount;
      words[period] = this.rowPeriodMs;
    } else if (isSame) {
      const both = this.isFirst ? Math.max(words[count], this.rowCount) : words[count] + this.rowCount - this.baseCount;
      words[count] = Math.max(0, both);
    }
    this.count = words[count];
    this.periodMs = words[period];
    this.untilMs = Math.max(expiresAtMs, this.rowUntilMs);
    return isLater || isSame ? this.untilMs : NaN;
  }
}

function isHash(hashes: Int32Array, at: number, hash: Int32Array): boolean {
  for (let i = 0; i < hashWords; i++) if (hashes[at + i] !== hash[i]) return false;
  return true;
}

function bytesOf(hash: Int32Array): Uint8Array {
  return new Uint8Array(hash.slice().buffer);
}

function wordsOf(digest: Uint8Array): Int32Array {
  return new Int32Array(digest.slice().buffer);
}
