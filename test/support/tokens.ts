/** Tokens and keys as issuers, and others, make them: whatever the header, the claims and the signature. */
import { constants, createHmac, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto';

export interface SigningPair {
  readonly kid: string;
  readonly algorithm: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** As in a key set. */
  readonly jwk: Readonly<Record<string, unknown>>;
}

export function signingPair(algorithm: string, kid: string): SigningPair {
  const { privateKey, publicKey } = generate(algorithm);
  return {
    kid,
    algorithm,
    privateKey,
    publicKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: algorithm },
  };
}

function generate(algorithm: string): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  if (/^[RP]S/.test(algorithm)) return generateKeyPairSync('rsa', { modulusLength: 2048 });
  if (algorithm.startsWith('Ed')) return generateKeyPairSync('ed25519');
  const namedCurve = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[algorithm]!;
  return generateKeyPairSync('ec', { namedCurve });
}

/** @param part a text as it is, anything else as JSON. */
export function encodePart(part: unknown): string {
  if (part instanceof Uint8Array) return Buffer.from(part).toString('base64url');
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
}

/** A token whose header names the algorithm and the key of the pair, unless it is given. */
export function tokenOf(pair: SigningPair, claims: unknown, header: unknown = headerOf(pair)): string {
  const input = `${encodePart(header)}.${encodePart(claims)}`;
  return `${input}.${signatureOf(pair.algorithm, input, pair.privateKey).toString('base64url')}`;
}

export function headerOf({ algorithm, kid }: Pick<SigningPair, 'algorithm' | 'kid'>): Record<string, unknown> {
  return { alg: algorithm, typ: 'JWT', kid };
}

export function hmacToken(secret: string | Buffer, claims: unknown, header: unknown = { alg: 'HS256' }): string {
  const input = `${encodePart(header)}.${encodePart(claims)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

export function signatureOf(algorithm: string, input: string, key: KeyObject): Buffer {
  const data = Buffer.from(input);
  if (algorithm.startsWith('Ed')) return signBytes(null, data, key);
  const hash = `sha${algorithm.slice(2)}`;
  if (algorithm.startsWith('ES')) return signBytes(hash, data, { key, dsaEncoding: 'ieee-p1363' });
  if (algorithm.startsWith('RS')) return signBytes(hash, data, key);
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return signBytes(hash, data, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
}
