/**
 * The OpenID provider, by way of `openid-client`, which is imported here and nowhere else. All of its requests are calls of
 * the gateway: bounded in time and size, and to nobody but the provider.
 */
import * as client from 'openid-client';
import type { CallTls, Claims, PolicyEnv } from '../../contract.ts';
import { CallError } from '../../contract.ts';
import { type Grant, type LoginChecks, ProviderRefusal, ProviderUnavailable } from './grant.ts';
import { isLocal } from './issuer.ts';

export interface ProviderSettings {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string | undefined;
  readonly scopes: readonly string[];
  /** More parameters of the request for a login. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly asksUserInfo: boolean;
  readonly timeoutMs: number;
  readonly tls: CallTls | undefined;
}

/** Discovery documents and token responses are a few KiB, key sets of large providers some tens. */
const maxBytes = 512 * 1024;
/** What was discovered is looked up again after this time; while that fails the last one is used. */
const discoveryMs = 3_600_000;
/** After a failure nobody asks again for this long. */
const cooldownMs = 5_000;
const clockToleranceSeconds = 30;

type Env = Pick<PolicyEnv, 'call' | 'now' | 'wallNow' | 'warn'>;

export class Provider {
  private readonly settings: ProviderSettings;
  private readonly env: Env;
  private configuration: client.Configuration | null = null;
  /** Monotonic milliseconds from which it is to be looked up again. */
  private discoverAt = 0;
  private discovering: Promise<client.Configuration> | null = null;
  private problem = '';

  constructor(settings: ProviderSettings, env: Env) {
    this.settings = settings;
    this.env = env;
  }

  /**
   * Where to send the browser to log in.
   * @param challenge of the verifier, by S256 (RFC 7636, section 4.2).
   * @throws {ProviderUnavailable}
   */
  async loginUrl(redirectUri: string, { state, nonce }: LoginChecks, challenge: string): Promise<string> {
    const { scopes, parameters } = this.settings;
    const url = client.buildAuthorizationUrl(await this.discovered(), {
      ...parameters,
      redirect_uri: redirectUri,
      scope: scopes.join(' '),
      response_mode: 'query',
      state,
      nonce,
      code_challenge: challenge,
      code_challenge_method: 'S256',
    });
    return url.href;
  }

  /**
   * Turns the answer of a login into tokens. Checks state, issuer (RFC 9207) and the ID token: its signature, issuer,
   * audience, times and nonce (OpenID Connect Core, section 3.1.3.7).
   * @param url the redirect URI with the parameters of the answer.
   * @throws {ProviderUnavailable | ProviderRefusal}
   */
  async grant(url: URL, { state, nonce, verifier }: LoginChecks): Promise<Grant> {
    const configuration = await this.discovered();
    const tokens = await this.ask(() =>
      client.authorizationCodeGrant(configuration, url, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      }),
    );
    const claims = tokens.claims();
    if (claims === undefined) throw new ProviderRefusal('', 'the provider sent no ID token');
    const info = this.settings.asksUserInfo
      ? await this.ask(() => client.fetchUserInfo(configuration, tokens.access_token, claims.sub))
      : {};
    return this.toGrant(tokens, { ...info, ...claims }, null);
  }

  /**
   * Fresh tokens for a session.
   * @throws {ProviderUnavailable | ProviderRefusal} with code `invalid_grant` when the provider has ended it.
   */
  async refresh(before: Grant): Promise<Grant> {
    const configuration = await this.discovered();
    const tokens = await this.ask(() => client.refreshTokenGrant(configuration, before.refreshToken));
    const claims = tokens.claims();
    // OpenID Connect Core, section 12.2: it must still be about the same one.
    if (claims !== undefined && claims.sub !== before.claims['sub']) {
      throw new ProviderRefusal('', 'the refreshed ID token is about somebody else');
    }
    return this.toGrant(tokens, claims === undefined ? before.claims : { ...before.claims, ...claims }, before);
  }

  /** Where to send the browser to end the session at the provider too; null where it has no such place. */
  async logoutUrl(idToken: string, afterwards: string): Promise<string | null> {
    const configuration = await this.discovered();
    if (configuration.serverMetadata().end_session_endpoint === undefined) return null;
    return client.buildEndSessionUrl(configuration, { id_token_hint: idToken, post_logout_redirect_uri: afterwards })
      .href;
  }

  private toGrant(
    tokens: client.TokenEndpointResponse & client.TokenEndpointResponseHelpers,
    claims: Claims,
    before: Grant | null,
  ): Grant {
    const lifetime = tokens.expiresIn();
    return {
      claims,
      // Where the answer says nothing it is what was asked for (RFC 6749, section 5.1), or granted before.
      scope: tokens.scope ?? before?.scope ?? this.settings.scopes.join(' '),
      accessToken: tokens.access_token,
      accessExpiresAt: lifetime === undefined ? 0 : this.env.wallNow() + lifetime * 1000,
      refreshToken: tokens.refresh_token ?? before?.refreshToken ?? '',
      idToken: tokens.id_token ?? before?.idToken ?? '',
    };
  }

