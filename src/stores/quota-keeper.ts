/**
 * Has quotas survive the process: the main thread's part. The threads that serve know nothing of it. What they count in
 * shared memory is written to a file now and then, and is there again at the next start.
 */
import type { Clock } from '../util/clock.ts';
import { SharedTable } from '../util/shared-table.ts';
import { QuotaExchange } from './quota-exchange.ts';
import type { QuotaFile, QuotaFileOptions } from './quota-file.ts';

/** How it is with the file. */
export interface QuotaKeeping {
  readonly database: string;
  /** Wall-clock milliseconds at which everything was last in the file; null for never. */
  readonly writtenAt: number | null;
  /** Attempts to write since the start that have come to nothing. */
  readonly failures: number;
  /** Why the last attempt has; null when it has not. */
  readonly problem: string | null;
}

export interface QuotaKeeperEnv {
  readonly clock: Clock;
  readonly log: {
    info(message: string, about: Readonly<Record<string, unknown>>): void;
    warn(message: string, about: Readonly<Record<string, unknown>>): void;
    error(message: string, about: Readonly<Record<string, unknown>>): void;
  };
}

const turnMs = 100;
/** Half a second from one writing to the next, which a crash may lose. */
const turnsToWrite = 5;
/** What cannot be written is tried again after two. */
const turnsToRetry = 20;
/** Of each turn: 20 ms of work or so. With more at once the next turn goes on, up to 20,000 in a second. */
const rowsAtOnce = 2_000;
/** For a start and at the end: another process may just be handing over, and nobody is served by this thread. */
const longPatienceMs = 2_000;
const shortPatienceMs = 100;

/** A file that is open, or was until something happened to it. */
interface Kept {
  readonly path: string;
  readonly open: (timeoutMs: number) => QuotaFile;
  file: QuotaFile | null;
  exchange: QuotaExchange | null;
}

export class QuotaKeeper {
  private readonly memory: SharedArrayBuffer;
  private readonly seat: number;
  private readonly env: QuotaKeeperEnv;
  private kept: Kept | null = null;
  private writtenAt: number | null = null;
  private failures = 0;
  private problem: string | null = null;
  /** Turns to wait before it is written again. */
  private rest = 0;
  private stopWriting: () => void = () => {};

  /**
   * @param memory the table of quotas.
   * @param seat a number that no other living thread has.
   */
  constructor(memory: SharedArrayBuffer, seat: number, env: QuotaKeeperEnv) {
    this.memory = memory;
    this.seat = seat;
    this.env = env;
  }

  /**
   * Makes a change of the configuration, and of the file with it: to another one, or to none.
   * @param isFirst no thread has counted anything yet: what is in the file is there before the first request.
   * @param change when it rejects, nothing has changed.
   * @throws {Error} whose message says why, when the file cannot be used.
   */
  async turnTo<T>(path: string | null, isFirst: boolean, change: () => Promise<T>): Promise<T> {
    if (path === (this.kept?.path ?? null)) return change();
    const next = path === null ? null : await this.open(path, isFirst);
    try {
      const result = await change();
      this.leave();
      if (next !== null) this.begin(next);
      return result;
    } catch (error) {
      next?.file?.close();
      throw error;
    }
  }

  private async open(path: string, isFirst: boolean): Promise<Kept> {
    const { QuotaFile: File, QuotaFileError: FileError } = await import('./quota-file.ts');
    const open = (timeoutMs: number): QuotaFile => new File(path, { ...this.fileOptions(), timeoutMs });
    const file = open(longPatienceMs);
    let exchange: QuotaExchange | null = null;
    try {
      if (isFirst) {
        SharedTable.reseed(this.memory, file.seed);
        // What is only found to be wrong while it is read is a reason not to start, too.
        exchange = this.exchangeWith(file);
        exchange.run();
      } else if (!isSame(file.seed, this.table.seed)) {
        throw new FileError(
          path,
          'has the counts of another start of the gateway: they can be taken up at the next one',
        );
      }
      file.patience(shortPatienceMs);
    } catch (error) {
      file.close();
      if (error instanceof FileError) throw error;
      throw new FileError(path, `cannot be used (${reasonOf(error)})`);
    }
    return { path, open, file, exchange };
  }

  private begin(next: Kept): void {
    this.kept = next;
    this.stopWriting = this.env.clock.every(turnMs, () => {
      if (--this.rest <= 0) this.write(next);
    });
    this.write(next);
  }

  /** How it is with the file; null without one. */
  get status(): QuotaKeeping | null {
    if (this.kept === null) return null;
    const { writtenAt, failures, problem } = this;
    return { database: this.kept.path, writtenAt, failures, problem };
  }

  /** Writes everything, and lets go of the file. Counts that are in memory stay there. */
  leave(): void {
    this.stopWriting();
    const { kept } = this;
    if (kept === null) return;
    this.kept = null;
    try {
      this.reopenIfGone(kept);
      kept.file!.patience(longPatienceMs);
      // Those who count on meanwhile, after a change of the configuration, shall not keep it up.
      let rounds = Math.ceil(this.table.slots / rowsAtOnce) + 1;
      while (!kept.exchange!.run() && --rounds > 0);
    } catch (error) {
      const about = { database: kept.path, problem: reasonOf(error) };
      this.env.log.error('what was counted last for quotas could not be written', about);
    }
    kept.file?.close();
    this.writtenAt = null;
    this.problem = null;
  }

  /** Memory counts, whatever becomes of the file. */
  private write(kept: Kept): void {
    const { clock, log } = this.env;
    try {
      this.reopenIfGone(kept);
      const isWhole = kept.exchange!.run();
      this.rest = isWhole ? turnsToWrite : 1;
      if (isWhole) this.writtenAt = clock.wallNow();
      if (this.problem === null) return;
      this.problem = null;
      log.info('quotas are written again', { database: kept.path });
    } catch (error) {
      this.failures++;
      this.rest = turnsToRetry;
      if (this.problem === null) {
        log.error('quotas cannot be written; they are counted in memory', {
          database: kept.path,
          problem: reasonOf(error),
        });
      }
      this.problem = reasonOf(error);
    }
  }

  /** Whoever takes the file away, to keep a copy of it or to make room, gets another one with everything in it. */
  private reopenIfGone(kept: Kept): void {
    if (kept.file?.isInPlace === false) {
      this.env.log.warn('the database of quotas was taken away; it is made anew', { database: kept.path });
      kept.exchange = null;
      kept.file.close();
      kept.file = null;
    }
    if (kept.file === null) {
      const file = kept.open(shortPatienceMs);
      if (!isSame(file.seed, this.table.seed)) {
        file.close();
        throw new Error('the file in its place is not its own');
      }
      kept.file = file;
    }
    kept.exchange ??= this.exchangeWith(kept.file);
  }

  private fileOptions(): Omit<QuotaFileOptions, 'timeoutMs'> {
    const { seed, slots } = this.table;
    return { seed, maxRows: slots };
  }

  private exchangeWith(file: QuotaFile): QuotaExchange {
    return new QuotaExchange(this.table, file, this.env.clock, { rowsAtOnce });
  }

  /** As it is seeded now. */
  private get table(): SharedTable {
    return SharedTable.attach(this.memory, this.seat);
  }
}

function isSame(seed: Int32Array, other: Int32Array): boolean {
  return seed.every((word, i) => word === other[i]);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
