/** The keys of one issuer, wherever they come from. */
import type { RemoteDocument } from '../../contract.ts';
import type { Algorithm } from './algorithms.ts';
import type { CompactToken } from './compact-token.ts';
import { type Jwk, keyFromJwk, type VerificationKey } from './verification-key.ts';

export interface KeySet {
  /** False as long as nobody can tell what the keys are. */
  readonly isKnown: boolean;
  /** Notes what has changed. Asked for every request, and as cheap. */
  update(): void;
  /** Those that the token could have been signed with; few, even if it names none. */
  candidates(token: CompactToken): readonly VerificationKey[];
  /** Asks for the keys again, if it is not too early for that. @returns whether there are others now. */
  renew(): Promise<boolean>;
}

/** A token without a key id may be tried with so many keys. An issuer with more should say which. */
const maxCandidates = 4;
/** More than any issuer publishes. */
const maxKeys = 100;

function candidatesOf(keys: readonly VerificationKey[], token: CompactToken): VerificationKey[] {
  const fitting = keys.filter((key) => key.fits(token.kid, token.algorithm, token.signatureBytes));
  return fitting.slice(0, maxCandidates);
}

/** Keys that stand in the configuration. */
export class ConfiguredKeys implements KeySet {
  readonly isKnown = true;
  private readonly keys: readonly VerificationKey[];

  constructor(keys: readonly VerificationKey[]) {
    this.keys = keys;
  }

  update(): void {}

  candidates(token: CompactToken): readonly VerificationKey[] {
    return candidatesOf(this.keys, token);
  }

  renew(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

export interface PublishedKeysOptions {
  /** See `VerificationKey`. */
  readonly allowed: readonly Algorithm[] | null;
  readonly mayBeSecret: boolean;
  /** For the log: a key that cannot be used. */
  readonly warn: (message: string) => void;
}

/** Keys in a document (a JWK set: RFC 7517, section 5) that may be another one any time. */
export class PublishedKeys implements KeySet {
  readonly document: RemoteDocument;
  private readonly options: PublishedKeysOptions;
  private version = 0;
  private keys: readonly VerificationKey[] = [];

  constructor(document: RemoteDocument, options: PublishedKeysOptions) {
    this.document = document;
    this.options = options;
    this.update();
  }

  get isKnown(): boolean {
    return this.version > 0;
  }

  update(): void {
    const { version, text } = this.document;
    if (version === this.version || text === null) return;
    this.version = version;
    const { keys, unusable } = readKeySet(text, this.options);
    for (const problem of unusable) this.options.warn(problem);
    // One that is still there is the same object, and so is what was verified with it.
    const next = keys.map((key) => this.keys.find((known) => known.isSameAs(key)) ?? key);
    for (const known of this.keys) if (!next.includes(known)) known.isTrusted = false;
    this.keys = next;
  }

  candidates(token: CompactToken): readonly VerificationKey[] {
    return candidatesOf(this.keys, token);
  }

  async renew(): Promise<boolean> {
    const { version } = this;
    await this.document.refresh();
    this.update();
    return this.version !== version;
  }
}

/** The usable keys of a JWK set, and of the others why they are not (RFC 7517, section 5: these are left out). */
export function readKeySet(
  text: string,
  { allowed, mayBeSecret }: Omit<PublishedKeysOptions, 'warn'>,
): { readonly keys: readonly VerificationKey[]; readonly unusable: readonly string[] } {
  const keys: VerificationKey[] = [];
  const unusable: string[] = [];
  for (const [index, jwk] of listIn(text).slice(0, maxKeys).entries()) {
    try {
      if (typeof jwk !== 'object' || jwk === null) throw new Error('it is not a JSON object');
      keys.push(keyFromJwk(jwk as Jwk, allowed, mayBeSecret));
    } catch (error) {
      const { kid } = (jwk ?? {}) as Jwk;
      const name = typeof kid === 'string' ? JSON.stringify(kid.slice(0, 64)) : `number ${index + 1}`;
      unusable.push(`key ${name} of the key set is not used: ${(error as Error).message}`);
    }
  }
  return { keys, unusable };
}

function listIn(text: string): readonly unknown[] {
  const set = JSON.parse(text) as { readonly keys?: unknown } | null;
  return Array.isArray(set?.keys) ? (set.keys as unknown[]) : [];
}
