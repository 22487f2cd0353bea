/**
 * A file of SQLite with what was counted for quotas. Who was counted stands there only as digests, made with a seed that
 * stands there too: whoever has the file can try out who it might be, so that it is for the gateway's user alone.
 * Whoever needs no such file should not load this.
 */
import { closeSync, openSync, statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** What was counted for one key in one period. */
export interface QuotaRow {
  /** Grows with every row that is written, by whichever process. */
  readonly id: number;
  /** 16 bytes. */
  readonly digest: Uint8Array;
  readonly count: number;
  /** When the period begins that it was counted in, and when nobody needs to know of it any more: wall-clock milliseconds. */
  readonly periodMs: number;
  readonly expiresMs: number;
}

export interface QuotaFileOptions {
  /** Four words, for a file that has none yet. */
  readonly seed: Int32Array;
  /** More rows than this are not kept: those that expire first go. */
  readonly maxRows: number;
  /** Of 4 KiB. A file that would need more is full, as a disk is. */
  readonly maxPages?: number;
  /** How long to wait for another process, at first; see `patience`. */
  readonly timeoutMs: number;
}

/** `GWQT`: this file is of quotas and nothing else. */
const applicationId = 0x4757_5154;
/** Of the layout. A file of a later one is left alone. */
const layout = 1;
/** 256 MiB, for half a million rows of some 90 bytes each: twice, while they are replaced, and with room to spare. */
const standardPages = 65_536;
const seedBytes = 16;
const digestBytes = 16;

/** The file cannot be used. The message says which, and why. */
export class QuotaFileError extends Error {
  override readonly name = 'QuotaFileError';

  constructor(path: string, reason: string) {
    super(`the database of quotas ${path} ${reason}`);
  }
}

export class QuotaFile {
  readonly path: string;
  /** What the keys in it are hashed with. */
  readonly seed: Int32Array;
  private readonly database: DatabaseSync;
  private readonly maxRows: number;
  private readonly inode: string;
  private readonly readVersion: StatementSync;
  private readonly readSince: StatementSync;
  private readonly readOne: StatementSync;
  private readonly writeOne: StatementSync;
  private readonly countRows: StatementSync;
  private readonly deleteExpired: StatementSync;
  private readonly deleteSurplus: StatementSync;

  /** Opens the file, or makes it. @throws {QuotaFileError} */
  constructor(path: string, { seed, maxRows, maxPages = standardPages, timeoutMs }: QuotaFileOptions) {
    this.path = path;
    this.maxRows = maxRows;
    try {
      // Made by the platform, everybody could read it.
      closeSync(openSync(path, 'a', 0o600));
      this.database = new DatabaseSync(path, { timeout: timeoutMs, defensive: true });
    } catch (error) {
      throw new QuotaFileError(path, `cannot be opened (${reasonOf(error)})`);
    }
    try {
      this.seed = this.prepareLayout(seed, maxPages);
      this.inode = inodeOf(path);
      const { database } = this;
      this.readVersion = database.prepare('PRAGMA data_version');
      this.readSince = database.prepare(
        'SELECT id, digest, count, period, expires FROM quota WHERE id > ? ORDER BY id',
      );
      this.readOne = database.prepare('SELECT id, digest, count, period, expires FROM quota WHERE digest = ?');
      this.writeOne = database.prepare(
        'INSERT OR REPLACE INTO quota (digest, count, period, expires) VALUES (?, ?, ?, ?)',
      );
      this.countRows = database.prepare('SELECT count(*) AS rows FROM quota');
      this.deleteExpired = database.prepare('DELETE FROM quota WHERE expires <= ?');
      this.deleteSurplus = database.prepare(
        'DELETE FROM quota WHERE id IN (SELECT id FROM quota ORDER BY expires DESC LIMIT -1 OFFSET ?)',
      );
    } catch (error) {
      this.database.close();
      if (error instanceof QuotaFileError) throw error;
      throw new QuotaFileError(path, `cannot be used (${reasonOf(error)})`);
    }
  }

  /** @returns the seed that is in it. */
  private prepareLayout(seed: Int32Array, maxPages: number): Int32Array {
    const { database } = this;
    const number = (pragma: string): number => Number(Object.values(database.prepare(`PRAGMA ${pragma}`).get()!)[0]);
    const isEmpty = number('page_count') === 0;
    if (!isEmpty && number('application_id') !== applicationId) throw this.refuse('is a database of something else');
    if (!isEmpty && number('user_version') > layout) throw this.refuse('was written by a later version of the gateway');
    // What was written survives the process. After a power failure the last of it may be missing, and the file is whole.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF;');
    database.exec(`PRAGMA journal_size_limit = ${16 * 1024 * 1024}; PRAGMA max_page_count = ${maxPages};`);
    const [found] = Object.values(database.prepare('PRAGMA quick_check(1)').get()!);
    if (found !== 'ok') throw this.refuse(`is damaged (${String(found)}): move it away to begin anew`);
    database.exec(`BEGIN IMMEDIATE;
      CREATE TABLE IF NOT EXISTS seed (one INTEGER PRIMARY KEY CHECK (one = 1), bytes BLOB NOT NULL) STRICT;
      CREATE TABLE IF NOT EXISTS quota (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE,
        count INTEGER NOT NULL, period INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT;
      PRAGMA application_id = ${applicationId};
      PRAGMA user_version = ${layout};`);
    database.prepare('INSERT OR IGNORE INTO seed VALUES (1, ?)').run(new Uint8Array(seed.slice(0, 4).buffer));
    database.exec('COMMIT');
    const bytes = database.prepare('SELECT bytes FROM seed').get()?.['bytes'];
    if (!(bytes instanceof Uint8Array) || bytes.length !== seedBytes) throw this.refuse('is damaged: it has no seed');
    return new Int32Array(Uint8Array.from(bytes).buffer);
  }

  private refuse(reason: string): QuotaFileError {
    return new QuotaFileError(this.path, reason);
  }

  /** How long to wait from now on while another process writes. */
  patience(timeoutMs: number): void {
    this.database.exec(`PRAGMA busy_timeout = ${timeoutMs}`);
  }

  /** Another number after another process has written. */
  get version(): number {
    return Number(this.readVersion.get()!['data_version']);
  }

  /** Whether the file is still where it was opened. Otherwise what is written is lost when it is closed. */
  get isInPlace(): boolean {
    try {
      return inodeOf(this.path) === this.inode;
    } catch {
      return false;
    }
  }

  /** Has all of it done or nothing, while no other process writes. What it throws is thrown on. */
  atOnce(work: () => void): void {
    const { database } = this;
    database.exec('BEGIN IMMEDIATE');
    try {
      work();
      database.exec('COMMIT');
    } catch (error) {
      // A full disk may have ended it already.
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
  }

  /** What was written after a row, by anybody; all of it after 0. @throws when something else is there than was written. */
  *since(id: number): Iterable<QuotaRow> {
    for (const row of this.readSince.iterate(id)) yield this.toRow(row);
  }

  find(digest: Uint8Array): QuotaRow | null {
    const row = this.readOne.get(digest);
    return row === undefined ? null : this.toRow(row);
  }

  private toRow({ id, digest, count, period, expires }: Record<string, unknown>): QuotaRow {
    if (!(digest instanceof Uint8Array) || digest.length !== digestBytes || !(Number(count) >= 0)) {
      throw this.refuse('is damaged: it has a row that no gateway has written');
    }
    return { id: Number(id), digest, count: Number(count), periodMs: Number(period), expiresMs: Number(expires) };
  }

  /** @returns the id of the row. */
  write(digest: Uint8Array, count: number, periodMs: number, expiresMs: number): number {
    return Number(this.writeOne.run(digest, count, periodMs, Math.round(expiresMs)).lastInsertRowid);
  }

  /** Deletes what nobody needs to know of any more, and what is too much. */
  clean(wallNowMs: number): void {
    this.deleteExpired.run(Math.round(wallNowMs));
    // To find those that expire first, all have to be sorted.
    if (Number(this.countRows.get()!['rows']) > this.maxRows) this.deleteSurplus.run(this.maxRows);
  }

  close(): void {
    this.database.close();
  }
}

function inodeOf(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
