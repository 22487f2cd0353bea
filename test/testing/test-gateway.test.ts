import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, describe, it } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { createGateway } from '../../src/gateway/create-gateway.ts';
import { TestClock } from '../../src/testing/test-clock.ts';
import {
  ConfigError,
  type FakeAnswer,
  type TestGateway,
  type TestGatewayOptions,
  type UpstreamHandler,
  testGateway,
} from '../../src/testing/index.ts';

const upstreams = {
  app: { targets: ['http://127.0.0.1:3001', 'http://127.0.0.1:3002'] },
  other: { targets: ['http://127.0.0.1:3003'] },
};
const app: ConfigInput['routes'] = { app: { match: { path: '/*' }, upstream: 'app' } };

const open: TestGateway[] = [];
after(async () => {
  for (const gateway of open) await gateway.close();
});

async function start(config: ConfigInput, options?: TestGatewayOptions): Promise<TestGateway> {
  const gateway = await testGateway(config, options);
  open.push(gateway);
  return gateway;
}

/** The end of a promise, or null while there is none. */
function watch<T>(promise: Promise<T>): { value: T | null } {
  const state: { value: T | null } = { value: null };
  void promise.then((value) => (state.value = value));
  return state;
}

describe('a gateway for tests', () => {
  it('tells what the client got, which way it went, and what the upstream got', async () => {
    const gw = await start({
      upstreams,
      routes: {
        user: {
          match: { path: '/users/{id}' },
          rewrite: { path: '/v1/{id}', host: 'users.internal' },
          upstream: 'other',
        },
      },
    });
    const response = await gw.request('POST', 'http://api.example.com/users/7?a=%20b', {
      headers: { 'X-Own': ['1', '2'], cookie: 'a=b' },
      body: 'hällo',
    });
    const { status, route, upstream, target, code, attempts, clientIp, upstreamRequest } = response;
    assert.deepEqual(
      { status, route, upstream, target, code, attempts, clientIp },
      {
        status: 200,
        route: 'user',
        upstream: 'other',
        target: 'http://127.0.0.1:3003',
        code: null,
        attempts: 1,
        clientIp: '127.0.0.1',
      },
    );
    assert.ok(upstreamRequest);
    assert.equal(upstreamRequest.method, 'POST');
    assert.equal(upstreamRequest.path, '/v1/7?a=%20b');
    assert.equal(upstreamRequest.body, 'hällo');
    assert.equal(upstreamRequest.headers['host'], 'users.internal');
    assert.equal(upstreamRequest.headers['x-forwarded-host'], 'api.example.com');
    assert.deepEqual(
      upstreamRequest.rawHeaders.filter(([name]) => /^x-own$/i.test(name)),
      [
        ['X-Own', '1'],
        ['X-Own', '2'],
      ],
    );
    const { rawHeaders: _, ...echo } = upstreamRequest;
    assert.deepEqual(response.json(), echo);
  });

  it('refuses a configuration with errors, with all of them', async () => {
    const broken = { routes: { a: { upstream: 'nobody' }, b: { match: { path: 'b' }, respond: {} } } };
    await assert.rejects(testGateway(broken), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(
        error.problems.map(({ code }) => code),
        ['BAD_VALUE', 'UNKNOWN_UPSTREAM'],
      );
      return true;
    });
    await assert.rejects(testGateway('/no/such/gateway.yaml'), /FILE {2}the configuration cannot be read/);
  });

  it('sends paths as they are written', async () => {
    const gw = await start({ upstreams, routes: { files: { match: { path: '/files/*' }, upstream: 'app' } } });
    assert.equal((await gw.request('GET', 'http://x/a/../files/%7euser')).upstreamRequest?.path, '/files/~user');
    assert.equal((await gw.request('GET', 'http://x/files/a%2fb')).code, 'BAD_PATH');
    assert.equal((await gw.request('GET', 'http://x?a=b')).code, 'NO_ROUTE');
    await assert.rejects(gw.request('GET', '/files/a'), /is not a URL such as/);
    await assert.rejects(gw.request('GET', 'http://x/a b'), /is not a URL such as/);
  });

  it('takes variables and files that only the test has', async () => {
    const text = { route: { respond: { body: '${env:GREETING} ${file:./secret.txt}' } } };
    const gw = await start({ routes: text }, { env: { GREETING: 'hello' }, files: { './secret.txt': 'you\n' } });
    assert.equal((await gw.request('GET', 'http://x/')).body, 'hello you');
  });

  it('lets bodies of megabytes through in both directions', async () => {
    const gw = await start({ upstreams, routes: app }, { upstreams: { app: ({ body }) => ({ body: body + body }) } });
    const body = 'abcdefgh'.repeat(300_000);
    const response = await gw.request('POST', 'http://x/', { body });
    assert.equal(response.body, body + body);
  });

  it('keeps apart what upstreams got for requests at the same time', async () => {
    const gw = await start({ upstreams, routes: app }, { upstreams: { app: { delay: '1s' } } });
    const pending = ['a', 'b', 'c'].map((path) => gw.request('GET', `http://x/${path}`));
    await gw.clock.advance('1s');
    const paths = (await Promise.all(pending)).map(({ upstreamRequests }) => upstreamRequests.map(({ path }) => path));
    assert.deepEqual(paths, [['/a'], ['/b'], ['/c']]);
    assert.deepEqual(
      gw.upstreamRequests.map(({ path }) => path),
      ['/a', '/b', '/c'],
    );
  });

  it('tells what the gateway logs of a policy that fails', async () => {
    const gw = await start({
      upstreams,
      routes: { a: { policies: [{ use: './test/support/failing-policy.ts' }], upstream: 'app' } },
    });
    assert.equal((await gw.request('GET', 'http://x/')).code, 'POLICY_FAILED');
    assert.deepEqual(
      gw.log.map(({ level, message, about }) => [level, message, String(about['error'])]),
      [['error', 'a policy failed', 'Error: on purpose']],
    );
  });

  it('lets go of everything when it is closed', async () => {
    const gw = await start({ upstreams, routes: app }, { upstreams: { other: 'hang', app: 'hang' } });
    const pending = gw.request('GET', 'http://x/');
    await gw.clock.advance('1s');
    const rejected = assert.rejects(pending, /no response/);
    await gw.close();
    await rejected;
    assert.ok(gw.clock instanceof TestClock);
    await gw.clock.advance('1s');
    assert.equal(gw.clock.source.running, 0);
  });
});

