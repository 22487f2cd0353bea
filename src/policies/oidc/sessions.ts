/**
 * The sessions of one policy on one thread: from the text of a cookie to who calls. A session that is known costs one
 * look-up; all else (opening, asking the store, refreshing tokens, noting that it is used) happens rarely.
 */
import type { Exchange, MaybePromise, PolicyEnv, SharedMemory } from '../../contract.ts';
import { Refusal } from '../../contract.ts';
import { ExpiringCache } from '../../util/expiring-cache.ts';
import { type OidcCookies, maxCookieText } from './cookies.ts';
import { type Grant, ProviderRefusal } from './grant.ts';
import { KnownSession, type SessionTimes, endOf } from './known-session.ts';
import type { ResponseCookies } from './response-cookies.ts';
import type { SessionStorage } from './session-storage.ts';
import type { Session } from './session.ts';

export interface SessionsSetting {
  readonly storage: SessionStorage;
  readonly cookies: OidcCookies;
  readonly responseCookies: ResponseCookies;
  readonly times: SessionTimes;
  /** Whether access tokens are kept: only where the upstream is told of them. */
  readonly keepsAccess: boolean;
  /** Asks the provider for fresh tokens: see `Provider.refresh`. */
  refresh(before: Grant): Promise<Grant>;
}

type Env = Pick<PolicyEnv, 'now' | 'wallNow' | 'warn' | 'sharedMemory'>;

/** Some kilobytes each; what is forgotten is opened again. */
const maxKnown = 4_096;
/** An attempt to refresh that has failed, or of which nothing was heard, is repeated after this time. */
const retryMs = 10_000;
/** For how long requests that were on their way with the cookie from before a refresh are still served. */
const graceMs = 60_000;

const missing = new Refusal('missing', 'no session');
const unreadable = new Refusal('missing', 'a session cookie that does not hold');
const expired = new Refusal('missing', 'a session that has expired');
const ended = new Refusal('missing', 'a session that was ended');
const superseded = new Refusal('missing', 'a session cookie from before a refresh');
const endedByProvider = new Refusal('missing', 'a session that the provider has ended');
const unavailable = new Refusal('unavailable', 'the store of the sessions does not answer');

export class Sessions {
  private readonly setting: SessionsSetting;
  private readonly env: Env;
  private readonly known = new ExpiringCache<KnownSession>(maxKnown);
  private readonly shared: SharedMemory;
  private readonly refreshing = new Map<string, Promise<KnownSession | Refusal>>();

  constructor(setting: SessionsSetting, env: Env) {
    this.setting = setting;
    this.env = env;
    this.shared = env.sharedMemory('oidc');
  }

  /** The session of a request. A refusal of kind `missing` says that there is none. */
  find(exchange: Exchange): MaybePromise<KnownSession | Refusal> {
    const text = this.setting.cookies.readSession(exchange);
    if (text === '' || exchange.origin === '') return missing;
    const now = this.env.wallNow();
    const known = this.known.get(text, now);
    if (known !== undefined && known.origin === exchange.origin) return this.goOn(known, exchange, now);
    return this.read(text, exchange, now);
  }

  private read(text: string, exchange: Exchange, now: number): MaybePromise<KnownSession | Refusal> {
    const { origin } = exchange;
    const host = hostOf(origin);
    const goOn = (session: Session | null): MaybePromise<KnownSession | Refusal> => {
      if (session === null) return unreadable;
      // A copy: the text is a part of the head of this request, which need not be remembered.
      const known = new KnownSession(
        session,
        Buffer.from(text, 'latin1').toString('latin1'),
        origin,
        this.setting.times,
      );
      this.remember(known, now);
      return this.goOn(known, exchange, now);
    };
    const session = this.setting.storage.read(text, host);
    if (!(session instanceof Promise)) return goOn(session);
    return session.then(goOn, () => unavailable);
  }

  private remember(known: KnownSession, now: number): void {
    this.known.set(known.text, known, Math.min(known.endsAt, now + this.setting.storage.reliableMs));
  }

