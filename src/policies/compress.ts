import { type Exchange, type HeaderList, definePolicy } from '../contract.ts';
import { listHas, negotiateEncoding, varyOn } from '../http/negotiation.ts';
import { z } from '../util/schema.ts';
import { size } from '../util/units.ts';
import { CODINGS, type Coding, CompressStream } from './compress-stream.ts';

const DEFAULT_TYPES = [
  'text/*',
  'application/json',
  '*+json',
  'application/x-ndjson',
  'application/xml',
  '*+xml',
  'application/javascript',
  'application/wasm',
  'application/yaml',
];

/** Validators and digests of the bytes as the upstream sent them (RFC 9110, section 14.3; RFC 9530; RFC 3230). */
const TIED_TO_THE_BYTES = ['content-length', 'accept-ranges', 'content-md5', 'content-digest', 'repr-digest', 'digest'];

const options = z.strictObject({
  encodings: z
    .array(z.enum(CODINGS))
    .min(1)
    .default([...CODINGS])
    .describe('Content codings to offer, the best first. What the client prefers counts before this order.'),
  types: z
    .array(
      z.string().regex(/^(?:\*\+[^\s/;,*]+|[^\s/;,*]+\/(?:\*|[^\s/;,*]+))$/, {
        error: 'write type/subtype, type/* or *+suffix',
      }),
    )
    .min(1)
    .default(DEFAULT_TYPES)
    .describe('Content types to compress: `type/subtype`, `type/*`, or `*+suffix`. Never `text/event-stream`.'),
  minBytes: size().prefault('1KiB').describe('Leave a response alone whose length is known to be less.'),
});

/**
 * Compresses responses for clients that accept it. It changes the representation, so everything that speaks of the
 * bytes is adapted or removed (RFC 9110, sections 8.4 and 8.8). It is never on by itself: where a response mixes a
 * secret with text that a stranger can choose, its compressed length betrays the secret (BREACH, CVE-2013-3587).
 */
export const compress = definePolicy({
  name: 'compress',
  summary: 'Compresses responses with zstd, br or gzip for clients that accept it.',
  options,
  create({ encodings, types, minBytes }) {
    const compressible = new MediaTypes(types);
    // What `onResponse` promised in the head, until `transformResponse` keeps it.
    const promised = new WeakMap<Exchange, Coding>();
    return {
      onResponse(exchange) {
        promised.delete(exchange);
        if (!isCandidate(exchange, compressible, minBytes)) return;
        const { method, requestHeaders, responseHeaders, status } = exchange;
        varyOn(responseHeaders, 'Accept-Encoding');
        const coding = negotiateEncoding(requestHeaders.getAll('accept-encoding').join(','), encodings);
        if (coding === null) return;
        weakenEtag(responseHeaders);
        if (status === 304) return;
        for (const name of TIED_TO_THE_BYTES) responseHeaders.remove(name);
        responseHeaders.set('content-encoding', coding);
        // The head of a HEAD response says what GET would get (RFC 9110, section 9.3.2); there are no bytes to compress.
        if (method !== 'HEAD') promised.set(exchange, coding);
      },
      transformResponse(exchange) {
        const coding = promised.get(exchange);
        promised.delete(exchange);
        return coding === undefined ? null : new CompressStream(coding);
      },
      onFinish(exchange) {
        promised.delete(exchange);
      },
    };
  },
});

/** Whether a client that accepts a coding would get this response compressed. */
function isCandidate(exchange: Exchange, compressible: MediaTypes, minBytes: number): boolean {
  const { status, requestHeaders, responseHeaders } = exchange;
  if (!mayHaveContent(status) || responseHeaders.has('content-encoding') || responseHeaders.has('content-range')) {
    return false;
  }
  const type = responseHeaders.get('content-type');
  // A 304 stands for a response whose type it need not name (RFC 9110, section 15.4.5).
  if (type === undefined ? status !== 304 : !compressible.have(type)) return false;
  const length = exchange.responseBody?.length ?? responseHeaders.get('content-length');
  if (length !== undefined && status !== 304 && !(Number(length) >= minBytes)) return false;
  // RFC 9111, sections 5.2.1.6 and 5.2.2.6.
  return !forbidsTransforms(requestHeaders) && !forbidsTransforms(responseHeaders);
}

/** 304 is among them: it has no content, but it speaks of a response that has. */
function mayHaveContent(status: number): boolean {
  return status >= 200 && status !== 204 && status !== 205 && status !== 206;
}

function forbidsTransforms(headers: HeaderList): boolean {
  return headers.has('cache-control') && listHas(headers.getAll('cache-control').join(','), 'no-transform');
}

/** A strong validator promises the same bytes, which compression changes (RFC 9110, section 8.8.1). */
function weakenEtag(headers: HeaderList): void {
  const etag = headers.get('etag');
  if (etag !== undefined && !etag.startsWith('W/')) headers.set('etag', `W/${etag}`);
}

/** The content types of the option, made ready to be looked up. */
class MediaTypes {
  private readonly exact: ReadonlySet<string>;
  /** `text/`. */
  private readonly prefixes: readonly string[];
  /** `+json`. */
  private readonly suffixes: readonly string[];

  constructor(patterns: readonly string[]) {
    const lower = patterns.map((pattern) => pattern.toLowerCase());
    this.prefixes = lower.filter((pattern) => pattern.endsWith('/*')).map((pattern) => pattern.slice(0, -1));
    this.suffixes = lower.filter((pattern) => pattern.startsWith('*')).map((pattern) => pattern.slice(1));
    this.exact = new Set(lower.filter((pattern) => !pattern.includes('*')));
  }

  have(contentType: string): boolean {
    const semicolon = contentType.indexOf(';');
    const type = (semicolon === -1 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
    // Events are small and far between; what they gain is not worth a compressor that stays for as long as the client.
    if (type === 'text/event-stream') return false;
    if (this.exact.has(type)) return true;
    for (const prefix of this.prefixes) if (type.startsWith(prefix)) return true;
    for (const suffix of this.suffixes) if (type.endsWith(suffix)) return true;
    return false;
  }
}
