import { randomFillSync } from 'node:crypto';
import { definePolicy } from '../contract.ts';
import { isToken } from '../http/grammar.ts';
import { z } from '../util/schema.ts';
import { headerName } from './header-options.ts';

const MAX_ID_LENGTH = 128;

const options = z.strictObject({
  header: headerName('request')
    .default('x-request-id')
    .describe('The header that carries the id: to the upstream, and back to the client.'),
  trust: z
    .boolean()
    .default(false)
    .describe(
      'Keep the id that the client sends, if there is exactly one of at most 128 letters, digits and token ' +
        'punctuation. Only where every client is trusted: an id that anybody can choose proves nothing in a log.',
    ),
});

/** Gives each request an id: in the log, in problem details, to the upstream and to the client. */
export const requestId = definePolicy({
  name: 'requestId',
  summary: 'Gives each request an id that the logs, the upstream and the client share.',
  options,
  provides: ['requestId'],
  create({ header, trust }, env) {
    const nextId = createIdSource(() => env.now());
    return {
      onRequest(exchange) {
        // Where two of these policies meet on a route, the first one gives the id and both their headers carry it.
        if (exchange.requestId === '') {
          exchange.requestId = (trust ? clientId(exchange.requestHeaders.getAll(header)) : null) ?? nextId();
        }
        exchange.requestHeaders.set(header, exchange.requestId);
      },
      onResponse(exchange) {
        exchange.responseHeaders.set(header, exchange.requestId);
      },
    };
  },
});

/** The id that the client chose, or null. Tokens only (RFC 9110, section 5.6.2), so it can be logged as it is. */
function clientId(values: readonly string[]): string | null {
  const [id] = values;
  return values.length === 1 && id !== undefined && id.length <= MAX_ID_LENGTH && isToken(id) ? id : null;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
/** Random bytes that one id takes: 74 random bits and the 6 that version and variant replace. */
const BYTES_PER_ID = 10;
const IDS_PER_REFILL = 512;

/**
 * Makes ids of the form of UUID version 7 (RFC 9562, section 5.7): they sort by time and need no coordination. Random
 * bytes are fetched for many ids at once, because one call into the kernel's generator costs more than all the rest.
 */
function createIdSource(now: () => number): () => string {
  // The environment's clock is monotonic; this is where it stood at the beginning of the epoch.
  const epochOffsetMs = Date.now() - now();
  const random = new Uint8Array(BYTES_PER_ID * IDS_PER_REFILL);
  let at = random.length;
  let prefixMs = -1;
  let prefix = '';

  return () => {
    if (at === random.length) {
      randomFillSync(random);
      at = 0;
    }
    const ms = Math.trunc(epochOffsetMs + now());
    if (ms !== prefixMs) {
      prefixMs = ms;
      const digits = ms.toString(16).padStart(12, '0');
      prefix = `${digits.slice(0, 8)}-${digits.slice(8)}-`;
    }
    const r = random;
    const i = at;
    at += BYTES_PER_ID;
    const version = HEX[0x70 | (r[i] & 0x0f)] + HEX[r[i + 1]];
    const variant = HEX[0x80 | (r[i + 2] & 0x3f)] + HEX[r[i + 3]];
    const node = HEX[r[i + 4]] + HEX[r[i + 5]] + HEX[r[i + 6]] + HEX[r[i + 7]] + HEX[r[i + 8]] + HEX[r[i + 9]];
    return `${prefix}${version}-${variant}-${node}`;
  };
}
