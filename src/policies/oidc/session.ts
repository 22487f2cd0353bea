/** What is known of somebody who has logged in. In a cookie or a store it is always sealed. */
import type { Claims } from '../../contract.ts';

/** Times are wall-clock milliseconds. */
export interface Session {
  /** 96 random bits, base64url. Stays the same until the session ends. */
  readonly id: string;
  /** How often its tokens were refreshed. */
  readonly generation: number;
  readonly startedAt: number;
  /** When it ends whatever happens, as was said when it began. */
  readonly endsAt: number;
  /** When it was last noted that somebody uses it. */
  readonly seenAt: number;
  /** Of the ID token, and of the UserInfo endpoint where that is asked. */
  readonly claims: Claims;
  /** What was granted, divided by blanks. */
  readonly scope: string;
  /** When the provider last gave tokens. */
  readonly grantedAt: number;
  /** Empty where no upstream is told of it. */
  readonly accessToken: string;
  /** 0 if the provider does not say. */
  readonly accessExpiresAt: number;
  /** Empty if there is none. */
  readonly refreshToken: string;
  /** For the provider, when it is asked to end its own session. */
  readonly idToken: string;
}

export function encodeSession(session: Session): string {
  const {
    id,
    generation,
    startedAt,
    endsAt,
    seenAt,
    grantedAt,
    scope,
    accessToken,
    accessExpiresAt,
    refreshToken,
    idToken,
  } = session;
  const isInToken = JSON.stringify(session.claims) === JSON.stringify(claimsOf(idToken));
  // Most often the claims are those of the ID token, which are not written twice: cookies are short.
  const claims = isInToken ? null : session.claims;
  return JSON.stringify([
    id,
    generation,
    startedAt,
    endsAt,
    seenAt,
    grantedAt,
    scope,
    accessToken,
    accessExpiresAt,
    refreshToken,
    idToken,
    claims,
  ]);
}

/** @param text what was sealed by this gateway, or another version of it; null if it is in another form. */
export function decodeSession(text: string): Session | null {
  const [id, generation, startedAt, endsAt, seenAt, grantedAt, scope, accessToken, accessExpiresAt, ...rest] =
    parseList(text);
  const [refreshToken, idToken, claims, ...more] = rest;
  const texts = [id, scope, accessToken, refreshToken, idToken];
  const numbers = [generation, startedAt, endsAt, seenAt, grantedAt, accessExpiresAt];
  if (more.length > 0 || !texts.every((value) => typeof value === 'string')) return null;
  if (!numbers.every((value) => Number.isFinite(value))) return null;
  const known = claims ?? claimsOf(idToken as string);
  if (!isClaims(known)) return null;
  return Object.freeze({
    id,
    generation,
    startedAt,
    endsAt,
    seenAt,
    grantedAt,
    claims: Object.freeze(known),
    scope,
    accessToken,
    accessExpiresAt,
    refreshToken,
    idToken,
  } as Session);
}

/** The claims of a token that was verified before. */
function claimsOf(token: string): Claims | null {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return isClaims(claims) ? claims : null;
  } catch {
    return null;
  }
}

function isClaims(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseList(text: string): readonly unknown[] {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list : [];
  } catch {
    return [];
  }
}
