/** Digests of content (RFC 9530): of the bytes of the body as they travel, content codings included. */
import { createHash } from 'node:crypto';
import { isInnerList, parseDictionary, serializeBareItem } from './structured-fields.ts';

export type DigestAlgorithm = 'sha-256' | 'sha-512';

/** Those that are more than a checksum (RFC 9530, section 5); all others are as good as none. */
const hashes: ReadonlyMap<string, string> = new Map<DigestAlgorithm, string>([
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
]);

/** The value of `Content-Digest` for this content. */
export function contentDigest(algorithm: DigestAlgorithm, content: Uint8Array): string {
  return `${algorithm}=${serializeBareItem({ kind: 'bytes', value: digestOf(hashes.get(algorithm)!, content) })}`;
}

/**
 * Whether the content is the one that the field speaks of. Of several digests all must hold: a recipient may choose any,
 * and might choose another one than this.
 * @param field all values of `Content-Digest`, joined by commas.
 */
export function isContentOf(field: string, content: Uint8Array): boolean {
  const digests = parseDictionary(field);
  if (digests === null) return false;
  let holds = false;
  for (const [algorithm, digest] of digests) {
    const hash = hashes.get(algorithm);
    if (hash === undefined) continue;
    if (isInnerList(digest) || digest.value.kind !== 'bytes') return false;
    if (!digestOf(hash, content).equals(digest.value.value)) return false;
    holds = true;
  }
  return holds;
}

function digestOf(hash: string, content: Uint8Array): Buffer {
  return createHash(hash).update(content).digest();
}
