/**
 * All consumers that there are: those of the configuration and its files, which change with it, and those of the database,
 * which the admin API changes. A consumer is in one of the two.
 */
import { isDeepStrictEqual } from 'node:util';
import type { GatewayConfig } from '../config/schema.ts';
import type { ConsumerDatabase } from '../consumers/consumer-database.ts';
import { ConsumerIndex } from '../consumers/consumer-index.ts';
import type { ConsumerRecord } from '../consumers/consumer-record.ts';
import type { LastUses } from '../consumers/last-uses.ts';
import type { Clock } from '../util/clock.ts';
import type { SomeConsumers } from '../workers/known-consumers.ts';

/** What serves them. */
export interface ConsumerGateway {
  /** Resolves when every thread knows it. */
  changeConsumers(change: SomeConsumers): Promise<void>;
  /** As of now, of all threads. */
  lastUses(): Promise<LastUses>;
}

export interface FoundConsumer {
  readonly record: ConsumerRecord;
  readonly isStored: boolean;
}

/** A configuration whose consumers are all known: nothing has changed yet. */
export interface PreparedBook {
  /** The configuration with the consumers of its database. */
  readonly config: GatewayConfig;
  commit(): void;
  abort(): void;
}

/** Why a consumer cannot be changed so. One sentence for the caller. */
export class ConsumerConflict extends Error {
  override readonly name = 'ConsumerConflict';
}

interface Page {
  readonly configured: ReadonlyMap<string, ConsumerRecord>;
  readonly database: ConsumerDatabase | null;
  /** What was in it at this version of it. */
  readonly stored: Map<string, ConsumerRecord>;
  readonly version: number;
}

const nothing: Page = { configured: new Map(), database: null, stored: new Map(), version: 0 };

export class ConsumerBook {
  private readonly clock: Pick<Clock, 'wallNow'>;
  private page = nothing;
  /** Made when it is asked for: of all, what nobody else may have. */
  private claimed: ConsumerIndex | null = null;
  private sortedNames: readonly string[] | null = null;

  constructor(clock: Pick<Clock, 'wallNow'>) {
    this.clock = clock;
  }

  /**
   * Opens the database of a configuration, if it has one.
   * @throws {Error} whose message says why, when it cannot be used, or has what the configuration has as well.
   */
  async prepare(config: GatewayConfig): Promise<PreparedBook> {
    const { page } = this;
    const path = config.consumerSources.database;
    const isSame = path === (page.database?.path ?? null);
    const database = isSame ? page.database : await open(path);
    try {
      const version = isSame ? page.version : (database?.version ?? 0);
      const stored = isSame ? page.stored : readAll(database);
      const all = [...stored.values()];
      refuseShared(config.consumers, all, database?.path ?? '');
      const configured = new Map(config.consumers.map((record) => [record.name, record]));
      const next = { configured, database, stored, version };
      return {
        config: all.length === 0 ? config : { ...config, consumers: [...config.consumers, ...all] },
        commit: () => {
          if (!isSame) page.database?.close();
          this.turnTo(next);
        },
        abort: () => {
          if (!isSame) database?.close();
        },
      };
    } catch (error) {
      if (!isSame) database?.close();
      throw error;
    }
  }

  private turnTo(page: Page): void {
    this.page = page;
    this.claimed = null;
    this.sortedNames = null;
  }

  /** Whether there is a database, so that consumers can be changed. */
  get isWritable(): boolean {
    return this.page.database !== null;
  }

  get names(): readonly string[] {
    const { configured, stored } = this.page;
    return (this.sortedNames ??= [...configured.keys(), ...stored.keys()].toSorted());
  }

  find(name: string): FoundConsumer | null {
    const configured = this.page.configured.get(name);
    if (configured !== undefined) return { record: configured, isStored: false };
    const stored = this.page.stored.get(name);
    return stored === undefined ? null : { record: stored, isStored: true };
  }

