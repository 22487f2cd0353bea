import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { CallError, type CallRequest, type CallResponse } from '../../src/contract.ts';
import { introspection } from '../../src/policies/introspection.ts';
import { FakeEnv, FakeExchange, type FakeRequest, createPolicy, runThrough } from '../support/fake-exchange.ts';

const url = 'https://issuer.example/introspect';
const client = { clientId: 'gateway', clientSecret: 'CANARY-secret' };

const json = (value: unknown, status = 200): CallResponse => ({
  status,
  headers: [['content-type', 'application/json']],
  body: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
});

type Server = (token: string, call: number) => CallResponse | Promise<CallResponse>;

function start(options: object = {}, server: Server = () => json({ active: true, sub: 'ann' })) {
  const env = new FakeEnv();
  const calls: CallRequest[] = [];
  env.answer = async (request) => {
    calls.push(request);
    return server(new URLSearchParams(String(request.body)).get('token') ?? '', calls.length);
  };
  env.consumers.replace([
    {
      name: 'ann',
      groups: [],
      apiKeys: [],
      basic: null,
      hmac: [],
      signing: [],
      jwt: [{ sub: 'ann' }],
      certificates: [],
    },
  ]);
  const policy = createPolicy(introspection, { url, ...client, ...options }, env);
  const send = async (request: FakeRequest | string) => {
    const exchange = new FakeExchange(
      typeof request === 'string' ? { headers: { authorization: `Bearer ${request}` } } : request,
    );
    const { reply, status, headers } = await runThrough([policy], exchange);
    return { exchange, reply, status, challenge: headers.get('www-authenticate'), consumer: exchange.consumer?.name };
  };
  return { env, calls, policy, send };
}

