/**
 * The request of a call as it goes over the wire. Every string that gets there is checked here, so that nothing which came
 * with a client's request can become another field or another request (CVE-2022-31150, CVE-2026-31908).
 */
import type { CallRequest } from '../../contract.ts';
import type { CallUrl } from '../../http/call-url.ts';
import { HOST, fieldKind, isFraming } from '../../http/field-kind.ts';
import { isFieldValue, isToken } from '../../http/grammar.ts';
import { latin1 } from '../latin1.ts';

/** What servers see of us unless the call says otherwise. No version: it is nobody's business. */
const userAgent = 'gatewright';
/** Methods for which an absent body is said to be empty (RFC 9110, section 8.6). */
const expectsBody = new Set(['POST', 'PUT', 'PATCH']);
const METHOD = /^[A-Z][A-Z\d_-]{0,31}$/;

/** The whole request, one character a byte. @throws {TypeError} */
export function callText({ method = 'GET', headers = [], body }: CallRequest, { authority, target }: CallUrl): string {
  if (!METHOD.test(method) || method === 'CONNECT') throw new TypeError('not a method that can be called with');
  let fields = '';
  let hasUserAgent = false;
  for (const [name, value] of headers) {
    assertField(name, value);
    hasUserAgent ||= name.toLowerCase() === 'user-agent';
    fields += `${name}: ${value}\r\n`;
  }
  const own = `host: ${authority}\r\n${hasUserAgent ? '' : `user-agent: ${userAgent}\r\n`}accept-encoding: identity\r\n`;
  const content = body === undefined ? null : bytesAsText(body);
  const length = content !== null || expectsBody.has(method) ? `content-length: ${content?.length ?? 0}\r\n` : '';
  return `${method} ${target} HTTP/1.1\r\n${own}${fields}${length}\r\n${content ?? ''}`;
}

function assertField(name: string, value: string): void {
  if (!isToken(name)) throw new TypeError('a header of a call has a name that is none');
  if (!isFieldValue(value)) throw new TypeError(`the header ${name} of a call has a value that is none`);
  const kind = fieldKind(name);
  // What frames a message and concerns the connection is the wire's own, so there is one of each.
  if (kind === HOST || isFraming(kind) || name.toLowerCase() === 'accept-encoding') {
    throw new TypeError(`a call cannot set the header ${name}`);
  }
}

function bytesAsText(body: string | Uint8Array): string {
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.length);
  return latin1(bytes, 0, bytes.length);
}
