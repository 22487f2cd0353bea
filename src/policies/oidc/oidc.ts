/**
 * Login for people in front of browsers, by OpenID Connect: authorization code flow with PKCE, sessions in encrypted
 * cookies or in a store.
 */
import { resolve } from 'node:path';
import {
  type Authenticator,
  type Credential,
  type Exchange,
  type MaybePromise,
  type Policy,
  type PolicyEnv,
  Refusal,
  type ValueStore,
  definePolicy,
} from '../../contract.ts';
import type { z } from '../../util/schema.ts';
import { authenticating } from '../authentication/authenticating.ts';
import { ConsumerOfClaims } from '../authentication/consumer-of-claims.ts';
import { ForwardedClaims } from '../authentication/forward-claims.ts';
import { OidcCookies } from './cookies.ts';
import { KnownSession } from './known-session.ts';
import { Login } from './login.ts';
import { Logout } from './logout.ts';
import { isNavigation } from './navigation.ts';
import { oidcOptions } from './options.ts';
import type { Provider } from './provider.ts';
import { ResponseCookies } from './response-cookies.ts';
import { Sealer } from './sealer.ts';
import { CookieStorage, StoreStorage } from './session-storage.ts';
import type { Session } from './session.ts';
import { Sessions } from './sessions.ts';

type Options = z.output<typeof oidcOptions>;

export const oidc = definePolicy({
  name: 'oidc',
  summary: 'Lets people log in with a browser through an OpenID provider, and remembers them in a session.',
  options: oidcOptions,
  provides: ['consumer'],
  ownPaths: ({ callbackPath, logoutPath }) => [callbackPath, logoutPath],
  async create(options, env): Promise<Policy> {
    const authenticator = await createAuthenticator(options, env);
    return {
      ...authenticating(authenticator, options, env),
      onResponse: (exchange) => authenticator.responseCookies.send(exchange),
    };
  },
});

/** The provider's library is loaded only where a configuration has such a policy. */
async function createAuthenticator(options: Options, env: PolicyEnv): Promise<OidcAuthenticator> {
  const module = await import('./provider.ts');
  const { issuer, clientId, clientSecret, scopes, parameters, ca } = options;
  const provider = new module.Provider(
    {
      issuer,
      clientId,
      clientSecret,
      scopes: [...new Set(['openid', ...scopes])],
      parameters,
      asksUserInfo: options.userInfo,
      timeoutMs: options.timeout,
      tls: ca === undefined ? undefined : { ca: ca.includes('-----BEGIN') ? ca : resolve(env.baseDir, ca) },
    },
    env,
  );
  const store = options.store === undefined ? null : await env.store(options.store);
  return new OidcAuthenticator(options, env, provider, store);
}

/** What the policy asks of a provider. */
type ProviderOfLogins = Pick<Provider, 'loginUrl' | 'grant' | 'refresh' | 'logoutUrl'>;

const noHost = new Refusal('missing', 'a request without a host');

class OidcAuthenticator implements Authenticator {
  /** There is no scheme of HTTP for sessions in cookies. */
  readonly challenge = '';
  readonly ownHeaders: readonly string[];
  readonly responseCookies = new ResponseCookies();
  private readonly options: Options;
  private readonly env: PolicyEnv;
  private readonly cookies: OidcCookies;
  private readonly sessions: Sessions;
  private readonly login: Login;
  private readonly logout: Logout;
  private readonly consumers: ConsumerOfClaims;
  private readonly claims: ForwardedClaims;
  /** Empty for none. */
  private readonly tokenHeader: string;
  private readonly tokenPrefix: string;
  /** For the upstream. */
  private readonly accessTokens = new WeakMap<Credential, string>();

  constructor(options: Options, env: PolicyEnv, provider: ProviderOfLogins, store: ValueStore | null) {
    const { issuer, clientId, forwardAccessToken } = options;
    this.options = options;
    this.env = env;
    this.consumers = new ConsumerOfClaims(options.consumerBy, env.consumers);
    this.claims = new ForwardedClaims(options.forwardClaims);
    this.tokenHeader = forwardAccessToken === true ? 'authorization' : forwardAccessToken || '';
    this.tokenPrefix = forwardAccessToken === true ? 'Bearer ' : '';
    this.ownHeaders = [...this.claims.headers, ...(this.tokenHeader === '' ? [] : [this.tokenHeader])];
    const cookies = new OidcCookies(options.cookie.name);
    const sealer = new Sealer(options.secret);
    const binding = [issuer, clientId];
    const { responseCookies } = this;
    this.cookies = cookies;
    this.sessions = new Sessions(
      {
        storage: store === null ? new CookieStorage(sealer, binding) : new StoreStorage(store, sealer, binding),
        cookies,
        responseCookies,
        times: {
          lifetimeMs: options.lifetime,
          idleMs: options.idle,
          refreshBeforeMs: options.refreshBefore,
          endsWithAccess: this.tokenHeader !== '',
        },
        keepsAccess: this.tokenHeader !== '',
        refresh: (before) => provider.refresh(before),
      },
      env,
    );
    const { sessions } = this;
    const { callbackPath, afterLogout } = options;
    this.login = new Login({ provider, sessions, cookies, responseCookies, sealer, binding, callbackPath }, env);
    this.logout = new Logout({ provider, sessions, cookies, responseCookies, afterwards: afterLogout });
  }

  authenticate(exchange: Exchange): MaybePromise<Credential | Refusal> {
    const { path } = exchange;
    const { callbackPath, logoutPath } = this.options;
    if (path === callbackPath || path === logoutPath) {
      if (exchange.origin === '') return noHost;
      return path === callbackPath ? this.login.finish(exchange) : this.logout.finish(exchange);
    }
    const found = this.sessions.find(exchange);
    return found instanceof Promise
      ? found.then((settled) => this.verdictOn(exchange, settled))
      : this.verdictOn(exchange, found);
  }

  private verdictOn(exchange: Exchange, found: KnownSession | Refusal): MaybePromise<Credential | Refusal> {
    if (found instanceof KnownSession) return found.credential(this.env.consumers.version, this.credentialOf);
    if (found.kind !== 'missing' || this.options.optional) return found;
    return isNavigation(exchange) && exchange.origin !== '' ? this.login.begin(exchange, found.reason) : found;
  }

  private readonly credentialOf = (session: Session): Credential => {
    const { claims, scope, accessToken } = session;
    const credential: Credential = Object.freeze({
      method: 'oidc',
      subject: typeof claims['sub'] === 'string' ? claims['sub'] : '',
      consumer: this.consumers.of(claims),
      claims,
      scopes: Object.freeze(scope.split(' ').filter((one) => one !== '')),
    });
    if (accessToken !== '') this.accessTokens.set(credential, this.tokenPrefix + accessToken);
    return credential;
  };

  conceal(exchange: Exchange): void {
    this.cookies.conceal(exchange);
  }

  tell(exchange: Exchange, credential: Credential): void {
    this.claims.tell(exchange, credential);
    if (this.tokenHeader === '') return;
    const token = this.accessTokens.get(credential);
    if (token !== undefined) exchange.requestHeaders.set(this.tokenHeader, token);
  }
}
