/** One consumer as a thread knows it: what requests that are found to be its are told, made once. */
import type { ApiKey, Consumer, ConsumerKey, PasswordLogin, SigningKey } from '../contract.ts';
import { credentialId } from './credential-id.ts';
import type { ConsumerRecord } from './consumer-record.ts';
import type { UsedCredentials } from './used-credentials.ts';

export interface ConsumerEntry {
  readonly record: ConsumerRecord;
  readonly consumer: Consumer;
  /** In the order of the record. */
  readonly apiKeys: readonly ApiKey[];
  readonly login: PasswordLogin | null;
  readonly signingKeys: readonly SigningKey[];
  readonly claims: readonly ClaimEntry[];
}

/** The conditions that claims of its tokens meet, never none; the one that is looked at first comes first. */
export interface ClaimEntry {
  readonly consumer: Consumer;
  readonly conditions: readonly (readonly [claim: string, value: string | number | boolean])[];
}

export function makeEntry(record: ConsumerRecord, used: UsedCredentials): ConsumerEntry {
  const { name, groups, basic } = record;
  const consumer: Consumer = Object.freeze({ name, groups: Object.freeze([...groups]) });
  const keyOf = (id: string, label: string, expiresAt: number | null): ConsumerKey =>
    used.watch({ consumer, id, label, expiresAt: expiresAt ?? Infinity });
  const signingKey = (keyId: string, algorithm: string, key: string, label: string, expiresAt: number | null) =>
    Object.assign(keyOf(credentialId.signing(keyId), label, expiresAt), { keyId, algorithm, key });
  return {
    record,
    consumer,
    apiKeys: record.apiKeys.map(({ digest, label, expiresAt }) => keyOf(credentialId.apiKey(digest), label, expiresAt)),
    login: basic && Object.assign(keyOf(credentialId.basic, '', null), { passwordHash: basic.password }),
    signingKeys: [
      ...record.hmac.map(({ keyId, secret, label, expiresAt }) =>
        signingKey(keyId, 'hmac-sha256', secret, label, expiresAt),
      ),
      ...record.signing.map(({ keyId, algorithm, publicKey, label, expiresAt }) =>
        signingKey(keyId, algorithm, publicKey, label, expiresAt),
      ),
    ],
    claims: record.jwt.flatMap((conditions) => {
      // Few have the same subject, and many the same issuer.
      const sorted = Object.entries(conditions).toSorted(([a], [b]) => Number(b === 'sub') - Number(a === 'sub'));
      return sorted.length === 0 ? [] : [{ consumer, conditions: sorted }];
    }),
  };
}
