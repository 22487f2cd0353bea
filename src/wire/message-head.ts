/**
 * A strict parser for the heads of HTTP/1.1 messages (RFC 9112), requests and responses.
 *
 * It accepts the grammar and nothing else: every line ends in CRLF, no folding, no space before a colon, no name that is
 * not a token, no control character in a value. Leniency here is what request smuggling is made of (SECURITY.md, section
 * C), so there is no switch to relax it. A head is scanned once, byte by byte, with tables of characters.
 *
 * Results are numbers, not exceptions: the offset behind the head, or one of the negative constants below.
 */
import type { ErrorCode } from '../errors.ts';
import { parseContentLength } from '../http/content-length.ts';
import {
  CONNECTION,
  CONTENT_LENGTH,
  EXPECT,
  HOST,
  ORDINARY,
  TE,
  TRANSFER_ENCODING,
  UPGRADE,
  fieldKind,
  fieldKindIn,
} from '../http/field-kind.ts';
import { METHOD, TARGET, TOKEN, VALUE } from '../http/grammar.ts';
import { HeaderFields } from '../http/header-fields.ts';
import { methodIn } from '../http/method.ts';
import type { HeadSource } from './head-source.ts';

/** More bytes are needed. */
export const INCOMPLETE = -1;
/** Not HTTP, or ambiguous: 400, or 502 when an upstream sent it. */
export const MALFORMED = -2;
export const TARGET_TOO_LONG = -3;
export const HEAD_TOO_LARGE = -4;
export const VERSION_NOT_SUPPORTED = -5;
export const NOT_IMPLEMENTED = -6;
export const EXPECTATION_FAILED = -7;

const refusals: readonly ErrorCode[] = [
  'INTERNAL',
  'INTERNAL',
  'BAD_REQUEST',
  'TARGET_TOO_LONG',
  'HEAD_TOO_LARGE',
  'VERSION_NOT_SUPPORTED',
  'NOT_IMPLEMENTED',
  'EXPECTATION_FAILED',
];

/** What a client is told about a negative result of `parseRequestHead`. */
export function refusalOf(result: number): ErrorCode {
  return refusals[-result] ?? 'BAD_REQUEST';
}

export interface HeadLimits {
  /** Bytes of the whole head, request line included. */
  readonly headBytes: number;
  readonly targetBytes: number;
  /** Number of fields. */
  readonly headers: number;
  /** Names with `_` fold onto others behind many upstreams (GHSA-f59h-q822-g45g); dropped unless kept on purpose. */
  readonly keepUnderscores: boolean;
}

const CR = 0x0d;
const LF = 0x0a;
const SP = 0x20;
const HTAB = 0x09;
const COLON = 0x3a;
const UNDERSCORE = 0x5f;
const ZERO = 0x30;

const longestMethod = 32;
/** What `Connection` may name; each is looked for among all fields. */
const mostNominations = 100;

/** What requests and responses have in common. */
export abstract class MessageHead {
  readonly headers = new HeaderFields();
  /** The digit behind `HTTP/1.`. */
  minorVersion = 1;
  /** Length of the body by `Content-Length`; -1 when there is none. */
  contentLength = -1;
  chunked = false;
  /** What `Connection` asked for. */
  close = false;
  keepAlive = false;
  upgrade = false;
  /** Names that `Connection` declared to be for this hop only, lower-case. */
  nominations: string[] | null = null;
  /** Why the head was refused: a constant, for the log. */
  reason = '';

  hosts = 0;
  lengths = 0;
  codings = 0;

  refuse(reason: string, code: number = MALFORMED): number {
    this.reason = reason;
    return code;
  }

  /** Returns false when there are too many. */
  nominate(name: string): boolean {
    this.nominations ??= [];
    return this.nominations.push(name) <= mostNominations;
  }

  /** Whether the connection can carry another message after this one (RFC 9112, section 9.3). */
  get persistent(): boolean {
    return this.minorVersion === 1 ? !this.close : this.keepAlive && !this.close;
  }
}

export class RequestHead extends MessageHead {
  method = '';
  target = '';
  /** The value of `Host`, unparsed; empty when there is none. */
  host = '';
  expectsContinue = false;
  /** `TE: trailers`: the client can receive trailers. */
  acceptsTrailers = false;
}

