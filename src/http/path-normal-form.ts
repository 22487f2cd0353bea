/**
 * The normal form of a path (RFC 3986, section 6.2.2), for paths that are not in it already: `path.ts` recognises those
 * by itself. A path that two servers could read differently is not repaired but refused.
 */

/** A path in its normal form, in the four ways in which it is read. */
export interface NormalPath {
  /** What is sent: empty segments merged, path parameters kept. */
  readonly path: string;
  /** What is matched: the same segments without their parameters. */
  readonly matchPath: string;
  /** The two above with empty segments kept; the same strings when there were none. */
  readonly unmergedPath: string;
  readonly unmergedMatchPath: string;
  readonly hasEncodedSlash: boolean;
  readonly hasEmptySegments: boolean;
}

/** Kinds of characters in `PATH`. What is 0 there, or lies behind its end, may not be in a path. */
export const PLAIN = 1;
export const SEPARATOR = 2;
/** Allowed, but what it means has to be looked at: `%`, `;`, `[` and `]`. */
const SPECIAL = 3;

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** RFC 3986, section 2.3. */
const unreserved = `${letters}0123456789-._~`;

function table(...kinds: readonly (readonly [kind: number, characters: string])[]): Uint8Array {
  const codes = new Uint8Array(128);
  for (const [kind, characters] of kinds) {
    for (const character of characters) codes[character.charCodeAt(0)] = kind;
  }
  return codes;
}

const UNRESERVED = table([PLAIN, unreserved]);

/** What paths are made of: `pchar` and `/` (RFC 3986, section 3.3), and the brackets that browsers leave as they are. */
export const PATH = table([PLAIN, `${unreserved}!$&'()*+,=:@`], [SEPARATOR, '/'], [SPECIAL, '%;[]']);

/**
 * What queries are made of besides escapes (RFC 3986, section 3.4). Brackets are not in that grammar, yet every client
 * sends `?filter[name]=x` so, and no server reads them in two ways.
 */
export const QUERY = table([PLAIN, `${unreserved}!$&'()*+,;=:@/?[]`]);

const PERCENT = 0x25;

/** The normal form of a path that begins with `/`, or why it has none: a constant, for the log. */
export function normalizePath(path: string): NormalPath | string {
  const fault = findFault(path);
  if (fault !== '') return fault;
  const text = path.replace(escapes, normalEscape);

  const segments: string[] = [];
  const names: string[] = [];
  const refused = resolveSegments(text.substring(1).split('/'), segments, names);
  if (refused !== '') return refused;

  const unmergedPath = `/${segments.join('/')}`;
  const unmergedMatchPath = `/${names.join('/')}`;
  const last = names.length - 1;
  const hasEmptySegments = names.some((name, index) => name === '' && index < last);
  // A segment of nothing but parameters is empty for whoever drops parameters, and is merged for everybody else as well:
  // `/;x=1/admin` is matched as `/admin`, so `/admin` is what is sent (CVE-2021-26085).
  const isKept = (_: string, index: number): boolean => names[index] !== '' || index === last;
  return {
    path: hasEmptySegments ? `/${segments.filter(isKept).join('/')}` : unmergedPath,
    matchPath: hasEmptySegments ? `/${names.filter(isKept).join('/')}` : unmergedMatchPath,
    unmergedPath,
    unmergedMatchPath,
    hasEncodedSlash: text.includes('%2F'),
    hasEmptySegments,
  };
}

/** The value of the escape at an index, 0–255; -1 when the two characters behind the `%` are not hexadecimal digits. */
export function escapedByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at + 1));
  const low = hexDigit(text.charCodeAt(at + 2));
  return high === -1 || low === -1 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const folded = code | 0x20;
  return folded >= 0x61 && folded <= 0x66 ? folded - 0x57 : -1;
}

/** Why a raw character may not be where it is; for the log. */
export function rawFault(code: number): string {
  if (code === 0x23) return 'a # in the target';
  if (code === 0x5c) return 'a backslash in the target';
  if (code < 0x20 || code === 0x7f) return 'a control character in the target';
  return code > 0x7f ? 'a character outside ASCII in the target' : 'a character that RFC 3986 does not allow';
}

