/** Logging out: the session ends here on all threads, its cookies are removed, and the provider is told by the browser. */
import { type Exchange, Refusal } from '../../contract.ts';
import { errors } from '../../errors.ts';
import type { OidcCookies } from './cookies.ts';
import { ProviderUnavailable } from './grant.ts';
import { KnownSession } from './known-session.ts';
import { redirect } from './login.ts';
import { isFromOwnPage } from './navigation.ts';
import type { Provider } from './provider.ts';
import type { ResponseCookies } from './response-cookies.ts';
import type { Sessions } from './sessions.ts';

export interface LogoutSetting {
  readonly provider: Pick<Provider, 'logoutUrl'>;
  readonly sessions: Pick<Sessions, 'find' | 'end'>;
  readonly cookies: OidcCookies;
  readonly responseCookies: ResponseCookies;
  /** A path of the same origin, to come to afterwards. */
  readonly afterwards: string;
}

const foreign = refusalWith('FORBIDDEN', 'a logout that no page of this origin has asked for');
const wrongMethod = new Refusal('answered', 'a logout with another method', {
  status: errors.METHOD_NOT_ALLOWED.status,
  code: 'METHOD_NOT_ALLOWED',
  headers: [['allow', 'GET, POST']],
});
const storeSilent = new Refusal('unavailable', 'the store of the sessions does not answer');

export class Logout {
  private readonly setting: LogoutSetting;

  constructor(setting: LogoutSetting) {
    this.setting = setting;
  }

  async finish(exchange: Exchange): Promise<Refusal> {
    const { method, origin } = exchange;
    if (method !== 'GET' && method !== 'POST') return wrongMethod;
    if (!isFromOwnPage(exchange, origin)) return foreign;
    const { provider, sessions, cookies, responseCookies, afterwards } = this.setting;
    const found = await sessions.find(exchange);
    // What may have been prepared for this response, such as a refreshed session, has come too late.
    responseCookies.put(exchange, []);
    let location: string | null = null;
    if (found instanceof KnownSession) {
      try {
        await sessions.end(found);
      } catch {
        return storeSilent;
      }
      location = await provider.logoutUrl(found.session.idToken, origin + afterwards).catch(whereUnavailable);
    } else if (found.kind === 'unavailable') {
      return storeSilent;
    }
    return redirect('answered', 'logged out', location ?? origin + afterwards, cookies.removeSession(exchange));
  }
}

/** That the provider cannot be found is no reason to stay logged in here. */
function whereUnavailable(error: unknown): null {
  if (error instanceof ProviderUnavailable) return null;
  throw error;
}

function refusalWith(code: 'FORBIDDEN', reason: string): Refusal {
  return new Refusal('answered', reason, { status: errors[code].status, code });
}
