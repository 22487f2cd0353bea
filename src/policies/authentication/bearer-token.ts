/** A bearer token in a request (RFC 6750, section 2): in `Authorization`, or where else the configuration says. */
import { type Authenticator, type Exchange, Refusal } from '../../contract.ts';
import { spells } from '../../http/grammar.ts';
import { type CredentialPlace, credentialPlaces, placeOptions } from './credential-place.ts';

/** The options of all policies that read tokens. Of several places that are named, a request may use any, and only one. */
export const tokenPlaceOptions = {
  header: placeOptions.header.describe(
    'The header that has the token: `authorization` as `Bearer …`, any other one the token alone. `authorization` if no place is named.',
  ),
  query: placeOptions.query.describe('The parameter of the query that has the token. It ends up in logs of others.'),
  cookie: placeOptions.cookie.describe('The cookie that has the token.'),
};

/** Longer than any token that fits into a cookie, and than what most servers accept in a header. */
const maxLength = 8192;

const missing = new Refusal('missing', 'no token');
const ambiguous = new Refusal('invalid', 'more than one token');
const malformed = new Refusal('invalid', 'not a possible token');

export class BearerToken implements Pick<Authenticator, 'secretFields' | 'conceal'> {
  readonly secretFields: readonly string[];
  private readonly places: readonly CredentialPlace[];

  /** @param options see `tokenPlaceOptions`. */
  constructor(options: {
    readonly header?: string | undefined;
    readonly query?: string | undefined;
    readonly cookie?: string | undefined;
  }) {
    const { header, query, cookie } = options;
    const isPlaced = header !== undefined || query !== undefined || cookie !== undefined;
    const isUsual = !isPlaced || header?.toLowerCase() === 'authorization';
    const others = credentialPlaces(isUsual ? { query, cookie } : options);
    this.places = isUsual ? [inAuthorization, ...others] : others;
    this.secretFields = this.places.map(({ secretField }) => secretField);
  }

  /** The token, bounded and otherwise as it was sent: see `isPossibleToken`. */
  read(exchange: Exchange): string | Refusal {
    let token: string | undefined;
    for (const place of this.places) {
      const found = place.read(exchange);
      if (found === undefined) continue;
      if (token !== undefined || found === '') return ambiguous;
      token = found;
    }
    if (token === undefined) return missing;
    return token.length > maxLength ? malformed : token;
  }

  conceal(exchange: Exchange): void {
    for (const place of this.places) place.remove(exchange);
  }
}

/**
 * Whether a token may be looked at: visible ASCII without a comma, with which a proxy may have joined two fields to one
 * (RFC 9110, section 5.3). More than the grammar of RFC 6750 has; there are servers that give out such.
 */
export function isPossibleToken(token: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(token);
}

/** What a policy refuses that `isPossibleToken` does not like. */
export const impossibleToken = malformed;

const scheme = 'bearer';

/** Credentials of other schemes are none of ours. */
const inAuthorization: CredentialPlace = {
  read({ requestHeaders }) {
    const value = requestHeaders.get('authorization');
    if (value === undefined) return undefined;
    const values = requestHeaders.getAll('authorization');
    if (values.length > 1) return values.some(isBearer) ? '' : undefined;
    return isBearer(value) ? value.slice(scheme.length).replace(/^ +/, '') : undefined;
  },
  remove({ requestHeaders }) {
    if (!requestHeaders.has('authorization')) return;
    if (requestHeaders.getAll('authorization').some(isBearer)) requestHeaders.remove('authorization');
  },
  secretField: 'authorization',
};

/** Schemes are case-insensitive (RFC 9110, section 11.1). */
function isBearer(value: string): boolean {
  const next = value.charCodeAt(scheme.length);
  return spells(value, 0, scheme) && !(next > 0x20);
}
