import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { json, unreachable } from '../../support/scripted-provider.ts';
import { Browser, OidcEnv, loggedIn, onOtherThread } from './browser.ts';

const minute = 60_000;

suite('tokens that expire soon', () => {
  test('are refreshed by one request, while the others go on with what they have', async () => {
    const more = { forwardAccessToken: true };
    const { env, browser, provider } = await loggedIn(more);
    const before = browser.session;
    env.nowMs += 4.5 * minute;
    const other = await onOtherThread({ env, browser }, more);
    const opened = Promise.withResolvers<void>();
    provider.gate = opened.promise;
    const headers = { cookie: `__Host-gw_session=${before}` };
    const waiting = new Browser(browser.policy).go('/', { headers });
    const meanwhile = await Promise.all([
      new Browser(browser.policy).go('/', { headers }),
      other.browser.go('/'),
      other.browser.go('/'),
    ]);
    for (const { exchange } of meanwhile) assert.equal(exchange.requestHeaders.get('authorization'), 'Bearer access-1');
    opened.resolve();
    const refreshed = await waiting;
    assert.equal(refreshed.exchange.requestHeaders.get('authorization'), 'Bearer access-2');
    assert.equal(refreshed.headers.getAll('set-cookie').length, 1);
    assert.equal(refreshed.headers.get('cache-control'), 'no-store');
    assert.equal(provider.count('/token'), 2);

    // Who did not get the answer is told again by this thread; another one serves the old cookie for a while.
    const again = await browser.go('/');
    assert.equal(again.exchange.requestHeaders.get('authorization'), 'Bearer access-2');
    assert.notEqual(browser.session, before);
    assert.equal((await other.browser.go('/')).reply, null);
    other.env.nowMs = env.nowMs += 2 * minute;
    assert.equal((await other.browser.go('/')).status, 303, 'the cookie from before the refresh is over');
    assert.equal((await (await onOtherThread({ env, browser }, more)).browser.go('/')).reply, null);
    assert.equal(provider.count('/token'), 2);
  });

  test('that have expired already are waited for', async () => {
    const more = { forwardAccessToken: true };
    const { env, browser } = await loggedIn(more);
    env.nowMs += 30 * minute;
    const pages = await Promise.all([browser.go('/a'), browser.go('/b'), browser.go('/c')]);
    for (const { exchange } of pages) assert.equal(exchange.requestHeaders.get('authorization'), 'Bearer access-2');
    assert.equal(env.provider.count('/token'), 2);
  });

  test('leave the session alone while the provider is down', async () => {
    const { env, browser, provider } = await loggedIn();
    provider.failures = { '/token': unreachable };
    env.nowMs += 5 * minute;
    for (let i = 0; i < 5; i++) assert.equal((await browser.go('/')).reply, null);
    assert.equal(provider.count('/token'), 2);
    assert.equal(env.warnings.length, 1);
    env.nowMs += minute;
    provider.failures = {};
    const before = browser.session;
    assert.equal((await browser.go('/')).reply, null);
    assert.equal(provider.count('/token'), 3);
    assert.notEqual(browser.session, before);
  });

  for (const [name, answer, status] of [
    ['says invalid_grant', () => json({ error: 'invalid_grant' }, 400), 303],
    ['says something else', () => json({ error: 'invalid_request' }, 400), 200],
    ['answers garbage', () => ({ status: 200, headers: [], body: Buffer.from('<html>') }), 200],
  ] as const) {
    test(`${status === 303 ? 'end' : 'do not end'} the session when the provider ${name}`, async () => {
      const { env, browser, provider } = await loggedIn();
      const other = await onOtherThread({ env, browser });
      await other.browser.go('/');
      provider.failures = { '/token': answer };
      other.env.nowMs = env.nowMs += 5 * minute;
      assert.equal((await browser.go('/')).status, status);
      assert.equal((await other.browser.go('/')).status, status);
      assert.equal(provider.count('/token'), 2);
    });
  }

  test('about somebody else are not taken', async () => {
    const { env, browser, provider } = await loggedIn();
    provider.claims = { sub: 'mallory' };
    env.nowMs += 5 * minute;
    const page = await browser.go('/');
    assert.equal(page.exchange.credential?.subject, 'alice');
  });

  test('end a session that cannot be refreshed only where the upstream depends on them', async () => {
    for (const forwardAccessToken of [true, false]) {
      const env = new OidcEnv();
      env.provider.tokens = { refresh_token: undefined };
      const { browser } = await loggedIn({ forwardAccessToken }, env);
      env.nowMs += 5 * minute;
      assert.equal((await browser.go('/')).status, forwardAccessToken ? 303 : 200);
    }
  });
});
