import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { unreachable } from '../../support/scripted-provider.ts';
import { Browser, OidcEnv, loggedIn, makePolicy, onOtherThread } from './browser.ts';

const minute = 60_000;

suite('a logout', () => {
  const own = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' };

  test('ends the session on all threads, removes the cookie and goes on to the provider', async () => {
    const { env, browser } = await loggedIn();
    const other = await onOtherThread({ env, browser });
    assert.equal((await other.browser.go('/')).reply, null);
    const copy = browser.session;
    const out = await browser.go('/oauth2/logout', { method: 'POST', headers: own });
    assert.equal(out.status, 303);
    assert.equal(out.headers.get('cache-control'), 'no-store');
    const url = new URL(out.headers.get('location')!);
    assert.equal(url.origin + url.pathname, 'https://id.example/logout');
    assert.equal(url.searchParams.get('post_logout_redirect_uri'), 'https://shop.example/');
    assert.match(url.searchParams.get('id_token_hint')!, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    assert.equal(browser.session, '');
    assert.equal((await other.browser.go('/')).status, 303);
    browser.cookies.set('__Host-gw_session', copy);
    assert.equal((await browser.go('/')).status, 303);
  });

  for (const [name, request, isDone] of [
    ['a link of the same origin', { headers: own }, true],
    ['the address bar', { headers: { 'sec-fetch-site': 'none' } }, true],
    ['a link of another site', { headers: { 'sec-fetch-site': 'cross-site' } }, false],
    ['a page of another host of the site', { headers: { 'sec-fetch-site': 'same-site' } }, false],
    ['a form of another site', { method: 'POST', headers: { origin: 'https://evil.example' } }, false],
    ['a form of a page without an origin', { method: 'POST', headers: { origin: 'null' } }, false],
    ['an old browser, from its own page', { method: 'POST', headers: { origin: 'https://shop.example' } }, true],
    ['an old browser, by a link', { headers: { referer: 'https://shop.example/menu' } }, true],
    ['an old browser, by somebody’s link', { headers: { referer: 'https://shop.example.evil.example/' } }, false],
    ['an image that says nothing', { headers: { accept: 'image/*' } }, false],
    ['a PUT', { method: 'PUT', headers: own }, false],
  ] as const) {
    test(`${isDone ? 'can' : 'cannot'} be asked for by ${name}`, async () => {
      const { browser } = await loggedIn();
      const out = await browser.go('/oauth2/logout', request);
      assert.equal(out.status, isDone ? 303 : 'method' in request && request.method === 'PUT' ? 405 : 403);
      assert.equal(browser.session === '', isDone);
      assert.equal((await browser.go('/')).reply === null, !isDone);
    });
  }

  test('works without the provider, and where the provider has no such place', async () => {
    const { browser, env } = await loggedIn();
    browser.policy = await makePolicy(env, { afterLogout: '/bye' });
    env.provider.failures = { '/.well-known/openid-configuration': unreachable };
    const out = await browser.go('/oauth2/logout', { headers: own });
    assert.equal(out.headers.get('location'), 'https://shop.example/bye');
    assert.equal(browser.session, '');
    const plain = new OidcEnv();
    plain.provider.metadata = { end_session_endpoint: undefined };
    const { browser: second } = await loggedIn({}, plain);
    assert.equal(
      (await second.go('/oauth2/logout', { headers: own })).headers.get('location'),
      'https://shop.example/',
    );
  });

  test('is not undone by a response that was on its way', async () => {
    const { env, browser, provider } = await loggedIn();
    const headers = { cookie: `__Host-gw_session=${browser.session}` };
    env.nowMs += 5 * minute;
    const opened = Promise.withResolvers<void>();
    const other = await onOtherThread({ env, browser });
    provider.gate = opened.promise;
    const slow = new Browser(browser.policy).go('/', { headers });
    provider.gate = Promise.resolve();
    await other.browser.go('/oauth2/logout', { headers: { ...own, ...headers } });
    opened.resolve();
    assert.deepEqual((await slow).headers.getAll('set-cookie'), []);
  });
});