  /**
   * Keeps a consumer, or takes it out when there is no record, and has the gateway serve it. One after another.
   * @throws {ConsumerConflict} when that cannot be; then nothing has changed.
   */
  async change(name: string, record: ConsumerRecord | null, gateway: ConsumerGateway): Promise<void> {
    const { configured, database, stored } = this.page;
    if (configured.has(name)) {
      throw new ConsumerConflict('The consumer stands in the configuration or a file of it: change it there.');
    }
    if (database === null) {
      throw new ConsumerConflict('There is no database of consumers: set consumerSources.database.');
    }
    const claimed = this.claims();
    if (record === null) {
      database.remove(name);
      stored.delete(name);
    } else {
      const taken = takenBy(record, claimed);
      if (taken !== null) throw new ConsumerConflict(`${taken.what} is that of the consumer ${taken.by} already.`);
      database.put(record);
      stored.set(name, record);
    }
    const change = { removed: record === null ? [name] : [], records: record === null ? [] : [record] };
    claimed.replaceSome(change);
    this.sortedNames = null;
    await gateway.changeConsumers(change);
  }

  private claims(): ConsumerIndex {
    if (this.claimed === null) {
      this.claimed = new ConsumerIndex();
      this.claimed.replace([...this.page.configured.values(), ...this.page.stored.values()]);
    }
    return this.claimed;
  }

  /**
   * This process alone writes from now on. What another one has written until it took over counts, and when it has seen
   * credentials used.
   */
  async takeOver(gateway: ConsumerGateway): Promise<void> {
    const { database, stored: before, version } = this.page;
    if (database === null) return;
    if (database.version !== version) {
      const stored = readAll(database);
      const removed = [...before.keys()].filter((name) => !stored.has(name));
      const records = [...stored.values()].filter((record) => !isDeepStrictEqual(record, before.get(record.name)));
      this.turnTo({ ...this.page, stored, version: database.version });
      if (removed.length + records.length > 0) await gateway.changeConsumers({ removed, records });
    }
    const uses = await gateway.lastUses();
    uses.recall(database.uses(this.clock.wallNow()));
  }

  /** Writes down when credentials were last used. */
  save(uses: LastUses): void {
    this.page.database?.saveUses(uses.takeChanged());
  }

  close(): void {
    this.page.database?.close();
    this.turnTo(nothing);
  }
}

/** Loads what opens databases only for those who have one. */
async function open(path: string | null): Promise<ConsumerDatabase | null> {
  if (path === null) return null;
  const { ConsumerDatabase: Database } = await import('../consumers/consumer-database.ts');
  return new Database(path);
}

function readAll(database: ConsumerDatabase | null): Map<string, ConsumerRecord> {
  return new Map((database?.all() ?? []).map((record) => [record.name, record]));
}

function refuseShared(configured: readonly ConsumerRecord[], stored: readonly ConsumerRecord[], path: string): void {
  if (stored.length === 0) return;
  const index = new ConsumerIndex();
  index.replace(stored);
  for (const record of configured) {
    if (index.byName(record.name) !== undefined) {
      throw new Error(`the consumer ${record.name} is in the database ${path} as well: take it out of one of them`);
    }
    const taken = takenBy(record, index);
    if (taken === null) continue;
    const who = `${taken.by} in the database ${path}`;
    throw new Error(`${taken.what.toLowerCase()} of the consumer ${record.name} is that of ${who} as well`);
  }
}

/** What of a consumer somebody else has. */
function takenBy(record: ConsumerRecord, index: ConsumerIndex): { readonly what: string; readonly by: string } | null {
  const { name, apiKeys, basic, hmac, signing, jwt, certificates } = record;
  const holders: (readonly [what: string, holder: string | undefined])[] = [
    ...apiKeys.map(({ digest }) => ['An API key', index.byApiKey(digest)?.consumer.name] as const),
    ...(basic === null ? [] : [['The user name', index.byUser(basic.user)?.consumer.name] as const]),
    ...[...hmac, ...signing].map(({ keyId }) => ['A key name', index.bySigningKey(keyId)?.consumer.name] as const),
    ...jwt.map((conditions) => ['A list of claims', index.byConditions(conditions)?.name] as const),
    ...certificates.map((one) => ['A certificate', index.byCertificateRecord(one)?.name] as const),
  ];
  const taken = holders.find(([, holder]) => holder !== undefined && holder !== name);
  return taken === undefined ? null : { what: taken[0], by: taken[1]! };
}