suite('introspection', () => {
  test('asks about the token as RFC 7662 says, and as whom the server knows us', async () => {
    const { calls, send } = start({ clientId: 'gate way:1', clientSecret: 'CANARY ü%' });
    const { status, consumer, exchange } = await send('a+b/c=');
    assert.deepEqual([status, consumer], [200, 'ann']);
    assert.equal(exchange.requestHeaders.has('authorization'), false);
    const [{ method, url: asked, headers, body, idempotent, timeoutMs, maxBytes }] = calls;
    assert.deepEqual([method, asked, idempotent, timeoutMs, maxBytes], ['POST', url, true, 2000, 32_768]);
    assert.equal(body, 'token=a%2Bb%2Fc%3D&token_type_hint=access_token');
    // RFC 6749, section 2.3.1 and appendix B.
    const basic = Buffer.from('gate+way%3A1:CANARY+%C3%BC%25').toString('base64');
    assert.deepEqual(headers, [
      ['accept', 'application/json'],
      ['content-type', 'application/x-www-form-urlencoded'],
      ['authorization', `Basic ${basic}`],
    ]);
  });

  const claims = { sub: 'ann', iss: 'https://issuer.example', aud: ['api', 'other'], scope: 'read write', n: 7 };
  const nowS = 1_700_000_000;
  const outcomes: readonly (readonly [name: string, options: object, answer: unknown, status: number])[] = [
    ['active', {}, { active: true }, 200],
    ['inactive', {}, { active: false }, 401],
    ['inactive with claims', {}, { ...claims, active: false }, 401],
    ['a text for a boolean', {}, { active: 'true' }, 503],
    ['a number for a boolean', {}, { active: 1 }, 503],
    ['a list for a boolean', {}, { active: [true] }, 503],
    ['null for a boolean', {}, { active: null }, 503],
    ['no boolean at all', {}, claims, 503],
    ['what only the prototype has', {}, '{"__proto__": {"active": true}}', 503],
    ['a list', {}, [{ active: true }], 503],
    ['text', {}, '"active"', 503],
    ['nothing', {}, '', 503],
    ['HTML', {}, '<html>{"active":true}', 503],
    ['cut JSON', {}, '{"active":true', 503],
    ['deep JSON', {}, '['.repeat(30_000), 503],
    ['not expired', {}, { active: true, exp: nowS + 1 }, 200],
    ['expiring now', {}, { active: true, exp: nowS }, 401],
    ['expired', {}, { active: true, exp: nowS - 1 }, 401],
    ['an expiry left open', {}, { active: true, exp: null }, 200],
    ['an expiry in words', {}, { active: true, exp: `${nowS + 1}` }, 503],
    ['an expiry without end', {}, '{"active": true, "exp": 1e999}', 503],
    ['valid by the clock of the server', {}, { active: true, nbf: nowS + 5 }, 200],
    ['not valid yet', {}, { active: true, nbf: nowS + 6 }, 401],
    ['a beginning that is none', {}, { active: true, nbf: [] }, 503],
    ['a subject that is none', {}, { active: true, sub: ['ann'] }, 503],
    ['an issuer that is none', {}, { active: true, iss: { a: 1 } }, 503],
    ['an audience that is none', {}, { active: true, aud: ['api', 7] }, 503],
    ['the issuer', { issuer: 'https://issuer.example' }, { active: true, ...claims }, 200],
    ['one of the issuers', { issuer: ['x', 'https://issuer.example'] }, { active: true, ...claims }, 200],
    ['another issuer', { issuer: 'https://issuer.example/' }, { active: true, ...claims }, 401],
    ['no issuer', { issuer: 'https://issuer.example' }, { active: true }, 401],
    ['the audience', { audience: 'api' }, { active: true, ...claims }, 200],
    ['one audience', { audience: ['x', 'api'] }, { active: true, aud: 'api' }, 200],
    ['another audience', { audience: 'ap' }, { active: true, ...claims }, 401],
    ['no audience', { audience: 'api' }, { active: true }, 401],
    ['claims as expected', { claims: { n: [6, 7], sub: 'ann' } }, { active: true, ...claims }, 200],
    ['a claim of another type', { claims: { n: '7' } }, { active: true, ...claims }, 401],
    ['a claim that is a list', { claims: { aud: 'api' } }, { active: true, ...claims }, 401],
    ['a claim that is a list with it', { claims: { aud: { contains: ['api'] } } }, { active: true, ...claims }, 200],
    ['a claim that is there', { claims: { n: { present: true } } }, { active: true, ...claims }, 200],
    ['a claim that is not there', { claims: { x: false } }, { active: true, ...claims }, 401],
    ['the scope', { scopes: 'read' }, { active: true, ...claims }, 200],
    ['the scopes', { scopes: ['read', 'write'] }, { active: true, ...claims }, 200],
    ['not all scopes', { scopes: ['read', 'admin'] }, { active: true, ...claims }, 403],
    ['no scopes', { scopes: ['read'] }, { active: true }, 403],
  ];
  for (const [name, options, answer, status] of outcomes) {
    test(`answers ${status} for: ${name}`, async () => {
      const { send, calls } = start({ cacheFor: '1m', ...options }, () => json(answer));
      const first = await send('token');
      assert.equal(first.status, status, first.reply?.reason ?? 'it passes');
      // What is remembered is judged in the same way.
      assert.equal((await send('token')).status, status);
      assert.ok(calls.length <= 2);
    });
  }

  test('answers 503 for every other status, and for none', async () => {
    for (const status of [201, 204, 302, 400, 401, 403, 404, 429, 500, 503]) {
      const { send, env } = start({}, () => json({ active: true }, status));
      const { reply } = await send('token');
      assert.deepEqual([reply?.status, reply?.code], [503, 'AUTH_UNAVAILABLE']);
      assert.equal(reply?.reason, `the introspection endpoint: it answers with status ${status}`);
      assert.equal(env.warnings.length, 1);
    }
    const { send } = start({}, () => Promise.reject(new CallError('https://issuer.example: broke off: ECONNRESET')));
    assert.equal((await send('token')).status, 503);
  });

  test('says what is wrong with the server once a minute, and never a secret', async () => {
    const { send, env, calls } = start({}, () => json('CANARY', 500));
    for (let i = 0; i < 5; i++) await send(`CANARY${i}`);
    assert.equal(env.warnings.length, 1);
    env.nowMs = 60_000;
    await send('CANARY');
    assert.equal(env.warnings.length, 2);
    assert.equal(calls.length, 6);
    assert.doesNotMatch(env.warnings.join(''), /CANARY/);
  });

  test('asks for what is not sent, and says no more of what is bad than that it is', async () => {
    const { send } = start({ realm: 'shop' }, () => json({ active: false }));
    assert.equal((await send({})).challenge, 'Bearer realm="shop"');
    assert.equal((await send({ headers: { authorization: 'Basic YTpi' } })).challenge, 'Bearer realm="shop"');
    assert.equal((await send('token')).challenge, 'Bearer realm="shop", error="invalid_token"');
    const scopes = start({ realm: 'shop', scopes: ['a', 'b'] });
    assert.equal(
      (await scopes.send('token')).challenge,
      'Bearer realm="shop", error="insufficient_scope", scope="a b"',
    );
  });

  test('never asks about what is no token', async () => {
    const { send, calls } = start({ header: 'authorization', query: 'access_token', cookie: 'at' });
    const authorization = 'Bearer good';
    const requests: readonly FakeRequest[] = [
      { headers: { authorization: 'Bearer' } },
      { headers: { authorization: 'Bearer ' } },
      { headers: { authorization: 'Bearer a b' } },
      { headers: { authorization: 'Bearer a, Bearer b' } },
      { headers: { authorization: 'Bearer a,b' } },
      { headers: { authorization: 'Bearer \u00e4' } },
      { headers: { authorization: ['Bearer a', 'Bearer a'] } },
      { headers: { authorization: ['Basic YTpi', 'bearer a'] } },
      { headers: { authorization: `Bearer ${'x'.repeat(8193)}` } },
      { headers: { authorization }, query: 'access_token=good' },
      { headers: { authorization, cookie: 'at=good' } },
      { query: 'access_token=good&access_token=good' },
      { query: 'access_token=' },
      { query: 'access_token=a%0d%0ab' },
      { headers: { cookie: 'at=good; at=good' } },
    ];
    for (const request of requests) {
      const { status, challenge } = await send(request);
      assert.deepEqual(
        [status, challenge],
        [401, 'Bearer realm="api", error="invalid_token"'],
        JSON.stringify(request),
      );
    }
    assert.equal(calls.length, 0);
  });

  test('takes the token from where it may be, and takes it out of there', async () => {
    const { send, calls } = start({ header: 'x-token', query: 'access_token', cookie: 'at' });
    const header = await send({ headers: { 'X-Token': 'good', authorization: 'Bearer other' } });
    assert.deepEqual([...header.exchange.requestHeaders], [['authorization', 'Bearer other']]);
    assert.equal((await send({ query: 'a=1&access_token=good' })).exchange.query, 'a=1');
    const cookie = await send({ headers: { cookie: 'a=1; at=good' } });
    assert.equal(cookie.exchange.requestHeaders.get('cookie'), 'a=1');
    assert.equal(calls.length, 1, 'it is one token');
    const forwarding = start({ forward: true });
    assert.equal((await forwarding.send('good')).exchange.requestHeaders.get('authorization'), 'Bearer good');
  });

  test('lets pass without a token with optional, and with none that is bad', async () => {
    const { send } = start({ optional: true }, () => json({ active: false }));
    assert.equal((await send({})).status, 200);
    const other = await send({ headers: { authorization: 'Basic YTpi' } });
    assert.deepEqual([other.status, other.exchange.requestHeaders.get('authorization')], [200, 'Basic YTpi']);
    assert.equal((await send('token')).status, 401);
  });

  test('tells the upstream of claims, and removes what the client says in their place', async () => {
    const options = { forwardClaims: { 'x-user': 'username', 'x-plan': 'plan' }, consumerBy: 'client_id' };
    const { send } = start(options, () => json({ active: true, client_id: 'ann', username: 'Ann', plan: 'a\r\nb' }));
    const { exchange, consumer } = await send({
      headers: { authorization: 'bearer t', 'x-user': 'root', 'x-plan': 'gold' },
    });
    assert.equal(consumer, 'ann');
    assert.deepEqual([...exchange.requestHeaders], [['x-user', 'Ann']]);
    assert.equal(exchange.credential?.method, 'introspection');
  });
});

