import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CallError, type CallRequest, type CallResponse } from '../../src/contract.ts';
import { forwardAuth } from '../../src/policies/forward-auth.ts';
import { FakeEnv, FakeExchange, type FakeRequest, createPolicy, runThrough } from '../support/fake-exchange.ts';

const url = 'http://login.internal/check?app=1';

interface Answer {
  readonly status?: number;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
}

const responseOf = ({ status = 200, headers = [], body = '' }: Answer): CallResponse => ({
  status,
  headers,
  body: Buffer.from(body),
});

function start(options: object = {}, answer: (request: CallRequest) => Answer | Promise<Answer> = () => ({})) {
  const env = new FakeEnv();
  const calls: CallRequest[] = [];
  env.answer = async (request) => {
    calls.push(request);
    return responseOf(await answer(request));
  };
  env.consumers.replace([
    { name: 'ann', groups: ['gold'], apiKeys: [], basic: null, hmac: [], signing: [], jwt: [], certificates: [] },
  ]);
  const policy = createPolicy(forwardAuth, { url, ...options }, env);
  const send = async (request: FakeRequest = {}) => {
    const exchange = new FakeExchange(request);
    const result = await runThrough([policy], exchange, { headers: { 'set-cookie': 'app=1' } });
    return { ...result, text: result.body.toString(), sent: Object.fromEntries(calls.at(-1)?.headers ?? []) };
  };
  return { env, calls, policy, send };
}

/** What is always sent about `GET http://api.example.com/` from 192.0.2.10. */
const always = {
  'x-forwarded-method': 'GET',
  'x-forwarded-proto': 'http',
  'x-forwarded-host': 'api.example.com',
  'x-forwarded-uri': '/',
  'x-forwarded-for': '192.0.2.10',
  'x-real-ip': '192.0.2.10',
  'x-original-method': 'GET',
  'x-original-url': 'http://api.example.com/',
  'x-original-uri': '/',
};

suite('what forwardAuth asks', () => {
  test('is about the request as it was matched', async () => {
    const { send, calls } = start();
    const { sent } = await send({
      method: 'POST',
      scheme: 'https',
      host: '2001:db8::1',
      port: 8443,
      path: '/a/b%20c',
      query: 'd=%2e%2e',
      body: 'not for the service',
      headers: { authorization: 'Bearer t', cookie: ['a=1', 'b=2'], 'x-other': '1', 'content-type': 'text/plain' },
    });
    assert.deepEqual(sent, {
      ...always,
      'x-forwarded-method': 'POST',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': '[2001:db8::1]:8443',
      'x-forwarded-uri': '/a/b%20c?d=%2e%2e',
      'x-original-method': 'POST',
      'x-original-url': 'https://[2001:db8::1]:8443/a/b%20c?d=%2e%2e',
      'x-original-uri': '/a/b%20c?d=%2e%2e',
      authorization: 'Bearer t',
      cookie: 'a=1; b=2',
    });
    assert.equal(calls[0].headers?.filter(([name]) => name === 'cookie').length, 1);
    const [{ url: asked, method, body, timeoutMs }] = calls;
    assert.deepEqual([asked, method, body, timeoutMs], [url, 'GET', undefined, 2000]);
  });

  test('has the headers that are named and no others', async () => {
    const { send } = start({ sendHeaders: ['X-Key', 'accept'] });
    const { sent } = await send({ headers: { 'x-key': 'k', cookie: 'a=1', authorization: 'Basic x', accept: '*/*' } });
    assert.deepEqual(sent, { ...always, 'x-key': 'k', accept: '*/*' });
    assert.deepEqual((await start({ sendHeaders: [] }).send({ headers: { cookie: 'a=1' } })).sent, always);
  });

  test("has all with '*' but those of the connection, of the body and of caches", async () => {
    const { send } = start({ sendHeaders: '*' });
    const { sent } = await send({
      headers: {
        'X-Key': 'k',
        Cookie: 'a=1',
        Connection: 'close, X-Hop',
        'X-Hop': '1',
        'Keep-Alive': '1',
        TE: 'trailers',
        Upgrade: 'websocket',
        Expect: '100-continue',
        Host: 'api.example.com',
        'Content-Length': '3',
        'Content-Type': 'text/plain',
        'Transfer-Encoding': 'chunked',
        'If-None-Match': '"x"',
        Range: 'bytes=0-0',
        'Accept-Encoding': 'gzip',
        'Proxy-Authorization': 'Basic x',
        Forwarded: 'for=1.2.3.4',
        'X-Forwarded-Uri': '/public',
        'X-Original-URL': '/public',
        'X-Real-IP': '1.2.3.4',
      },
    });
    assert.deepEqual(sent, { ...always, 'x-key': 'k', cookie: 'a=1' });
  });

  test('has no address for a client that has none', async () => {
    const { sent } = await start().send({ clientIp: '' });
    assert.equal('x-forwarded-for' in sent || 'x-real-ip' in sent, false);
  });
});

