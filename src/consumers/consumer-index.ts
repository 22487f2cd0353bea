/** Finds consumers by what they can show. One per thread; looked up on every request, so each way is one look into a map. */
import type {
  ApiKey,
  Claims,
  Consumer,
  ConsumerDirectory,
  ConsumerKey,
  PasswordLogin,
  PeerCertificate,
  SigningKey,
} from '../contract.ts';
import type { ClaimConditions, ConsumerRecord } from './consumer-record.ts';

/** One consumer with the conditions that the claims of its tokens meet. */
interface ClaimEntry {
  readonly consumer: Consumer;
  readonly conditions: readonly (readonly [claim: string, value: string | number | boolean])[];
}

export class ConsumerIndex implements ConsumerDirectory {
  version = 0;
  private consumers = new Map<string, Consumer>();
  private apiKeys = new Map<string, ApiKey>();
  private users = new Map<string, PasswordLogin>();
  private signingKeys = new Map<string, SigningKey>();
  private certificates = new Map<string, Consumer>();
  /** By the claim that is looked at first, then by its value. */
  private claims = new Map<string, Map<string | number | boolean, ClaimEntry[]>>();

  /** Takes the place of all that was known. */
  replace(records: Iterable<ConsumerRecord>): void {
    this.consumers = new Map();
    this.apiKeys = new Map();
    this.users = new Map();
    this.signingKeys = new Map();
    this.certificates = new Map();
    this.claims = new Map();
    for (const record of records) this.add(record);
    this.version++;
  }

  byName(name: string): Consumer | undefined {
    return this.consumers.get(name);
  }

  byApiKey(digest: string): ApiKey | undefined {
    return this.apiKeys.get(digest);
  }

  byUser(user: string): PasswordLogin | undefined {
    return this.users.get(user);
  }

  bySigningKey(keyId: string): SigningKey | undefined {
    return this.signingKeys.get(keyId);
  }

  byCertificate({ fingerprint, altNames }: PeerCertificate): Consumer | undefined {
    const exact = this.certificates.get(fingerprint);
    if (exact !== undefined) return exact;
    for (const name of altNames) {
      const consumer = this.certificates.get(name);
      if (consumer !== undefined) return consumer;
    }
    return undefined;
  }

  byClaims(claims: Claims): Consumer | undefined {
    let best: ClaimEntry | undefined;
    for (const [claim, byValue] of this.claims) {
      if (!Object.hasOwn(claims, claim)) continue;
      for (const entry of byValue.get(claims[claim] as string) ?? []) {
        if (best !== undefined && best.conditions.length >= entry.conditions.length) continue;
        const holds = entry.conditions.every(([name, value]) => Object.hasOwn(claims, name) && claims[name] === value);
        if (holds) best = entry;
      }
    }
    return best?.consumer;
  }

  private add(record: ConsumerRecord): void {
    const { name, groups, basic, hmac, jwt } = record;
    const consumer: Consumer = Object.freeze({ name, groups: Object.freeze([...groups]) });
    this.consumers.set(name, consumer);
    for (const { digest, label, expiresAt } of record.apiKeys) {
      this.apiKeys.set(digest, keyOf(consumer, label, expiresAt ?? Infinity));
    }
    if (basic !== null) {
      this.users.set(basic.user, { ...keyOf(consumer, '', Infinity), passwordHash: basic.password });
    }
    if (hmac !== null) {
      const { keyId, secret } = hmac;
      const key = { ...keyOf(consumer, '', Infinity), keyId, algorithm: 'hmac-sha256', key: secret };
      this.signingKeys.set(keyId, key);
    }
    for (const certificate of record.certificates) {
      this.certificates.set('san' in certificate ? certificate.san : certificate.fingerprint, consumer);
    }
    if (jwt !== null) this.addClaims(consumer, jwt);
  }

  private addClaims(consumer: Consumer, conditions: ClaimConditions): void {
    const entry = { consumer, conditions: Object.entries(conditions) };
    const [first] = entry.conditions.toSorted(([a], [b]) => Number(b === 'sub') - Number(a === 'sub'));
    if (first === undefined) return;
    const [claim, value] = first;
    const byValue = this.claims.get(claim) ?? new Map<string | number | boolean, ClaimEntry[]>();
    this.claims.set(claim, byValue);
    byValue.set(value, [...(byValue.get(value) ?? []), entry]);
  }
}

function keyOf(consumer: Consumer, label: string, expiresAt: number): ConsumerKey {
  return { consumer, label, expiresAt, used() {} };
}
