/** What a provider says when somebody logs in, and how it says no. */
import type { Claims } from '../../contract.ts';

/** What the provider has said about somebody. */
export interface Grant {
  readonly claims: Claims;
  readonly scope: string;
  readonly accessToken: string;
  /** Wall-clock milliseconds; 0 if it does not say. */
  readonly accessExpiresAt: number;
  readonly refreshToken: string;
  readonly idToken: string;
}

/** What a login is asked for with, and what its answer is held against. */
export interface LoginChecks {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** The provider does not answer, or not in a way that anything could be made of. The message is for the log. */
export class ProviderUnavailable extends Error {
  override readonly name = 'ProviderUnavailable';
}

/** The provider has answered, and it is a no. The message is for the log, and has nothing of the answer but its code. */
export class ProviderRefusal extends Error {
  override readonly name = 'ProviderRefusal';
  /** As in RFC 6749, section 5.2; empty where the answer itself does not hold. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
