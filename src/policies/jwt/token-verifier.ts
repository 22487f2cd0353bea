/**
 * Says of a token whose it is. What was verified once is remembered by the whole token (GHSA-rp9m-7r4c-75qg: by a part of
 * it, it was somebody else's), so that the same token is found again by one look into a map.
 */
import {
  type Claims,
  type ConsumerDirectory,
  type Credential,
  type MaybePromise,
  Refusal,
  type Reply,
} from '../../contract.ts';
import { ExpiringCache } from '../../util/expiring-cache.ts';
import type { ConsumerOfClaims } from '../authentication/consumer-of-claims.ts';
import { credentialOfClaims } from '../authentication/credential-of-claims.ts';
import type { ClaimCondition } from '../authentication/claim-condition.ts';
import { type CompactToken, parseCompactToken } from './compact-token.ts';
import type { KeySet } from './key-set.ts';
import { isMeantFor, type Validity, validityOf } from './registered-claims.ts';
import type { VerificationKey } from './verification-key.ts';

/** Whose tokens are accepted, and what they must say. */
export interface Provider {
  /** Null: whatever the token says, as long as the key is right. */
  readonly issuer: string | null;
  /** Empty: whoever the token is meant for. */
  readonly audiences: readonly string[];
  readonly keys: KeySet;
  readonly conditions: readonly ClaimCondition[];
  readonly consumers: ConsumerOfClaims;
}

export interface TokenVerifierOptions {
  /** One, or several with different issuers. */
  readonly providers: readonly Provider[];
  /** Lower-case, without `application/`. */
  readonly types: readonly string[];
  /** Whether a token must say what type it is. */
  readonly typeRequired: boolean;
  readonly skewMs: number;
  readonly scopes: readonly string[];
  /** For a token that was not granted all of these scopes. */
  readonly insufficientScope: Reply;
  /** Wall-clock milliseconds. */
  readonly now: () => number;
  readonly consumers: ConsumerDirectory;
  /** Whether the token was signed with the key. */
  readonly isSignedWith: (token: CompactToken, key: VerificationKey) => Promise<boolean>;
}

interface Verified extends Validity {
  readonly verdict: Credential | Refusal;
  readonly claims: Claims;
  readonly provider: Provider;
  readonly key: VerificationKey;
  /** Of the consumers, when it was found out whose it is. */
  readonly consumersVersion: number;
}

/** Of each thread. A token that is not remembered is verified again, which takes some tens of microseconds. */
const tokensRemembered = 8192;

const unknownIssuer = invalid('the token is from another issuer');
const wrongAudience = invalid('the token is meant for somebody else');
const wrongType = invalid('the token is of another type');
const notYet = Refusal.outOfDate('the token does not hold yet');
const expired = Refusal.outOfDate('the token has expired');
const unknownKey = invalid('the token was signed with an unknown key');
const wrongSignature = invalid('the signature of the token is wrong');
const noKeys = new Refusal('unavailable', 'the keys of the issuer cannot be fetched');

export class TokenVerifier {
  private readonly options: TokenVerifierOptions;
  private readonly byIssuer: ReadonlyMap<string | null, Provider>;
  private readonly verified = new ExpiringCache<Verified>(tokensRemembered);
  /** What many requests with the same token wait for at the same time. */
  private readonly pending = new Map<string, Promise<Credential | Refusal>>();

  constructor(options: TokenVerifierOptions) {
    this.options = options;
    this.byIssuer = new Map(options.providers.map((provider) => [provider.issuer, provider]));
  }

  /**
   * What was found out about this text before, as long as it still holds.
   * @param text a token, with whatever is around it.
   */
  recall(text: string): Credential | Refusal | null {
    const now = this.options.now();
    const known = this.verified.get(text, now);
    if (known === undefined) return null;
    // Whatever was true when it was verified must still be: time, the key, and who the consumers are.
    known.provider.keys.update();
    if (!known.key.isTrusted || now < known.notBefore) return null;
    return known.consumersVersion === this.options.consumers.version ? known.verdict : this.remember(text, known);
  }

  /** @param text what `recall` was asked for. */
  verify(text: string, token: string): MaybePromise<Credential | Refusal> {
    const parsed = parseCompactToken(token);
    if (typeof parsed === 'string') return invalid(parsed);
    const provider = this.providerOf(parsed.claims);
    const validity = provider === null ? unknownIssuer : this.look(parsed, provider);
    if (provider === null || validity instanceof Refusal) return validity as Refusal;
    let pending = this.pending.get(text);
    if (pending === undefined) {
      pending = this.verifySignature(text, parsed, provider, validity).finally(() => this.pending.delete(text));
      this.pending.set(text, pending);
    }
    return pending;
  }

  /** By an issuer that nobody has vouched for yet; from here on its own keys alone count. */
  private providerOf(claims: Claims): Provider | null {
    const issuer = Object.hasOwn(claims, 'iss') ? claims['iss'] : undefined;
    const named = typeof issuer === 'string' ? this.byIssuer.get(issuer) : undefined;
    return named ?? this.byIssuer.get(null) ?? null;
  }

  /** Everything but the signature. What fails here costs neither a signature nor a call to the issuer. */
  private look({ type, claims }: CompactToken, provider: Provider): Validity | Refusal {
    const { types, typeRequired, skewMs, now } = this.options;
    if (type === null ? typeRequired : !types.includes(type)) return wrongType;
    const validity = validityOf(claims, skewMs);
    if (typeof validity === 'string') return invalid(validity);
    if (now() < validity.notBefore) return notYet;
    if (now() >= validity.until) return expired;
    if (!isMeantFor(provider.audiences, claims)) return wrongAudience;
    const unmet = provider.conditions.find((condition) => !condition.isMetBy(claims));
    return unmet === undefined ? validity : invalid(`the claim ${unmet.name} is not as it must be`);
  }

  private async verifySignature(
    text: string,
    token: CompactToken,
    provider: Provider,
    validity: Validity,
  ): Promise<Credential | Refusal> {
    const { keys } = provider;
    keys.update();
    let refusal: Refusal;
    for (let isRenewed = false; ; isRenewed = true) {
      const candidates = keys.candidates(token);
      for (const key of candidates) {
        if (!(await this.options.isSignedWith(token, key)) || !key.isTrusted) continue;
        // The keys may have been waited for.
        if (this.options.now() >= validity.until) return expired;
        return this.remember(text, { ...validity, claims: token.claims, provider, key });
      }
      refusal = candidates.length > 0 ? wrongSignature : keys.isKnown ? unknownKey : noKeys;
      // The issuer may sign with a new key by now, even under an old name.
      if (isRenewed || !(await keys.renew())) break;
    }
    return refusal;
  }

  private remember(
    text: string,
    { notBefore, until, claims, provider, key }: Omit<Verified, 'verdict' | 'consumersVersion'>,
  ): Credential | Refusal {
    const { consumers, scopes, insufficientScope } = this.options;
    const consumersVersion = consumers.version;
    const credential = credentialOfClaims('jwt', claims, provider.consumers.of(claims));
    const verdict = scopes.every((scope) => credential.scopes.includes(scope))
      ? credential
      : new Refusal('invalid', 'the token does not have the scopes that it takes', insufficientScope);
    const verified = { verdict, claims, provider, key, consumersVersion, notBefore, until };
    this.verified.set(textOfItsOwn(text), verified, until);
    return verdict;
  }
}

function invalid(reason: string): Refusal {
  return new Refusal('invalid', reason);
}

/** What was cut out of the head of a request would keep all of it. */
function textOfItsOwn(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
