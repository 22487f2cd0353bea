import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Browser, FakeMachine, FakeStore, OidcEnv, loggedIn, makePolicy } from './browser.ts';

const minute = 60_000;

suite('a session in a store', () => {
  async function withStore(more: object = {}) {
    const env = new OidcEnv();
    const store = new FakeStore();
    env.values = store;
    const begun = await loggedIn({ store: 'shared', ...more }, env);
    return { ...begun, store };
  }

  test('has a short cookie, and is not to be read in the store', async () => {
    const env = new OidcEnv();
    env.provider.claims = { groups: 'canary'.repeat(5_000) };
    const store = new FakeStore();
    env.values = store;
    const { browser } = await loggedIn({ store: 'shared' }, env);
    assert.ok(browser.session.length < 120, browser.session);
    assert.equal((await browser.go('/')).reply, null);
    const [[key, value]] = [...store.values];
    assert.match(key, /^oidc\/session\/[\w-]{16}$/);
    assert.ok(!Buffer.from(value, 'base64url').includes('canary'));
  });

  test('is asked for once in a while only', async () => {
    const { env, browser, store } = await withStore();
    for (let i = 0; i < 10; i++) assert.equal((await browser.go('/')).reply, null);
    assert.equal(store.reads, 1);
    env.nowMs += 5_000;
    await browser.go('/');
    assert.equal(store.reads, 2);
  });

  test('that another one was put in place of in the store is none', async () => {
    const { env, browser, store } = await withStore();
    const alice = [...store.values.keys()][0];
    const other = new Browser(browser.policy);
    env.provider.claims = { sub: 'mallory' };
    await other.login(env.provider);
    const mallory = [...store.values.keys()].find((key) => key !== alice)!;
    store.values.set(alice, store.values.get(mallory)!);
    assert.equal((await browser.go('/')).status, 303);
  });

  test('is refused with 503 when the store does not answer, and a login is too', async () => {
    const { env, browser, store } = await withStore();
    store.isSick = true;
    const refused = await browser.go('/');
    assert.equal(refused.status, 503);
    assert.equal(refused.reply?.code, 'AUTH_UNAVAILABLE');
    assert.equal((await new Browser(browser.policy).login(env.provider)).status, 503);
    assert.equal((await browser.go('/oauth2/logout', { headers: { 'sec-fetch-site': 'none' } })).status, 503);
    store.isSick = false;
    assert.equal((await browser.go('/')).reply, null);
  });

  test('is ended for all machines by a logout, and use that is noted late does not bring it back', async () => {
    const { env, browser, store } = await withStore();
    const elsewhere = new OidcEnv(env.provider, new FakeMachine());
    elsewhere.values = store;
    elsewhere.epochMs = env.epochMs;
    const copy = new Browser(await makePolicy(elsewhere, { store: 'shared' }));
    for (const [name, value] of browser.cookies) copy.cookies.set(name, value);
    elsewhere.nowMs = env.nowMs += 30 * minute;
    assert.equal((await copy.go('/')).reply, null);
    await browser.go('/oauth2/logout', { headers: { 'sec-fetch-site': 'none' } });
    assert.equal((await copy.go('/')).reply, null, 'known there for a moment');
    elsewhere.nowMs += 5_000;
    assert.equal((await copy.go('/')).status, 303);
    assert.deepEqual(
      [...store.values.keys()].filter((key) => !key.includes('refresh')),
      [],
    );
  });

  test('is refreshed by one of all machines, and the others see it', async () => {
    const more = { store: 'shared', forwardAccessToken: true };
    const { env, browser, store, provider } = await withStore(more);
    const elsewhere = new OidcEnv(env.provider, new FakeMachine());
    elsewhere.values = store;
    elsewhere.epochMs = env.epochMs;
    const copy = new Browser(await makePolicy(elsewhere, more));
    for (const [name, value] of browser.cookies) copy.cookies.set(name, value);
    elsewhere.nowMs = env.nowMs += 4.5 * minute;
    const pages = await Promise.all([browser.go('/'), copy.go('/')]);
    assert.deepEqual(
      pages.map(({ exchange }) => exchange.requestHeaders.get('authorization')).toSorted((a, b) => (a! < b! ? -1 : 1)),
      ['Bearer access-1', 'Bearer access-2'],
    );
    assert.equal(provider.count('/token'), 2);
    elsewhere.nowMs += 5_000;
    assert.equal((await copy.go('/')).exchange.requestHeaders.get('authorization'), 'Bearer access-2');
  });

  test('is kept while it is used', async () => {
    const { env, browser } = await withStore({ idle: '1h' });
    for (let i = 0; i < 12; i++) {
      env.nowMs += 30 * minute - 10_000;
      assert.equal((await browser.go('/')).reply, null);
    }
  });
});
