/**
 * Text that goes through the hands of others (a browser, a store) and comes back unread and unchanged: AES-256-GCM under
 * a key of its own for every text, derived from the secret and 128 random bits by HKDF-SHA-256. That is the construction
 * of RFC 8188, section 2.2; unlike random nonces under one key it has no limit on the number of texts that anybody reaches.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** The first byte of what is sealed: another form would have another one. */
const version = 1;
const saltBytes = 16;
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const overhead = 1 + saltBytes + tagBytes;
const info = 'gatewright oidc 1';

export class Sealer {
  private readonly secrets: readonly Buffer[];

  /** @param secrets the first one seals, any of them opens: so secrets can be rotated. */
  constructor(secrets: readonly string[]) {
    this.secrets = secrets.map((secret) => Buffer.from(secret, 'utf8'));
  }

  /**
   * @param bound what it is for and whom; it is opened only with the same.
   * @returns base64url.
   */
  seal(text: string, bound: readonly string[]): string {
    const salt = randomBytes(saltBytes);
    const { key, nonce } = derive(this.secrets[0], salt);
    const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
    cipher.setAAD(joined(bound));
    const sealed = [Buffer.of(version), salt, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()];
    return Buffer.concat(sealed).toString('base64url');
  }

  /** The text; null for whatever is not exactly what `seal` has made with the same binding. */
  open(sealed: string, bound: readonly string[]): string | null {
    const bytes = Buffer.from(sealed, 'base64url');
    // Node ignores what is no base64url; there is one spelling of every text, and no other is accepted.
    if (bytes.length < overhead || bytes[0] !== version || bytes.toString('base64url') !== sealed) return null;
    const salt = bytes.subarray(1, 1 + saltBytes);
    const data = bytes.subarray(1 + saltBytes, -tagBytes);
    const tag = bytes.subarray(-tagBytes);
    const about = joined(bound);
    for (const secret of this.secrets) {
      const text = decrypt(derive(secret, salt), data, tag, about);
      if (text !== null) return text;
    }
    return null;
  }
}

/** How long the sealed form of a text of so many bytes is. */
export function sealedLength(bytes: number): number {
  return Math.ceil(((bytes + overhead) * 4) / 3);
}

function derive(secret: Buffer, salt: Buffer): { readonly key: Buffer; readonly nonce: Buffer } {
  const derived = Buffer.from(hkdfSync('sha256', secret, salt, info, keyBytes + nonceBytes));
  return { key: derived.subarray(0, keyBytes), nonce: derived.subarray(keyBytes) };
}

function decrypt({ key, nonce }: ReturnType<typeof derive>, data: Buffer, tag: Buffer, about: Buffer): string | null {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(about);
  decipher.setAuthTag(tag);
  try {
    return decipher.update(data, undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return null;
  }
}

/** Each part with its length in front: no two lists of parts are joined to the same bytes (CVE-2023-35941). */
function joined(parts: readonly string[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part, 'utf8');
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}
