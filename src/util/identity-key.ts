/**
 * A private key that the gateway signs JSON Web Tokens with (RFC 7515, RFC 7519), and its public half as others need it to
 * verify them (RFC 7517). Signing is synchronous, so that a request is not held up for more than the time it takes; what
 * is hard about tokens is to verify them, which is not done here.
 */
import { type KeyObject, createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';

export type IdentityAlgorithm = 'ES256' | 'ES384' | 'EdDSA' | 'RS256';

export interface IdentityKey {
  readonly algorithm: IdentityAlgorithm;
  /** The public key, with `kid`, `alg` and `use`. */
  readonly jwk: Readonly<Record<string, unknown>>;
  /** A token with these claims. @param claims JSON. */
  token(claims: string): string;
}

const minModulusBits = 2048;

/**
 * @param pem a private key in PEM form.
 * @throws {Error} when it is none that can be used; the message says why and has nothing of the key in it.
 */
export function identityKey(pem: string): IdentityKey {
  const key = parsed(pem);
  const algorithm = algorithmOf(key);
  const members = { ...createPublicKey(key).export({ format: 'jwk' }) };
  const kid = thumbprint(members);
  const header = base64url(JSON.stringify({ alg: algorithm, typ: 'JWT', kid }));
  // The hash is part of EdDSA itself; the others are r and s, one behind the other (RFC 7518, section 3.4).
  const hash = algorithm === 'EdDSA' ? null : `sha${algorithm.slice(2)}`;
  return {
    algorithm,
    jwk: { ...members, kid, alg: algorithm, use: 'sig' },
    token(claims) {
      const signed = `${header}.${base64url(claims)}`;
      const signature = sign(hash, Buffer.from(signed, 'latin1'), { key, dsaEncoding: 'ieee-p1363' });
      return `${signed}.${signature.toString('base64url')}`;
    },
  };
}

/** What OpenSSL says of a key that it cannot read may quote it. */
function parsed(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error('not a private key in PEM form');
  }
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails: details = {} }: KeyObject): IdentityAlgorithm {
  switch (asymmetricKeyType) {
    case 'ed25519':
      return 'EdDSA';
    case 'ec':
      if (details.namedCurve === 'prime256v1') return 'ES256';
      if (details.namedCurve === 'secp384r1') return 'ES384';
      break;
    case 'rsa':
      if ((details.modulusLength ?? 0) >= minModulusBits) return 'RS256';
      throw new Error(`an RSA key of less than ${minModulusBits} bits`);
    default:
  }
  throw new Error('not a key for ES256, ES384, EdDSA or RS256');
}

/** RFC 7638: the same key has the same id wherever it is configured. */
function thumbprint({ crv, e, kty, n, x, y }: Readonly<Record<string, unknown>>): string {
  // The required members in this order, those that the kind of key does not have left out.
  return createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('base64url');
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
