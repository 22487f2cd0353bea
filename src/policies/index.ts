/** Every policy that a configuration can name without bringing it along. Its module is loaded when one does. */
import type { PolicyDefinition } from '../contract.ts';

const loaders: Readonly<Record<string, () => Promise<PolicyDefinition>>> = {
  requestId: async () => (await import('./request-id.ts')).requestId,
  headers: async () => (await import('./headers.ts')).headers,
  cors: async () => (await import('./cors.ts')).cors,
  ipFilter: async () => (await import('./ip-filter.ts')).ipFilter,
  ban: async () => (await import('./ban.ts')).ban,
  rateLimit: async () => (await import('./rate-limit.ts')).rateLimit,
  quota: async () => (await import('./quota.ts')).quota,
  concurrency: async () => (await import('./concurrency.ts')).concurrency,
  bodyLimit: async () => (await import('./body-limit.ts')).bodyLimit,
  securityHeaders: async () => (await import('./security-headers.ts')).securityHeaders,
  apiKey: async () => (await import('./api-key.ts')).apiKey,
  basicAuth: async () => (await import('./basic-auth.ts')).basicAuth,
  mtls: async () => (await import('./mtls.ts')).mtls,
  jwt: async () => (await import('./jwt.ts')).jwt,
  introspection: async () => (await import('./introspection.ts')).introspection,
  forwardAuth: async () => (await import('./forward-auth.ts')).forwardAuth,
  anyOf: async () => (await import('./any-of.ts')).anyOf,
  authorize: async () => (await import('./authorize.ts')).authorize,
  oidc: async () => (await import('./oidc/oidc.ts')).oidc,
  compress: async () => (await import('./compress.ts')).compress,
  identityToken: async () => (await import('./identity-token.ts')).identityToken,
  identityKeys: async () => (await import('./identity-keys.ts')).identityKeys,
  messageSignature: async () => (await import('./authentication/message-signature.ts')).messageSignature,
};

/** What `config/policy-registry.ts` describes. */
export const builtinPolicies = {
  names: Object.keys(loaders) as readonly string[],

  async load(names: Iterable<string>): Promise<ReadonlyMap<string, PolicyDefinition>> {
    const known = [...new Set(names)].filter((name) => Object.hasOwn(loaders, name));
    return new Map(await Promise.all(known.map(async (name) => [name, await loaders[name]()] as const)));
  },
};
