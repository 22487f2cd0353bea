/**
 * The algorithms of HTTP message signatures (RFC 9421, section 3.3), and keys for them. A key is made for one algorithm and
 * is never used for another, whatever a message asks for (CVE-2015-9235: a public key that was taken for the secret of an
 * HMAC); what it is made of is parsed once, when it becomes known.
 */
import {
  type KeyObject,
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';

export const signatureAlgorithms = [
  'hmac-sha256',
  'rsa-pss-sha512',
  'rsa-v1_5-sha256',
  'ecdsa-p256-sha256',
  'ecdsa-p384-sha384',
  'ed25519',
] as const;

export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

export function isSignatureAlgorithm(name: string): name is SignatureAlgorithm {
  return (signatureAlgorithms as readonly string[]).includes(name);
}

export interface SignatureKey {
  readonly algorithm: SignatureAlgorithm;
  readonly key: KeyObject;
}

interface AsymmetricScheme {
  readonly keyTypes: readonly string[];
  /** As OpenSSL calls it. */
  readonly curve?: string;
  /** null where the algorithm has its own. */
  readonly hash: string | null;
  readonly padding?: number;
  readonly saltLength?: number;
  /** How long each signature is, where all are of one length. */
  readonly bytes?: number;
}

const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING } = constants;

const schemes: Readonly<Record<Exclude<SignatureAlgorithm, 'hmac-sha256'>, AsymmetricScheme>> = {
  'rsa-pss-sha512': {
    keyTypes: ['rsa', 'rsa-pss'],
    hash: 'sha512',
    padding: RSA_PKCS1_PSS_PADDING,
    saltLength: 64,
  },
  'rsa-v1_5-sha256': { keyTypes: ['rsa'], hash: 'sha256', padding: RSA_PKCS1_PADDING },
  // r and s, one behind the other, not in DER (RFC 9421, section 3.3.4).
  'ecdsa-p256-sha256': { keyTypes: ['ec'], curve: 'prime256v1', hash: 'sha256', bytes: 64 },
  'ecdsa-p384-sha384': { keyTypes: ['ec'], curve: 'secp384r1', hash: 'sha384', bytes: 96 },
  ed25519: { keyTypes: ['ed25519'], hash: null, bytes: 64 },
};

/** Shorter ones can be found out (NIST SP 800-131A). */
const minModulusBits = 2048;
/** A shorter secret can be found out from one signature (RFC 2104, section 3). */
export const safeSecretBytes = 16;

/**
 * The key that signatures are verified with. Which secret others sign with is theirs to say, so a short one is taken.
 * @param text the secret, as text or as `base64:…`, or a public key in PEM form.
 * @throws {Error} when it is no key for the algorithm; the message says why and has nothing of the key in it.
 */
export function verificationKey(algorithm: SignatureAlgorithm, text: string): SignatureKey {
  if (algorithm === 'hmac-sha256') return secretKey(algorithm, text, 1);
  if (/PRIVATE KEY/.test(text)) throw new Error('a private key: whoever verifies needs the public one only');
  return checked(algorithm, parsedPem(text, createPublicKey, 'public'));
}

/**
 * The key that signatures are made with.
 * @param text the secret, as text or as `base64:…`, or a private key in PEM form.
 * @throws {Error} when it is no key for the algorithm; the message says why and has nothing of the key in it.
 */
export function signingKey(algorithm: SignatureAlgorithm, text: string): SignatureKey {
  return algorithm === 'hmac-sha256'
    ? secretKey(algorithm, text, safeSecretBytes)
    : checked(algorithm, parsedPem(text, createPrivateKey, 'private'));
}

/** A string is never both: one that looks like a key of another kind is no secret (CVE-2023-48223). */
function secretKey(algorithm: 'hmac-sha256', text: string, minBytes: number): SignatureKey {
  if (/-----BEGIN /.test(text)) throw new Error('hmac-sha256 needs a shared secret, not a key in PEM form');
  const bytes = secretBytes(text);
  if (bytes.length < minBytes) throw new Error(`the secret is shorter than ${minBytes} bytes`);
  return { algorithm, key: createSecretKey(bytes) };
}

/** Secrets that are no text are written as `base64:…`. */
function secretBytes(text: string): Buffer {
  if (!text.startsWith(BASE64)) return Buffer.from(text);
  const encoded = text.slice(BASE64.length);
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) throw new Error('what follows base64: is not base64 with padding');
  return bytes;
}

const BASE64 = 'base64:';

/** What OpenSSL says of a key that it cannot read may quote it. */
function parsedPem(text: string, parse: (pem: string) => KeyObject, kind: string): KeyObject {
  try {
    return parse(text);
  } catch {
    throw new Error(`not a ${kind} key in PEM form`);
  }
}

function checked(algorithm: keyof typeof schemes, key: KeyObject): SignatureKey {
  const { keyTypes, curve } = schemes[algorithm];
  const { asymmetricKeyType = '', asymmetricKeyDetails: details = {} } = key;
  if (!keyTypes.includes(asymmetricKeyType) || details.namedCurve !== curve) {
    throw new Error(`not a key for ${algorithm}`);
  }
  if (details.modulusLength !== undefined && details.modulusLength < minModulusBits) {
    throw new Error(`an RSA key of less than ${minModulusBits} bits`);
  }
  const exponent = details.publicExponent;
  if (exponent !== undefined && (exponent < 65_537n || exponent % 2n === 0n)) {
    throw new Error('an RSA key with a public exponent that is even or less than 65537');
  }
  return { algorithm, key };
}

export function signatureOf({ algorithm, key }: SignatureKey, base: Uint8Array): Buffer {
  if (algorithm === 'hmac-sha256') return createHmac('sha256', key).update(base).digest();
  const { hash, padding, saltLength } = schemes[algorithm];
  return sign(hash, base, withOptions(key, padding, saltLength));
}

/** In constant time, where there is a secret that the time could tell something about. */
export function isSignatureOf({ algorithm, key }: SignatureKey, base: Uint8Array, signature: Uint8Array): boolean {
  if (algorithm === 'hmac-sha256') {
    const mac = createHmac('sha256', key).update(base).digest();
    return signature.length === mac.length && timingSafeEqual(mac, signature);
  }
  const { hash, padding, saltLength, bytes } = schemes[algorithm];
  if (bytes !== undefined && signature.length !== bytes) return false;
  return verify(hash, base, withOptions(key, padding, saltLength), signature);
}

function withOptions(key: KeyObject, padding: number | undefined, saltLength: number | undefined) {
  return {
    key,
    dsaEncoding: 'ieee-p1363' as const,
    ...(padding !== undefined && { padding }),
    ...(saltLength !== undefined && { saltLength }),
  };
}
