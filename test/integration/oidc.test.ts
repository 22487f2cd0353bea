/** Logins and sessions at the real program: what is forged, replayed, sent to others, and a provider that fails. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Server, type Socket, createServer } from 'node:net';
import { after, before, suite, test } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { freePort } from '../support/free-port.ts';
import { TestGateway } from '../support/gateway.ts';
import { OidcProvider } from '../support/oidc-provider.ts';
import { PlainBrowser, type PlainPage } from '../support/plain-browser.ts';
import { SuiteScope } from '../support/scope.ts';

const secret = 'a canary that is a secret of at least thirty-two characters';
const clientSecret = 'canary of the client';
const timeoutMs = 400;
/** Nobody waits longer for a provider, a busy machine included. */
const promptMs = 4_000;

suite('logins at the real program', () => {
  const scope = new SuiteScope();
  let provider: OidcProvider;
  let gateway: TestGateway;
  let config: ConfigInput;
  let origin: string;

  before(async () => {
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    const redirects = ['http://127.0.0.1', 'http://other.example', 'https://shop.example'];
    provider = await OidcProvider.start(scope, {
      clients: [
        {
          client_id: 'web',
          client_secret: clientSecret,
          redirect_uris: redirects.map((start) => `${start}${start.endsWith('1') ? `:${port}` : ''}/oauth2/callback`),
          grant_types: ['authorization_code', 'refresh_token'],
          response_types: ['code'],
        },
      ],
    });
    const oidc = { issuer: provider.issuer, clientId: 'web', clientSecret, secret, timeout: `${timeoutMs}ms` };
    config = {
      telemetry: { accessLog: false },
      listeners: {
        web: { host: '127.0.0.1', port },
        behind: { host: '127.0.0.1', port: 0, trustedProxies: ['127.0.0.1'] },
      },
      policies: { login: { oidc }, other: { oidc: { ...oidc, clientId: 'other' } } },
      routes: {
        all: { policies: ['login'], respond: { body: 'inside' } },
        other: { match: { path: '/other/*' }, policies: ['other'], respond: { body: 'inside the other' } },
      },
    };
    gateway = await TestGateway.open(config);
    scope.after(() => gateway.gateway.stop(0));
  });

  after(() => scope.end());

  async function loggedIn(): Promise<PlainBrowser> {
    const browser = new PlainBrowser();
    assert.equal((await browser.logIn(`${origin}/`, 'alice')).body, 'inside');
    return browser;
  }

  const session = (browser: PlainBrowser): string => browser.cookies.get('127.0.0.1')?.get('gw_session') ?? '';

  /** As a program asks, which is told what it is without being sent anywhere. */
  function ask(path: string, fields: Readonly<Record<string, string>>): Promise<PlainPage> {
    return new PlainBrowser().ask(`${origin}${path}`, undefined, { accept: 'application/json', ...fields });
  }

  test('one answer for a session that is missing, forged, changed, of another host or of another policy', async () => {
    const good = session(await loggedIn());
    const comparable = ({ status, headers, body }: PlainPage): unknown => ({
      status,
      body,
      headers: { ...headers, date: '' },
    });
    const missing = comparable(await ask('/', {}));
    assert.deepEqual(missing, comparable(await ask('/other/x', {})));
    const middle = good.length >> 1;
    for (const [name, path, fields] of [
      ['forged', '/', { cookie: 'gw_session=AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }],
      ['no base64url', '/', { cookie: 'gw_session=%22%3Cscript' }],
      ['cut off', '/', { cookie: `gw_session=${good.slice(0, -1)}` }],
      ['cut in two', '/', { cookie: `gw_session=2.${good.slice(0, middle)}` }],
      ['in pieces without a beginning', '/', { cookie: `gw_session.1=${good}` }],
      ['of too many pieces', '/', { cookie: `gw_session=9.${good}` }],
      [
        'changed',
        '/',
        { cookie: `gw_session=${good.slice(0, middle)}${good[middle] === 'A' ? 'B' : 'A'}${good.slice(middle + 1)}` },
      ],
      ['under another name', '/', { cookie: `GW_SESSION=${good}; xgw_session=${good}; gw_session2=${good}` }],
      ['in a header of its own', '/', { 'gw-session': good, authorization: `Bearer ${good}` }],
      ['of another host', '/', { cookie: `gw_session=${good}`, host: 'other.example' }],
      ['of another policy', '/other/x', { cookie: `gw_session=${good}` }],
      ['very long', '/', { cookie: `gw_session=${'A'.repeat(20_000)}` }],
    ] as const) {
      assert.deepEqual(comparable(await ask(path, fields)), missing, name);
    }
    assert.equal((await ask('/', { cookie: `gw_session=${good}` })).status, 200);
    assert.equal((await ask('/', { cookie: `a="; gw_session=${good} ; b` })).status, 200);
  });

  test('the way back is for who has begun it, and does not lead to anybody else', async () => {
    for (const query of ['', '?code=x', '?state=x&code=y', `?state=${'A'.repeat(43)}&code=x`, '?error=access_denied']) {
      const answer = await ask(`/oauth2/callback${query}`, { accept: 'text/html' });
      assert.equal(answer.status, 401, query);
      assert.equal(answer.headers.location, undefined);
      assert.equal(answer.headers['set-cookie'], undefined);
    }
    for (const path of ['//evil.example/x', '/.//evil.example', '/x/%2e%2e//evil.example', '/a?b=//evil.example']) {
      const browser = new PlainBrowser();
      const page = await browser.logIn(`${origin}${path}`, 'alice');
      assert.equal(new URL(page.url).origin, origin, path);
      assert.equal(page.body, 'inside');
    }
  });

  test('the client’s origin is what trusted proxies say, and what others say counts for nothing', async () => {
    const claims = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example', accept: 'text/html' };
    const location = async (url: string): Promise<{ redirect: string; cookie: string }> => {
      const { headers } = await new PlainBrowser().ask(url, undefined, claims);
      const redirect = new URL(headers.location ?? '').searchParams.get('redirect_uri') ?? '';
      return { redirect, cookie: headers['set-cookie']?.[0] ?? '' };
    };
    const behind = await location(`${gateway.url('behind')}/`);
    assert.equal(behind.redirect, 'https://shop.example/oauth2/callback');
    assert.match(behind.cookie, /^__Host-gw_session\.login-.*; Secure$/);
    const direct = await location(`${origin}/`);
    assert.equal(direct.redirect, `${origin}/oauth2/callback`);
    assert.doesNotMatch(direct.cookie, /Secure/);
  });

  test('a change of the configuration ends no session and undoes no logout', async () => {
    const [stays, leaves] = [await loggedIn(), await loggedIn()];
    const copy = session(leaves);
    const out = await leaves.ask(`${origin}/oauth2/logout`, new URLSearchParams(), { origin });
    assert.equal(out.status, 303);
    await gateway.apply({ ...config, routes: { ...config.routes, more: { match: { path: '/more' }, respond: {} } } });
    assert.equal((await ask('/', { cookie: `gw_session=${session(stays)}` })).status, 200);
    assert.equal((await ask('/', { cookie: `gw_session=${copy}` })).status, 401);
  });

  test('a provider that is gone, hangs or talks nonsense keeps nobody waiting, and no session from going on', async () => {
    const good = session(await loggedIn());
    const port = Number(new URL(provider.issuer).port);
    await provider.stop();
    for (const behave of [
      null,
      () => {},
      (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'),
    ]) {
      const server = behave === null ? null : await listen(port, behave);
      // What was discovered before is known; a new policy has to ask.
      await gateway.apply({
        ...config,
        routes: { ...config.routes, [`at-${Math.random()}`]: { match: { path: '/x' }, respond: {} } },
      });
      const begun = performance.now();
      const refused = await new PlainBrowser().ask(`${origin}/`);
      assert.ok(performance.now() - begun < promptMs);
      assert.equal(refused.status, 503);
      assert.match(refused.body, /AUTH_UNAVAILABLE/);
      assert.equal((await ask('/', { cookie: `gw_session=${good}` })).status, 200);
      await server?.close();
    }
  });

  test('no secret was logged', () => {
    const text = JSON.stringify([gateway.log, gateway.observations]);
    assert.match(text, /the provider cannot be discovered/);
    assert.ok(!text.includes('canary'));
    assert.ok(!/eyJ[\w-]{20}/.test(text), 'no token');
  });
});

/** Somebody else in the provider's place. */
async function listen(port: number, onConnection: (socket: Socket) => void): Promise<{ close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => onConnection(socket));
  }).listen(port, '127.0.0.2');
  await once(server, 'listening');
  return {
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
