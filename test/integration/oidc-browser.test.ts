/** People in front of a real browser, who log in through a real OpenID provider to an upstream behind the gateway. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { ConfigInput } from '../../src/config/schema.ts';
import { open, openPage, startChromium } from '../support/chromium.ts';
import { freePort } from '../support/free-port.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { OidcProvider } from '../support/oidc-provider.ts';
import { SuiteScope } from '../support/scope.ts';
import { TestThreads } from '../support/threaded.ts';
import { makeCertificate } from '../support/certificates.ts';

const secret = 'a secret of at least thirty-two characters';
const accessTokenTtl = 4;

/** An upstream whose pages say what the gateway has told it. */
async function startUpstream(t: SuiteScope): Promise<string> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(
      `<title>upstream</title><pre>${JSON.stringify({ url: request.url, headers: request.headers }).replaceAll('<', '&lt;')}</pre>`,
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Told {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

async function told(page: Page): Promise<Told> {
  return JSON.parse((await page.textContent('pre')) ?? '') as Told;
}

/** As a program would ask, on a connection of its own, which may come to any thread. */
function askWith(url: string, cookie: string): Promise<{ readonly status: number; readonly thread: string }> {
  return new Promise((resolve, reject) => {
    const options = { agent: false, rejectUnauthorized: false, headers: { cookie } } as const;
    const request = get(url, options, (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, thread: String(response.headers['x-thread']) });
    });
    request.on('error', reject);
  });
}