suite('what forwardAuth lets pass', () => {
  for (const status of [200, 202, 204, 299]) {
    test(`is what the service answers with ${status}`, async () => {
      const { send } = start({}, () => ({ status, body: 'for nobody' }));
      const { reply, exchange } = await send();
      assert.equal(reply, null);
      assert.equal(exchange.credential?.method, 'forwardAuth');
      assert.equal(exchange.consumer, null);
    });
  }

  test('goes to the upstream with the headers of the answer, and never with those of the client', async () => {
    const answer: Answer = {
      headers: [
        ['X-Auth-Request-User', 'ann'],
        ['x-auth-request-groups', 'a'],
        ['x-auth-request-groups', 'b'],
        ['x-secret', 's'],
      ],
    };
    const { send } = start({ copyHeaders: ['X-Auth-Request-User', 'x-auth-request-groups', 'x-email'] }, () => answer);
    const { exchange } = await send({
      headers: [
        ['X-AUTH-REQUEST-USER', 'root'],
        ['x-auth-request-user', 'root'],
        ['x-auth-request-groups', 'admins'],
        ['X-Email', 'root@example.com'],
        ['x-other', '1'],
      ],
    });
    assert.deepEqual(
      [...exchange.requestHeaders],
      [
        ['x-other', '1'],
        ['x-auth-request-user', 'ann'],
        ['x-auth-request-groups', 'a'],
        ['x-auth-request-groups', 'b'],
      ],
    );
  });

  test('is whose the service says it is', async () => {
    const nameOf = async (headers: readonly (readonly [string, string])[]) => {
      const { exchange, status } = await start({ consumerHeader: 'X-User' }, () => ({ headers })).send();
      return [status, exchange.consumer?.name, exchange.credential?.subject];
    };
    assert.deepEqual(await nameOf([['x-user', 'ann']]), [200, 'ann', 'ann']);
    assert.deepEqual(await nameOf([['x-user', 'stranger']]), [200, undefined, 'stranger']);
    assert.deepEqual(await nameOf([]), [200, undefined, '']);
    const two = [
      ['x-user', 'ann'],
      ['x-user', 'bob'],
    ] as const;
    assert.deepEqual(await nameOf(two), [503, undefined, undefined]);
  });

  test('goes without the credentials that the service was sent', async () => {
    const headers = {
      authorization: 'Bearer t',
      cookie: '_oauth2_proxy_0=x; app=1; _oauth2_proxy_1=y; s=z',
      'x-k': '1',
    };
    const left = async (options: object, answer: Answer = {}) => {
      const { exchange } = await start(options, () => answer).send({ headers });
      return Object.fromEntries(exchange.requestHeaders);
    };
    assert.deepEqual(await left({}), { 'x-k': '1' });
    assert.deepEqual(await left({ cookies: ['_oauth2_proxy*', 's'] }), { cookie: 'app=1', 'x-k': '1' });
    assert.deepEqual(await left({ cookies: ['app', 's', '_oauth2*'] }), { 'x-k': '1' });
    assert.deepEqual(await left({ cookies: [] }), { cookie: headers.cookie, 'x-k': '1' });
    assert.deepEqual(await left({ forward: true }), headers);
    assert.deepEqual(await left({ sendHeaders: ['x-k'] }), headers);
    assert.deepEqual(await left({ sendHeaders: ['cookie'] }), { authorization: 'Bearer t', 'x-k': '1' });
    // What the service gives in their place is for the upstream.
    assert.deepEqual(await left({ copyHeaders: ['authorization'] }, { headers: [['authorization', 'Bearer new']] }), {
      authorization: 'Bearer new',
      'x-k': '1',
    });
    assert.deepEqual(await left({ copyHeaders: ['authorization'], forward: true }), {
      cookie: headers.cookie,
      'x-k': '1',
    });
  });

  test('comes back with the cookies that the service wants the client to keep', async () => {
    const { send } = start({}, () => ({
      headers: [
        ['Set-Cookie', 's=2; HttpOnly'],
        ['set-cookie', 't=3'],
      ],
    }));
    const { headers } = await send();
    assert.deepEqual(headers.getAll('set-cookie'), ['app=1', 's=2; HttpOnly', 't=3']);
  });
});