describe('the upstreams of a gateway for tests', () => {
  for (const [answer, code, passedMs, attempts] of [
    ['refuse', 'UPSTREAM_UNREACHABLE', 0, 2],
    ['unreachable', 'UPSTREAM_CONNECT_TIMEOUT', 4_000, 2],
    ['reset', 'UPSTREAM_RESET', 0, 1],
    ['hang', 'UPSTREAM_TIMEOUT', 5_000, 1],
  ] as const) {
    it(`can ${answer}, on new connections and on those that there are`, async () => {
      const defaults = { timeouts: { connect: '2s', firstByte: '5s' } };
      const gw = await start({ upstreams, defaults, routes: app }, { upstreams: { app: answer } });
      for (const warm of [false, true]) {
        gw.answerWith('app', warm ? undefined : answer);
        if (warm) assert.equal((await gw.request('GET', 'http://x/')).status, 200);
        gw.answerWith('app', answer);
        const before = gw.clock.now();
        const response = await gw.request('GET', 'http://x/', { passTime: true });
        assert.equal(response.code, code);
        const passed = gw.clock.now() - before;
        assert.ok(passed >= passedMs && passed <= passedMs + 100, `${passed} ms have passed`);
        if (!warm) assert.equal(response.attempts, attempts);
      }
    });
  }

  it('can differ by target, so that one stands in for another', async () => {
    const gw = await start({ upstreams, routes: app }, { upstreams: { 'http://127.0.0.1:3001': 'refuse' } });
    for (let i = 0; i < 4; i++) {
      const { status, target } = await gw.request('GET', 'http://x/');
      assert.deepEqual([status, target], [200, 'http://127.0.0.1:3002']);
    }
    assert.throws(() => gw.answerWith('http://127.0.0.1:3009', 'refuse'), /there is no upstream or target/);
  });

  it('answer as they are told, at the time they are told to', async () => {
    const gw = await start({ upstreams, routes: app });
    gw.answerWith('app', { status: 201, headers: { 'x-a': ['1', '2'] }, body: { id: 7 }, delay: '3s' });
    const response = gw.request('GET', 'http://x/');
    const state = watch(response);
    await gw.clock.advance('2999ms');
    assert.equal(state.value, null);
    await gw.clock.advance('1ms');
    const { status, headers, json } = await response;
    assert.equal(status, 201);
    assert.equal(headers['x-a'], '1, 2');
    assert.equal(headers['content-type'], 'application/json');
    assert.deepEqual(json(), { id: 7 });
  });

  it('hang until the test lets time pass', async () => {
    const gw = await start({ upstreams, defaults: { timeouts: { firstByte: '2h' } }, routes: app });
    gw.answerWith('app', () => 'hang');
    const response = gw.request('GET', 'http://x/');
    const state = watch(response);
    await gw.clock.advance('1h');
    assert.equal(state.value, null);
    await gw.clock.advance(3_600_050);
    assert.equal((await response).code, 'UPSTREAM_TIMEOUT');
  });

  it('fail the request whose answer they could not work out', async () => {
    const gw = await start({ upstreams, routes: app });
    gw.answerWith('app', ({ path }) => {
      assert.equal(path, '/b');
      return {};
    });
    await assert.rejects(gw.request('GET', 'http://x/a'), assert.AssertionError);
    assert.equal((await gw.request('GET', 'http://x/b')).status, 200);
  });

  it('fail the request that was given no response that can be sent', async () => {
    const gw = await start({ upstreams, routes: app });
    for (const [given, error] of [
      [{ headers: { 'content-length': '5' }, body: 'longer' }, /content-length/i],
      [{ headers: { 'x-a': 'a\r\nb' } }, /x-a/],
      [{ status: 99 }, /99/],
      [{ delay: '10' }, /10 is not a duration/],
      [{ delay: '1s', headers: { 'not a name': '' } }, /not a name/],
    ] as const) {
      gw.answerWith('app', given);
      await assert.rejects(gw.request('GET', 'http://x/', { passTime: true }), error);
    }
  });
});

