/**
 * Finds consumers by what they can show. One per thread; looked up on every request, so each way is one look into a map.
 * It changes by difference: whoever has not changed stays the same object.
 */
import { isDeepStrictEqual } from 'node:util';
import type {
  ApiKey,
  Claims,
  Consumer,
  ConsumerDirectory,
  PasswordLogin,
  PeerCertificate,
  SigningKey,
} from '../contract.ts';
import { type Steps, atOnce, type Pace } from '../util/pace.ts';
import type { CertificateRecord, ClaimConditions, ConsumerRecord } from './consumer-record.ts';
import { type ClaimEntry, type ConsumerEntry, makeEntry } from './consumer-entry.ts';
import { UsedCredentials } from './used-credentials.ts';

/** What is to be known from now on. */
export interface ConsumerChange {
  /** Whether everybody who is not among `records` is to be forgotten. */
  readonly isComplete: boolean;
  /** The names of those to be forgotten otherwise. */
  readonly removed: Iterable<string>;
  /** Those who are new or have changed. Gone through once. */
  readonly records: Iterable<ConsumerRecord>;
}

/** A change that was made ready: committing it takes no time that a request would notice. */
export interface PreparedConsumers {
  commit(): void;
}

/** What is known, by everything that it can be found by. */
interface Tables {
  readonly entries: Map<string, ConsumerEntry>;
  readonly apiKeys: Map<string, ApiKey>;
  readonly users: Map<string, PasswordLogin>;
  readonly signingKeys: Map<string, SigningKey>;
  readonly certificates: Map<string, Consumer>;
  /** By the claim that is looked at first, then by its value. */
  readonly claims: Map<string, Map<string | number | boolean, ClaimEntry[]>>;
}

/** So many consumers change within a millisecond; for more, new tables are made beside those that serve. */
const changedInPlace = 200;

export class ConsumerIndex implements ConsumerDirectory {
  version = 0;
  readonly used: UsedCredentials;
  private tables = emptyTables();

  /** @param wallNow wall-clock milliseconds. */
  constructor(wallNow: () => number = Date.now) {
    this.used = new UsedCredentials(wallNow);
  }

  get size(): number {
    return this.tables.entries.size;
  }

  /** Takes the place of all that was known. */
  replace(records: Iterable<ConsumerRecord>): void {
    atOnce(this.steps({ isComplete: true, removed: [], records })).commit();
  }

  /** Changes some at once, where nobody has to wait for it. */
  replaceSome(change: Omit<ConsumerChange, 'isComplete'>): void {
    atOnce(this.steps({ isComplete: false, ...change })).commit();
  }

  /**
   * Makes a change ready in short steps, while what is known stays as it is. One after another: each is committed or
   * forgotten before the next.
   */
  prepare(change: ConsumerChange, pace: Pace): Promise<PreparedConsumers> {
    return pace.run(this.steps(change));
  }

  private *steps({ isComplete, removed, records }: ConsumerChange): Steps<PreparedConsumers> {
    const known = this.tables.entries;
    const next: ConsumerEntry[] = [];
    /** Of those who have changed or go. */
    const gone: ConsumerEntry[] = [];
    const named = new Set<string>();
    for (const record of records) {
      const before = known.get(record.name);
      if (before !== undefined) named.add(record.name);
      if (before === undefined || !isDeepStrictEqual(before.record, record)) {
        next.push(makeEntry(record, this.used));
        if (before !== undefined) gone.push(before);
      }
      yield;
    }
    for (const name of isComplete ? known.keys() : removed) {
      const before = known.get(name);
      if (before !== undefined && !named.has(name)) gone.push(before);
      if (isComplete) yield;
    }
    if (next.length + gone.length <= changedInPlace) {
      return { commit: () => this.change(gone, next) };
    }
    const tables = yield* this.rebuilt(gone, next);
    return {
      commit: () => {
        this.tables = tables;
        this.version++;
      },
    };
  }

  private *rebuilt(gone: readonly ConsumerEntry[], next: readonly ConsumerEntry[]): Steps<Tables> {
    const tables = emptyTables();
    const without = new Set(gone);
    for (const entry of this.tables.entries.values()) {
      if (!without.has(entry)) addTo(tables, entry);
      yield;
    }
    for (const entry of next) {
      addTo(tables, entry);
      yield;
    }
    return tables;
  }

  private change(gone: readonly ConsumerEntry[], next: readonly ConsumerEntry[]): void {
    // First all that goes: what one had another may have now.
    for (const entry of gone) removeFrom(this.tables, entry);
    for (const entry of next) addTo(this.tables, entry);
    if (gone.length > 0 || next.length > 0) this.version++;
  }

