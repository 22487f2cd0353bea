/**
 * Request targets (RFC 9112, section 3.2) and their one canonical path (RFC 3986, section 6.2.2). Routing, policies,
 * limits, cache, log and upstream all use what comes out of here and never the target itself, so that nothing can be
 * matched as one path and served as another (CVE-2019-9901, CVE-2021-43557, CVE-2025-66490).
 */
import { parseAuthority } from './host.ts';
import { ESCAPE, PATH, PLAIN, QUERY, SEPARATOR, isNormalEscape, normalizePath, rawFault } from './path-normal-form.ts';

const SLASH = 0x2f;
const DOT = 0x2e;
const QUESTION = 0x3f;

/** The target of one request, as it is filled by the functions below. */
export class CanonicalTarget {
  /** What is sent and logged; begins with `/`, or is `*`. Each of its segments is one segment of `matchPath`. */
  path = '';
  /** What is matched: `path` without path parameters (`;x=1`). */
  matchPath = '';
  /** The two above before empty segments were merged, for routes with `emptySegments: keep`. */
  unmergedPath = '';
  unmergedMatchPath = '';
  /** As on the wire, without `?`; empty when there is none. */
  query = '';
  /** Host and port of an absolute-form target, as on the wire but valid; else empty. It goes before the `Host` field. */
  authority = '';
  scheme: '' | 'http' | 'https' = '';
  /** The path has a `%2F`; only routes with `encodedSlash: keep` may serve it. */
  hasEncodedSlash = false;
  hasEmptySegments = false;
  /** The request is about the server itself: `OPTIONS *`. */
  asterisk = false;
  /** Why the target was refused: a constant, for the log. Empty when it was not. */
  reason = '';
}

/**
 * Makes a request target canonical.
 * @param out is filled; on refusal its `reason` is set and nothing of an earlier target is left in it.
 * @returns false for a target that is to be refused with 400 `BAD_PATH`.
 */
export function canonicalizeTarget(target: string, method: string, out: CanonicalTarget): boolean {
  out.authority = '';
  out.scheme = '';
  out.asterisk = false;
  if (target.charCodeAt(0) === SLASH) return canonicalizeOriginForm(target, out);
  if (target !== '*') return canonicalizeAbsoluteForm(target, method, out);
  // RFC 9112, section 3.2.4.
  return method === 'OPTIONS' ? acceptAsterisk(out) : refuse('* without OPTIONS', out);
}

/**
 * Makes a path canonical, without query; for paths that the gateway composes itself. Fills what is said of the path in
 * `out` and leaves `query`, `authority` and `scheme` as they are.
 * @returns false for a path that may not be sent; `out.reason` says why.
 */
export function canonicalizePath(path: string, out: CanonicalTarget): boolean {
  if (path.charCodeAt(0) !== SLASH) return refusePath('a path that does not begin with /', out);
  return canonicalPathLength(path) === path.length ? setCanonicalPath(path, out) : setNormalForm(path, out);
}

function canonicalizeOriginForm(target: string, out: CanonicalTarget): boolean {
  const length = target.length;
  let end = canonicalPathLength(target);
  if (end === length || target.charCodeAt(end) === QUESTION) {
    setCanonicalPath(target.substring(0, end), out);
  } else {
    const question = target.indexOf('?', end);
    end = question === -1 ? length : question;
    if (!setNormalForm(target.substring(0, end), out)) return refuse(out.reason, out);
  }
  const fault = queryFault(target, end + 1);
  if (fault !== '') return refuse(fault, out);
  out.query = end < length ? target.substring(end + 1) : '';
  return true;
}

/**
 * How many characters of a text that begins with `/` are a path in canonical form: the one pass that nearly every
 * request needs. Stops before the query, and before all that has to be looked at more closely.
 */
function canonicalPathLength(text: string): number {
  const length = text.length;
  for (let i = 0; i < length; i++) {
    const kind = PATH[text.charCodeAt(i)];
    if (kind === PLAIN) continue;
    if (kind === ESCAPE && isNormalEscape(text, i)) {
      i += 2;
      continue;
    }
    if (kind !== SEPARATOR) return i;
    if (i + 1 === length) return length;
    // Perhaps an empty or a dot segment.
    const next = text.charCodeAt(i + 1);
    if (next === SLASH || next === DOT) return i;
  }
  return length;
}

/** Why the query that begins at an index is not one, or the empty string. */
function queryFault(target: string, start: number): string {
  for (let i = start; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (QUERY[code] !== PLAIN) return rawFault(code);
  }
  return '';
}

/** `http://host:port/path?query` (RFC 9112, section 3.2.2). Everything else that is left is refused. */
function canonicalizeAbsoluteForm(target: string, method: string, out: CanonicalTarget): boolean {
  const match = /^(https?):\/\/([^/?#]*)/i.exec(target);
  if (match === null) return refuse('a target in none of the forms of RFC 9112', out);
  const [prefix, scheme, authority] = match;
  // RFC 9110, section 4.2.4: user information is an error. So is everything else that no Host field may have.
  if (parseAuthority(authority) === null) return refuse('an invalid authority in the target', out);
  out.authority = authority;
  out.scheme = scheme.length === 5 ? 'https' : 'http';

  const rest = target.substring(prefix.length);
  // RFC 9112, section 3.2.4: without path and query, OPTIONS is about the server.
  if (rest === '' && method === 'OPTIONS') return acceptAsterisk(out);
  return canonicalizeOriginForm(rest.charCodeAt(0) === SLASH ? rest : `/${rest}`, out);
}

function setNormalForm(path: string, out: CanonicalTarget): boolean {
  const normal = normalizePath(path);
  if (typeof normal === 'string') return refusePath(normal, out);
  out.path = normal.path;
  out.matchPath = normal.matchPath;
  out.unmergedPath = normal.unmergedPath;
  out.unmergedMatchPath = normal.unmergedMatchPath;
  out.hasEncodedSlash = normal.hasEncodedSlash;
  out.hasEmptySegments = normal.hasEmptySegments;
  out.reason = '';
  return true;
}

/** For a path that is the same in all four readings. */
function setCanonicalPath(path: string, out: CanonicalTarget): true {
  out.path = path;
  out.matchPath = path;
  out.unmergedPath = path;
  out.unmergedMatchPath = path;
  out.hasEncodedSlash = false;
  out.hasEmptySegments = false;
  out.reason = '';
  return true;
}

function acceptAsterisk(out: CanonicalTarget): true {
  out.query = '';
  out.asterisk = true;
  return setCanonicalPath('*', out);
}

function refusePath(reason: string, out: CanonicalTarget): false {
  setCanonicalPath('', out);
  out.reason = reason;
  return false;
}

function refuse(reason: string, out: CanonicalTarget): false {
  out.query = '';
  out.authority = '';
  out.scheme = '';
  return refusePath(reason, out);
}
