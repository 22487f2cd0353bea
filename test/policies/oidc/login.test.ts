import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { FakeResult } from '../../support/fake-exchange.ts';
import { ScriptedProvider, issuer, json, unreachable } from '../../support/scripted-provider.ts';
import { Browser, OidcEnv, makePolicy } from './browser.ts';

async function begin(more: object = {}) {
  const env = new OidcEnv();
  const browser = new Browser(await makePolicy(env, more));
  return { env, browser, provider: env.provider };
}

/** All that a client could tell two answers apart by. */
function seen({ status, headers, body, reply }: FakeResult): unknown {
  return { status, code: reply?.code, headers: [...headers], body: body.toString() };
}

suite('a login', () => {
  test('goes to the provider with PKCE, state and nonce, and comes back to the page first asked for', async () => {
    const { env, browser, provider } = await begin({ scopes: ['email'], parameters: { prompt: 'login' } });
    const asked = await browser.go('/orders/7?sort=date&x=a%20b');
    assert.equal(asked.status, 303);
    assert.equal(asked.headers.get('cache-control'), 'no-store');
    const url = new URL(asked.headers.get('location')!);
    assert.equal(url.origin + url.pathname, `${issuer}/auth`);
    const parameters = Object.fromEntries(url.searchParams);
    const { state, nonce, code_challenge: challenge, ...rest } = parameters;
    assert.deepEqual(rest, {
      client_id: 'web',
      response_type: 'code',
      response_mode: 'query',
      scope: 'openid email',
      prompt: 'login',
      redirect_uri: 'https://shop.example/oauth2/callback',
      code_challenge_method: 'S256',
    });
    for (const random of [state, nonce, challenge]) assert.match(random, /^[\w-]{43}$/);
    const login = asked.headers.getAll('set-cookie');
    assert.match(
      login.join('\n'),
      /^__Host-gw_session\.login-[\w-]{10}=[\w-]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/,
    );

    const back = await browser.go(`/oauth2/callback?${provider.approve(url.href).query}`);
    assert.equal(back.status, 303);
    assert.equal(back.headers.get('location'), 'https://shop.example/orders/7?sort=date&x=a%20b');
    assert.equal(back.headers.get('cache-control'), 'no-store');
    assert.deepEqual([...browser.cookies.keys()], ['__Host-gw_session']);
    assert.match(
      back.headers.getAll('set-cookie').at(-1)!,
      /^__Host-gw_session=[\w-]+; Path=\/; Max-Age=7200; HttpOnly; SameSite=Lax; Secure$/,
    );

    assert.doesNotMatch(back.exchange.query, /code=/, 'which the log would have');

    const page = await browser.go('/orders/7');
    assert.equal(page.reply, null);
    assert.equal(page.exchange.credential?.subject, 'alice');
    assert.equal(page.exchange.credential?.method, 'oidc');
    assert.deepEqual(page.exchange.credential?.scopes, ['openid', 'email']);
    assert.equal(page.exchange.requestHeaders.get('cookie'), undefined);
    assert.deepEqual(env.warnings, []);
  });

  test('authenticates with the secret in the way that the provider offers', async () => {
    for (const [methods, expected] of [
      [undefined, 'header'],
      [['client_secret_post', 'client_secret_basic'], 'header'],
      [['client_secret_post'], 'body'],
    ] as const) {
      const { browser, provider } = await begin();
      provider.metadata = { token_endpoint_auth_methods_supported: methods };
      await browser.login(provider);
      const { headers = [], body } = provider.calls.find(({ url }) => url.endsWith('/token'))!;
      const authorization = headers.find(([name]) => name === 'authorization')?.[1];
      assert.equal(authorization, expected === 'header' ? `Basic ${btoa('web:shh')}` : undefined);
      assert.equal(new URLSearchParams(String(body)).get('client_secret'), expected === 'header' ? null : 'shh');
    }
  });

  test('can be under way in several tabs at once', async () => {
    const { browser, provider } = await begin();
    const tabs = [await browser.go('/a'), await browser.go('/b'), await browser.go('/c')];
    const answers = tabs.map((tab) => provider.approve(tab.headers.get('location')!).query);
    const locations: unknown[] = [];
    for (const index of [1, 2, 0]) {
      const back = await browser.go(`/oauth2/callback?${answers[index]}`);
      locations.push(back.headers.get('location'));
    }
    assert.deepEqual(locations, ['https://shop.example/b', 'https://shop.example/c', 'https://shop.example/a']);
  });

  test('of very many forgets the older ones, so that requests do not grow without end', async () => {
    const { browser } = await begin();
    for (let i = 0; i < 40; i++) await browser.go(`/${i}`);
    assert.ok(browser.cookies.size <= 7, String(browser.cookies.size));
  });

  for (const [name, change, isWhole] of [
    ['state is missing', { state: undefined }, false],
    ['state is of another login', { state: 'A'.repeat(43) }, false],
    ['state is not of its form', { state: '__proto__' }, false],
    ['issuer is another one (RFC 9207)', { iss: 'https://evil.example' }, false],
    ['issuer is missing, which the provider says it sends', { iss: undefined }, false],
    ['code is missing', { code: undefined }, false],
    ['code is of another login', { code: 'code-9' }, false],
    ['answer is an error', { code: undefined, error: 'access_denied' }, false],
    ['answer is whole', {}, true],
  ] as const) {
    test(`is ${isWhole ? 'accepted' : 'refused'} when the ${name}`, async () => {
      const { browser, provider } = await begin();
      const asked = await browser.go('/');
      const { query } = provider.approve(asked.headers.get('location')!, change);
      const back = await browser.go(`/oauth2/callback?${query}`);
      assert.equal(back.status, isWhole ? 303 : 401);
      assert.equal(browser.session !== '', isWhole);
    });
  }

  for (const [name, change] of [
    ['the nonce is another one', { claims: { nonce: 'x' } }],
    ['the nonce is missing', { claims: { nonce: undefined } }],
    ['the issuer is another one', { claims: { iss: 'https://evil.example' } }],
    ['the audience is another one', { claims: { aud: 'other' } }],
    ['it is for several and not for us alone', { claims: { aud: ['web', 'other'], azp: 'other' } }],
    ['it has expired', { claims: { exp: 1_000_000_000 } }],
    ['it is about nobody', { claims: { sub: undefined } }],
    ['another key has signed it', { signsWithOtherKey: true }],
    ['there is none', { tokens: { id_token: undefined } }],
    ['it is unsigned', { tokens: { id_token: `${btoa('{"alg":"none"}').replaceAll('=', '')}.e30.` } }],
  ] as const) {
    test(`is refused when the ID token does not hold: ${name}`, async () => {
      const { browser, provider } = await begin();
      Object.assign(provider, change);
      const back = await browser.login(provider);
      assert.equal(back.status, 401);
      assert.equal(browser.session, '');
    });
  }

  test('is refused in another browser than it was begun in, and when a parameter comes twice', async () => {
    const { env, browser, provider } = await begin();
    const asked = await browser.go('/');
    const { query } = provider.approve(asked.headers.get('location')!);
    const other = new Browser(await makePolicy(env));
    const expected = seen(await other.go('/oauth2/callback?code=x'));
    assert.deepEqual(seen(await other.go(`/oauth2/callback?${query}`)), expected);
    const twice = await browser.go(`/oauth2/callback?${query}&state=${new URLSearchParams(query).get('state')}`);
    assert.deepEqual(seen(twice), expected);
    const codes = await browser.go(`/oauth2/callback?${query}&code=x`);
    assert.equal(codes.status, 401);
    assert.equal(provider.count('/token'), 0);
  });

  test('is accepted once, also when the answer comes to another thread', async () => {
    const { env, browser, provider } = await begin();
    const asked = await browser.go('/');
    const { query } = provider.approve(asked.headers.get('location')!);
    const copy = new Browser(await makePolicy(new OidcEnv(provider, env.machine)));
    for (const [name, value] of browser.cookies) copy.cookies.set(name, value);
    assert.equal((await browser.go(`/oauth2/callback?${query}`)).status, 303);
    assert.equal((await copy.go(`/oauth2/callback?${query}`)).status, 401);
    assert.equal(provider.count('/token'), 1);
  });

  test('is too late after an hour', async () => {
    const { env, browser, provider } = await begin();
    const asked = await browser.go('/');
    env.nowMs += 3_600_000;
    const { query } = provider.approve(asked.headers.get('location')!);
    assert.equal((await browser.go(`/oauth2/callback?${query}`)).status, 401);
  });

  test('ends the session that the browser had before', async () => {
    const { env, browser, provider } = await begin();
    await browser.login(provider);
    const before = browser.session;
    const other = new Browser(await makePolicy(env));
    const asked = await other.go('/');
    for (const [name, value] of other.cookies) browser.cookies.set(name, value);
    await browser.go(`/oauth2/callback?${provider.approve(asked.headers.get('location')!).query}`);
    assert.notEqual(browser.session, before);
    browser.cookies.set('__Host-gw_session', before);
    assert.equal((await browser.go('/')).status, 303);
  });

  test('asks the UserInfo endpoint if told to', async () => {
    const { browser, provider } = await begin({ userInfo: true, forwardClaims: { 'x-email': 'email' } });
    await browser.login(provider);
    const page = await browser.go('/', { headers: { 'x-email': 'root@example.com' } });
    assert.equal(page.exchange.requestHeaders.get('x-email'), 'alice@example.com');
  });
});

