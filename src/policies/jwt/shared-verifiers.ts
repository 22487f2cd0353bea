/**
 * Routes, and configurations after each other, that accept the same tokens remember them together: what one has verified
 * the others need not.
 */
import { hash } from 'node:crypto';
import type { ConsumerDirectory, RemoteDocument } from '../../contract.ts';
import type { TokenVerifier } from './token-verifier.ts';

interface Shared {
  /** It goes when no policy uses it any longer. */
  readonly verifier: WeakRef<TokenVerifier>;
  readonly documents: readonly (RemoteDocument | null)[];
}

/** Of a thread, which has one directory of consumers. */
const all = new WeakMap<ConsumerDirectory, Map<string, Shared>>();

/**
 * @param accepted everything that the verifier is made from, as plain data.
 * @param documents where its keys are published; one that was let go meanwhile and began anew is another one.
 */
export function sharedVerifier(
  consumers: ConsumerDirectory,
  accepted: unknown,
  documents: Shared['documents'],
  make: () => TokenVerifier,
): TokenVerifier {
  let known = all.get(consumers);
  if (known === undefined) all.set(consumers, (known = new Map<string, Shared>()));
  // A hash, because there may be secrets in it.
  const identity = hash('sha256', JSON.stringify(accepted));
  const shared = known.get(identity);
  const isSame = shared?.documents.every((document, index) => document === documents[index]) ?? false;
  const living = isSame ? shared?.verifier.deref() : undefined;
  if (living !== undefined) return living;
  for (const [id, { verifier }] of known) if (verifier.deref() === undefined) known.delete(id);
  const verifier = make();
  known.set(identity, { verifier: new WeakRef(verifier), documents });
  return verifier;
}
