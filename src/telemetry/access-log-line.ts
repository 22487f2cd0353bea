/** The lines of the access log. They are pure ASCII, so a line has as many bytes as characters. */
import { type Redaction, redacted } from './redaction.ts';

/** One exchange that has ended. Strings may be empty and are then unknown; their content is not trusted. */
export interface AccessLogEntry {
  /** When the head of the request had arrived, in milliseconds since the epoch. */
  readonly timeMs: number;
  readonly requestId: string;
  readonly traceId: string;
  readonly clientIp: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** As on the wire, without `?`. */
  readonly query: string;
  readonly route: string;
  readonly consumer: string;
  readonly upstream: string;
  readonly target: string;
  readonly status: number;
  /** What went wrong, from the table of errors; empty when nothing did. */
  readonly code: string;
  /** Why, in the gateway's own words; empty when nothing went wrong. */
  readonly reason: string;
  /** What the cache did; empty when there is none. */
  readonly cache: string;
  readonly attempts: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** Until the head of the upstream's response; negative when there was none. */
  readonly upstreamMs: number;
  readonly protocol: string;
  readonly userAgent: string;
  /** For the headers that the operator wants in addition. */
  readonly requestHeaders: RequestHeaders;
}

export interface RequestHeaders {
  get(name: string): string | undefined;
}

export interface LineOptions {
  readonly redaction: Redaction;
  /** Names of request headers that are logged in addition. */
  readonly headers: readonly string[];
  /** Which worker thread this is. */
  readonly thread: number;
}

/** Writes an entry as one line, line feed included. */
export type LineFormat = (entry: AccessLogEntry) => string;

/** One JSON object a line (RFC 8259), always with the same keys; what is unknown is null. */
export function jsonLines({ redaction, headers, thread }: LineOptions): LineFormat {
  const second = perSecond(isoSecond);
  // Some fields are headers, too.
  const textOf = (header: string): ((value: string) => string) => (redaction.hidesHeader(header) ? hidden : text);
  const requestId = textOf('x-request-id');
  const traceId = textOf('traceparent');
  const host = textOf('host');
  const userAgent = textOf('user-agent');

  // One expression, because every request pays for it: the engine makes one rope of it and nothing else.
  return (entry) =>
    `{"time":"${second(entry.timeMs)}${thousandth(entry.timeMs)}Z","requestId":${requestId(entry.requestId)}` +
    `,"traceId":${traceId(entry.traceId)},"clientIp":${text(entry.clientIp)},"method":${text(entry.method)}` +
    `,"host":${host(entry.host)},"path":${text(entry.path)},"query":${text(redaction.query(entry.query))}` +
    `,"route":${text(entry.route)},"consumer":${text(entry.consumer)},"upstream":${text(entry.upstream)}` +
    `,"target":${text(entry.target)},"status":${number(entry.status)},"code":${text(entry.code)}` +
    `,"reason":${text(entry.reason)}` +
    `,"cache":${text(entry.cache)},"attempts":${number(entry.attempts)},"bytesIn":${number(entry.bytesIn)}` +
    `,"bytesOut":${number(entry.bytesOut)},"durationMs":${milliseconds(entry.durationMs)}` +
    `,"upstreamMs":${milliseconds(entry.upstreamMs)},"protocol":${text(entry.protocol)}` +
    `,"userAgent":${userAgent(entry.userAgent)},"thread":${thread}` +
    `${headers.length === 0 ? '' : `,"headers":${headerObject(entry.requestHeaders, headers, redaction)}`}}\n`;
}

/**
 * The combined format of Apache and nginx, which many tools read, and behind it the route, the target, the time taken
 * in milliseconds, the code and the reason of a failure, the request id and the thread. `-` is unknown.
 */
