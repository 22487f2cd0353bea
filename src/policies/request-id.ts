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

const HEX_DIGITS = Buffer.from('0123456789abcdef', 'latin1');
/** Where the random digits of an id stand; the version is at 14, dashes at 8, 13, 18 and 23. */
const RANDOM_AT = Uint8Array.of(15, 16, 17, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35);
const VARIANT_AT = 19;
const RANDOM_BYTES_PER_ID = RANDOM_AT.length + 1;
const IDS_PER_REFILL = 512;

/**
 * Makes ids of the form of UUID version 7 (RFC 9562, section 5.7): they sort by time and need no coordination. Random
 * bytes are fetched for many ids at once, and each id is written over the one before in the same 36 bytes, because
 * every request pays for this.
 */
function createIdSource(now: () => number): () => string {
  // The environment's clock is monotonic; this is where it stood at the beginning of the epoch.
  const epochOffsetMs = Date.now() - now();
  const random = new Uint8Array(RANDOM_BYTES_PER_ID * IDS_PER_REFILL);
  const text = Buffer.from('00000000-0000-7000-8000-000000000000', 'latin1');
  let next = random.length;
  let writtenMs = 0;

  return () => {
    if (next === random.length) {
      randomFillSync(random);
      next = 0;
    }
    const ms = Math.trunc(epochOffsetMs + now());
    if (ms !== writtenMs) {
      writtenMs = ms;
      const digits = ms.toString(16).padStart(12, '0');
      text.write(`${digits.slice(0, 8)}-${digits.slice(8)}`, 0, 'latin1');
    }
    for (let i = 0; i < RANDOM_AT.length; i++) text[RANDOM_AT[i]] = HEX_DIGITS[random[next++] & 0x0f];
    // The variant is the bits 10, so the digit is 8, 9, a or b.
    text[VARIANT_AT] = HEX_DIGITS[0x8 | (random[next++] & 0x3)];
    return text.toString('latin1');
  };
}