  /** What the provider says of itself. One look-up at a time; a failed one is not repeated at once. */
  private async discovered(): Promise<client.Configuration> {
    const { env } = this;
    if (env.now() >= this.discoverAt) {
      this.discovering ??= this.discover().finally(() => (this.discovering = null));
      if (this.configuration === null) return this.discovering;
      this.discovering.catch(() => {});
    }
    if (this.configuration === null) throw new ProviderUnavailable(this.problem);
    return this.configuration;
  }

  private async discover(): Promise<client.Configuration> {
    const { issuer, clientId, clientSecret, timeoutMs } = this.settings;
    const metadata = {
      [client.clockTolerance]: clockToleranceSeconds,
      ...(clientSecret !== undefined && { client_secret: clientSecret }),
    };
    const execute = [client.enableNonRepudiationChecks];
    // oxlint-disable-next-line typescript/no-deprecated -- deprecated to be conspicuous, and for just this: see `isLocal`.
    if (isLocal(issuer)) execute.push(client.allowInsecureRequests);
    try {
      const found = await client.discovery(new URL(issuer), clientId, metadata, authentication(clientSecret), {
        [client.customFetch]: this.fetch,
        execute,
        timeout: Math.ceil(timeoutMs / 1000),
      });
      const keys = this.configuration === null ? undefined : client.getJwksCache(this.configuration);
      if (keys !== undefined) client.setJwksCache(found, keys);
      this.configuration = found;
      this.discoverAt = this.env.now() + discoveryMs;
      return found;
    } catch (error) {
      this.problem = `the provider cannot be discovered: ${wordsOf(error)}`;
      this.discoverAt = this.env.now() + cooldownMs;
      this.env.warn(this.problem);
      throw new ProviderUnavailable(this.problem);
    }
  }

  private async ask<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      if (causesOf(error).some((cause) => cause instanceof CallError)) throw new ProviderUnavailable(wordsOf(error));
      if (error instanceof client.WWWAuthenticateChallengeError) throw this.misconfigured('a challenge');
      if (error instanceof client.ResponseBodyError || error instanceof client.AuthorizationResponseError) {
        if (ours.has(error.error)) throw this.misconfigured(error.error);
        if (theirs.has(error.error)) throw new ProviderUnavailable(`the provider said ${error.error}`);
        throw new ProviderRefusal(error.error, `the provider said ${plain(error.error)}`);
      }
      throw new ProviderRefusal('', `the answer of the provider does not hold: ${wordsOf(error)}`);
    }
  }

  /** Nothing that whoever logs in can do anything about. */
  private misconfigured(answer: string): ProviderUnavailable {
    const message = `the provider does not accept the gateway as a client (${answer}): look at clientId and clientSecret`;
    this.env.warn(message);
    return new ProviderUnavailable(message);
  }

  private readonly fetch: client.CustomFetch = async (url, { method, headers, body }) => {
    const { timeoutMs, tls } = this.settings;
    const response = await this.env.call({
      url,
      method,
      headers: Object.entries(headers),
      ...(body != null && { body: textOf(body) }),
      timeoutMs,
      maxBytes,
      ...(tls !== undefined && { tls }),
    });
    const { status } = response;
    if (status >= 500 || status === 429) throw new CallError(`the provider answered ${status}`);
    const isBodiless = status === 204 || status === 205 || status === 304;
    return new Response(isBodiless ? null : Buffer.from(response.body), {
      status,
      headers: response.headers.map(([name, value]): [string, string] => [name, value]),
    });
  };
}

/** What the gateway, and what the provider is to blame for (RFC 6749, sections 4.1.2.1 and 5.2). */
const ours: ReadonlySet<string> = new Set(['invalid_client', 'unauthorized_client', 'unsupported_grant_type']);
const theirs: ReadonlySet<string> = new Set(['server_error', 'temporarily_unavailable']);

/** By the way that the provider prefers: `client_secret_basic` unless it says otherwise (OpenID Connect Discovery, 3). */
function authentication(secret: string | undefined): client.ClientAuth {
  if (secret === undefined) return client.None();
  const [basic, post] = [client.ClientSecretBasic(secret), client.ClientSecretPost(secret)];
  return (server, ...more) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const chosen = !methods.includes('client_secret_basic') && methods.includes('client_secret_post') ? post : basic;
    return chosen(server, ...more);
  };
}

function textOf(body: NonNullable<client.FetchBody>): string {
  if (typeof body === 'string') return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError('a body of another kind than the protocol has');
}

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = [];
  for (let cause = error; cause instanceof Error && causes.length < 8; cause = cause.cause) causes.push(cause);
  return causes;
}

/** What can be said in a log: messages of the library are constants, and what a provider sends is not repeated. */
function wordsOf(error: unknown): string {
  return causesOf(error)
    .map((cause) => (cause as Error).message)
    .join(': ');
}

/** The error codes of OAuth are plain words; anything else is not repeated. */
function plain(code: string): string {
  return /^[a-z_]{1,60}$/.test(code) ? code : 'no';
}
