/**
 * The forms of a path in a route: `/a/b`, `/users/{id}`, `/files/{rest...}`, `/files/*`.
 *
 * A pattern is brought to the same canonical form as the path of a request (RFC 3986, section 6.2.2), so that a rule
 * cannot fail to protect a path only because it was spelt otherwise. What no canonical path can contain is an error.
 */

/** A path pattern, taken apart. */
export interface PathPattern {
  /** As it was written. */
  readonly source: string;
  /** Between the slashes: canonical text, or null where one segment is captured. Without the rest. */
  readonly segments: readonly (string | null)[];
  /** The names of the captured segments, in order. */
  readonly names: readonly string[];
  /** How what follows the segments is captured (`*` for a `*`), or null when nothing may follow. */
  readonly rest: string | null;
}

/** A reason why something in a match cannot be, in words for the author of the configuration. */
export interface Invalid {
  readonly error: string;
}

const CAPTURE = /^\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}$/;

/** Takes a pattern apart. Empty segments are an error unless the rule keeps those of the request. */
export function parsePathPattern(source: string, emptySegments: 'merge' | 'keep' = 'merge'): PathPattern | Invalid {
  if (!source.startsWith('/')) return { error: 'a path begins with /' };
  const segments: (string | null)[] = [];
  const names: string[] = [];
  let rest: string | null = null;
  const parts = source.slice(1).split('/');
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    const capture = part === '*' ? { name: '*', isRest: true } : readCapture(part);
    if (capture === null) {
      if (part === '' && !isLast && emptySegments === 'merge') {
        return { error: 'an empty segment (//) never matches unless `emptySegments: keep` is set' };
      }
      const literal = canonicalSegment(part);
      if (typeof literal !== 'string') return literal;
      segments.push(literal);
      continue;
    }
    if (capture.isRest && !isLast) return { error: `${part} stands for all that follows, so nothing can follow it` };
    if (names.includes(capture.name)) return { error: `{${capture.name}} is there twice` };
    if (capture.name === '__proto__') return { error: 'a capture cannot be called __proto__' };
    if (capture.isRest) rest = capture.name;
    else segments.push(null);
    if (!capture.isRest) names.push(capture.name);
  }
  return { source, segments, names, rest };
}

function readCapture(part: string): { readonly name: string; readonly isRest: boolean } | null {
  const match = CAPTURE.exec(part);
  return match === null ? null : { name: match[1]!, isRest: match[2] !== undefined };
}

/** Escapes that a request may never contain: NUL, other control characters and the backslash. */
const REFUSED_ESCAPE = /%(?:[01][0-9A-F]|5C|7F)/;
const UNRESERVED = /^[A-Za-z0-9\-._~]$/;

function canonicalSegment(part: string): string | Invalid {
  if (part.includes('*')) return { error: '* must be a segment of its own, at the end: /files/*' };
  if (/[{}]/.test(part)) {
    return { error: `${part} is not a capture such as {id} or {rest...}, which must be a segment of its own` };
  }
  if (part.includes(';')) return { error: 'path parameters (;) are set aside before matching: leave them out' };
  const unusable = /[?#\\\u0000- \u007f]/.exec(part);
  if (unusable !== null) return { error: `a path cannot contain ${JSON.stringify(unusable[0])}` };
  if (/%(?![0-9A-Fa-f]{2})/.test(part)) return { error: '% must be followed by two hexadecimal digits' };
  const canonical = part.replace(/[^\u0000-\u007f]+/g, percentEncode).replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });
  if (canonical === '.' || canonical === '..') return { error: 'dot segments are removed before matching' };
  const refused = REFUSED_ESCAPE.exec(canonical);
  return refused === null ? canonical : { error: `requests with ${refused[0]} in their path are refused` };
}

function percentEncode(text: string): string {
  return Array.from(Buffer.from(text, 'utf8'), (byte) => `%${byte.toString(16).toUpperCase()}`).join('');
}
