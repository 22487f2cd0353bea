import type { Claims, Consumer, Credential } from '../../contract.ts';
import { scopesOfClaims } from './scopes-of-claims.ts';

/** @param method the policy that has verified the claims. */
export function credentialOfClaims(method: string, claims: Claims, consumer: Consumer | null): Credential {
  const subject = Object.hasOwn(claims, 'sub') && typeof claims.sub === 'string' ? claims.sub : '';
  return Object.freeze({ method, subject, consumer, claims, scopes: scopesOfClaims(claims) });
}
