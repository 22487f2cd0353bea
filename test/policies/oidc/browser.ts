/** A browser with cookies in front of one policy, as far as a policy can tell. */
import type { Policy, PolicyDefinition, SharedMemory, ValueStore } from '../../../src/contract.ts';
import { oidc } from '../../../src/policies/oidc/oidc.ts';
import {
  FakeEnv,
  FakeExchange,
  type FakeRequest,
  type FakeResult,
  makePolicy as make,
  runThrough,
} from '../../support/fake-exchange.ts';
import { ScriptedProvider, issuer } from '../../support/scripted-provider.ts';

export const secret = 'a secret of at least thirty-two characters';

/** What all threads of a machine have in common. */
export class FakeMachine {
  private readonly noted = new Map<string, number>();

  memory(name: string, now: () => number): SharedMemory {
    const has = (text: string): boolean => (this.noted.get(`${name}/${text}`) ?? -Infinity) > now();
    return {
      has,
      add: (text, untilMs) => {
        const isFirst = !has(text);
        if (isFirst) this.noted.set(`${name}/${text}`, untilMs);
        return isFirst;
      },
    };
  }
}

export class OidcEnv extends FakeEnv {
  readonly provider: ScriptedProvider;
  readonly machine: FakeMachine;
  values: ValueStore | null = null;

  constructor(provider = new ScriptedProvider(), machine = new FakeMachine()) {
    super();
    this.provider = provider;
    this.machine = machine;
    // ID tokens are held against the clock of the machine.
    this.epochMs = Date.now();
  }

  override sharedMemory(name: string): SharedMemory {
    return this.machine.memory(name, () => this.nowMs);
  }

  override call(request: Parameters<ScriptedProvider['call']>[0]): ReturnType<ScriptedProvider['call']> {
    return this.provider.call(request);
  }

  override store(): Promise<ValueStore> {
    if (this.values === null) throw new Error('the test has no store');
    return Promise.resolve(this.values);
  }
}

export function makePolicy(env: OidcEnv, more: object = {}): Promise<Policy> {
  return make(oidc as PolicyDefinition, { issuer, clientId: 'web', clientSecret: 'shh', secret, ...more }, env);
}

const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'none', accept: 'text/html' };

export class Browser {
  readonly cookies = new Map<string, string>();
  policy: Policy;

  constructor(policy: Policy) {
    this.policy = policy;
  }

  /** A navigation, unless the request says otherwise. */
  async go(target: string, request: FakeRequest = {}): Promise<FakeResult> {
    const [path, query = ''] = target.split(/\?(.*)/s);
    const cookie = Array.from(this.cookies, ([name, value]) => `${name}=${value}`).join('; ');
    const given = (request.headers ?? navigation) as Readonly<Record<string, string>>;
    const headers = cookie === '' ? given : { ...given, cookie };
    const exchange = new FakeExchange({ host: 'shop.example', scheme: 'https', path, query, ...request, headers });
    const result = await runThrough([this.policy], exchange);
    for (const value of result.headers.getAll('set-cookie')) this.keep(value);
    return result;
  }

  private keep(setCookie: string): void {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(setCookie)!;
    if (/; Max-Age=0(;|$)/.test(setCookie)) this.cookies.delete(name);
    else this.cookies.set(name, value);
  }

  /** Logs in by way of a page; the answer to what the provider sends the browser back with. */
  async login(provider: ScriptedProvider, target = '/'): Promise<FakeResult> {
    const asked = await this.go(target);
    const { query } = provider.approve(asked.headers.get('location') ?? '');
    return this.go(`/oauth2/callback?${query}`);
  }

  get session(): string {
    return this.cookies.get('__Host-gw_session') ?? '';
  }
}

/** Somebody who has logged in. */
export async function loggedIn(more: object = {}, env = new OidcEnv()) {
  const browser = new Browser(await makePolicy(env, more));
  await browser.login(env.provider);
  return { env, browser, provider: env.provider };
}

/** A second thread of the same machine, and a browser with the same cookies in front of it. */
export async function onOtherThread({ env, browser }: { env: OidcEnv; browser: Browser }, more: object = {}) {
  const other = new OidcEnv(env.provider, env.machine);
  other.nowMs = env.nowMs;
  other.epochMs = env.epochMs;
  other.values = env.values;
  const copy = new Browser(await makePolicy(other, more));
  for (const [name, value] of browser.cookies) copy.cookies.set(name, value);
  return { env: other, browser: copy };
}

export class FakeStore implements ValueStore {
  readonly values = new Map<string, string>();
  reads = 0;
  isSick = false;

  get(key: string): Promise<string | null> {
    this.reads++;
    return this.isSick ? Promise.reject(new Error('sick')) : Promise.resolve(this.values.get(key) ?? null);
  }

  set(key: string, value: string, _ttlMs: number, when: 'always' | 'absent' | 'present'): Promise<boolean> {
    if (this.isSick) return Promise.reject(new Error('sick'));
    if (when !== 'always' && this.values.has(key) !== (when === 'present')) return Promise.resolve(false);
    this.values.set(key, value);
    return Promise.resolve(true);
  }

  delete(key: string): Promise<void> {
    if (this.isSick) return Promise.reject(new Error('sick'));
    this.values.delete(key);
    return Promise.resolve();
  }
}