/** Looks for characters and escapes that no path may have; empty when all is well. */
function findFault(path: string): string {
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === PERCENT) {
      const fault = escapeFault(path, i);
      if (fault !== '') return fault;
      i += 2;
    } else if (code > 0x7f || PATH[code] === 0) {
      return rawFault(code);
    }
  }
  return '';
}

function escapeFault(path: string, at: number): string {
  const byte = escapedByte(path, at);
  if (byte === -1) return 'malformed percent-encoding';
  if (byte === 0) return 'an encoded NUL';
  if (byte === 0x5c) return 'an encoded backslash';
  // Bytes that begin no character (RFC 3629, section 3), and overlong forms, which lax decoders take for ASCII: %c0%af is
  // a slash to them (CAPEC-80, MS00-078).
  if (byte === 0xc0 || byte === 0xc1 || byte >= 0xf5) return 'invalid UTF-8';
  if (byte !== 0xe0 && byte !== 0xf0) return '';
  const next = path.charCodeAt(at + 3) === PERCENT ? escapedByte(path, at + 3) : -1;
  return next >= 0x80 && next < (byte === 0xe0 ? 0xa0 : 0x90) ? 'overlong UTF-8' : '';
}

const escapes = /%[\dA-Fa-f]{2}|[[\]]/g;

/** Decoded when unreserved (RFC 3986, section 6.2.2.2), else with upper-case digits. A bracket gets its only spelling. */
function normalEscape(escape: string): string {
  if (escape === '[') return '%5B';
  if (escape === ']') return '%5D';
  const byte = Number.parseInt(escape.substring(1), 16);
  return UNRESERVED[byte] === PLAIN ? String.fromCharCode(byte) : escape.toUpperCase();
}

/**
 * Removes dot segments (RFC 3986, section 5.2.4) and finds the name of each segment: what is left without parameters.
 * @param segments gets the segments that remain, and `names` their names.
 * @returns why the path is refused, or the empty string.
 */
function resolveSegments(source: readonly string[], segments: string[], names: string[]): string {
  const last = source.length - 1;
  for (const [index, segment] of source.entries()) {
    if (isDotSegment(segment)) {
      if (segment === '..') {
        if (segments.pop() === undefined) return 'a dot segment above the root';
        // `/a//../b` is `/a/b` by the RFC, and `/b` to servers that merge slashes first.
        if (names.pop() === '') return 'a dot segment behind an empty segment';
      }
      if (index < last) continue;
      segments.push('');
      names.push('');
      continue;
    }
    const parts = segment.split('%2F').map(withoutParameters);
    // `..;` and `..%2F` are dot segments to servers that drop parameters, or decode, before they resolve them
    // (CVE-2020-5902, CVE-2021-29492); with `encodedSlash: keep` nobody else would look.
    if (parts.some(isDotSegment)) return 'a hidden dot segment';
    if (parts.some((part) => trimmable.test(part))) return 'an encoded control character around a segment';
    segments.push(segment);
    names.push(parts.join('%2F'));
  }
  return '';
}

const isDotSegment = (text: string): boolean => text === '.' || text === '..';

/**
 * An encoded control character where a segment begins or ends: a server that trims, or a pattern whose `$` matches before
 * a line break, reads `/admin%0A` as `/admin`. Within a segment it is data (RFC 3986, section 2.1) and stays encoded.
 */
const trimmable = /^%(?:[01][\dA-F]|7F)|%(?:[01][\dA-F]|7F)$/;

/** What is before the first `;`, raw or encoded (RFC 3986, section 3.3). */
function withoutParameters(part: string): string {
  const raw = part.indexOf(';');
  const name = raw === -1 ? part : part.substring(0, raw);
  const encoded = name.indexOf('%3B');
  return encoded === -1 ? name : name.substring(0, encoded);
}
