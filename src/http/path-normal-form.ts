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

/** Kinds of characters in `PATH`, by code. What is 0 there, or lies behind its end, may not be in a path. */
export const PLAIN = 1;
export const SEPARATOR = 2;
export const ESCAPE = 3;
/** Allowed, but what it means has to be looked at: `;`, `[` and `]`. */
const SPECIAL = 4;

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** RFC 3986, section 2.3. */
const unreserved = `${letters}0123456789-._~`;

function table(...kinds: readonly (readonly [kind: number, characters: string])[]): Uint8Array {
  const codes = new Uint8Array(256);
  for (const [kind, characters] of kinds) {
    for (const character of characters) codes[character.charCodeAt(0)] = kind;
  }
  return codes;
}

const UNRESERVED = table([PLAIN, unreserved]);

/** What paths are made of: `pchar` and `/` (RFC 3986, section 3.3), and the brackets that browsers leave as they are. */
export const PATH = table([PLAIN, `${unreserved}!$&'()*+,=:@`], [SEPARATOR, '/'], [ESCAPE, '%'], [SPECIAL, ';[]']);

/**
 * What queries are made of: RFC 3986, section 3.4, and what browsers besides leave as it is (the URL standard's query
 * percent-encode set): brackets, braces, `|`, `^`, a backtick, a `%` that begins no escape. Nothing is matched by what a
 * query looks like as a path, and it is sent on byte for byte.
 */
export const QUERY = table([PLAIN, `${unreserved}!$&'()*+,;=:@/?[]{}|^\`%`]);

const PERCENT = 0x25;
const SLASH = 0x2f;
const SEMICOLON = 0x3b;

/** The normal form of a path that begins with `/`, or why it has none: a constant, for the log. */
export function normalizePath(path: string): NormalPath | string {
  const fault = findFault(path);
  if (fault !== '') return fault;
  const text = normalizeEscapes(path);

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
    const kind = PATH[code];
    if (kind === ESCAPE) {
      const fault = escapeFault(path, i, escapedByte(path, i));
      if (fault !== '') return fault;
      i += 2;
    } else if (kind === 0 || code > 0xff) {
      return rawFault(code);
    }
  }
  return '';
}

function escapeFault(path: string, at: number, byte: number): string {
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

/** Escapes that mean more than data, so that a path with one of them is taken apart to see where it stands. */
const isStructural = (byte: number): boolean => byte < 0x20 || byte === 0x7f || byte === SLASH || byte === SEMICOLON;

/** Whether the `%` at an index begins an escape that is normal as it is, and data wherever it stands. */
export function isNormalEscape(path: string, at: number): boolean {
  const byte = escapedByte(path, at);
  if (UNRESERVED[byte] === PLAIN || isStructural(byte) || escapeFault(path, at, byte) !== '') return false;
  return isUpperDigit(path.charCodeAt(at + 1)) && isUpperDigit(path.charCodeAt(at + 2));
}

/** Of hexadecimal digits. */
const isUpperDigit = (code: number): boolean => code < 0x61;

/**
 * Escapes of unreserved characters are decoded, the others get upper-case digits (RFC 3986, section 6.2.2). A raw bracket
 * gets the spelling that the grammar knows.
 */
function normalizeEscapes(path: string): string {
  let text = '';
  let copied = 0;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    const kind = PATH[code];
    if (kind === PLAIN || kind === SEPARATOR || code === SEMICOLON) continue;
    text += path.substring(copied, i);
    if (kind === ESCAPE) {
      text += NORMAL_ESCAPES[escapedByte(path, i)];
      i += 2;
    } else {
      text += NORMAL_ESCAPES[code];
    }
    copied = i + 1;
  }
  return copied === 0 ? path : text + path.substring(copied);
}

/** The normal form of an escape, by the byte that it stands for. */
const NORMAL_ESCAPES: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  UNRESERVED[byte] === PLAIN ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
);

/**
 * Removes dot segments (RFC 3986, section 5.2.4) and finds the name of each segment: what is left without parameters.
 * @param segments gets the segments that remain, and `names` their names.
 * @returns why the path is refused, or the empty string.
 */
function resolveSegments(source: readonly string[], segments: string[], names: string[]): string {
  const last = source.length - 1;
  for (let i = 0; i <= last; i++) {
    const segment = source[i];
    if (!isDotSegment(segment)) {
      const name = nameOf(segment);
      if (name === HIDDEN_DOTS) return 'a hidden dot segment';
      if (name === TRIMMABLE) return 'an encoded control character around a segment';
      segments.push(segment);
      names.push(name);
      continue;
    }
    if (segment === '..') {
      if (segments.pop() === undefined) return 'a dot segment above the root';
      // `/a//../b` is `/a/b` by the RFC, and `/b` to servers that merge slashes first.
      if (names.pop() === '') return 'a dot segment behind an empty segment';
    }
    if (i === last) {
      segments.push('');
      names.push('');
    }
  }
  return '';
}

const isDotSegment = (text: string): boolean => text === '.' || text === '..';

/** Results of `nameOf` that no name can be. */
const HIDDEN_DOTS = '..';
const TRIMMABLE = '/';

/** A segment without its parameters; or why it has no name, as one of the two constants above. */
function nameOf(segment: string): string {
  if (!segment.includes('%')) {
    const name = withoutParameters(segment);
    return isDotSegment(name) ? HIDDEN_DOTS : name;
  }
  const parts = segment.includes('%2F') ? segment.split('%2F') : [segment];
  for (let i = 0; i < parts.length; i++) {
    const name = withoutParameters(parts[i]);
    // `..;` and `..%2F` are dot segments to servers that drop parameters, or decode, before they resolve them
    // (CVE-2020-5902, CVE-2021-29492); with `encodedSlash: keep` nobody else would look.
    if (isDotSegment(name)) return HIDDEN_DOTS;
    if (isControl(name, 0) || isControl(name, name.length - 3)) return TRIMMABLE;
    parts[i] = name;
  }
  return parts.join('%2F');
}

/**
 * Whether there is an encoded control character at an index. Where a segment begins or ends none is accepted: a server
 * that trims, or a pattern whose `$` matches before a line break, reads `/admin%0A` as `/admin`. Within a segment it is
 * data (RFC 3986, section 2.1) and stays encoded.
 */
function isControl(name: string, at: number): boolean {
  if (name.charCodeAt(at) !== PERCENT) return false;
  const byte = escapedByte(name, at);
  return byte < 0x20 || byte === 0x7f;
}

/** What is before the first `;`, raw or encoded (RFC 3986, section 3.3). */
function withoutParameters(part: string): string {
  const raw = part.indexOf(';');
  const name = raw === -1 ? part : part.substring(0, raw);
  const encoded = name.indexOf('%3B');
  return encoded === -1 ? name : name.substring(0, encoded);
}
