/**
 * A key that tokens are verified with. What it may be used for is settled when it is loaded, by its own type and by who
 * configured or published it; nothing of a token has a say in it (RFC 8725, section 3.1; CVE-2015-9235).
 */
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { type Algorithm, isAlgorithm, useOfKey, type KeyUse } from './algorithms.ts';

/** A JSON object that is to be a key (RFC 7517, section 4). */
export type Jwk = Readonly<Record<string, unknown>>;

/** What is said of a key beside the key itself. */
export interface KeyClaims {
  readonly kid?: string | undefined;
  readonly algorithm?: string | undefined;
}

/** Longer than any that is in use. Tokens can name no longer one. */
export const maxKidLength = 256;

export class VerificationKey {
  readonly kid: string | null;
  readonly algorithms: readonly Algorithm[];
  readonly key: KeyObject;
  /** Until it is no longer among the keys that it was published with. */
  isTrusted = true;
  private readonly use: KeyUse;

  /**
   * @param allowed what the configuration allows; null for whatever goes with the key.
   * @throws {Error} that says why this is not a key to verify with.
   */
  constructor(key: KeyObject, { kid, algorithm }: KeyClaims, allowed: readonly Algorithm[] | null) {
    if (kid === '' || (kid?.length ?? 0) > maxKidLength) throw new Error('the key id is empty or too long');
    this.kid = kid ?? null;
    this.key = key;
    this.use = useOfKey(key);
    this.algorithms = algorithmsOf(this.use, algorithm, allowed);
  }

  /** Whether a token that names this algorithm, and this key or none, could have been signed with it. */
  fits(kid: string | null, algorithm: string, signatureBytes: number): boolean {
    // A key that has no id of its own is not another one because a token calls it something.
    if (kid !== null && this.kid !== null && kid !== this.kid) return false;
    return (
      (this.algorithms as readonly string[]).includes(algorithm) &&
      this.use.signatureBytes(algorithm as Algorithm) === signatureBytes
    );
  }

  isSameAs({ kid, key, algorithms }: VerificationKey): boolean {
    return this.kid === kid && this.algorithms.join() === algorithms.join() && this.key.equals(key);
  }
}

function algorithmsOf(use: KeyUse, named: string | undefined, allowed: readonly Algorithm[] | null): Algorithm[] {
  if (named !== undefined && !isAlgorithm(named)) throw new Error('it is for an algorithm that is not supported');
  if (named !== undefined && !use.algorithms.includes(named)) throw new Error(`it cannot be used for ${named}`);
  const own = named !== undefined ? [named] : allowed === null ? use.algorithms.slice(0, use.defaults) : use.algorithms;
  const algorithms = own.filter((name) => allowed?.includes(name) ?? true);
  if (algorithms.length === 0) throw new Error('it goes with none of the algorithms that are allowed');
  return algorithms;
}

/**
 * A key from a JSON object.
 * @param mayBeSecret whether those who have published it may have a secret with us: never for what anybody can fetch.
 * @throws {Error} that says why this is not a key to verify with.
 */
export function keyFromJwk(jwk: Jwk, allowed: readonly Algorithm[] | null, mayBeSecret: boolean): VerificationKey {
  const { kty, use, key_ops: operations, alg: algorithm, kid } = jwk;
  if (use !== undefined && use !== 'sig') throw new Error('it is not for signatures');
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw new Error('it is not for verifying');
  }
  if (algorithm !== undefined && typeof algorithm !== 'string') throw new Error('its algorithm is not a text');
  if (kid !== undefined && typeof kid !== 'string') throw new Error('its id is not a text');
  if (kty === 'oct') {
    if (!mayBeSecret) throw new Error('a secret that is published is none');
    return new VerificationKey(createSecretKey(bytesOf(jwk['k'])), { kid, algorithm }, allowed);
  }
  if (jwk['d'] !== undefined) throw new Error('it is a private key');
  return new VerificationKey(publicKeyOf(jwk), { kid, algorithm }, allowed);
}

function publicKeyOf({ kty, n, e, crv, x, y }: Jwk): KeyObject {
  // The last bit: an even modulus is no product of two primes that anybody should trust.
  if (kty === 'RSA' && (bytesOf(n).at(-1)! & 1) === 0) throw new Error('the modulus of an RSA key is even');
  const parts = Object.entries({ kty, n, e, crv, x, y }).filter((part): part is [string, string] => {
    return typeof part[1] === 'string';
  });
  try {
    return createPublicKey({ key: Object.fromEntries(parts), format: 'jwk' });
  } catch {
    throw new Error('it is not a key that can be read');
  }
}

function bytesOf(text: unknown): Buffer {
  if (typeof text !== 'string' || !/^[\w-]+$/.test(text)) throw new Error('it is not a key that can be read');
  return Buffer.from(text, 'base64url');
}

/** @throws {Error} that says why this is not a key to verify with. */
export function keyFromPem(pem: string, claims: KeyClaims, allowed: readonly Algorithm[] | null): VerificationKey {
  if (!/^-----BEGIN (?:RSA )?PUBLIC KEY-----|^-----BEGIN CERTIFICATE-----/.test(pem.trim())) {
    throw new Error('write a public key or a certificate in PEM form: the gateway needs no private key');
  }
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw new Error('it is not a key that can be read');
  }
  return new VerificationKey(key, claims, allowed);
}

/**
 * A secret that is shared with who signs.
 * @throws {Error} where it is something that others have as well (CVE-2023-48223, CVE-2026-34950: a public key, however it
 * is written), or too short.
 */
export function keyFromSecret(bytes: Buffer, claims: KeyClaims, allowed: readonly Algorithm[] | null): VerificationKey {
  if (isPublicKey(bytes)) throw new Error('it is a public key, which is no secret; write it as `pem` or `jwk`');
  return new VerificationKey(createSecretKey(bytes), claims, allowed);
}

function isPublicKey(bytes: Buffer): boolean {
  const text = bytes.toString('latin1');
  if (/-----\s*BEGIN|"kty"|^\s*ssh-/i.test(text)) return true;
  for (const type of ['spki', 'pkcs1'] as const) {
    for (const key of [bytes, Buffer.from(text, 'base64')]) {
      try {
        createPublicKey({ key, format: 'der', type });
        return true;
      } catch {
        // As it should be.
      }
    }
  }
  return false;
}
