/**
 * A client that signs its requests (RFC 9421): prints what curl needs to send one.
 *
 *     node examples/signatures/sign.ts http://127.0.0.1:8080/orders/7 | curl -s -K -
 *     node examples/signatures/sign.ts http://127.0.0.1:8080/orders '{"product": 7}' | curl -s -K -
 */
import { createHash, createHmac, randomUUID } from 'node:crypto';

const keyId = 'mobile-1';
const secret = process.env['MOBILE_HMAC'] ?? 'an example secret for mobile-app';

const [address = 'http://127.0.0.1:8080/orders/7', body = ''] = process.argv.slice(2);
const url = new URL(address);
const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;

/** What is signed, in the order of the list. */
const components: Record<string, string> = {
  '@method': body === '' ? 'GET' : 'POST',
  '@authority': url.host,
  '@path': url.pathname,
  '@query': `?${url.search.slice(1)}`,
  ...(body !== '' && { 'content-digest': digest }),
};

const list = Object.keys(components)
  .map((name) => `"${name}"`)
  .join(' ');
const created = Math.floor(Date.now() / 1000);
const input = `(${list});created=${created};nonce="${randomUUID()}";keyid="${keyId}"`;
const lines = Object.entries(components).map(([name, value]) => `"${name}": ${value}`);
const base = [...lines, `"@signature-params": ${input}`].join('\n');
const signature = createHmac('sha256', secret).update(base).digest('base64');

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
const header = (text: string): void => console.log(`header = ${quoted(text)}`);
console.log(`url = ${quoted(address)}`);
header(`Signature-Input: sig1=${input}`);
header(`Signature: sig1=:${signature}:`);
if (body !== '') {
  header(`Content-Digest: ${digest}`);
  console.log(`data-raw = ${quoted(body)}`);
}