suite('a browser', { skip: unlessInstalled('chromium') }, () => {
  const scope = new SuiteScope();
  let browser: Browser;
  let provider: OidcProvider;
  let origin: string;

  before(async () => {
    const port = await freePort();
    origin = `https://127.0.0.1:${port}`;
    provider = await OidcProvider.start(scope, {
      accessTokenTtl,
      clients: [
        {
          client_id: 'web',
          client_secret: 'the secret of the client',
          redirect_uris: [`${origin}/oauth2/callback`],
          post_logout_redirect_uris: [`${origin}/goodbye`],
          grant_types: ['authorization_code', 'refresh_token'],
          response_types: ['code'],
        },
      ],
    });
    const { cert, key } = makeCertificate({ commonName: 'gateway', altNames: ['IP:127.0.0.1'] });
    const oidc = {
      issuer: provider.issuer,
      clientId: 'web',
      clientSecret: 'the secret of the client',
      secret,
      scopes: ['profile'],
      consumerBy: 'sub',
      forwardClaims: { 'x-name': 'name' },
      forwardAccessToken: true,
      afterLogout: '/goodbye',
      refreshBefore: '30s',
    };
    const config: ConfigInput = {
      telemetry: { accessLog: false },
      threads: 2,
      listeners: {
        web: { host: '127.0.0.1', port, tls: { certificates: [{ cert: './site.pem', key: './site.key' }] } },
      },
      consumers: { alice: { groups: ['staff'] } },
      upstreams: { shop: { targets: [await startUpstream(scope)] } },
      routes: {
        shop: { policies: [{ use: './told.mjs' }, { oidc }], upstream: 'shop' },
        goodbye: { match: { path: '/goodbye' }, respond: { body: 'goodbye' } },
      },
    };
    await TestThreads.start(scope, config, { files: { 'site.pem': cert, 'site.key': key } });
    browser = await startChromium(scope);
  });

  after(() => scope.end());

  /** The pages of the provider: any name and password, then consent if it is asked for. */
  async function logIn(page: Page, name: string): Promise<void> {
    await page.fill('input[name=login]', name);
    await page.fill('input[name=password]', 'any');
    await page.click('button[type=submit]');
    await page.waitForLoadState('domcontentloaded');
    if (page.url().startsWith(provider.issuer)) await page.click('button[type=submit]');
    await page.waitForURL((url) => url.origin === origin);
  }

  async function cookieField(context: BrowserContext): Promise<string> {
    const cookies = await context.cookies(origin);
    return cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
  }

  /** Sends a cookie to every thread; the status that each has answered with. */
  async function statusOnAllThreads(cookie: string): Promise<ReadonlyMap<string, number>> {
    const statuses = new Map<string, number>();
    for (let i = 0; i < 200 && statuses.size < 2; i++) {
      const response = await askWith(`${origin}/`, cookie);
      statuses.set(response.thread, response.status);
    }
    assert.equal(statuses.size, 2);
    return statuses;
  }

  test('logs in, sees the page first asked for, is refreshed, and logs out here and at the provider', async () => {
    const { context, page } = await openPage(browser);
    await open(page, `${origin}/orders/7?sort=date`);
    assert.ok(page.url().startsWith(provider.issuer));
    await logIn(page, 'alice');
    assert.equal(page.url(), `${origin}/orders/7?sort=date`);
    const first = await told(page);
    assert.equal(first.headers['x-consumer'], 'alice');
    assert.equal(first.headers['x-consumer-groups'], 'staff');
    assert.equal(first.headers['x-name'], 'alice of the test');
    assert.match(first.headers['authorization'], /^Bearer ./);
    assert.equal(first.headers['cookie'], undefined);

    const [cookie] = await context.cookies(origin);
    assert.deepEqual(
      { ...cookie, value: '', expires: 0 },
      {
        name: '__Host-gw_session',
        value: '',
        domain: '127.0.0.1',
        path: '/',
        expires: 0,
        httpOnly: true,
        secure: true,
        sameSite: 'Lax',
      },
    );
    assert.equal(await page.evaluate('document.cookie'), '');

    // The access token lives for some seconds and is refreshed within the last quarter of them.
    const deadline = performance.now() + 2 * accessTokenTtl * 1000;
    while (!provider.granted.includes('refresh_token') && performance.now() < deadline) {
      await page.waitForTimeout(250);
      await open(page, `${origin}/again`);
      assert.equal((await told(page)).headers['x-consumer'], 'alice');
    }
    assert.deepEqual(provider.granted, ['authorization_code', 'refresh_token']);
    // The request that had it refreshed may have gone on with the old one.
    await open(page, `${origin}/again`);
    const refreshed = await told(page);
    assert.notEqual(refreshed.headers['authorization'], first.headers['authorization']);
    const [renewed] = await context.cookies(origin);
    assert.notEqual(renewed.value, cookie.value);

    const copy = await cookieField(context);
    assert.deepEqual([...(await statusOnAllThreads(copy)).values()], [200, 200]);
    await page.evaluate(`document.body.innerHTML += '<a href="/oauth2/logout">log out</a>'`);
    await page.click('a');
    await page.waitForURL((url) => url.href.startsWith(provider.issuer));
    await page.click('button[value=yes]');
    await page.waitForURL(`${origin}/goodbye`);
    assert.deepEqual(await context.cookies(origin), []);

    // A copy of the cookie is worth nothing any more, whichever thread it comes to.
    assert.deepEqual([...(await statusOnAllThreads(copy)).values()], [401, 401]);
    await open(page, `${origin}/`);
    assert.ok(page.url().startsWith(provider.issuer));
    assert.equal(await page.locator('input[name=login]').count(), 1, 'the provider has ended its session too');
    await context.close();
  });

  test('logs in from several tabs at once', async () => {
    const { context, page } = await openPage(browser);
    const second = await context.newPage();
    await open(page, `${origin}/one`);
    await open(second, `${origin}/two`);
    await logIn(page, 'bob');
    assert.equal(page.url(), `${origin}/one`);
    assert.equal((await told(page)).headers['x-consumer'], undefined, 'nobody who is configured');
    await logIn(second, 'bob');
    assert.equal(second.url(), `${origin}/two`);
    await context.close();
  });

  test('is never sent to somebody else’s page', async () => {
    for (const path of ['//evil.example/x', '/.//evil.example']) {
      const { context, page } = await openPage(browser);
      await open(page, origin + path);
      await logIn(page, 'carol');
      assert.equal(new URL(page.url()).origin, origin);
      await context.close();
    }
  });

  test('of somebody who refuses is told so, and a cookie that was changed is none', async () => {
    const { context, page } = await openPage(browser);
    await open(page, `${origin}/`);
    await page.click('a[href*=abort]');
    await page.waitForURL((url) => url.origin === origin);
    assert.match(await page.content(), /UNAUTHENTICATED/);
    await open(page, `${origin}/`);
    await logIn(page, 'dave');
    const [cookie] = await context.cookies(origin);
    await context.addCookies([
      { ...cookie, value: `${cookie.value.slice(0, -2)}${cookie.value.endsWith('AA') ? 'BB' : 'AA'}` },
    ]);
    await open(page, `${origin}/`);
    // The provider still knows who it is, so the way leads straight back.
    assert.equal(page.url(), `${origin}/`);
    assert.notEqual((await context.cookies(origin))[0].value.slice(0, -2), cookie.value.slice(0, -2));
    await context.close();
  });

  test('is logged out by no page of somebody else', async () => {
    const { context, page } = await openPage(browser);
    await open(page, `${origin}/`);
    await logIn(page, 'erin');
    const foreign = await context.newPage();
    await open(foreign, `${provider.issuer}/.well-known/openid-configuration`);
    await foreign.evaluate(`
      document.body.innerHTML = '<form method="post" action="${origin}/oauth2/logout"></form>';
      document.forms[0].submit();
    `);
    await foreign.waitForURL((url) => url.origin === origin);
    assert.match(await foreign.content(), /FORBIDDEN/);
    await open(page, `${origin}/`);
    assert.equal((await told(page)).url, '/');
    await context.close();
  });
});
