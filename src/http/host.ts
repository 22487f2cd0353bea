/**
 * Host and port as in the `Host` field and in absolute targets (RFC 9110, section 7.2; RFC 3986, section 3.2), strict:
 * what could be read as another host by the next server is none.
 */
import { canonicalIp } from '../util/ip-set.ts';

export interface Authority {
  /** Lower-case, without the trailing dot of the root; an IPv6 address in canonical form, without brackets. */
  readonly host: string;
  /** 0–65535; 0 when there is none; as a port it is reserved, so nothing is called at it. */
  readonly port: number;
}

/** What DNS can carry (RFC 1035, section 2.3.4), a trailing dot and the longest port. */
const longestAuthority = 253 + 1 + 6;

/** How many different spellings are remembered; a gateway is called by few names. */
const memoSize = 256;
const memo = new Map<string, Authority>();

/**
 * `host`, `host:port`, `192.0.2.1`, `[2001:db8::1]:port`; null for everything else. A name is labels of what a `reg-name`
 * is made of, but for escapes and commas: those, user information and zones are grammatical here or there, and have been
 * used to make two servers see two hosts. An empty port counts as none (RFC 3986, section 6.2.3).
 */
export function parseAuthority(authority: string): Authority | null {
  const known = memo.get(authority);
  if (known !== undefined) return known;
  if (authority.length > longestAuthority) return null;
  // A copy: `authority` is likely a slice that keeps the whole head of a request in memory.
  const text = Buffer.from(authority, 'latin1').toString('latin1');
  const parsed = parse(text);
  if (parsed === null || text !== authority) return null;
  // Clearing costs an attacker's thousand hosts no more than remembering them did.
  if (memo.size >= memoSize) memo.clear();
  memo.set(text, parsed);
  return parsed;
}

/**
 * What another proxy says that the client has called, in `X-Forwarded-Host` or `Forwarded`. It was read and written again
 * by software that we do not know, so of what is grammatical only what hosts on the web are called is taken: no
 * sub-delimiters, no empty port and no port 0.
 */
export function parseForwardedAuthority(authority: string): Authority | null {
  return FORWARDED_AUTHORITY.test(authority) ? parseAuthority(authority) : null;
}

const FORWARDED_AUTHORITY = /^[\w.:[\]-]+(?<!:0*)$/;

/** The inverse of `parseAuthority`: brackets around IPv6, and a port only when it is not 0. */
export function formatAuthority(host: string, port: number): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === 0 ? name : `${name}:${port}`;
}

const AUTHORITY = /^(?:\[([\da-f:.]+)\]|([\w~!$&'()*+;=-]+(?:\.[\w~!$&'()*+;=-]+)*)\.?)(?::(\d{0,5}))?$/i;

function parse(text: string): Authority | null {
  const match = AUTHORITY.exec(text);
  if (match === null) return null;
  const [, ipv6, name, digits = ''] = match;
  const host = ipv6 === undefined ? name.toLowerCase() : parseIpv6(ipv6);
  const port = Number(digits);
  return host === null || host.length > 253 || port > 65_535 ? null : { host, port };
}

/** Brackets are for IPv6 alone: `[127.0.0.1]` is nothing. */
function parseIpv6(text: string): string | null {
  return text.includes(':') ? canonicalIp(text) : null;
}