suite('where a login comes back to', () => {
  for (const [asked, expected] of [
    ['//evil.example/x', 'https://shop.example/'],
    ['/\\evil.example', 'https://shop.example/'],
    ['/%5Cevil.example', 'https://shop.example/%5Cevil.example'],
    ['/a\tb', 'https://shop.example/'],
    ['/?next=https://evil.example', 'https://shop.example/?next=https://evil.example'],
    [`/${'a'.repeat(5000)}`, 'https://shop.example/'],
  ] as const) {
    test(`is a page of this origin: ${asked.slice(0, 40)}`, async () => {
      const { browser, provider } = await begin();
      const back = await browser.login(provider, asked);
      assert.equal(back.headers.get('location'), expected);
    });
  }

  test('is the page itself where something was posted to it', async () => {
    const { browser, provider } = await begin();
    const headers = { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'same-origin' };
    const asked = await browser.go('/form', { method: 'POST', headers });
    assert.equal(asked.status, 303);
    const back = await browser.go(`/oauth2/callback?${provider.approve(asked.headers.get('location')!).query}`);
    assert.equal(back.headers.get('location'), 'https://shop.example/form');
  });
});

suite('a program', () => {
  const programs = [
    { headers: { accept: 'application/json' } },
    { headers: { accept: '*/*' } },
    { headers: { accept: 'text/html', 'x-requested-with': 'XMLHttpRequest' } },
    { headers: { accept: 'text/html', 'sec-fetch-mode': 'cors' } },
    { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-purpose': 'prefetch' } },
    { method: 'POST', headers: { accept: 'text/html' } },
    { method: 'DELETE', headers: { accept: 'text/html' } },
  ];

  for (const request of programs) {
    test(`gets a 401 and no redirect: ${JSON.stringify(request)}`, async () => {
      const { browser, provider } = await begin();
      const answer = await browser.go('/', request);
      assert.equal(answer.status, 401);
      assert.equal(answer.reply?.code, 'UNAUTHENTICATED');
      assert.equal(answer.headers.get('location'), undefined);
      assert.equal(provider.calls.length, 0);
    });
  }

  test('gets the same for a session that is missing, tampered with, of another host, or has expired', async () => {
    const { env, browser, provider } = await begin();
    await browser.login(provider);
    const good = browser.session;
    const ask = async (cookie: string, host = 'shop.example') => {
      const headers = { accept: 'application/json', ...(cookie !== '' && { cookie }) };
      return new Browser(browser.policy).go('/', { headers, host });
    };
    assert.equal((await ask(`__Host-gw_session=${good}`)).reply, null);
    const missing = seen(await ask(''));
    const flipped = (good.at(40) === 'A' ? 'B' : 'A') + good.slice(41);
    assert.deepEqual(seen(await ask(`__Host-gw_session=${good.slice(0, 40)}${flipped}`)), missing);
    assert.deepEqual(seen(await ask(`__Host-gw_session=${good}`, 'other.example')), missing);
    assert.deepEqual(seen(await ask(`gw_session=${good}`)), missing);
    env.nowMs += 7_200_000;
    assert.deepEqual(seen(await ask(`__Host-gw_session=${good}`)), missing);
  });
});

suite('while the provider cannot be reached', () => {
  test('who has no session gets a 503, who has one goes on, and nobody asks all the time', async () => {
    const { env, browser, provider } = await begin();
    await browser.login(provider);
    const other = new Browser(await makePolicy(env));
    provider.failures = { '/.well-known/openid-configuration': unreachable, '/token': unreachable };
    for (let i = 0; i < 5; i++) {
      const refused = await other.go('/');
      assert.equal(refused.status, 503);
      assert.equal(refused.reply?.code, 'AUTH_UNAVAILABLE');
    }
    assert.equal(provider.count('/openid-configuration'), 2);
    assert.equal((await browser.go('/')).reply, null);
    provider.failures = {};
    env.nowMs += 5_000;
    assert.equal((await other.go('/')).status, 303);
    assert.equal(env.warnings.length, 1);
  });

  for (const [name, failure] of [
    ['cannot be reached', unreachable],
    ['answers 500', () => json({ error: 'server_error' }, 500)],
    ['does not accept the client', () => json({ error: 'invalid_client' }, 401)],
  ] as const) {
    test(`a login that has come back is answered 503 when the token endpoint ${name}`, async () => {
      const { browser, provider } = await begin();
      provider.failures = { '/token': failure };
      const back = await browser.login(provider);
      assert.equal(back.status, 503);
      assert.equal(back.reply?.code, 'AUTH_UNAVAILABLE');
    });
  }

  test('a discovery document of another issuer counts for nothing', async () => {
    const { browser, provider } = await begin();
    provider.metadata = { issuer: 'https://evil.example' };
    assert.equal((await browser.go('/')).status, 503);
  });

  test('many who come at once ask for one discovery', async () => {
    const { browser, provider } = await begin();
    const opened = Promise.withResolvers<void>();
    provider.gate = opened.promise;
    const waiting = Array.from({ length: 20 }, () => new Browser(browser.policy).go('/'));
    opened.resolve();
    for (const { status } of await Promise.all(waiting)) assert.equal(status, 303);
    assert.equal(provider.count('/openid-configuration'), 1);
  });
});

test('no secret, token or code is in what is logged', async () => {
  const provider = new ScriptedProvider();
  const env = new OidcEnv(provider);
  const browser = new Browser(await makePolicy(env));
  provider.failures = { '/token': () => json({ error: 'invalid_client', error_description: 'canary' }, 401) };
  const refused = await browser.login(provider);
  const text = JSON.stringify([env.warnings, refused.reply]);
  for (const canary of ['shh', 'canary', 'code-1', 'refresh-']) assert.ok(!text.includes(canary), text);
});
