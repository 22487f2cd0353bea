/**
 * `rewrite` and `redirect` of a route: templates in which `{name}` and `{*}` stand for what the path of the match
 * captured.
 *
 * Captured text is canonical path text with its escapes; it is inserted as it is, and what could be syntax in it is
 * escaped again (CVE-2024-38474). The result must be canonical by itself: where joining harmless pieces makes a dot
 * segment, or anything else that a server would still resolve, the request is refused (GHSA-xf64-8mw2-4gr2). So the
 * literal text before the first capture always begins the path that is sent.
 */
import { formatAuthority, parseAuthority } from '../http/host.ts';
import { PATH, PLAIN, SEPARATOR, escapedByte } from '../http/path-normal-form.ts';
import { CanonicalTarget, canonicalizePath, canonicalizeTarget } from '../http/path.ts';

/** Captured text by the name of the capture, `*` included: canonical, not decoded. */
export type Captures = Readonly<Record<string, string>>;

/** A text with captures in it. */
export interface Template {
  /** What stands before, between and behind the captures: one more than there are names. */
  readonly literals: readonly string[];
  readonly names: readonly string[];
}

/** Where a redirect leads: a URL, `//host/path` or a path, taken apart. */
export interface RedirectTemplate {
  /** `https://`, `http://`, `//` (the scheme of the request), or empty when the template is a path. */
  readonly prefix: string;
  /** Host as written, with brackets; null for `{host}`, that of the request. Empty when the template is a path. */
  readonly host: string | null;
  /** `:8443` as written, or empty. */
  readonly port: string;
  readonly path: Template;
  /** null when the query of the request is kept. */
  readonly query: Template | null;
  /** With its `#`, or empty. */
  readonly fragment: string;
}

/** What is wrong with a configured text: a phrase for the problem list. */
export interface TemplateError {
  readonly error: string;
}

/** What a redirect needs to know of the request that it answers; an `Exchange` has it. */
export interface RedirectedRequest {
  readonly host: string;
  readonly path: string;
}

const SLASH = 0x2f;
const PERCENT = 0x25;
const SEMICOLON = 0x3b;

/** What may stand in a redirect besides captures; a capture of the same name goes first. */
const requestNames: readonly string[] = ['host', 'path', 'query'];

/** A result is tried out here, so that a refused one leaves the target of the request alone. */
const trial = new CanonicalTarget();

/** Reads `rewrite.path`: a path whose captures are among `captureNames`. */
export function compileTemplate(template: string, captureNames: readonly string[]): Template | TemplateError {
  if (!template.startsWith('/')) return { error: 'a path begins with /' };
  if (template.includes('?')) return { error: 'a rewritten path has no query; the query of the request is kept' };
  const compiled = splitTemplate(template, captureNames);
  if ('error' in compiled) return compiled;
  return checkPath(sampleOf(compiled, captureNames)) ?? compiled;
}

/**
 * Replaces the path of a target by what the template makes of a request.
 * @param out gets the path; all else in it stays.
 * @param requestPath the path of the request, where `out` is not its own target. The `*` of `OPTIONS *` is no path and
 * stays as it is.
 * @returns false for a result that may not be sent: 500 `BAD_REWRITE`. Then only `out.reason` has changed.
 */
export function rewritePath(
  template: Template,
  captures: Captures,
  out: CanonicalTarget,
  requestPath: string = out.path,
): boolean {
  if (requestPath === '*') {
    canonicalizeTarget('*', 'OPTIONS', trial);
  } else if (!isCanonical(expandPath(template, captures, endsWithSlash(requestPath)))) {
    out.reason = trial.reason === '' ? 'a rewritten path that is not canonical' : trial.reason;
    return false;
  }
  out.path = trial.path;
  out.matchPath = trial.matchPath;
  out.unmergedPath = trial.unmergedPath;
  out.unmergedMatchPath = trial.unmergedMatchPath;
  out.hasEncodedSlash = trial.hasEncodedSlash;
  out.hasEmptySegments = trial.hasEmptySegments;
  out.asterisk = requestPath === '*';
  return true;
}

