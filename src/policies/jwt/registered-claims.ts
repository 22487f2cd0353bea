/** What the claims that RFC 7519, section 4.1, registers must be. */
import type { Claims } from '../../contract.ts';

/** When a token holds, in wall-clock milliseconds. */
export interface Validity {
  readonly notBefore: number;
  /** No longer from then on. */
  readonly until: number;
}

/** The last second of the year 9999: what is later was meant to be milliseconds, or is no time at all. */
const lastSecond = 253_402_300_799;
/** Clocks may differ, but a token is not issued in the future. */
const issuedAheadMs = 60_000;

/**
 * @param skewMs by how much the clocks of who issues may differ from ours.
 * @returns why the claims are not to be believed, for the log; or when they hold.
 */
export function validityOf(claims: Claims, skewMs: number): Validity | string {
  for (const name of ['iss', 'sub', 'jti']) {
    // CVE-2025-30144: a list that has the right issuer in it is not the right issuer.
    if (Object.hasOwn(claims, name) && typeof claims[name] !== 'string') return `the claim ${name} is not a text`;
  }
  const expires = timeOf(claims, 'exp');
  const notBefore = timeOf(claims, 'nbf');
  const issued = timeOf(claims, 'iat');
  if (expires === null || notBefore === null || issued === null) return 'a time in the token is no time';
  if (expires === undefined) return 'the token never expires';
  return {
    notBefore: Math.max((notBefore ?? -Infinity) - skewMs, (issued ?? -Infinity) - skewMs - issuedAheadMs),
    until: expires + skewMs,
  };
}

/** Undefined: there is none. Null: it is there and is no time. */
function timeOf(claims: Claims, name: string): number | null | undefined {
  if (!Object.hasOwn(claims, name)) return undefined;
  const seconds = claims[name];
  return typeof seconds === 'number' && seconds >= 0 && seconds <= lastSecond ? seconds * 1000 : null;
}

/** Whether it is meant for one of these: `aud` is a text or a list of texts (RFC 7519, section 4.1.3). */
export function isMeantFor(audiences: readonly string[], claims: Claims): boolean {
  const aud = Object.hasOwn(claims, 'aud') ? claims['aud'] : undefined;
  if (aud !== undefined && !isAudience(aud)) return false;
  if (audiences.length === 0) return true;
  if (aud === undefined) return false;
  return typeof aud === 'string' ? audiences.includes(aud) : aud.some((one) => audiences.includes(one));
}

function isAudience(aud: unknown): aud is string | string[] {
  return typeof aud === 'string' || (Array.isArray(aud) && aud.every((one) => typeof one === 'string'));
}