suite('what forwardAuth refuses', () => {
  test('is answered as the service has answered, as far as that is for the client', async () => {
    const { send } = start({}, () => ({
      status: 302,
      headers: [
        ['Location', 'https://login.example/?rd=%2F'],
        ['Set-Cookie', 'csrf=1'],
        ['Set-Cookie', 'b=2'],
        ['Content-Type', 'text/html'],
        ['Server', 'internal/1.0'],
        ['Content-Length', '5'],
        ['Connection', 'close'],
        ['Alt-Svc', 'h3=":443"'],
        ['X-Internal', 'yes'],
      ],
      body: 'Found',
    }));
    const { reply, status, headers, text } = await send();
    assert.deepEqual([status, text, reply?.code], [302, 'Found', undefined]);
    assert.deepEqual(
      [...headers],
      [
        ['location', 'https://login.example/?rd=%2F'],
        ['set-cookie', 'csrf=1'],
        ['set-cookie', 'b=2'],
        ['content-type', 'text/html'],
        ['cache-control', 'no-store'],
      ],
    );
  });

  const outcomes: readonly (readonly [
    status: number,
    body: string,
    code: string | undefined,
    body: string | undefined,
  ])[] = [
    [300, '', undefined, ''],
    [301, 'x', undefined, 'x'],
    [307, '', undefined, ''],
    [400, 'x', undefined, 'x'],
    [401, 'sign in', 'UNAUTHENTICATED', 'sign in'],
    [401, '', 'UNAUTHENTICATED', undefined],
    [403, 'no', 'FORBIDDEN', 'no'],
    [403, '', 'FORBIDDEN', undefined],
    [404, '', undefined, ''],
    [429, 'later', undefined, 'later'],
    [499, '', undefined, ''],
  ];
  for (const [status, body, code, shown] of outcomes) {
    test(`is answered with ${status} and ${body === '' ? 'no body' : body} likewise`, async () => {
      const headers = [
        ['www-authenticate', 'Basic realm="x"'],
        ['cache-control', 'private'],
      ] as const;
      const { reply } = await start({}, () => ({ status, body, headers })).send();
      assert.equal(reply?.status, status);
      assert.equal(reply.code, code);
      assert.equal(reply.body === undefined ? undefined : Buffer.from(reply.body).toString(), shown);
      assert.deepEqual(reply.headers, headers);
      assert.equal(reply.reason, `the service answers with status ${status}`);
    });
  }

  test('is answered 503 where nobody can tell', async () => {
    const failing: readonly (() => Answer | Promise<Answer>)[] = [
      () => Promise.reject(new CallError('http://login.internal: no answer within 2000 ms')),
      () => ({ status: 500 }),
      () => ({ status: 503, headers: [['retry-after', '1']] }),
      () => ({ status: 304 }),
      () => ({ status: 199 }),
      () => ({ status: 600 }),
      () => ({ headers: [['x-user', 'ann\r\nx-admin: 1']] }),
      () => ({ status: 302, headers: [['location', '/\nset-cookie: a=b']] }),
    ];
    for (const answer of failing) {
      const { send, env } = start({ copyHeaders: ['x-user'], cacheFor: '1m' }, answer);
      for (let i = 0; i < 2; i++) {
        const { reply } = await send();
        assert.deepEqual([reply?.status, reply?.code, reply?.body], [503, 'AUTH_UNAVAILABLE', undefined]);
      }
      assert.equal(env.warnings.length, 1);
    }
  });

  test('says nothing in the log of clients that have left', async () => {
    const { send, env } = start({}, ({ signal }) => {
      assert.ok(signal);
      return Promise.reject(new CallError('http://login.internal: given up'));
    });
    const exchange = new FakeExchange();
    exchange.abort();
    await runThrough([createPolicy(forwardAuth, { url }, env)], exchange);
    assert.deepEqual(env.warnings, []);
    assert.equal((await send()).status, 503);
  });
});