export class ResponseHead extends MessageHead {
  status = 0;
  statusText = '';
}

/**
 * Parses a request head that begins where the source does.
 * @returns the offset behind the head, or a negative constant of this module with `head.reason` set.
 */
export function parseRequestHead(source: HeadSource, limits: HeadLimits, head: RequestHead): number {
  const start = skipEmptyLine(source);
  if (start < 0) return start === INCOMPLETE ? INCOMPLETE : head.refuse('a stray CR before the request line');
  let at = parseRequestLine(source, start, limits, head);
  if (at > 0) at = parseFields(source, at, start, limits, head);
  const tooMany = at === INCOMPLETE && source.text.length - start > limits.headBytes;
  if (tooMany) return head.refuse('head too large', HEAD_TOO_LARGE);
  if (at < 0) return at;
  const refused = checkRequest(head);
  return refused < 0 ? refused : at;
}

/** Parses a response head that begins where the source does; results as for `parseRequestHead`. */
export function parseResponseHead(source: HeadSource, limits: HeadLimits, head: ResponseHead): number {
  let at = parseStatusLine(source, head);
  if (at > 0) at = parseFields(source, at, 0, limits, head);
  const tooMany = at === INCOMPLETE && source.text.length > limits.headBytes;
  if (tooMany) return head.refuse('head too large', HEAD_TOO_LARGE);
  if (at < 0) return at;
  const refused = checkFraming(head);
  return refused < 0 ? refused : at;
}

/**
 * Parses a trailer section into `head.headers`: fields by the same rules as in a head, up to the empty line.
 * @returns the offset behind it, or a negative constant.
 */
export function parseTrailers(source: HeadSource, limits: HeadLimits, head: MessageHead): number {
  const at = parseFields(source, 0, 0, limits, head);
  const tooMany = at === INCOMPLETE && source.text.length > limits.headBytes;
  if (tooMany) return head.refuse('trailers too large', HEAD_TOO_LARGE);
  // RFC 9110, section 6.5.1: never in trailers. Whoever merges them would see another message.
  if (head.lengths + head.codings + head.hosts > 0) return head.refuse('a trailer that frames the message');
  return at;
}

/** A server should ignore one empty line before a request (RFC 9112, section 2.2): one, and only a whole CRLF. */
function skipEmptyLine({ text, bytes, base }: HeadSource): number {
  if (text.length === 0 || bytes[base] !== CR) return 0;
  if (text.length < 2) return INCOMPLETE;
  return bytes[base + 1] === LF ? 2 : MALFORMED;
}

function parseRequestLine(source: HeadSource, start: number, limits: HeadLimits, head: RequestHead): number {
  const { text, bytes, base } = source;
  const end = text.length;
  let at = start;
  while (at < end && METHOD[bytes[base + at]] === 1) at++;
  if (at - start > longestMethod) return head.refuse('method too long', NOT_IMPLEMENTED);
  if (at === end) return INCOMPLETE;
  if (bytes[base + at] !== SP || at === start) return refuseMethod(text, start, at, head);
  head.method = methodIn(text, start, at);

  const target = ++at;
  while (at < end && TARGET[bytes[base + at]] === 1) at++;
  if (at - target > limits.targetBytes) return head.refuse('target too long', TARGET_TOO_LONG);
  if (at === end) return INCOMPLETE;
  if (bytes[base + at] !== SP || at === target) return head.refuse('bad request target');
  head.target = text.substring(target, at);

  return parseVersion(text, at + 1, head);
}

/** `HTTP/1.1` or `HTTP/1.0` and CRLF; other well-formed versions are a 505. */
function parseVersion(text: string, at: number, head: RequestHead): number {
  if (text.startsWith('HTTP/1.1\r\n', at)) {
    head.minorVersion = 1;
    return at + 10;
  }
  if (text.startsWith('HTTP/1.0\r\n', at)) {
    head.minorVersion = 0;
    return at + 10;
  }
  const line = text.substring(at, at + 10);
  if (line.length < 10 && isVersionStart(line)) return INCOMPLETE;
  return /^HTTP\/\d\.\d\r\n$/.test(line)
    ? head.refuse('HTTP version not supported', VERSION_NOT_SUPPORTED)
    : head.refuse('bad HTTP version');
}