  byName(name: string): Consumer | undefined {
    return this.tables.entries.get(name)?.consumer;
  }

  byApiKey(digest: string): ApiKey | undefined {
    return this.tables.apiKeys.get(digest);
  }

  byUser(user: string): PasswordLogin | undefined {
    return this.tables.users.get(user);
  }

  bySigningKey(keyId: string): SigningKey | undefined {
    return this.tables.signingKeys.get(keyId);
  }

  byCertificate({ fingerprint, altNames }: PeerCertificate): Consumer | undefined {
    const { certificates } = this.tables;
    const exact = certificates.get(fingerprint);
    if (exact !== undefined) return exact;
    for (const name of altNames) {
      const consumer = certificates.get(name);
      if (consumer !== undefined) return consumer;
    }
    return undefined;
  }

  /** Whose these very conditions are. */
  byConditions(conditions: ClaimConditions): Consumer | undefined {
    for (const [claim, value] of Object.entries(conditions)) {
      const found = this.tables.claims
        .get(claim)
        ?.get(value)
        ?.find((entry) => isSameConditions(entry, conditions));
      if (found !== undefined) return found.consumer;
    }
    return undefined;
  }

  byCertificateRecord(certificate: CertificateRecord): Consumer | undefined {
    return this.tables.certificates.get(nameOf(certificate));
  }

  byClaims(claims: Claims): Consumer | undefined {
    let best: ClaimEntry | undefined;
    for (const [claim, byValue] of this.tables.claims) {
      if (!Object.hasOwn(claims, claim)) continue;
      for (const entry of byValue.get(claims[claim] as string) ?? []) {
        if (best !== undefined && !isBefore(entry, best)) continue;
        const holds = entry.conditions.every(([name, value]) => Object.hasOwn(claims, name) && claims[name] === value);
        if (holds) best = entry;
      }
    }
    return best?.consumer;
  }
}

function isSameConditions(entry: ClaimEntry, conditions: ClaimConditions): boolean {
  const { length } = Object.keys(conditions);
  return entry.conditions.length === length && entry.conditions.every(([name, value]) => conditions[name] === value);
}

/** The one with more conditions; of several with as many by name, so that nothing depends on who came first. */
function isBefore(a: ClaimEntry, b: ClaimEntry): boolean {
  const difference = a.conditions.length - b.conditions.length;
  return difference > 0 || (difference === 0 && a.consumer.name < b.consumer.name);
}

function emptyTables(): Tables {
  return {
    entries: new Map(),
    apiKeys: new Map(),
    users: new Map(),
    signingKeys: new Map(),
    certificates: new Map(),
    claims: new Map(),
  };
}

function addTo(tables: Tables, entry: ConsumerEntry): void {
  const { record, consumer, apiKeys, login, signingKeys, claims } = entry;
  tables.entries.set(record.name, entry);
  for (const [index, { digest }] of record.apiKeys.entries()) tables.apiKeys.set(digest, apiKeys[index]);
  if (record.basic !== null && login !== null) tables.users.set(record.basic.user, login);
  for (const key of signingKeys) tables.signingKeys.set(key.keyId, key);
  for (const certificate of record.certificates) tables.certificates.set(nameOf(certificate), consumer);
  for (const claim of claims) {
    const [first, value] = claim.conditions[0];
    const byValue = tables.claims.get(first) ?? new Map<string | number | boolean, ClaimEntry[]>();
    tables.claims.set(first, byValue);
    const others = byValue.get(value);
    if (others === undefined) byValue.set(value, [claim]);
    else others.push(claim);
  }
}

function removeFrom(tables: Tables, { record, claims }: ConsumerEntry): void {
  tables.entries.delete(record.name);
  for (const { digest } of record.apiKeys) tables.apiKeys.delete(digest);
  if (record.basic !== null) tables.users.delete(record.basic.user);
  for (const { keyId } of [...record.hmac, ...record.signing]) tables.signingKeys.delete(keyId);
  for (const certificate of record.certificates) tables.certificates.delete(nameOf(certificate));
  for (const claim of claims) {
    const [first, value] = claim.conditions[0];
    const byValue = tables.claims.get(first);
    const others = (byValue?.get(value) ?? []).filter((other) => other !== claim);
    if (others.length > 0) byValue?.set(value, others);
    else byValue?.delete(value);
    if (byValue?.size === 0) tables.claims.delete(first);
  }
}

function nameOf(certificate: CertificateRecord): string {
  return 'san' in certificate ? certificate.san : certificate.fingerprint;
}
