/**
 * Writes heads of messages as text. Everything that gets here was validated by the parser or by `HeaderFields`; fields
 * that govern framing and the connection are never copied, so there is exactly one of each (CVE-2026-1525).
 */
import { ALT_SVC, ORDINARY, TRAILER, VIA, kindBits } from '../http/field-kind.ts';
import type { HeaderFields } from '../http/header-fields.ts';

/** The fields of a response that go on to the client; hop-by-hop ones and those that frame the message do not. */
export function responseFields(headers: HeaderFields): string {
  return headers.mayHave(specialInResponse)
    ? headers.ordinaryLines() + headers.linesOf(isSpecialInResponse)
    : headers.ordinaryLines();
}

/** Kinds that mean something in requests, and in a response are fields like others. */
function isSpecialInResponse(kind: number): boolean {
  return kind >= VIA && kind <= ALT_SVC;
}

const specialInResponse = kindBits(isSpecialInResponse);

/**
 * Fields that a trailer section must not carry (RFC 9110, section 6.5.1): a recipient that merged them into the head
 * would change framing, routing, authentication or caching after the fact. Those with a kind of their own are covered by
 * it.
 */
const notInTrailers = new Set([
  'age',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'expires',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'location',
  'max-forwards',
  'pragma',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'retry-after',
  'set-cookie',
  'vary',
  'warning',
  'www-authenticate',
]);

/** The trailer fields that are forwarded. */
export function trailerFields(trailers: HeaderFields | null): string {
  if (trailers === null) return '';
  return trailers.linesOf((kind, name) => kind === ORDINARY && !notInTrailers.has(name.toLowerCase()));
}

/** `Trailer` announces what comes behind the body; it makes sense only where the body is still framed by chunks. */
export function trailerAnnouncement(headers: HeaderFields): string {
  const names = headers.joinKind(TRAILER);
  return names === '' ? '' : `trailer: ${names}\r\n`;
}

/** `HTTP/1.1 200 OK`; the gateway always speaks as HTTP/1.1, whatever the other side did (RFC 9110, section 2.5). */
export function statusLine(status: number, statusText: string): string {
  return status === 200 && statusText === 'OK' ? okLine : `HTTP/1.1 ${status} ${statusText}\r\n`;
}

const okLine = 'HTTP/1.1 200 OK\r\n';

let dateSecond = 0;
let dateText = '';

/** A Date field for a response that has none (RFC 9110, section 6.6.1). Made once a second. */
export function dateField(wallNowMs: number): string {
  const second = Math.floor(wallNowMs / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = `date: ${new Date(wallNowMs).toUTCString()}\r\n`;
  }
  return dateText;
}