function isVersionStart(line: string): boolean {
  const pattern = 'HTTP/d.d\r\n';
  for (let i = 0; i < line.length; i++) {
    const isDigit = line.charCodeAt(i) >= ZERO && line.charCodeAt(i) <= 0x39;
    if (pattern[i] === 'd' ? !isDigit : pattern[i] !== line[i]) return false;
  }
  return true;
}

/** A token that is not spelled as methods are here is a method we do not implement; anything else is no request. */
function refuseMethod(text: string, start: number, at: number, head: RequestHead): number {
  let end = at;
  while (end < text.length && end - start <= longestMethod && TOKEN[text.charCodeAt(end)] === 1) end++;
  if (end === text.length) return INCOMPLETE;
  return end > start && text.charCodeAt(end) === SP
    ? head.refuse('method not spelled in upper case', NOT_IMPLEMENTED)
    : head.refuse('bad request line');
}

/** `HTTP/1.x 3DIGIT [reason] CRLF` (RFC 9112, section 4); the space before an absent reason may be missing as well. */
function parseStatusLine({ text, bytes, base }: HeadSource, head: ResponseHead): number {
  const end = text.length;
  if (end < 12) return 'HTTP/1.'.startsWith(text.substring(0, 7)) ? INCOMPLETE : head.refuse('bad status line');
  if (!text.startsWith('HTTP/1.')) return head.refuse('bad status line');
  const minor = bytes[base + 7] - ZERO;
  if (minor !== 0 && minor !== 1) return head.refuse('bad HTTP version');
  head.minorVersion = minor;
  const hundreds = bytes[base + 9] - ZERO;
  const tens = bytes[base + 10] - ZERO;
  const ones = bytes[base + 11] - ZERO;
  const isDigits = hundreds >= 1 && hundreds <= 9 && tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9;
  if (bytes[base + 8] !== SP || !isDigits) return head.refuse('bad status code');
  head.status = hundreds * 100 + tens * 10 + ones;

  let at = 12;
  if (at < end && bytes[base + at] === SP) at++;
  else if (at < end && bytes[base + at] !== CR) return head.refuse('bad status code');
  const reason = at;
  while (at < end && VALUE[bytes[base + at]] === 1) at++;
  if (at + 1 >= end) return at < end && bytes[base + at] !== CR ? head.refuse('bad status line') : INCOMPLETE;
  if (bytes[base + at] !== CR || bytes[base + at + 1] !== LF) return head.refuse('bad status line');
  head.statusText = text.substring(reason, at);
  return at + 2;
}

/** Fields up to and including the empty line. `start` is where the head began, for its size. */
function parseFields(source: HeadSource, from: number, start: number, limits: HeadLimits, head: MessageHead): number {
  const { text, bytes, base } = source;
  const end = text.length;
  let at = from;
  /** Fields so far, those that are dropped included. */
  let count = 0;
  for (;;) {
    if (at >= end) return INCOMPLETE;
    if (bytes[base + at] === CR) {
      if (at + 1 === end) return INCOMPLETE;
      if (bytes[base + at + 1] !== LF) return head.refuse('a bare CR');
      head.headers.complete(text);
      return at + 2 - start > limits.headBytes ? head.refuse('head too large', HEAD_TOO_LARGE) : at + 2;
    }

    const name = at;
    let underscored = false;
    for (let code = 0; at < end && TOKEN[(code = bytes[base + at])] === 1; at++) {
      if (code === UNDERSCORE) underscored = true;
    }
    if (at === end) return INCOMPLETE;
    // Also a space before the colon (CVE-2024-27982), an empty name (CVE-2023-25725) and a folded line.
    if (bytes[base + at] !== COLON || at === name) return head.refuse('bad header name');
    const nameEnd = at++;

    let code = 0;
    while (at < end && ((code = bytes[base + at]) === SP || code === HTAB)) at++;
    const value = at;
    while (at < end && VALUE[bytes[base + at]] === 1) at++;
    if (at === end) return INCOMPLETE;
    // Bare CR (CVE-2023-30589), bare LF, NUL and every other control character.
    if (bytes[base + at] !== CR) return head.refuse('bad header value');
    if (at + 1 === end) return INCOMPLETE;
    if (bytes[base + at + 1] !== LF) return head.refuse('a bare CR in a header');
    let valueEnd = at;
    while (valueEnd > value && ((code = bytes[base + valueEnd - 1]) === SP || code === HTAB)) valueEnd--;
    at += 2;

    if (count++ === limits.headers) return head.refuse('too many headers', HEAD_TOO_LARGE);
    if (underscored && (!limits.keepUnderscores || foldsOntoGuarded(text.substring(name, nameEnd)))) continue;
    const kind = fieldKindIn(bytes, base + name, base + nameEnd);
    head.headers.mark(name, nameEnd, value, valueEnd, kind);
    if (kind !== ORDINARY && kind <= TE) {
      const refused = noteField(kind, text.substring(value, valueEnd), head);
      if (refused < 0) return refused;
    }
  }
}

