/**
 * The policies that come with the gateway, those that are not available yet included: what a configuration may name
 * without defining it. `test/config/policy-names.test.ts` holds the list against the registry.
 */
export const standardPolicies = [
  'anyOf',
  'apiKey',
  'authorize',
  'ban',
  'basicAuth',
  'bodyLimit',
  'compress',
  'concurrency',
  'cors',
  'fault',
  'forwardAuth',
  'headers',
  'identityKeys',
  'identityToken',
  'introspection',
  'ipFilter',
  'jwt',
  'messageSignature',
  'mtls',
  'oidc',
  'quota',
  'rateLimit',
  'requestId',
  'securityHeaders',
  'validate',
] as const;

export type StandardPolicy = (typeof standardPolicies)[number];