  private goOn(known: KnownSession, exchange: Exchange, now: number): MaybePromise<KnownSession | Refusal> {
    if (known.successor !== null) return this.goOnWithSuccessor(known.successor, exchange, now);
    if (now >= known.endsAt) return expired;
    if (this.shared.has(endedNote(known.session))) return ended;
    if (now >= known.refreshAt) return this.goOnRefreshed(known, exchange, now);
    if (now >= known.renewAt) return this.noteUse(known, exchange, now);
    return known;
  }

  private goOnWithSuccessor(
    successor: KnownSession,
    exchange: Exchange,
    now: number,
  ): MaybePromise<KnownSession | Refusal> {
    this.setCookie(successor, exchange, now);
    return this.goOn(successor, exchange, now);
  }

  /** To be called for the response of the request only. */
  private setCookie(known: KnownSession, exchange: Exchange, now: number): void {
    const { cookies, responseCookies } = this.setting;
    const values = cookies.writeSession(exchange, known.text, this.cookieAgeOf(known.session, now));
    // One that takes long must not put back what a later one has replaced or ended.
    responseCookies.put(exchange, values, () => {
      return !this.shared.has(endedNote(known.session)) && !this.shared.has(refreshedNote(known.session));
    });
  }

  /** Of a session in a store the end moves on without another cookie. */
  private cookieAgeOf(session: Session, now: number): number {
    const { storage, times } = this.setting;
    const isInStore = storage.reliableMs !== Infinity;
    return (isInStore ? session.endsAt : endOf(session, times)) - now;
  }

  // ---- use ---------------------------------------------------------------------------------------------------------

  private noteUse(known: KnownSession, exchange: Exchange, now: number): MaybePromise<KnownSession | Refusal> {
    const { storage, times } = this.setting;
    const session = Object.freeze({ ...known.session, seenAt: now });
    const written = storage.write(session, hostOf(known.origin), 'change', endOf(session, times) - now);
    if (!(written instanceof Promise)) {
      if (written === null) return ended;
      const next = new KnownSession(session, written, known.origin, times);
      this.replace(known, next, now);
      this.setCookie(next, exchange, now);
      return next;
    }
    // Nobody waits for that: what matters is that the store knows before the session would end.
    known.renewAt = now + retryMs;
    written.then(
      (text) => {
        if (text !== null) this.remember(new KnownSession(session, known.text, known.origin, times), now);
      },
      () => {},
    );
    return known;
  }

  private replace(known: KnownSession, next: KnownSession, now: number): void {
    known.successor = next;
    this.remember(next, now);
  }

  // ---- refreshing --------------------------------------------------------------------------------------------------

  /** One request has the tokens refreshed and waits for them; others go on with what they have, as long as it holds. */
  private goOnRefreshed(known: KnownSession, exchange: Exchange, now: number): MaybePromise<KnownSession | Refusal> {
    const { session } = known;
    const name = nameOf(session);
    if (this.shared.has(`d/${name}`)) return endedByProvider;
    const underWay = this.refreshing.get(name);
    if (underWay !== undefined) return known.hasAccess(now) ? known : underWay;
    if (this.shared.has(refreshedNote(session))) {
      return now < session.accessExpiresAt + graceMs ? known : superseded;
    }
    if (!this.shared.add(`c/${name}`, this.env.now() + retryMs)) return known;
    const refreshed = this.refresh(known).then((result) => {
      this.refreshing.delete(name);
      if (result instanceof KnownSession && result !== known) this.setCookie(result, exchange, this.env.wallNow());
      return result;
    });
    this.refreshing.set(name, refreshed);
    return refreshed;
  }

