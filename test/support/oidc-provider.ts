/** A real OpenID provider on loopback, with pages to log in on, where every name and password is right. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type Provider from 'oidc-provider';
import type { ClientMetadata, Configuration } from 'oidc-provider';
import type { Scope } from './scope.ts';

export interface OidcProviderSettings {
  readonly clients: readonly ClientMetadata[];
  /** Seconds. */
  readonly accessTokenTtl?: number;
  readonly port?: number;
}

export class OidcProvider {
  readonly issuer: string;
  /** Requests to the token endpoint, by grant type, that were answered with tokens. */
  readonly granted: string[] = [];
  private readonly server: Server;

  /** Starts one; it is stopped at the end of the test. */
  static async start(t: Scope, settings: OidcProviderSettings): Promise<OidcProvider> {
    // Its own address, so that browsers keep its cookies apart from those of a gateway on 127.0.0.1.
    const server = createServer().listen(settings.port ?? 0, '127.0.0.2');
    await once(server, 'listening');
    const issuer = `http://127.0.0.2:${(server.address() as AddressInfo).port}`;
    const provider = new OidcProvider(server, issuer, await makeProvider(issuer, settings));
    t.after(() => provider.stop());
    return provider;
  }

  private constructor(server: Server, issuer: string, provider: Provider) {
    this.server = server;
    this.issuer = issuer;
    provider.on('grant.success', (context) => this.granted.push(String(context.oidc.params?.['grant_type'])));
    const answer = provider.callback();
    server.on('request', (request, response) => void answer(request, response));
  }

  /** Ends it with all that is under way. */
  async stop(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}

function configurationOf({ clients, accessTokenTtl = 300 }: OidcProviderSettings): Configuration {
  return {
    clients: [...clients],
    jwks: { keys: [privateKey('RS256', 'rsa'), privateKey('ES256', 'ec')] },
    cookies: { keys: ['only a test'] },
    scopes: ['openid', 'offline_access', 'profile', 'api'],
    claims: { profile: ['name'] },
    conformIdTokenClaims: false,
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, name: `${id} of the test` }) }),
    issueRefreshToken: () => Promise.resolve(true),
    ttl: {
      AccessToken: accessTokenTtl,
      ClientCredentials: 300,
      IdToken: 300,
      RefreshToken: 3600,
      Session: 3600,
      Grant: 3600,
      Interaction: 600,
    },
    features: {
      clientCredentials: { enabled: true },
      rpInitiatedLogout: {
        logoutSource(context, form) {
          context.body = `<title>Log out</title>${form}<button form="op.logoutForm" value="yes" name="logout">yes</button>`;
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => '',
        getResourceServerInfo: () => ({
          scope: 'api',
          audience: 'urn:orders',
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  };
}

function privateKey(alg: 'RS256' | 'ES256', kid: string): Readonly<Record<string, unknown>> {
  const { privateKey: key } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...key.export({ format: 'jwk' }), alg, kid, use: 'sig' };
}

/** It tells everybody that its pages are for tests only, which is what they are for. */
async function makeProvider(issuer: string, settings: OidcProviderSettings): Promise<Provider> {
  const { info, warn } = console;
  Object.assign(console, { info() {}, warn() {} });
  try {
    const library = await import('oidc-provider');
    return new library.default(issuer, configurationOf(settings));
  } finally {
    Object.assign(console, { info, warn });
  }
}
