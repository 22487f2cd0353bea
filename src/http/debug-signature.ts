/**
 * The signature by which a request shows that its sender may know how the gateway handles it: the value of
 * `gatewright-debug`, `t=<seconds since the epoch>;sig=<HMAC-SHA256 in hexadecimal>`.
 *
 * It covers the time, the method, the Host and the target as they are on the wire, so it is of no use for another request.
 * Each part is preceded by its length; otherwise a signature for one request could be one for another whose parts, put
 * together, read the same (CVE-2023-35941).
 */
import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';

export const DEBUG_HEADER = 'gatewright-debug';

/** What is signed of a request: text with one byte in each character, as on the wire. */
export interface SignedParts {
  readonly method: string;
  /** The value of Host; empty for none. */
  readonly authority: string;
  readonly target: string;
}

/** Keeps signatures of this kind apart from any others that somebody may make with the same secret. */
const LABEL = 'gatewright-debug-1';

/** Exactly what `signDebug` writes: a second spelling of a signature would be good for nothing. */
const SIGNED = /^t=(0|[1-9][0-9]{0,11});sig=([0-9a-f]{64})$/;

/** @returns the value of the header. */
export function signDebug(secret: string | KeyObject, parts: SignedParts, seconds: number): string {
  return `t=${seconds};sig=${macOf(secret, parts, String(seconds)).toString('hex')}`;
}

/**
 * @param value all values of the header, joined by commas: one that is repeated is none.
 * @param wallNowMs what time it is.
 */
export function isSignedDebug(
  value: string,
  parts: SignedParts,
  { secret, maxAgeMs }: { readonly secret: KeyObject; readonly maxAgeMs: number },
  wallNowMs: number,
): boolean {
  const match = SIGNED.exec(value);
  if (match === null) return false;
  const [, seconds, mac] = match;
  if (Math.abs(wallNowMs - Number(seconds) * 1000) > maxAgeMs) return false;
  return timingSafeEqual(Buffer.from(mac, 'hex'), macOf(secret, parts, seconds));
}

function macOf(secret: string | KeyObject, { method, authority, target }: SignedParts, seconds: string): Buffer {
  const hmac = createHmac('sha256', secret);
  for (const part of [LABEL, seconds, method, authority, target]) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    hmac.update(length).update(part, 'latin1');
  }
  return hmac.digest();
}
