/**
 * A signed token as text (RFC 7515, section 3.1), taken apart before anything of it is believed. Stricter than the library
 * that verifies it, so that there is one way to read what is accepted: who reads the same token behind the gateway reads
 * the same.
 */
import type { Claims } from '../../contract.ts';
import { parseStrictJson } from '../../util/strict-json.ts';
import { maxKidLength } from './verification-key.ts';

export interface CompactToken {
  readonly text: string;
  readonly algorithm: string;
  /** Null: the token names no key. */
  readonly kid: string | null;
  /** Lower-case, without `application/`; null when it does not say. */
  readonly type: string | null;
  /** Not verified yet. */
  readonly claims: Claims;
  readonly signatureBytes: number;
}

/** Bounds the work on what was not verified. Longer ones fit into the heads of few servers. */
const maxLength = 16_384;
const maxHeaderDepth = 4;
const maxClaimsDepth = 16;

/**
 * Members of a header that make a token something that is not accepted here, whatever their value: keys of its own
 * (CVE-2018-0114), extensions that would have to be understood (RFC 7515, section 4.1.11), a payload that is not encoded
 * (RFC 7797, section 7), encryption and compression (CVE-2024-28176).
 */
const refused = ['jwk', 'jku', 'x5u', 'x5c', 'crit', 'b64', 'enc', 'zip'];

/** @returns why it is none, for the log, if it is none. */
export function parseCompactToken(text: string): CompactToken | string {
  if (text.length > maxLength) return 'the token is too long';
  const first = text.indexOf('.');
  const second = text.indexOf('.', first + 1);
  if (first === -1 || second === -1 || text.includes('.', second + 1)) return 'not a token of three parts';
  const parts = [text.slice(0, first), text.slice(first + 1, second), text.slice(second + 1)].map(decode);
  const [headerBytes, claimsBytes, signature] = parts;
  if (headerBytes === null || claimsBytes === null || signature === null) return 'a part of the token is not base64url';
  const header = objectOf(headerBytes, maxHeaderDepth);
  if (header === null) return 'the header of the token is not an unambiguous JSON object';
  const claims = objectOf(claimsBytes, maxClaimsDepth);
  if (claims === null) return 'the claims of the token are not an unambiguous JSON object';
  const foreign = refused.find((name) => Object.hasOwn(header, name));
  if (foreign !== undefined) return `the header of the token has ${foreign}`;
  const { alg, kid, typ } = own(header, 'alg', 'kid', 'typ');
  if (typeof alg !== 'string' || alg === '') return 'the token names no algorithm';
  if (kid !== undefined && !isKid(kid)) return 'the token has an impossible key id';
  if (typ !== undefined && typeof typ !== 'string') return 'the token has an impossible type';
  return {
    text,
    algorithm: alg,
    kid: kid ?? null,
    type: typ === undefined ? null : typeName(typ),
    claims,
    signatureBytes: signature.length,
  };
}

/** RFC 7515, section 4.1.9: a media type, `application/` may be left out. */
export function typeName(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '');
}

function isKid(kid: unknown): kid is string {
  return typeof kid === 'string' && kid !== '' && kid.length <= maxKidLength;
}

/** Of several texts for the same bytes one is right: no padding, no other characters, no bits that mean nothing. */
function decode(part: string): Buffer | null {
  if (part === '') return null;
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : null;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function objectOf(bytes: Buffer, maxDepth: number): Claims | null {
  try {
    const value = parseStrictJson(utf8.decode(bytes), maxDepth);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : null;
  } catch {
    return null;
  }
}

/** Only what the JSON itself has. */
function own<Name extends string>(object: Claims, ...names: Name[]): Partial<Record<Name, unknown>> {
  const found: Partial<Record<Name, unknown>> = {};
  for (const name of names) if (Object.hasOwn(object, name)) found[name] = object[name];
  return found;
}
