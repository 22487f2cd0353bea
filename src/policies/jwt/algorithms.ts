/** The signature algorithms of tokens (RFC 7518, section 3; RFC 8037; RFC 9864), and which keys they go with. */
import type { KeyObject } from 'node:crypto';

/** `none` is not among them, and never will be (RFC 8725, section 3.2). */
export const algorithmNames = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  'HS256',
  'HS384',
  'HS512',
] as const;

export type Algorithm = (typeof algorithmNames)[number];

export function isAlgorithm(name: unknown): name is Algorithm {
  return (algorithmNames as readonly unknown[]).includes(name);
}

/** RFC 7518, section 3.2: a key of the same size as the hash output, or larger. */
const hmac: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 };
const curves: Readonly<Record<string, { readonly algorithm: Algorithm; readonly signatureBytes: number }>> = {
  prime256v1: { algorithm: 'ES256', signatureBytes: 64 },
  secp384r1: { algorithm: 'ES384', signatureBytes: 96 },
  secp521r1: { algorithm: 'ES512', signatureBytes: 132 },
};
/** RFC 7518, section 3.3: 2048 or more. The upper bound is on the work that one token can make. */
const rsaBits = { min: 2048, max: 8192 };
/** FIPS 186-5, appendix A.1.1: odd and larger than 2^16. The upper bound is on the work again. */
const rsaExponent = { min: 0x1_0001n, max: 0xffff_ffffn };

/** What a key may be used for, and what a signature made with it looks like. */
export interface KeyUse {
  /** All that this type of key goes with; those that it goes with if nobody says anything come first. */
  readonly algorithms: readonly Algorithm[];
  /** How many of `algorithms` it goes with if nobody says which. */
  readonly defaults: number;
  /** How long a signature is, in bytes (RFC 7518, sections 3.2 to 3.5); for HMAC it depends on the algorithm. */
  signatureBytes(algorithm: Algorithm): number;
}

/** @throws {Error} that says why this key is not one to verify with. */
export function useOfKey(key: KeyObject): KeyUse {
  if (key.type === 'secret') return useOfSecret(key.symmetricKeySize ?? 0);
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return useOfRsa(modulusLength, publicExponent);
    case 'ec': {
      const curve = curves[namedCurve];
      if (curve === undefined) throw new Error(`the curve ${namedCurve} is none of P-256, P-384 and P-521`);
      return { algorithms: [curve.algorithm], defaults: 1, signatureBytes: () => curve.signatureBytes };
    }
    case 'ed25519':
      return { algorithms: ['EdDSA', 'Ed25519'], defaults: 2, signatureBytes: () => 64 };
    default:
      throw new Error(`keys of type ${key.asymmetricKeyType} are not supported`);
  }
}

function useOfSecret(bytes: number): KeyUse {
  const algorithms = (['HS256', 'HS384', 'HS512'] as const).filter((name) => bytes >= hmac[name]);
  if (algorithms.length === 0) throw new Error(`a secret of ${bytes} bytes is too short: HS256 takes 32 or more`);
  return { algorithms, defaults: 1, signatureBytes: (algorithm) => hmac[algorithm] };
}

function useOfRsa(bits: number, exponent: bigint): KeyUse {
  if (bits < rsaBits.min || bits > rsaBits.max) {
    throw new Error(`an RSA key of ${bits} bits is not between ${rsaBits.min} and ${rsaBits.max}`);
  }
  if (exponent < rsaExponent.min || exponent > rsaExponent.max || exponent % 2n === 0n) {
    throw new Error('the exponent of an RSA key is too small, too large or even');
  }
  const bytes = Math.ceil(bits / 8);
  return {
    algorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    // One padding per key (RFC 8725, section 3.5): PSS where it is said.
    defaults: 3,
    signatureBytes: () => bytes,
  };
}
