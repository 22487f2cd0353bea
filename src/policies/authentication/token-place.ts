/** Where a request carries a token: in `Authorization: Bearer` (RFC 6750, section 2.1), or where an option says. */
import type { Exchange } from '../../contract.ts';
import { type CredentialPlace, credentialPlaces } from './credential-place.ts';

export interface TokenPlace extends Omit<CredentialPlace, 'read'> {
  /** What is there; undefined for nothing, empty when it is there more than once. The same token is always the same text. */
  read(exchange: Exchange): string | undefined;
  /** The token in what was read; null when that is another kind of credential. */
  tokenIn(text: string): string | null;
}

/** @returns the places that are named, or the usual one. */
export function tokenPlaces(options: Parameters<typeof credentialPlaces>[0]): readonly TokenPlace[] {
  const places = credentialPlaces(options);
  return (places.length > 0 ? places : credentialPlaces({ header: 'authorization' })).map((place) =>
    place.secretField === 'authorization' ? inAuthorization(place) : elsewhere(place),
  );
}

function elsewhere(place: CredentialPlace): TokenPlace {
  return { ...place, tokenIn: withoutScheme };
}

function inAuthorization(place: CredentialPlace): TokenPlace {
  return {
    ...place,
    tokenIn: (text) => (isBearer(text) ? withoutScheme(text) : null),
    remove(exchange) {
      // Other schemes are for others.
      const text = place.read(exchange);
      if (text === '' || (text !== undefined && isBearer(text))) place.remove(exchange);
    },
  };
}

/**
 * RFC 9110, section 11.1: the name of a scheme in any case. More blanks behind it than anybody writes are part of the token,
 * which then is none: what was verified is remembered as it was sent, and one token must not fill that memory.
 */
const SCHEME = /^bearer(?: {1,4}|$)/i;

function isBearer(text: string): boolean {
  return SCHEME.test(text);
}

function withoutScheme(text: string): string {
  return text.replace(SCHEME, '');
}
