/** Sessions in a real store, of people who have logged in through a real provider, on several threads. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { eventually } from '../support/changes.ts';
import { freePort } from '../support/free-port.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { OidcProvider } from '../support/oidc-provider.ts';
import { PlainBrowser } from '../support/plain-browser.ts';
import { RedisServer } from '../support/redis-server.ts';
import { type Scope, SuiteScope } from '../support/scope.ts';
import { TestThreads } from '../support/threaded.ts';

/** Far longer than a store may take, far shorter than anybody would wait. */
const promptMs = 2_000;
const timeoutMs = 500;

async function startShop(t: Scope, redis: RedisServer) {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const provider = await OidcProvider.start(t, {
    clients: [
      {
        client_id: 'web',
        client_secret: 'the secret of the client',
        redirect_uris: [`${origin}/oauth2/callback`],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
      },
    ],
  });
  const oidc = {
    issuer: provider.issuer,
    clientId: 'web',
    clientSecret: 'the secret of the client',
    secret: 'a secret of at least thirty-two characters',
    store: 'shared',
    consumerBy: 'sub',
  };
  const config: ConfigInput = {
    telemetry: { accessLog: false },
    threads: 2,
    listeners: { web: { host: '127.0.0.1', port } },
    stores: { shared: { type: 'redis', url: redis.url, timeout: `${timeoutMs}ms`, prefix: 'test:' } },
    routes: { shop: { policies: [{ use: './told.mjs' }, { oidc }], respond: { body: 'the shop' } } },
  };
  const threads = await TestThreads.start(t, config);
  return { origin, provider, threads, config };
}

/** The answers of both threads to a cookie. */
async function askBothThreads(browser: PlainBrowser, url: string): Promise<number[]> {
  const statuses = new Map<string, number>();
  for (let i = 0; i < 200 && statuses.size < 2; i++) {
    const { status, headers } = await browser.ask(url, undefined, { accept: 'application/json' });
    statuses.set(String(headers['x-thread']), status);
  }
  return [...statuses.values()];
}

suite('sessions in redis', { skip: unlessInstalled('redis-server') }, () => {
  const scope = new SuiteScope();
  let redis: RedisServer;
  let shop: Awaited<ReturnType<typeof startShop>>;
  before(async () => {
    redis = await RedisServer.start(scope);
    shop = await startShop(scope, redis);
  });
  after(() => scope.end());

  test('are known to all threads, and ended for all', async () => {
    const { origin } = shop;
    const browser = new PlainBrowser();
    const page = await browser.logIn(`${origin}/orders`, 'alice');
    assert.equal(page.body, 'the shop');
    assert.equal(page.url, `${origin}/orders`);
    assert.ok(browser.cookieField(origin).length < 200);
    assert.match(await redis.ask('KEYS', '*'), /test:oidc\/session\/[\w-]{16}/);
    assert.deepEqual(await askBothThreads(browser, origin), [200, 200]);

    const cookie = browser.cookies.get('127.0.0.1')!.get('gw_session')!;
    const out = await browser.ask(`${origin}/oauth2/logout`, new URLSearchParams(), { origin });
    assert.equal(out.status, 303);
    assert.equal(await redis.ask('DBSIZE'), ':0\r\n');
    assert.equal(browser.cookies.get('127.0.0.1')!.size, 0);
    browser.cookies.get('127.0.0.1')!.set('gw_session', cookie);
    assert.deepEqual(await askBothThreads(browser, origin), [401, 401]);
  });

  test('are refused in time while the server hangs or is gone, and there again when it is back', async () => {
    const { origin } = shop;
    const browser = new PlainBrowser();
    await browser.logIn(origin, 'alice');
    const statusOf = async (): Promise<number> => {
      const begun = performance.now();
      const { status } = await browser.ask(origin, undefined, { accept: 'application/json' });
      assert.ok(performance.now() - begun < promptMs);
      return status;
    };
    redis.hang();
    await eventually(async () => (await statusOf()) === 503, 'what is known to be asked for again');
    const login = await new PlainBrowser().open(origin);
    assert.match(login.body, /name="login"/, 'a login can begin without a store');
    redis.goOn();
    await eventually(async () => (await statusOf()) === 200, 'the store to answer');

    await redis.kill();
    await eventually(async () => (await statusOf()) === 503, 'the store to be missed');
    await redis.restart();
    const bothSay = async (status: number): Promise<boolean> =>
      (await askBothThreads(browser, origin)).every((one) => one === status);
    await eventually(() => bothSay(401), 'an empty store');
    assert.equal((await browser.logIn(origin, 'alice')).body, 'the shop');
  });

  test('have one connection for each thread, which a change of the configuration leaves alone', async () => {
    const { threads, config } = shop;
    const connections = async (): Promise<string[]> => {
      const list = await redis.ask('CLIENT', 'LIST', 'TYPE', 'normal');
      return Array.from(list.matchAll(/\bid=(\d+) .*cmd=(?!client)/g), ([, id]) => id);
    };
    await eventually(async () => (await connections()).length === 2, 'a connection of each thread');
    const open = await connections();
    for (let i = 0; i < 3; i++) {
      await threads.apply({
        ...config,
        routes: { ...config.routes, [`more-${i}`]: { match: { path: `/${i}` }, respond: {} } },
      });
    }
    assert.deepEqual(await connections(), open);
    const { stores: _, routes: _routes, ...without } = config;
    await threads.apply({ ...without, routes: { all: { respond: {} } } });
    await eventually(async () => (await connections()).length === 0, 'the connections to be closed');
    await threads.apply(config);
  });

  // The last one: it ends the gateway of the others.
  test('outlive the gateway', async (t) => {
    const { origin, threads, config } = shop;
    const browser = new PlainBrowser();
    await browser.logIn(origin, 'alice');
    await threads.gateway.stop(0);
    await TestThreads.start(t, config);
    assert.deepEqual(await askBothThreads(browser, origin), [200, 200]);
  });
});