  private async refresh(known: KnownSession): Promise<KnownSession | Refusal> {
    const { session } = known;
    const { storage, times } = this.setting;
    try {
      if (!(await storage.claimRefresh(session, retryMs))) return this.postpone(known);
      const grant = await this.setting.refresh(session);
      const now = this.env.wallNow();
      const next = this.sessionOf(grant, { ...session, generation: session.generation + 1, seenAt: now }, now);
      // From here on the old refresh token may be worth nothing, so the old cookie is not to be used for another try.
      this.shared.add(refreshedNote(session), this.monotonic(session.endsAt));
      const text = await storage.write(next, hostOf(known.origin), 'change', endOf(next, times) - now);
      if (text === null) return ended;
      if (this.isTooLong(text)) return await this.endByProvider(known);
      const refreshed = new KnownSession(next, text, known.origin, times);
      this.replace(known, refreshed, now);
      return refreshed;
    } catch (error) {
      if (error instanceof ProviderRefusal && error.code === 'invalid_grant') return await this.endByProvider(known);
      this.env.warn(`a session could not be refreshed: ${error instanceof Error ? error.message : 'unknown reason'}`);
      return this.postpone(known);
    }
  }

  private postpone(known: KnownSession): KnownSession {
    known.refreshAt = this.env.wallNow() + retryMs;
    return known;
  }

  /** Another cookie of the session, from a later refresh, may still be good: what is over is this generation. */
  private async endByProvider(known: KnownSession): Promise<Refusal> {
    const { session } = known;
    const { storage } = this.setting;
    this.shared.add(`d/${nameOf(session)}`, this.monotonic(session.endsAt));
    await Promise.resolve(storage.remove(session)).catch(() => {});
    return endedByProvider;
  }

  // ---- beginning and end -------------------------------------------------------------------------------------------

  /**
   * A session for somebody who has just logged in, and the values for `Set-Cookie`.
   * @throws when it cannot be kept.
   */
  async start(grant: Grant, id: string, exchange: Exchange): Promise<readonly string[] | null> {
    const { storage, cookies, times } = this.setting;
    const now = this.env.wallNow();
    const session = this.sessionOf(
      grant,
      { id, generation: 0, startedAt: now, endsAt: now + times.lifetimeMs, seenAt: now },
      now,
    );
    const text = await storage.write(session, hostOf(exchange.origin), 'start', endOf(session, times) - now);
    if (text === null || this.isTooLong(text)) return null;
    return cookies.writeSession(exchange, text, this.cookieAgeOf(session, now));
  }

  private sessionOf(
    grant: Grant,
    {
      id,
      generation,
      startedAt,
      endsAt,
      seenAt,
    }: Pick<Session, 'id' | 'generation' | 'startedAt' | 'endsAt' | 'seenAt'>,
    now: number,
  ): Session {
    const { claims, scope, accessExpiresAt, refreshToken, idToken } = grant;
    const accessToken = this.setting.keepsAccess ? grant.accessToken : '';
    return Object.freeze({
      id,
      generation,
      startedAt,
      endsAt,
      seenAt,
      claims: Object.freeze({ ...claims }),
      scope,
      grantedAt: now,
      accessToken,
      accessExpiresAt,
      refreshToken,
      idToken,
    });
  }

  private isTooLong(text: string): boolean {
    if (text.length <= maxCookieText) return false;
    this.env.warn(
      `a session of ${text.length} bytes does not fit into cookies (${maxCookieText}): keep sessions in a store (option store)`,
    );
    return true;
  }

  /**
   * Ends it for all threads, and for all machines where there is a store: its cookies are worth nothing from now on.
   * @throws when a store does not answer; then it has ended for this machine alone.
   */
  async end({ session }: KnownSession): Promise<void> {
    const { storage } = this.setting;
    this.shared.add(endedNote(session), this.monotonic(session.endsAt));
    await storage.remove(session);
  }

  private monotonic(wallMs: number): number {
    return this.env.now() + Math.max(0, wallMs - this.env.wallNow());
  }
}

/** Short, because each request looks for one of them: ended, dead, claimed for a refresh, refreshed. */
const nameOf = ({ id, generation }: Session): string => `${id}/${generation}`;
const endedNote = ({ id }: Session): string => `e/${id}`;
const refreshedNote = (session: Session): string => `r/${nameOf(session)}`;

/** Cookies are not kept apart by ports, so sessions are not either. */
function hostOf(origin: string): string {
  return origin.replace(/^https?:\/\//, '').replace(/:\d+$/, '');
}