/** Whether what a server makes of a name with `_` is a field that has a rule of its own; such a one is never kept. */
function foldsOntoGuarded(name: string): boolean {
  return fieldKind(name.replaceAll('_', '-')) !== ORDINARY;
}

/** Takes down what the fields that govern framing and the connection say. */
function noteField(kind: number, value: string, head: MessageHead): number {
  switch (kind) {
    case CONTENT_LENGTH:
      // A second one is refused even if it agrees: another reader may take the other one.
      if (++head.lengths > 1) return head.refuse('more than one Content-Length');
      head.contentLength = parseContentLength(value);
      return head.contentLength < 0 ? head.refuse('bad Content-Length') : 0;
    case TRANSFER_ENCODING:
      if (++head.codings > 1) return head.refuse('more than one Transfer-Encoding');
      if (value.toLowerCase() === 'chunked') {
        head.chunked = true;
        return 0;
      }
      // Anything but a lone `chunked` is refused (CVE-2024-6827, CVE-2022-32215).
      return /^[a-z]+( *, *[a-z]+)*$/i.test(value)
        ? head.refuse('transfer coding not supported', NOT_IMPLEMENTED)
        : head.refuse('bad Transfer-Encoding');
    case CONNECTION:
      return noteConnection(value, head);
    case HOST:
      head.hosts++;
      if (head instanceof RequestHead) head.host = value;
      return 0;
    case EXPECT:
      if (!(head instanceof RequestHead)) return 0;
      if (value.toLowerCase() !== '100-continue') return head.refuse('unknown expectation', EXPECTATION_FAILED);
      head.expectsContinue = true;
      return 0;
    case TE:
      if (head instanceof RequestHead) head.acceptsTrailers = /(^|,)[ \t]*trailers[ \t]*(,|$)/i.test(value);
      return 0;
    case UPGRADE:
      return 0;
    default:
      return 0;
  }
}

/** Names that `Connection` must not take away: a message without them is another message. */
const notNominable = new Set(['host', 'content-length', 'transfer-encoding']);

function noteConnection(value: string, head: MessageHead): number {
  if (value === 'keep-alive' || value === 'Keep-Alive') {
    head.keepAlive = true;
    return 0;
  }
  for (const part of value.split(',')) {
    const option = part.trim().toLowerCase();
    if (option === 'close') head.close = true;
    else if (option === 'keep-alive') head.keepAlive = true;
    else if (option === 'upgrade') head.upgrade = true;
    else if (notNominable.has(option)) return head.refuse('Connection names a field that frames the message');
    else if (option !== '' && !head.nominate(option)) return head.refuse('too many connection options');
  }
  return 0;
}

function checkRequest(head: RequestHead): number {
  const refused = checkFraming(head);
  if (refused < 0) return refused;
  // RFC 9112, section 3.2: exactly one Host; only HTTP/1.0 may do without.
  if (head.hosts > 1 || (head.hosts === 0 && head.minorVersion === 1)) return head.refuse('not exactly one Host');
  if (head.method === 'CONNECT') return head.refuse('CONNECT', NOT_IMPLEMENTED);
  if (head.minorVersion === 0) head.expectsContinue = false;
  return 0;
}

/** RFC 9112, section 6.3: what leaves the length of the body in doubt is refused, in requests and responses alike. */
function checkFraming(head: MessageHead): number {
  if (head.codings > 0 && head.lengths > 0) return head.refuse('both Content-Length and Transfer-Encoding');
  if (head.codings > 0 && head.minorVersion === 0) return head.refuse('Transfer-Encoding in HTTP/1.0');
  if (head.nominations !== null) for (const name of head.nominations) head.headers.nominate(name);
  return 0;
}
