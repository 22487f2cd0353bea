/** The token that a request has, wherever it may have it. */
import { type Authenticator, type Exchange, Refusal } from '../../contract.ts';
import { type TokenPlace, tokenPlaces } from '../authentication/token-place.ts';

/** Longer than any token that fits into a cookie, and than what most servers accept in a header. */
const maxLength = 8192;

const missing = new Refusal('missing', 'no token');
const ambiguous = new Refusal('invalid', 'more than one token');
const malformed = new Refusal('invalid', 'not a possible token');

export class SentToken implements Pick<Authenticator, 'secretFields' | 'conceal'> {
  readonly secretFields: readonly string[];
  private readonly places: readonly TokenPlace[];

  /** @param options the names of the places. */
  constructor(options: Parameters<typeof tokenPlaces>[0]) {
    this.places = tokenPlaces(options);
    this.secretFields = this.places.map(({ secretField }) => secretField);
  }

  /** Bounded, and otherwise as it was sent: see `problemOf`. A request has it in one place only (RFC 6750, section 2). */
  read(exchange: Exchange): string | Refusal {
    let token: string | null = null;
    for (const place of this.places) {
      const text = place.read(exchange);
      if (text === undefined) continue;
      if (text === '') return ambiguous;
      const found = place.tokenIn(text);
      if (found === null) continue;
      if (token !== null) return ambiguous;
      token = found;
    }
    if (token === null) return missing;
    return token.length > maxLength ? malformed : token;
  }

  conceal(exchange: Exchange): void {
    for (const place of this.places) place.remove(exchange);
  }
}

/**
 * Null if a token may be looked at: visible ASCII without a comma, with which a proxy may have joined two fields to one
 * (RFC 9110, section 5.3). More than the grammar of RFC 6750 has; there are servers that give out such.
 */
export function problemOf(token: string): Refusal | null {
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(token) ? null : malformed;
}