describe('the listener of a request in a test', () => {
  const tls = { certificates: [{ cert: './not-there.pem', key: './not-there.key' }] };
  const respond = (name: string) => ({ match: { listener: name }, respond: { body: name } });
  const config: ConfigInput = {
    listeners: {
      web: { port: 80 },
      local: { port: 8081, trustedProxies: ['10.0.0.0/8'] },
      secure: { port: 443, tls },
      partners: { port: 8443, tls },
    },
    routes: {
      web: respond('web'),
      local: respond('local'),
      secure: respond('secure'),
      partners: respond('partners'),
    },
  };

  it('is told from scheme and port, or named; certificates are not needed', async () => {
    const gw = await start(config);
    const asked = async (url: string, listener?: string): Promise<string> =>
      (await gw.request('GET', url, { listener })).body;
    assert.equal(await asked('http://x/'), 'web');
    assert.equal(await asked('http://x:8081/'), 'local');
    assert.equal(await asked('https://x/'), 'secure');
    assert.equal(await asked('https://x:8443/'), 'partners');
    assert.equal(await asked('https://x:9999/', 'partners'), 'partners');
    await assert.rejects(asked('http://x:9999/'), /several listeners could be meant.*: web, local/);
    await assert.rejects(asked('http://x/', 'secure'), /the listener secure does not serve http$/);
    await assert.rejects(asked('http://x/', 'secret'), /there is no listener secret/);
    const plain = await start({ routes: { a: { respond: {} } } });
    assert.equal((await plain.request('GET', 'http://anything:1/')).status, 200);
    await assert.rejects(plain.request('GET', 'https://x/'), /no listener serves https/);
  });

  it('tells upstreams that clients came by https', async () => {
    const gw = await start({ listeners: { s: { tls } }, upstreams, routes: app });
    const { upstreamRequest } = await gw.request('GET', 'https://x/');
    assert.equal(upstreamRequest?.headers['x-forwarded-proto'], 'https');
  });

  it('sees the address that the client calls from, and those that trusted proxies name', async () => {
    const gw = await start({
      ...config,
      routes: { a: { policies: [{ ipFilter: { allow: ['203.0.113.0/24'] } }], respond: {} } },
    });
    const forwarded = { headers: { 'x-forwarded-for': '203.0.113.9' } };
    for (const [from, url, more, status] of [
      ['203.0.113.7', 'http://x/', {}, 200],
      ['198.51.100.1', 'http://x/', {}, 403],
      ['198.51.100.1', 'http://x:8081/', forwarded, 403],
      ['10.1.2.3', 'http://x:8081/', forwarded, 200],
    ] as const) {
      assert.equal((await gw.request('GET', url, { from, ...more })).status, status, `${from} ${url}`);
    }
  });

  it('may have the PROXY protocol in front, or be a Unix socket', async () => {
    const gw = await start({
      listeners: { proxied: { proxyProtocol: true }, local: { unix: './gateway.sock' } },
      routes: { a: { respond: {} } },
    });
    for (const from of ['203.0.113.7', '2001:db8::7']) {
      const { clientIp } = await gw.request('GET', 'http://x/', { listener: 'proxied', from });
      assert.equal(clientIp, from);
    }
    assert.equal((await gw.request('GET', 'http://x/', { listener: 'local' })).clientIp, null);
  });
});