export function textLines({ redaction, headers, thread }: LineOptions): LineFormat {
  const time = perSecond(commonLogTime);
  const header = (entry: AccessLogEntry, name: string): string =>
    redaction.headerValue(name, entry.requestHeaders.get(name) ?? '');
  return (entry) => {
    const query = entry.query === '' ? '' : `?${redaction.query(entry.query)}`;
    const userAgent = redaction.hidesHeader('user-agent') ? redacted : entry.userAgent;
    const requestId = redaction.hidesHeader('x-request-id') ? redacted : entry.requestId;
    const extra = headers.map((name) => ` ${quoted(header(entry, name))}`).join('');
    return (
      `${word(entry.clientIp)} - ${word(entry.consumer)} [${time(entry.timeMs)}]` +
      ` ${quoted(`${entry.method} ${entry.path}${query} ${entry.protocol}`)}` +
      ` ${number(entry.status)} ${number(entry.bytesOut)} ${quoted(header(entry, 'referer'))} ${quoted(userAgent)}` +
      ` ${word(entry.route)} ${word(entry.target)} ${milliseconds(entry.durationMs)}` +
      ` ${word(entry.code)} ${quoted(entry.reason)} ${word(requestId)} ${thread}${extra}\n`
    );
  };
}

function headerObject(received: RequestHeaders, names: readonly string[], redaction: Redaction): string {
  let members = '';
  for (const name of names) {
    const value = received.get(name);
    if (value === undefined) continue;
    members += `${members === '' ? '' : ','}${jsonString(name)}:${jsonString(redaction.headerValue(name, value))}`;
  }
  return `{${members}}`;
}

/** The characters that stand for themselves between quotes: visible ASCII and the space, but for `"` and `\`. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, code) =>
  Number(code >= 0x20 && code < 0x7f && code !== 0x22 && code !== 0x5c),
);

function isPlain(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    if (PLAIN[value.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

const text = (value: string): string => (value === '' ? 'null' : jsonString(value));
const hidden = (value: string): string => (value === '' ? 'null' : `"${redacted}"`);

/**
 * Everything but plain ASCII is escaped: control characters that would end the line or speak to a terminal
 * (CVE-2024-45808), bytes that are not UTF-8, and surrogates without partner.
 */
function jsonString(value: string): string {
  return isPlain(value) ? `"${value}"` : `"${escape(value, unicodeEscape)}"`;
}

/** The escapes of Apache and nginx: `\xHH`. */
function quoted(value: string): string {
  if (value === '') return '"-"';
  return isPlain(value) ? `"${value}"` : `"${escape(value, hexEscape)}"`;
}

/** A value without quotes around it, in which a space would begin another field. */
function word(value: string): string {
  if (value === '') return '-';
  return (isPlain(value) ? value : escape(value, hexEscape)).replaceAll(' ', '\\x20');
}

function escape(value: string, escapeCode: (code: number) => string): string {
  let escaped = '';
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    escaped += PLAIN[code] === 1 ? value[i] : escapeCode(code);
  }
  return escaped;
}

const unicodeEscape = (code: number): string => `\\u${code.toString(16).padStart(4, '0')}`;
const hexEscape = (code: number): string =>
  code > 0xff ? unicodeEscape(code) : `\\x${code.toString(16).padStart(2, '0')}`;

const number = (value: number): string => (Number.isFinite(value) ? String(value) : 'null');

/** To the microsecond; a negative duration is unknown. */
function milliseconds(value: number): string {
  if (!(value >= 0 && value < Number.MAX_SAFE_INTEGER / 1000)) return 'null';
  const microseconds = Math.round(value * 1000);
  const whole = Math.floor(microseconds / 1000);
  // Two integers are written several times faster than one fraction.
  return `${whole}.${THOUSANDTHS[microseconds - whole * 1000]}`;
}

const THOUSANDTHS = Array.from({ length: 1000 }, (_, value) => String(value).padStart(3, '0'));

/** Formats the second that a time is in; most lines share it with the one before, so it is kept. */
function perSecond(format: (date: Date) => string): (timeMs: number) => string {
  let second = Number.NaN;
  let formatted = '';
  return (timeMs) => {
    const current = Math.floor(timeMs / 1000);
    if (current !== second) {
      formatted = format(new Date(current * 1000));
      second = current;
    }
    return formatted;
  };
}

/** `2026-01-31T23:59:59.` (RFC 3339): three digits and `Z` are to follow. */
const isoSecond = (date: Date): string => date.toISOString().substring(0, 20);

const thousandth = (timeMs: number): string => THOUSANDTHS[Math.floor(timeMs) % 1000];

/** `31/Jan/2026:23:59:59 +0000`. */
function commonLogTime(date: Date): string {
  const [, day, month, year, clock] = date.toUTCString().split(' ');
  return `${day}/${month}/${year}:${clock} +0000`;
}