/** Reads `rewrite.host`: the value of the `Host` field for the upstream, in normal form. */
export function compileHost(host: string): string | TemplateError {
  const authority = parseAuthority(host);
  if (authority === null) {
    return { error: `${JSON.stringify(host)} is not a host such as api.internal or api.internal:8080` };
  }
  return formatAuthority(authority.host, authority.port);
}

const redirectParts =
  /^(?:((?:https?:)?\/\/)([^/?#:[{]*|\[[^\]]*\]|\{host\})(:\d+)?)?((?:\/|\{path\})[^?#]*)?(\?[^#]*)?(#.*)?$/i;

/**
 * Reads `redirect.to`: `https://host/path`, `//host/path` (with the scheme of the request) or `/path`, with a query and a
 * fragment or without. Besides the captures there are `{host}`, which stands for the whole host name of the request, and
 * nowhere else, `{path}` with its leading slash, and `{query}`. No captured text can be part of scheme, host or port, so
 * that no request can choose where it is sent.
 */
export function compileRedirect(template: string, captureNames: readonly string[]): RedirectTemplate | TemplateError {
  const match = redirectParts.exec(template);
  if (match === null || template === '') {
    return { error: 'a redirect leads to https://host/path, //host/path or /path, and only {host} stands in its host' };
  }
  const [, prefix = '', hostText = '', port = '', pathText = '', queryText, fragment = ''] = match;
  if (prefix === '' && pathText === '') return { error: 'a redirect without a host begins with /' };
  const host = hostText.toLowerCase() === '{host}' ? null : hostText;
  if (prefix !== '' && parseAuthority((host ?? 'x') + port) === null) {
    return { error: `${JSON.stringify(hostText + port)} is not a host` };
  }

  const path = splitTemplate(pathText === '' ? '/' : pathText, [...captureNames, 'path']);
  if ('error' in path) return path;
  const query =
    queryText === undefined ? null : splitTemplate(queryText.substring(1), [...captureNames, ...requestNames]);
  if (query !== null && 'error' in query) return query;
  return (
    checkPath(sampleOf(path, captureNames)) ??
    checkQuery(query === null ? '' : sampleOf(query, captureNames), 'query') ??
    checkQuery(fragment.substring(1), 'fragment') ?? { prefix, host, port, path, query, fragment }
  );
}

/**
 * The `Location` of a redirect: a valid URI reference (RFC 3986, section 4.1).
 * @param query of the request, without `?`; kept unless the template has its own.
 * @returns null for a result that may not be sent: 500 `BAD_REWRITE`.
 */
export function redirectLocation(
  template: RedirectTemplate,
  captures: Captures,
  query: string,
  request: RedirectedRequest,
): string | null {
  const safeQuery = encodeQuery(query);
  const values: Captures = { host: request.host, path: request.path, ...captures };
  let path = expandPath(template.path, values, endsWithSlash(request.path));
  // A reference that begins with // names a host (RFC 3986, section 4.2), and with `emptySegments: keep` a client could
  // choose which.
  if (template.prefix === '') path = path.replace(leadingSlashes, '/');
  if (!isCanonical(path)) return null;

  // A request of HTTP/1.0 may have no host.
  const host = template.host ?? formatAuthority(request.host, 0);
  if (template.prefix !== '' && host === '') return null;
  const ownQuery = template.query === null ? safeQuery : expandQuery(template.query, values, safeQuery);
  return template.prefix + host + template.port + path + (ownQuery === '' ? '' : `?${ownQuery}`) + template.fragment;
}

const leadingSlashes = /^\/{2,}/;
const placeholders = /\{([^{}]*)\}/;

function splitTemplate(template: string, known: readonly string[]): Template | TemplateError {
  // With one group in the pattern, every second piece is a name.
  const pieces = template.split(placeholders);
  const literals = pieces.filter((_, index) => index % 2 === 0);
  const names = pieces.filter((_, index) => index % 2 === 1);
  if (literals.some((literal) => /[{}]/.test(literal))) return { error: 'a { or } without its counterpart' };
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return { literals, names };
  const choice = known.length === 0 ? 'nothing is captured' : `there is ${known.map((name) => `{${name}}`).join(', ')}`;
  return { error: `{${unknown}} stands for nothing here: ${choice}` };
}

/** The template with something harmless in place of each capture; `{path}` of the request has its slash with it. */
function sampleOf({ literals, names }: Template, captureNames: readonly string[]): string {
  const samples = names.map((name) => (name === 'path' && !captureNames.includes(name) ? '/x' : 'x'));
  return literals.map((literal, index) => literal + (samples[index] ?? '')).join('');
}

function checkPath(sample: string): TemplateError | null {
  if (!canonicalizePath(sample, trial)) return { error: `not an acceptable path: ${trial.reason}` };
  if (trial.path === sample) return null;
  return {
    error: 'the path is not canonical: it has empty or dot segments, or escapes that are lower-case or not needed',
  };
}

function checkQuery(text: string, part: 'query' | 'fragment'): TemplateError | null {
  // A fragment is made of the same characters as a query (RFC 3986, section 3.5).
  if (encodeQuery(text) === text && canonicalizeTarget(`/?${text}`, 'GET', trial)) return null;
  return { error: `the ${part} has characters that must be percent-encoded` };
}

/**
 * The path that a template makes. Around an empty capture there is one slash, not two; at the end there is none, unless
 * the path of the request ended in one: `/one/{*}` of `/prefix/*` makes `/prefix` `/one`, and `/prefix/` `/one/`, as
 * the Gateway API does when it replaces a prefix.
 */
function expandPath({ literals, names }: Template, captures: Captures, keepsLastSlash: boolean): string {
  let path = literals[0];
  for (let i = 0; i < names.length; i++) {
    const captured = valueOf(captures, names[i]);
    const literal = literals[i + 1];
    path += encodeCapture(captured);
    if (captured !== '' || !endsWithSlash(path)) path += literal;
    else if (literal !== '') path += literal.charCodeAt(0) === SLASH ? literal.substring(1) : literal;
    else if (i === names.length - 1 && !keepsLastSlash && path.length > 1) path = path.substring(0, path.length - 1);
  }
  return path;
}

/** In a query, captured text is the text of a value: what separates parameters there is escaped. */
function expandQuery({ literals, names }: Template, captures: Captures, query: string): string {
  let text = literals[0];
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    const isWholeQuery = name === 'query' && !Object.hasOwn(captures, name);
    text += isWholeQuery ? query : encodeCapture(valueOf(captures, name)).replace(querySyntax, encodeURIComponent);
    text += literals[i + 1];
  }
  return text;
}

const querySyntax = /[&=+;]/g;

/** A group of a regular expression that took no part in the match has captured nothing. */
function valueOf(captures: Captures, name: string): string {
  return Object.hasOwn(captures, name) ? (captures[name] ?? '') : '';
}

/**
 * Captured text as text of a path. Canonical text is returned as it is; what no path has is escaped, above all `?`, `#`
 * and a `%` that begins no escape (CVE-2024-38474).
 */
function encodeCapture(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const kind = PATH[code];
    if (kind === PLAIN || kind === SEPARATOR || code === SEMICOLON) continue;
    if (code !== PERCENT || escapedByte(text, i) === -1) {
      return text.toWellFormed().replace(notPathText, encodeURIComponent);
    }
  }
  return text;
}

const notPathText = /%(?![\dA-Fa-f]{2})|[^\w.~!$&'()*+,;=:@/%-]+/g;

/** Whether a path is the canonical form of itself. Leaves that form in `trial`. */
function isCanonical(path: string): boolean {
  return canonicalizePath(path, trial) && trial.unmergedPath === path;
}

/** What browsers send in a query although no URI may have it (RFC 3986, section 3.4), escaped. */
function encodeQuery(query: string): string {
  const escaped = query.replaceAll(
    /[[\]{}|^`]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return escaped.replaceAll(/%(?![0-9a-f]{2})/gi, '%25');
}

function endsWithSlash(text: string): boolean {
  return text.charCodeAt(text.length - 1) === SLASH;
}
