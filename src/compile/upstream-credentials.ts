/** What upstreams are called with, from the configuration. */
import type { UpstreamAuthConfig } from '../config/schema.ts';
import type { DocumentSource } from '../contract.ts';
import { clientBasic } from '../http/client-basic.ts';
import { signingKey } from '../http/signature-algorithms.ts';
import { parseComponent } from '../http/signature-base.ts';
import { ClientCredentials, type TokenRequest } from '../proxy/credentials/client-credentials.ts';
import { FixedFields } from '../proxy/credentials/fixed-fields.ts';
import { JoinedCredentials } from '../proxy/credentials/joined-credentials.ts';
import { RequestSignature } from '../proxy/credentials/request-signature.ts';
import type { UpstreamCredential } from '../proxy/upstream-credential.ts';
import { type Lease, identityOf } from '../util/keep.ts';
import { CompileError } from './compile-error.ts';
import type { UpstreamEnv } from './upstreams.ts';

type ClientCredentialsConfig = NonNullable<UpstreamAuthConfig['clientCredentials']>;
type SignatureConfig = NonNullable<UpstreamAuthConfig['signature']>;

/** An answer with a token is small. */
const maxTokenBytes = 65_536;
/** For tokens that do not say how long they are good for. */
const tokenRefreshMs = 3_600_000;

/** @throws {CompileError} for a key that is none. */
export function leaseCredential(
  upstream: string,
  auth: UpstreamAuthConfig,
  env: UpstreamEnv,
): Lease<UpstreamCredential> {
  const closing: (() => void)[] = [];
  const make = (): UpstreamCredential => {
    const parts = partsOf(upstream, auth, env, closing);
    return parts.length === 1 ? parts[0] : new JoinedCredentials(parts);
  };
  return env.keep.lease(identityOf('upstream credential', upstream, auth), make, () => {
    for (const close of closing) close();
  });
}

/** Signatures come last: they may cover what the others have added. */
function partsOf(
  upstream: string,
  { bearer, basic, headers, clientCredentials, signature }: UpstreamAuthConfig,
  env: UpstreamEnv,
  closing: (() => void)[],
): readonly UpstreamCredential[] {
  const fields = Object.entries(headers).map(([name, value]) => [name, value] as const);
  if (bearer !== undefined) fields.push(['authorization', `Bearer ${bearer}`]);
  if (basic !== undefined) fields.push(['authorization', basicCredentials(basic.user, basic.password)]);
  const fixed = fields.length === 0 ? [] : [new FixedFields(fields)];
  if (clientCredentials !== undefined) {
    const token = new ClientCredentials(tokenRequest(clientCredentials), {
      document: (source) => env.services.document(source),
      wallNow: () => env.clock.wallNow(),
      warn: (message) => env.warn(message, { upstream }),
    });
    closing.push(() => token.close());
    return [...fixed, token];
  }
  return signature === undefined ? fixed : [...fixed, requestSignature(upstream, signature, env)];
}

/** RFC 7617, section 2. */
function basicCredentials(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** RFC 6749, section 4.4.2. */
function tokenRequest(config: ClientCredentialsConfig): TokenRequest {
  const { tokenUrl = null, issuer = null, clientId, clientSecret, clientAuth, scope, audience, resource } = config;
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  if (scope.length > 0) form.set('scope', scope.join(' '));
  if (audience !== undefined) form.set('audience', audience);
  if (resource !== undefined) form.set('resource', resource);
  const headers: [string, string][] = [
    ['content-type', 'application/x-www-form-urlencoded'],
    ['accept', 'application/json'],
  ];
  if (clientAuth === 'basic') {
    headers.push(['authorization', clientBasic(clientId, clientSecret)]);
  } else {
    form.set('client_id', clientId);
    form.set('client_secret', clientSecret);
  }
  const source: Omit<DocumentSource, 'url'> = {
    headers,
    body: form.toString(),
    timeoutMs: config.timeout,
    maxBytes: maxTokenBytes,
    refreshMs: tokenRefreshMs,
    cooldownMs: config.cooldown,
    lifetimeMember: 'expires_in',
    members: { access_token: 'string', token_type: 'string' },
    ...(config.tls.ca !== undefined && { tls: { ca: config.tls.ca } }),
  };
  return { tokenUrl, issuer, source };
}

function requestSignature(upstream: string, config: SignatureConfig, env: UpstreamEnv): RequestSignature {
  const { keyId, algorithm, key, components, label, tag = null, expires } = config;
  try {
    return new RequestSignature({
      keyId,
      key: signingKey(algorithm, key),
      components: components.map((text) => parseComponent(text)!),
      label,
      tag,
      expiresS: expires === undefined ? null : Math.floor(expires / 1000),
      wallNow: () => env.clock.wallNow(),
    });
  } catch (error) {
    throw new CompileError(`upstreams.${upstream}.auth.signature.key: ${(error as Error).message}`);
  }
}
