/** One consumer as a thread knows it: what requests that are found to be its are told, made once. */
import type { ApiKey, Consumer, PasswordLogin, SigningKey } from '../contract.ts';
import { credentialId } from './credential-id.ts';
import type { ClaimConditions, ConsumerRecord } from './consumer-record.ts';
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

/** Shared by all: most consumers have only one kind of credential. */
const NONE: readonly never[] = Object.freeze([]);

export function makeEntry(record: ConsumerRecord, used: UsedCredentials): ConsumerEntry {
  const { name, groups, apiKeys, basic, hmac, signing, jwt } = record;
  const consumer: Consumer = Object.freeze({ name, groups: groups.length === 0 ? NONE : Object.freeze([...groups]) });
  return {
    record,
    consumer,
    apiKeys: apiKeys.map(({ digest, label, expiresAt }) =>
      used.watch(consumer, credentialId.apiKey(digest), label, expiresAt ?? Infinity),
    ),
    login: basic === null ? null : loginOf(consumer, basic.password, used),
    signingKeys: hmac.length + signing.length === 0 ? NONE : signingKeysOf(record, consumer, used),
    claims: jwt.length === 0 ? NONE : jwt.flatMap((conditions) => claimsOf(consumer, conditions)),
  };
}

function loginOf(consumer: Consumer, passwordHash: string, used: UsedCredentials): PasswordLogin {
  return Object.assign(used.watch(consumer, credentialId.basic, '', Infinity), { passwordHash });
}

function signingKeysOf({ hmac, signing }: ConsumerRecord, consumer: Consumer, used: UsedCredentials): SigningKey[] {
  const all = [
    ...hmac.map(({ secret: key, ...rest }) => ({ ...rest, key, algorithm: 'hmac-sha256' })),
    ...signing.map(({ publicKey: key, ...rest }) => ({ ...rest, key })),
  ];
  return all.map(({ keyId, algorithm, key, label, expiresAt }) => {
    const watched = used.watch(consumer, credentialId.signing(keyId), label, expiresAt ?? Infinity);
    return Object.assign(watched, { keyId, algorithm, key });
  });
}

/** Few have the same subject, and many the same issuer. */
function claimsOf(consumer: Consumer, written: ClaimConditions): ClaimEntry[] {
  const conditions = Object.entries(written).toSorted(([a], [b]) => Number(b === 'sub') - Number(a === 'sub'));
  return conditions.length === 0 ? [] : [{ consumer, conditions }];
}
