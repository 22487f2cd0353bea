/** Logging in: to the provider, and back to the page that was asked for. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Exchange, PolicyEnv, SharedMemory } from '../../contract.ts';
import { Refusal } from '../../contract.ts';
import type { OidcCookies } from './cookies.ts';
import { type Grant, type LoginChecks, ProviderRefusal, ProviderUnavailable } from './grant.ts';
import { isOwnPath, returnPathOf } from './navigation.ts';
import type { Provider } from './provider.ts';
import type { ResponseCookies } from './response-cookies.ts';
import type { Sealer } from './sealer.ts';
import { KnownSession } from './known-session.ts';
import type { Sessions } from './sessions.ts';

export interface LoginSetting {
  readonly provider: Pick<Provider, 'loginUrl' | 'grant'>;
  readonly sessions: Pick<Sessions, 'find' | 'start' | 'end'>;
  readonly cookies: OidcCookies;
  readonly responseCookies: ResponseCookies;
  readonly sealer: Sealer;
  /** The provider and the client: see `CookieStorage`. */
  readonly binding: readonly string[];
  readonly callbackPath: string;
}

interface PendingLogin extends LoginChecks {
  readonly returnPath: string;
  /** Wall-clock milliseconds. */
  readonly begunAt: number;
}

/** For how long somebody may think about a password. */
const pendingMs = 3_600_000;

const stateForm = /^[\w-]{43}$/;

const noLogin = new Refusal('missing', 'no login of this browser is under way');
const replayed = new Refusal('missing', 'the answer to a login came again');
const tooLarge = new Refusal('unavailable', 'the session is too large for cookies');
const storeSilent = new Refusal('unavailable', 'the store of the sessions does not answer');

export class Login {
  private readonly setting: LoginSetting;
  private readonly env: Pick<PolicyEnv, 'now' | 'wallNow' | 'warn' | 'sharedMemory'>;
  private readonly used: SharedMemory;

  constructor(setting: LoginSetting, env: Login['env']) {
    this.setting = setting;
    this.env = env;
    this.used = env.sharedMemory('oidc logins');
  }

  /** Sends the browser to the provider. State, nonce and verifier are bound to this browser by an encrypted cookie. */
  async begin(exchange: Exchange, reason: string): Promise<Refusal> {
    const { provider, cookies, sealer, callbackPath } = this.setting;
    const { origin } = exchange;
    const login: PendingLogin = {
      state: randomText(),
      nonce: randomText(),
      verifier: randomText(),
      returnPath: returnPathOf(exchange),
      begunAt: this.env.wallNow(),
    };
    const challenge = createHash('sha256').update(login.verifier).digest('base64url');
    try {
      const location = await provider.loginUrl(origin + callbackPath, login, challenge);
      const text = sealer.seal(JSON.stringify(login), this.bindingAt(origin));
      return redirect('missing', reason, location, cookies.writeLogin(exchange, login.state, text, pendingMs));
    } catch (error) {
      return refusalOf(error);
    }
  }

  /** The browser comes back from the provider. */
  async finish(exchange: Exchange): Promise<Refusal> {
    const { cookies, responseCookies, callbackPath } = this.setting;
    const { origin, query, searchParams } = exchange;
    const isAnswer = exchange.method === 'GET' && URL.canParse(origin);
    const login = isAnswer ? this.pendingOf(exchange, searchParams.getAll('state')) : null;
    // It is used up here, and no log has any use for it.
    exchange.removeQueryParameter('code');
    if (login === null) return noLogin;
    const removed = cookies.removeLogin(exchange, login.state);
    responseCookies.put(exchange, [removed]);
    // Of the same answer, sent twice, one counts: the other may be somebody else's copy of it.
    if (!this.used.add(login.state, this.env.now() + pendingMs)) return replayed;
    try {
      const grant = await this.setting.provider.grant(new URL(`${origin}${callbackPath}?${query}`), login);
      return await this.enter(exchange, grant, login, removed);
    } catch (error) {
      return refusalOf(error);
    }
  }

  private async enter(exchange: Exchange, grant: Grant, login: PendingLogin, removed: string): Promise<Refusal> {
    const { sessions, responseCookies } = this.setting;
    const before = await sessions.find(exchange);
    let begun: readonly string[] | null;
    try {
      begun = await sessions.start(grant, randomBytes(12).toString('base64url'), exchange);
      // A new session has a new id, and the one before it is over: nobody can prepare one for somebody else.
      if (before instanceof KnownSession) await sessions.end(before);
    } catch {
      return storeSilent;
    }
    if (begun === null) return tooLarge;
    // All that is to be set is in the reply itself.
    responseCookies.put(exchange, []);
    return redirect('answered', 'logged in', exchange.origin + login.returnPath, [removed, ...begun]);
  }

  private pendingOf(exchange: Exchange, states: readonly string[]): PendingLogin | null {
    const { cookies, sealer } = this.setting;
    const [state = '', ...more] = states;
    if (more.length > 0 || !stateForm.test(state)) return null;
    const text = cookies.readLogin(exchange, state);
    const opened = text === '' ? null : sealer.open(text, this.bindingAt(exchange.origin));
    if (opened === null) return null;
    const login = JSON.parse(opened) as PendingLogin;
    const isRecent = this.env.wallNow() < login.begunAt + pendingMs;
    return isSame(login.state, state) && isRecent && isOwnPath(login.returnPath) ? login : null;
  }

  private bindingAt(origin: string): readonly string[] {
    return ['login', ...this.setting.binding, origin];
  }
}

function isSame(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** 256 random bits. */
function randomText(): string {
  return randomBytes(32).toString('base64url');
}

export function redirect(
  kind: 'missing' | 'answered',
  reason: string,
  location: string,
  cookies: readonly string[],
): Refusal {
  const headers: (readonly [string, string])[] = [
    ['location', location],
    ['cache-control', 'no-store'],
    ...cookies.map((cookie) => ['set-cookie', cookie] as const),
  ];
  // 303: whatever the method was, the next request is a GET (RFC 9110, section 15.4.4).
  return new Refusal(kind, reason, { status: 303, headers, body: '' });
}

/** What is neither an outage nor a no of the provider is a defect, and thrown on. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof ProviderUnavailable) return new Refusal('unavailable', error.message);
  if (error instanceof ProviderRefusal) return new Refusal('missing', error.message);
  throw error;
}