suite('what was found out about a token', () => {
  test('counts for cacheFor, without a promise', async () => {
    const { send, calls, policy, env } = start({ cacheFor: '10s' });
    await send('token');
    env.nowMs = 9_999;
    const exchange = new FakeExchange({ headers: { authorization: 'Bearer token' } });
    assert.equal(policy.onRequest?.(exchange), undefined);
    assert.equal(exchange.consumer?.name, 'ann');
    assert.equal(calls.length, 1);
    env.nowMs = 10_000;
    await send('token');
    assert.equal(calls.length, 2);
  });

  test('never counts longer than the token', async () => {
    const { send, calls, env } = start({ cacheFor: '1h' }, () => json({ active: true, exp: 1_700_000_003 }));
    assert.equal((await send('token')).status, 200);
    env.nowMs = 2_999;
    assert.equal((await send('token')).status, 200);
    assert.equal(calls.length, 1);
    env.nowMs = 3_000;
    assert.equal((await send('token')).status, 401);
  });

  test('does not count either once the wall clock has left it behind', async () => {
    const { send, env } = start({ cacheFor: '1h' }, () => json({ active: true, exp: 1_700_000_100 }));
    assert.equal((await send('token')).status, 200);
    env.epochMs += 100_000;
    assert.equal((await send('token')).status, 401);
  });

  test('is not remembered with cacheFor 0s', async () => {
    const { send, calls } = start({ cacheFor: '0s' });
    for (let i = 0; i < 3; i++) assert.equal((await send('token')).status, 200);
    assert.equal(calls.length, 3);
  });

  test('is found by the whole token (GHSA-rp9m-7r4c-75qg)', async () => {
    const long = 'x'.repeat(8000);
    const { send } = start({}, (token) => json({ active: token.endsWith('a'), sub: 'ann' }));
    assert.equal((await send(`${long}a`)).status, 200);
    for (const other of [`${long}b`, `${long}A`, `b${long}`, long, `${long}a=`]) {
      assert.equal((await send(other)).status, 401, other.slice(-3));
    }
  });

  test('is asked for once by all who ask at the same time', async () => {
    const { promise, resolve } = Promise.withResolvers<CallResponse>();
    const { send, calls } = start({}, () => promise);
    const pending = Array.from({ length: 100 }, () => send('token'));
    resolve(json({ active: true, sub: 'ann' }));
    assert.deepEqual([...new Set((await Promise.all(pending)).map(({ consumer }) => consumer))], ['ann']);
    assert.equal(calls.length, 1);
  });

  test('is asked for again after a failure', async () => {
    const { send, calls } = start({}, (_token, call) => (call === 1 ? json('garbage') : json({ active: true })));
    assert.deepEqual(await Promise.all(['t', 't'].map(async (token) => (await send(token)).status)), [503, 503]);
    assert.equal((await send('t')).status, 200);
    assert.equal(calls.length, 2);
  });

  test('serves through an outage for as long as it counts, and no longer', async () => {
    const { send, env } = start({ cacheFor: '10s' }, (_token, call) => json({ active: true }, call === 1 ? 200 : 500));
    await send('token');
    env.nowMs = 9_999;
    assert.equal((await send('token')).status, 200);
    env.nowMs = 10_000;
    assert.equal((await send('token')).status, 503);
  });

  test('is remembered for bad tokens as well, but briefly, and apart from the good ones', async () => {
    const { send, calls, env } = start({ cacheFor: '1h' }, (token) => json({ active: token === 'good' }));
    await send('good');
    for (let i = 0; i < 10; i++) assert.equal((await send('bad')).status, 401);
    assert.equal(calls.length, 2);
    env.nowMs = 5_000;
    await send('bad');
    assert.equal(calls.length, 3);
    for (let i = 0; i < 20_000; i++) await send(`bad${i}`);
    const before = calls.length;
    assert.equal((await send('good')).status, 200);
    assert.equal(calls.length, before, 'no flood of bad tokens makes a good one forgotten');
  });

  test('is not even asked for where too many have failed', async () => {
    const { send, calls, env } = start({}, (token) => json({ active: token === 'good' }));
    await send('good');
    let failed = 0;
    Object.assign(env.damping, {
      look: () => ({ delayMs: 0, refuseMs: failed >= 3 ? 1500 : 0 }),
      failed: () => void failed++,
    });
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await send(`bad${i}`)).status);
    assert.deepEqual(statuses, [401, 401, 401, 429, 429, 429]);
    assert.equal(calls.length, 4);
    const { reply } = await send('bad9');
    assert.deepEqual([reply?.code, reply?.headers], ['TOO_MANY_ATTEMPTS', [['retry-after', '2']]]);
    assert.equal((await send('good')).status, 200, 'what is known needs nobody to be asked');
  });

  test('belongs to whom the consumers say now', async () => {
    const { send, env, calls } = start({ cacheFor: '1h' });
    assert.equal((await send('token')).consumer, 'ann');
    env.consumers.replace([]);
    assert.equal((await send('token')).consumer, undefined);
    assert.equal(calls.length, 1);
  });

  test('counts for all routes that ask in the same way, each by its own rules', async () => {
    const { send, calls, env } = start({}, () => json({ active: true, sub: 'ann', scope: 'read' }));
    const statusOn = async (options: object): Promise<number> => {
      const policy = createPolicy(introspection, { url, ...client, ...options }, env);
      const exchange = new FakeExchange({ headers: { authorization: 'Bearer token' } });
      return (await runThrough([policy], exchange)).status;
    };
    await send('token');
    assert.equal(await statusOn({ realm: 'other', scopes: ['read'] }), 200);
    assert.equal(await statusOn({ scopes: ['write'] }), 403);
    assert.equal(await statusOn({ audience: 'other' }), 401);
    assert.equal(calls.length, 1);
    for (const other of [
      { clientId: 'other' },
      { clientSecret: 'other' },
      { url: `${url}/other` },
      { cacheFor: '31s' },
    ]) {
      const before: number = calls.length;
      assert.equal(await statusOn(other), 200);
      assert.equal(calls.length, before + 1, JSON.stringify(other));
    }
  });

  test('is one credential for all requests with the token', async () => {
    const { send } = start();
    const first = await send('token');
    assert.equal((await send('token')).exchange.credential, first.exchange.credential);
  });
});

test('whatever a server answers, a token passes only if the answer has active: true', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.json(),
        fc.record({ active: fc.oneof(fc.boolean(), fc.jsonValue()), exp: fc.jsonValue() }, { requiredKeys: [] }),
      ),
      fc.integer({ min: 199, max: 599 }),
      async (answer, status) => {
        const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
        const { send } = start({}, () => json(text, status));
        const { status: got } = await send('token');
        assert.ok([200, 401, 503].includes(got));
        if (got !== 200) return;
        assert.equal(status, 200);
        assert.equal((JSON.parse(text) as { active: unknown }).active, true);
      },
    ),
  );
});
