/**
 * What it takes to say who calls. A policy that authenticates verifies a credential and tells the exchange; whatever
 * comes after it (limits by consumer, `authorize`, the headers that the upstream gets) asks the exchange only.
 */
import type { Exchange, MaybePromise, PeerCertificate, Reply } from '../contract.ts';

/** Who is calling, once a policy has found out. */
export interface Consumer {
  readonly name: string;
  readonly groups: readonly string[];
}

/** The claims of a token, a session or an answer about one, as they were in its JSON. */
export type Claims = Readonly<Record<string, unknown>>;

/** What was verified, and what it says about whoever calls. Frozen: many requests share one. */
export interface Credential {
  /** The policy that has verified it, as in `jwt`. */
  readonly method: string;
  /** Whom it was issued to, in its own words: `sub` of a token, a user name, the subject of a certificate. */
  readonly subject: string;
  /** Whom it belongs to; null when it is genuine and belongs to nobody who is configured. */
  readonly consumer: Consumer | null;
  /** Empty for kinds that have none. */
  readonly claims: Claims;
  /** What it was granted (RFC 6749, section 3.3). */
  readonly scopes: readonly string[];
}

/**
 * Why a request was not found to be somebody's.
 *
 * - `missing`: it has no credential of this kind
 * - `invalid`: it has one that does not hold, for whatever cause
 * - `unavailable`: what would have to be asked does not answer, so nobody can tell (fail closed)
 * - `damped`: too many attempts have failed lately
 * - `answered`: the request is one for the policy itself, such as the way back from a login
 */
export type RefusalKind = 'missing' | 'invalid' | 'unavailable' | 'damped' | 'answered';

/** A request that must not go on. A value, made once where it can be, never thrown. */
export class Refusal {
  readonly kind: RefusalKind;
  /** For the log only; never with a secret in it. The client gets the same answer whatever it is. */
  readonly reason: string;
  /** Instead of the usual 401 or 503: a redirect to a login, or what an authorisation server says. */
  readonly reply: Reply | null;
  /**
   * Whom the credential claims to belong to, where `AttemptDamping.look` was asked about that before it was verified; the
   * failure is then counted there, and nobody looks again. Empty otherwise.
   */
  readonly account: string;
  /** Whether it may have been a guess, which is counted. What once held, and is out of date, is none. */
  readonly isGuess: boolean;

  constructor(
    kind: RefusalKind,
    reason: string,
    reply: Reply | null = null,
    account = '',
    isGuess = kind === 'invalid',
  ) {
    this.kind = kind;
    this.reason = reason;
    this.reply = reply;
    this.account = account;
    this.isGuess = isGuess;
  }

  /** Of a credential that does not hold at this time, and at another one may: nobody can find out anything with it. */
  static outOfDate(reason: string): Refusal {
    return new Refusal('invalid', reason, null, '', false);
  }
}

/** Verifies one kind of credential. What `Policy.authenticator` offers can be combined with others (`anyOf`). */
export interface Authenticator {
  /** What a 401 asks for (RFC 9110, section 11.6.1), as in `Bearer realm="api"`; empty for nothing that it could. */
  readonly challenge: string;
  /**
   * What a 401 says where a credential was sent and did not hold, if that is more; the same for all causes (RFC 6750,
   * section 3.1: `error="invalid_token"`).
   */
  readonly invalidChallenge?: string;
  /**
   * Headers in which the upstream is told of the caller by this alone. What the client sends in them is removed from every
   * request that goes on, whoever it turned out to be (GHSA-7r4p-vjf4-gxv4), before `tell`.
   */
  readonly ownHeaders?: readonly string[];
  /** Where it looks for the credential: see `Policy.secretFields`. */
  readonly secretFields?: readonly string[];
  /** Looks at the request and changes nothing. What is thrown is a defect: the request is refused with a 500. */
  authenticate(exchange: Exchange): MaybePromise<Credential | Refusal>;
  /** Takes the credential out of a request that goes on, whether or not it was the one that counted. */
  conceal(exchange: Exchange): void;
  /**
   * Called once the request goes on and all credentials are out of it, to set what the upstream is told besides `x-consumer`;
   * that may be where a credential was.
   */
  tell?(exchange: Exchange, credential: Credential): void;
}

/**
 * The consumers of the configuration, of consumer files and of the admin API, found by what they can show. What is found
 * is the same object until the consumer changes.
 */
export interface ConsumerDirectory {
  /** Changes with any consumer: whatever was derived from one is to be derived again. */
  readonly version: number;
  byName(name: string): Consumer | undefined;
  /** @param digest SHA-256 of the key, 64 lower-case hexadecimal digits. Keys that have expired are found as well. */
  byApiKey(digest: string): ApiKey | undefined;
  /** By the name that it logs in with. */
  byUser(user: string): PasswordLogin | undefined;
  /** By the `keyid` of signatures (RFC 9421, section 2.3). */
  bySigningKey(keyId: string): SigningKey | undefined;
  /** The consumer all of whose `jwt` conditions these claims meet; of several the one with the most. */
  byClaims(claims: Claims): Consumer | undefined;
  byCertificate(certificate: PeerCertificate): Consumer | undefined;
}

/** What a consumer can show, and when it was last seen. */
export interface ConsumerKey {
  readonly consumer: Consumer;
  /** What the operator calls it; empty for nothing. */
  readonly label: string;
  /** Wall-clock milliseconds from which it is no longer accepted; Infinity for never. */
  readonly expiresAt: number;
  /** Notes that it was used, for operators who want to know which can go. Costs next to nothing. */
  used(): void;
}

export type ApiKey = ConsumerKey;

export interface PasswordLogin extends ConsumerKey {
  /** bcrypt, argon2id or another form of htpasswd. */
  readonly passwordHash: string;
}

export interface SigningKey extends ConsumerKey {
  readonly keyId: string;
  /** The name in RFC 9421, section 6.2.2, as in `hmac-sha256`. */
  readonly algorithm: string;
  /** The shared secret of an HMAC, or a public key in PEM form. */
  readonly key: string;
}
