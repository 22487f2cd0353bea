import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Browser, OidcEnv, loggedIn, makePolicy, secret } from './browser.ts';

const minute = 60_000;

suite('a session in a cookie', () => {
  test('is known without a promise once it was seen, and never sent on', async () => {
    const { browser } = await loggedIn();
    const headers = {
      cookie: `a=1; __Host-gw_session=${browser.session}; b=__Host-gw_session=2; gw_session.login-x=3`,
    };
    const result = await new Browser(browser.policy).go('/', { headers });
    assert.deepEqual(result.exchange.requestHeaders.getAll('cookie'), ['a=1; b=__Host-gw_session=2']);
    assert.deepEqual(result.headers.getAll('set-cookie'), []);
    const forwarding = await loggedIn({ forward: true });
    const sent = await forwarding.browser.go('/');
    assert.equal(sent.exchange.requestHeaders.get('cookie'), `__Host-gw_session=${forwarding.browser.session}`);
  });

  test('ends when nobody uses it, goes on while somebody does, and ends at last all the same', async () => {
    const { env, browser } = await loggedIn({ idle: '1h', lifetime: '3h' });
    const first = browser.session;
    for (let i = 0; i < 17; i++) {
      env.nowMs += 10 * minute;
      const page = await browser.go('/');
      assert.equal(page.reply, null, `after ${i + 1} × 10 minutes`);
      assert.equal(page.headers.get('cache-control'), 'no-store');
    }
    assert.notEqual(browser.session, first);
    const last = browser.session;
    env.nowMs += 10 * minute;
    assert.equal((await browser.go('/')).status, 303, 'the lifetime is over');
    const { env: later, browser: idle } = await loggedIn({ idle: '1h' });
    later.nowMs += 60 * minute;
    assert.equal((await idle.go('/')).status, 303, 'nobody has used it');
    assert.ok(last.length > 0);
  });

  test('does not get longer with a longer lifetime, for which a logout would not have been noted', async () => {
    const { env, browser } = await loggedIn({ lifetime: '1h' });
    browser.policy = await makePolicy(env, { lifetime: '12h' });
    env.nowMs += 59 * minute;
    assert.equal((await browser.go('/')).reply, null);
    env.nowMs += minute;
    assert.equal((await browser.go('/')).status, 303);
  });

  test('over plain http has no prefix and is not marked as secure', async () => {
    const env = new OidcEnv();
    const browser = new Browser(await makePolicy(env));
    const asked = await browser.go('/', { scheme: 'http' });
    const { query } = env.provider.approve(asked.headers.get('location')!);
    const back = await browser.go(`/oauth2/callback?${query}`, { scheme: 'http' });
    assert.match(
      back.headers.getAll('set-cookie').at(-1)!,
      /^gw_session=[^;]+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/,
    );
  });

  test('is no session for another client, another issuer or after a change of the secret that leaves it out', async () => {
    const { env, browser } = await loggedIn();
    for (const [more, expected] of [
      [{ clientId: 'other' }, 303],
      [{ issuer: 'https://other.example' }, 503],
      [{ secret: 'another secret that is long enough to be one' }, 303],
      [{ secret: ['another secret that is long enough to be one', secret] }, 200],
    ] as const) {
      browser.policy = await makePolicy(env, more);
      assert.equal((await browser.go('/')).status, expected, JSON.stringify(more));
    }
  });

  test('is divided over several cookies when it is long, and all are needed', async () => {
    const env = new OidcEnv();
    env.provider.claims = { groups: Array.from({ length: 400 }, (_, i) => `group-${i}`) };
    const { browser } = await loggedIn({}, env);
    const names = [...browser.cookies.keys()];
    assert.deepEqual(names, ['__Host-gw_session', '__Host-gw_session.1', '__Host-gw_session.2'].slice(0, names.length));
    assert.ok(names.length > 1);
    for (const value of browser.cookies.values()) assert.ok(value.length < 3900);
    assert.equal((await browser.go('/')).reply, null);
    const gone = new Browser(browser.policy);
    for (const name of names.slice(0, -1)) gone.cookies.set(name, browser.cookies.get(name)!);
    assert.equal((await gone.go('/')).status, 303);
    env.provider.claims = {};
    const asked = await gone.go('/');
    for (const [name, value] of gone.cookies) browser.cookies.set(name, value);
    await browser.go(`/oauth2/callback?${env.provider.approve(asked.headers.get('location')!).query}`);
    assert.deepEqual(
      [...browser.cookies.keys()].filter((name) => /\.\d$/.test(name)),
      [],
    );
    assert.equal((await browser.go('/')).reply, null);
  });

  test('that does not fit is refused, and the log says what to do', async () => {
    const env = new OidcEnv();
    env.provider.claims = { groups: 'x'.repeat(30_000) };
    const { browser } = await loggedIn({}, env);
    assert.equal(browser.session, '');
    assert.match(env.warnings.join('\n'), /does not fit into cookies \(15200\): keep sessions in a store/);
  });

  test('gives the upstream the access token where it is wanted, instead of what the client sends', async () => {
    for (const [forwardAccessToken, header, expected] of [
      [true, 'authorization', 'Bearer access-1'],
      ['x-token', 'x-token', 'access-1'],
    ] as const) {
      const { browser } = await loggedIn({ forwardAccessToken });
      const page = await browser.go('/', { headers: { [header]: 'forged' } });
      assert.deepEqual(page.exchange.requestHeaders.getAll(header), [expected]);
    }
    const optional = new Browser(await makePolicy(new OidcEnv(), { forwardAccessToken: true, optional: true }));
    const page = await optional.go('/', { headers: { authorization: 'forged' } });
    assert.equal(page.reply, null);
    assert.deepEqual(page.exchange.requestHeaders.getAll('authorization'), []);
  });

  test('where it is optional nobody is asked to log in', async () => {
    const { env, browser } = await loggedIn();
    browser.policy = await makePolicy(env, { optional: true });
    assert.equal((await browser.go('/')).exchange.credential?.subject, 'alice');
    const anonymous = new Browser(await makePolicy(env, { optional: true }));
    anonymous.cookies.set('__Host-gw_session', 'forged');
    const page = await anonymous.go('/');
    assert.equal(page.reply, null);
    assert.equal(page.exchange.credential, null);
    assert.equal(page.exchange.requestHeaders.get('cookie'), undefined);
  });

  test('is somebody else’s as soon as consumers change', async () => {
    const { env, browser } = await loggedIn({ consumerBy: 'sub' });
    assert.equal((await browser.go('/')).exchange.consumer, null);
    env.consumers.replace([
      { name: 'alice', groups: ['staff'], apiKeys: [], basic: null, hmac: [], signing: [], jwt: [], certificates: [] },
    ]);
    assert.equal((await browser.go('/')).exchange.consumer?.name, 'alice');
  });
});

