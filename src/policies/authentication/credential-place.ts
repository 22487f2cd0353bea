/** Where a request can carry a credential: a header, a parameter of the query, a cookie. */
import type { Exchange } from '../../contract.ts';
import { readCookies, withoutCookies } from '../../http/cookie-pairs.ts';
import { fieldKind, isClaim } from '../../http/field-kind.ts';
import { readParameters } from '../../http/form-text.ts';
import { isToken } from '../../http/grammar.ts';
import { z } from '../../util/schema.ts';
import { headerName } from '../header-options.ts';

export interface CredentialPlace {
  /**
   * What is there, undefined for nothing. Empty when it is there more than once: of two keys nobody could say which one
   * counts, and gateway and upstream might not agree (CVE-2026-26308).
   */
  read(exchange: Exchange): string | undefined;
  /** Takes it out of a request that goes on, however often it is there. */
  remove(exchange: Exchange): void;
  /** See `Policy.secretFields`. */
  readonly secretField: string;
}

/** Options for the names of the places, none of which has to be there. */
export const placeOptions = {
  header: headerName('request')
    .refine((name) => !isClaim(fieldKind(name)), {
      message: 'the gateway removes this header from requests, so nobody could send a credential in it',
    })
    .optional(),
  query: z.string().min(1).max(64).optional(),
  cookie: z
    .string()
    .max(64)
    .refine(isToken, { message: "a cookie name has letters, digits and - _ . ! # $ % & ' * + ^ ` | ~" })
    .optional(),
};

/** The places that have a name. */
export function credentialPlaces(options: {
  readonly header?: string | undefined;
  readonly query?: string | undefined;
  readonly cookie?: string | undefined;
}): readonly CredentialPlace[] {
  const { header, query, cookie } = options;
  return [
    ...(header === undefined ? [] : [inHeader(header.toLowerCase())]),
    ...(query === undefined ? [] : [inQuery(query)]),
    ...(cookie === undefined ? [] : [inCookie(cookie)]),
  ];
}

function inHeader(name: string): CredentialPlace {
  return {
    read({ requestHeaders }) {
      const values = requestHeaders.getAll(name);
      return values.length > 1 ? '' : values[0];
    },
    remove: ({ requestHeaders }) => requestHeaders.remove(name),
    secretField: name,
  };
}

function inQuery(name: string): CredentialPlace {
  return {
    read({ query }) {
      if (query === '') return undefined;
      const values = readParameters(query, name);
      if (values === null) return undefined;
      return values.length === 1 ? values[0] : '';
    },
    remove: (exchange) => exchange.removeQueryParameter(name),
    secretField: `?${name}`,
  };
}

function inCookie(name: string): CredentialPlace {
  return {
    read({ requestHeaders }) {
      if (!requestHeaders.has('cookie')) return undefined;
      const values = readCookies(requestHeaders.getAll('cookie'), name);
      return values.length > 1 ? '' : values[0];
    },
    remove({ requestHeaders }) {
      if (!requestHeaders.has('cookie')) return;
      const rest = withoutCookies(requestHeaders.getAll('cookie'), name);
      if (rest === null) return;
      requestHeaders.remove('cookie');
      for (const field of rest) requestHeaders.add('cookie', field);
    },
    secretField: 'cookie',
  };
}
