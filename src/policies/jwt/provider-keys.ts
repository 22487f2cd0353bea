/** Where the keys of a provider come from, by its options. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DocumentSource, RemoteDocument } from '../../contract.ts';
import type { Algorithm } from './algorithms.ts';
import { ConfiguredKeys, type KeySet, PublishedKeys, readKeySet } from './key-set.ts';
import { isHttpUrl, type KeyOption, type ProviderOptions } from './options.ts';
import { keyFromJwk, keyFromPem, keyFromSecret, type VerificationKey } from './verification-key.ts';

/** Larger than any key set that is in use. */
const maxBytes = 262_144;
/** A file is looked at often: that costs next to nothing. */
const file = { timeoutMs: 5_000, refreshMs: 1_000, cooldownMs: 1_000 };
const usually = { url: undefined, ca: undefined, timeout: 5_000, refresh: 600_000, cooldown: 10_000 };

/** The document that the keys are published in; null when they stand in the configuration. */
export function keyDocumentOf({ issuer = '', jwks, keys }: ProviderOptions, baseDir: string): DocumentSource | null {
  if (keys !== undefined) return null;
  const common = { maxBytes, members: { keys: 'array' } } as const;
  if (typeof jwks === 'string' && !isHttpUrl(jwks)) {
    return { url: pathToFileURL(resolve(baseDir, jwks)).href, ...file, ...common };
  }
  const { url, ca, timeout, refresh, cooldown } =
    typeof jwks === 'string' ? { ...usually, url: jwks } : { ...usually, ...jwks };
  const isPem = ca?.includes('-----BEGIN') ?? false;
  return {
    url: url ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    ...(url === undefined && { pointer: { member: 'jwks_uri', mustSay: { issuer } } }),
    ...(ca !== undefined && { tls: { ca: isPem ? ca : resolve(baseDir, ca) } }),
    timeoutMs: timeout,
    refreshMs: refresh,
    cooldownMs: cooldown,
    ...common,
  };
}

/**
 * @param published by the source that `keyDocumentOf` says.
 * @throws {Error} for keys of the configuration, or of a file, that are none.
 */
export function keySetOf(
  given: ProviderOptions,
  published: { readonly document: RemoteDocument; readonly source: DocumentSource } | null,
  warn: (message: string) => void,
): KeySet {
  const allowed = given.algorithms ?? null;
  if (published === null) return new ConfiguredKeys((given.keys ?? []).map((key, i) => configuredKey(key, i, allowed)));
  const { document, source } = published;
  const isFile = source.url.startsWith('file:');
  // A file is only for those who may read it; what has a URL is for everybody.
  const options = { allowed, mayBeSecret: isFile, warn };
  if (isFile) assertKeySetFile(source.url, options);
  return new PublishedKeys(document, options);
}

function configuredKey(key: KeyOption, index: number, allowed: readonly Algorithm[] | null): VerificationKey {
  try {
    if (typeof key === 'string') return keyFromPem(key, {}, allowed);
    if ('pem' in key) return keyFromPem(key.pem, key, allowed);
    if ('secret' in key) return keyFromSecret(Buffer.from(key.secret, key.encoding), key, allowed);
    const { kid, algorithm } = key;
    return keyFromJwk({ ...key.jwk, ...(kid && { kid }), ...(algorithm && { alg: algorithm }) }, allowed, true);
  } catch (error) {
    throw new Error(`key number ${index + 1}: ${(error as Error).message}`, { cause: error });
  }
}

/** What is wrong with a file is better known when the configuration is loaded. */
function assertKeySetFile(url: string, options: Parameters<typeof readKeySet>[1]): void {
  const { keys, unusable } = readKeySet(readFileSync(new URL(url), 'utf8'), options);
  if (keys.length === 0) throw new Error(unusable[0] ?? 'the key set has no keys');
}