test('options that cannot work are refused', async () => {
  for (const more of [
    { issuer: 'http://id.example' },
    { issuer: 'https://user:pw@id.example' },
    { issuer: 'nonsense' },
    { secret: 'short' },
    { secret: [] },
    { secret: ['short'] },
    { secret: undefined },
    { callbackPath: '//evil.example' },
    { callbackPath: '/a/../b' },
    { callbackPath: 'relative' },
    { callbackPath: '/same', logoutPath: '/same' },
    { parameters: { state: 'x' } },
    { scopes: ['a b'] },
    { cookie: { name: 'a b' } },
    { cookie: { name: '__Host-x' } },
    { forwardAccessToken: 'a b' },
    { forwardAccessToken: 'host' },
    { forwardAccessToken: 'Transfer-Encoding' },
    { forwardAccessToken: 'X-Forwarded-For' },
    { forwardAccessToken: 'X-Consumer' },
    { forwardAccessToken: 'x-token', forwardClaims: { 'X-Token': 'sub' } },
    { forwardAccessToken: true, forwardClaims: { Authorization: 'sub' } },
    { afterLogout: 'https://evil.example' },
    { clientId: '' },
  ]) {
    await assert.rejects(makePolicy(new OidcEnv(), more), JSON.stringify(more));
  }
  await makePolicy(new OidcEnv(), { issuer: 'http://127.0.0.1:4000', callbackPath: '/a/b.c', logoutPath: '/.x/y' });
});