it('a gateway for tests answers as the same gateway on sockets does', async (t) => {
  const service = createServer((request, response) => {
    response.sendDate = false;
    request.resume().on('end', () => response.setHeader('x-path', request.url ?? '').end('from the service'));
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  t.after(() => service.close());
  const address = service.address();
  assert.ok(address !== null && typeof address === 'object');
  const config: ConfigInput = {
    listeners: { web: { host: '127.0.0.1', port: 0 } },
    telemetry: { accessLog: false },
    upstreams: { app: { targets: [`http://127.0.0.1:${address.port}`] } },
    defaults: { policies: ['securityHeaders'] },
    routes: {
      app: { match: { path: '/app/*' }, rewrite: { path: '/v1/{*}' }, upstream: 'app' },
      gone: { match: { path: '/gone' }, redirect: { to: '/app/x?y={path}' } },
      small: { match: { path: '/small', methods: ['POST'] }, policies: [{ bodyLimit: { max: '10B' } }], respond: {} },
    },
  };
  const onSockets = await createGateway(config);
  const [{ url }] = await onSockets.start();
  t.after(() => onSockets.stop(0));
  const inMemory = await start(config, {
    upstreams: { app: ({ path }) => ({ headers: { 'x-path': path }, body: 'from the service' }) },
  });
  for (const [method, path, body] of [
    ['GET', '/app/a?b=c', undefined],
    ['POST', '/app/a', 'body'],
    ['DELETE', '/app/%2e%2e/gone', undefined],
    ['GET', '/gone', undefined],
    ['GET', '/small', undefined],
    ['POST', '/small', 'too large a body'],
    ['GET', '/nothing', undefined],
    ['GET', '/app/a%00', undefined],
  ] as const) {
    const real = await fetch(url + path, { method, redirect: 'manual', ...(body !== undefined && { body }) });
    const fake = await inMemory.request(method, url + path, body === undefined ? {} : { body });
    const comparable = (headers: Iterable<readonly [string, string]>): object =>
      Object.fromEntries([...headers].filter(([name]) => !['date', 'connection', 'keep-alive'].includes(name)));
    assert.equal(fake.status, real.status, `${method} ${path}`);
    assert.equal(fake.body, await real.text(), `${method} ${path}`);
    assert.deepEqual(comparable(Object.entries(fake.headers)), comparable(real.headers), `${method} ${path}`);
  }
});

describe('what the gateway asks on its own behalf', () => {
  const url = 'https://issuer.example/ask';
  const policies = [{ use: './test/support/asking-policy.ts', options: { url } }];

  async function ask(answer: FakeAnswer | UpstreamHandler | undefined): Promise<[number, string, TestGateway]> {
    const gateway = await start(
      { upstreams, routes: { app: { policies, upstream: 'app' } } },
      answer === undefined ? {} : { upstreams: { [url]: answer } },
    );
    const { status, body } = await gateway.request('GET', 'http://a.example/x', { passTime: true });
    return [status, body, gateway];
  }

  it('is answered by the test, and noted', async () => {
    const [status, body, gateway] = await ask(({ path, headers }) => ({
      status: 203,
      body: `${path} ${headers['host']}`,
    }));
    assert.deepEqual([status, body], [203, '/ask?about=/x issuer.example']);
    assert.deepEqual(
      gateway.calls.map(({ method, target, path }) => [method, target, path]),
      [['GET', 'https://issuer.example', '/ask?about=/x']],
    );
    assert.equal(gateway.upstreamRequests.length, 0);
    gateway.answerWith(url, { status: 204 });
    assert.equal((await gateway.request('GET', 'http://a.example/x')).status, 204);
  });

  it('never goes to the network, and fails as it is told to', async () => {
    assert.deepEqual((await ask(undefined)).slice(0, 2), [
      503,
      'https://issuer.example: cannot be reached: the test has no answer for it',
    ]);
    for (const [failure, message] of [
      ['refuse', 'cannot be reached: ECONNREFUSED'],
      ['reset', 'broke off: ECONNRESET'],
      ['hang', 'no answer within 2000 ms'],
      ['unreachable', 'no answer within 2000 ms'],
    ] as const) {
      assert.deepEqual((await ask(failure)).slice(0, 2), [503, `https://issuer.example: ${message}`], failure);
    }
  });
});