suite('permissions', () => {
  const user: Answer = { headers: [['x-user', 'ann']] };

  test('are asked for with every request, unless cacheFor says otherwise', async () => {
    const { send, calls } = start({}, () => user);
    for (let i = 0; i < 3; i++) await send();
    assert.equal(calls.length, 3);
  });

  test('count for requests that are the same in all that the service sees', async () => {
    const options = { cacheFor: '10s', copyHeaders: ['x-user'], consumerHeader: 'x-user' };
    const { send, calls, env, policy } = start(options, () => user);
    const request: FakeRequest = { headers: { cookie: 's=1' }, path: '/a' };
    await send(request);
    const exchange = new FakeExchange({ ...request, headers: { cookie: 's=1', 'x-unseen': '1', 'x-user': 'root' } });
    assert.equal(policy.onRequest?.(exchange), undefined);
    assert.deepEqual([exchange.consumer?.name, exchange.requestHeaders.getAll('x-user')], ['ann', ['ann']]);
    assert.equal(calls.length, 1);
    const others: readonly FakeRequest[] = [
      { ...request, headers: { cookie: 's=2' } },
      { ...request, headers: { authorization: 's=1' } },
      { ...request, headers: {} },
      { ...request, path: '/b' },
      { ...request, query: 'a' },
      { ...request, method: 'POST' },
      { ...request, host: 'other.example' },
      { ...request, port: 81 },
      { ...request, scheme: 'https' },
      { ...request, clientIp: '192.0.2.11' },
    ];
    for (const other of others) await send(other);
    assert.equal(calls.length, 1 + others.length);
    env.nowMs = 9_999;
    await send(request);
    assert.equal(calls.length, 1 + others.length);
    env.nowMs = 10_000;
    await send(request);
    assert.equal(calls.length, 2 + others.length);
  });

  test('do not count again where they set a cookie or say so, and neither do refusals', async () => {
    const answers: readonly Answer[] = [
      { headers: [['set-cookie', 's=1']] },
      { headers: [['cache-control', 'private, No-Store']] },
      { status: 401 },
      { status: 302 },
      { status: 500 },
    ];
    for (const answer of answers) {
      const { send, calls } = start({ cacheFor: '1m' }, () => answer);
      await send();
      await send();
      assert.equal(calls.length, 2, JSON.stringify(answer));
    }
  });

  test('belong to whom the consumers say now', async () => {
    const { send, env, calls } = start({ cacheFor: '1m', consumerHeader: 'x-user' }, () => user);
    assert.equal((await send()).exchange.consumer?.name, 'ann');
    env.consumers.replace([]);
    assert.equal((await send()).exchange.consumer, null);
    assert.equal(calls.length, 1);
  });
});
