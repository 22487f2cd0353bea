/**
 * Cross-origin resource sharing (the Fetch standard, section 3.2): which origins are allowed, and what is a preflight.
 * Origins are compared as the browsers serialise them: `scheme://host[:port]` in lower case, without the default port.
 */
import type { HeaderList } from '../contract.ts';

const DOT = 0x2e;

interface Wildcard {
  /** What the origin starts with: `https://`. */
  readonly before: string;
  /** What it ends with: `.example.com:8443`. */
  readonly after: string;
}

/** The origins that a configuration allows. Made once, when the configuration is loaded. */
export class OriginSet {
  /** Whether `*` is among them. */
  readonly any: boolean;
  private readonly exact = new Set<string>();
  private readonly wildcards: Wildcard[] = [];

  /**
   * @param patterns `https://a.example`, `https://*.a.example` (any number of labels, but at least one), `null`, or `*`.
   * @throws TypeError what is wrong with the first pattern that is none of these.
   */
  constructor(patterns: readonly string[]) {
    this.any = patterns.includes('*');
    for (const pattern of patterns) {
      if (pattern === '*') continue;
      const origin = canonicalOrigin(pattern);
      const star = origin.indexOf('*');
      if (star === -1) this.exact.add(origin);
      else this.wildcards.push({ before: origin.slice(0, star), after: origin.slice(star + 1) });
    }
  }

  /** Whether an origin is listed, exactly or by a wildcard within a host. What `*` allows is for the caller to say. */
  lists(origin: string): boolean {
    if (this.exact.has(origin)) return true;
    for (const { before, after } of this.wildcards) {
      const end = origin.length - after.length;
      if (origin.startsWith(before) && origin.endsWith(after) && areLabels(origin, before.length, end)) return true;
    }
    return false;
  }
}

/** Whether a browser asks for leave with this request (the Fetch standard, section 3.2.2) rather than sending it. */
export function isPreflight(method: string, headers: HeaderList): boolean {
  return method === 'OPTIONS' && headers.has('access-control-request-method') && headers.has('origin');
}

/** Whether a text from outside has the form of an origin with a scheme and a host, so that it may be sent back. */
export function isOrigin(text: string): boolean {
  const colon = text.indexOf('://');
  if (colon < 1 || colon + 3 === text.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (i === colon) i += 3;
    if (!isOriginCharacter(text.charCodeAt(i))) return false;
  }
  return true;
}

const ORIGIN = /^([a-z][a-z0-9+.-]*):\/\/(\*\.)?([^/?#@\\*\s]+)$/i;
const PLAIN_AUTHORITY = /^[a-z0-9._-]+(:[0-9]{1,5})?$/;

/** The form in which a browser would send the origin that a person wrote; a wildcard label stays. */
function canonicalOrigin(pattern: string): string {
  if (pattern === 'null') return pattern;
  const parts = ORIGIN.exec(pattern);
  if (parts === null) {
    throw new TypeError(
      `"${pattern}" is not an origin: write scheme://host or scheme://host:port, with nothing after it`,
    );
  }
  const scheme = parts[1].toLowerCase();
  const authority = canonicalAuthority(scheme, parts[3]);
  if (authority === null) throw new TypeError(`"${pattern}" is not an origin: its host or port is not valid`);
  return `${scheme}://${parts[2] ?? ''}${authority}`;
}

/** Host and port as a browser serialises them, or null. Punycode and default ports are the URL parser's business. */
function canonicalAuthority(scheme: string, authority: string): string | null {
  if (scheme === 'http' || scheme === 'https') {
    const url = URL.parse(`${scheme}://${authority}`);
    return url === null || url.pathname !== '/' ? null : url.host;
  }
  const lower = authority.toLowerCase();
  return PLAIN_AUTHORITY.test(lower) ? lower : null;
}

/**
 * Whether `text[start, end)` is one or more non-empty labels of a host name: the wildcard of `https://*.a.example` must
 * not swallow anything that ends the host (`https://evil.example/.a.example`).
 */
function areLabels(text: string, start: number, end: number): boolean {
  if (start >= end || text.charCodeAt(end - 1) === DOT) return false;
  let previous = DOT;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT ? previous === DOT : !isLabelCharacter(code)) return false;
    previous = code;
  }
  return true;
}

/** Lower-case letters, digits, `-` and `_`. */
function isLabelCharacter(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f;
}

/** What schemes, hosts, IPv6 literals and ports are made of. */
function isOriginCharacter(code: number): boolean {
  // Beyond the characters of labels: + . : [ ]
  return isLabelCharacter(code) || code === 0x2b || code === DOT || code === 0x3a || code === 0x5b || code === 0x5d;
}
