/**
 * The consumers that the admin API has made, and when credentials were last used, in a file of SQLite. It holds hashes
 * and public keys only. Whoever needs no database should not load this.
 */
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { ConsumerRecord } from './consumer-record.ts';
import { recordSchema } from './record-schema.ts';
import type { CredentialUse } from './used-credentials.ts';

/** Of the layout. A file of a later one is left alone. */
const layout = 1;
/** Another process may just be handing over. */
const busyTimeoutMs = 2_000;
/** What was not used for longer is not remembered. */
const keptUsesMs = 400 * 86_400_000;

/** The file cannot be used. The message says which, and why. */
class ConsumerDatabaseError extends Error {
  override readonly name = 'ConsumerDatabaseError';

  constructor(path: string, reason: string) {
    super(`the database of consumers ${path} ${reason}`);
  }
}

export class ConsumerDatabase {
  readonly path: string;
  private readonly database: DatabaseSync;
  private readonly writeConsumer: StatementSync;
  private readonly deleteConsumer: StatementSync;
  private readonly deleteUses: StatementSync;
  private readonly writeUse: StatementSync;

  /** Opens the file, or makes it. @throws {ConsumerDatabaseError} */
  constructor(path: string) {
    this.path = path;
    try {
      // Made by the platform, everybody could read it.
      closeSync(openSync(path, 'a', 0o600));
      this.database = new DatabaseSync(path, { timeout: busyTimeoutMs, defensive: true });
    } catch (error) {
      throw new ConsumerDatabaseError(path, `cannot be opened (${reasonOf(error)})`);
    }
    try {
      this.prepareLayout();
      const { database } = this;
      this.writeConsumer = database.prepare('INSERT OR REPLACE INTO consumer (name, record) VALUES (?, ?)');
      this.deleteConsumer = database.prepare('DELETE FROM consumer WHERE name = ?');
      this.deleteUses = database.prepare('DELETE FROM used WHERE consumer = ?');
      this.writeUse = database.prepare(
        'INSERT INTO used (consumer, id, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)',
      );
    } catch (error) {
      this.database.close();
      if (error instanceof ConsumerDatabaseError) throw error;
      throw new ConsumerDatabaseError(path, `cannot be used (${reasonOf(error)})`);
    }
  }

  private prepareLayout(): void {
    const { database } = this;
    // What was answered for is on the disk, also after the power has gone.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;');
    const { user_version: found } = database.prepare('PRAGMA user_version').get() as { user_version: number };
    if (found > layout) throw new ConsumerDatabaseError(this.path, 'was written by a later version of the gateway');
    database.exec(`BEGIN IMMEDIATE;
      CREATE TABLE IF NOT EXISTS consumer (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS used (consumer TEXT, id TEXT, at INTEGER NOT NULL, PRIMARY KEY (consumer, id)) STRICT, WITHOUT ROWID;
      PRAGMA user_version = ${layout};
      COMMIT;`);
  }

  /** By name. @throws {ConsumerDatabaseError} when something else is in it than was written. */
  all(): ConsumerRecord[] {
    const rows = this.database.prepare('SELECT name, record FROM consumer ORDER BY name').all();
    return rows.map(({ name, record }) => {
      const read = recordSchema.safeParse(parse(String(record)));
      if (read.success && read.data.name === name) return read.data;
      throw new ConsumerDatabaseError(this.path, `has a record of ${JSON.stringify(name)} that is damaged`);
    });
  }

  /** Another number after another process has written. */
  get version(): number {
    return (this.database.prepare('PRAGMA data_version').get() as { data_version: number }).data_version;
  }

  put(record: ConsumerRecord): void {
    this.writeConsumer.run(record.name, JSON.stringify(recordSchema.parse(record)));
  }

  remove(name: string): void {
    this.atOnce(() => {
      this.deleteConsumer.run(name);
      this.deleteUses.run(name);
    });
  }

  /** When credentials were last used, of consumers wherever they are kept. @param wallNow what is too old is forgotten. */
  uses(wallNow: number): CredentialUse[] {
    this.database.prepare('DELETE FROM used WHERE at < ?').run(Math.round(wallNow) - keptUsesMs);
    const rows = this.database.prepare('SELECT consumer, id, at FROM used').all();
    return rows.map(({ consumer, id, at }) => ({ consumer: String(consumer), id: String(id), usedAt: Number(at) }));
  }

  saveUses(uses: Iterable<CredentialUse>): void {
    this.atOnce(() => {
      for (const { consumer, id, usedAt } of uses) this.writeUse.run(consumer, id, Math.round(usedAt));
    });
  }

  private atOnce(write: () => void): void {
    this.database.exec('BEGIN IMMEDIATE');
    try {
      write();
      this.database.exec('COMMIT');
    } catch (error) {
      this.database.exec('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    this.database.close();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
