/** What the access log says of exchanges, however they end. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import type { Policy } from '../../src/contract.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { asModules, fileOf, get, post } from './with-policies.ts';

interface Logged {
  readonly gateway: TestGateway;
  readonly clock: FakeClock;
  /** Stops the gateway and reads what it has logged. */
  readonly entries: () => Promise<Record<string, unknown>[]>;
}

/** A gateway with a log in a file, and a clock that stands still. */
async function startLogged(
  t: TestContext,
  url: string | readonly string[],
  policies: readonly Policy[] = [],
  route = {},
): Promise<Logged> {
  const folder = await mkdtemp(join(tmpdir(), 'gatewright-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'access.log');
  const clock = new FakeClock();
  const uses = policies.map((_, index) => ({ use: fileOf(index) }));
  const config = proxyTo(url, { route: { policies: ['requestId', ...uses], ...route } });
  config.telemetry = { accessLog: { file } };
  const gateway = await TestGateway.open(config, { clock, modules: asModules(policies) });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= gateway.gateway.stop(0));
  t.after(stop);
  const entries = async (): Promise<Record<string, unknown>[]> => {
    await stop();
    const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { gateway, clock, entries };
}

const nobody = 'http://127.0.0.1:1';

describe('the access log', () => {
  it('tells everything about a request that an upstream has answered', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest() {
        clock.advance(40);
        return ok('answer');
      },
    });
    const slow: Policy = {
      onRequest(exchange) {
        exchange.consumer = { name: 'mobile-app', groups: [] };
        clock.advance(10);
        return Promise.resolve();
      },
      onResponse: () => clock.advance(5),
    };
    const { gateway, clock, entries } = await startLogged(t, upstream.url, [slow]);
    const bytes = post('question', 'user-agent: test/1\r\n')
      .replace('POST /', 'POST /a/./b?q=1')
      .replace('localhost', 'API.example.com');
    await request(t, gateway.address(), bytes);
    await gateway.observation();
    const [entry] = await entries();
    assert.match(String(entry['requestId']), /^[0-9a-f-]{36}$/);
    assert.deepEqual(
      { ...entry, requestId: '' },
      {
        time: '2026-01-01T00:00:00.000Z',
        requestId: '',
        traceId: null,
        clientIp: '127.0.0.1',
        method: 'POST',
        host: 'api.example.com',
        path: '/a/b',
        query: 'q=1',
        route: 'all',
        consumer: 'mobile-app',
        upstream: 'service',
        target: upstream.url,
        status: 200,
        code: null,
        reason: null,
        cache: null,
        attempts: 1,
        bytesIn: 8,
        bytesOut: 6,
        durationMs: 55,
        upstreamMs: 40,
        protocol: 'HTTP/1.1',
        userAgent: 'test/1',
        thread: 0,
      },
    );
  });

  it('tells a reply of the gateway from a response of the upstream', async (t) => {
    const { gateway, entries } = await startLogged(t, nobody, [
      { onRequest: () => ({ status: 403, code: 'IP_DENIED', body: 'no' }) },
    ]);
    await request(t, gateway.address(), get('/x'));
    await gateway.observation();
    assert.partialDeepStrictEqual(await entries(), [
      {
        status: 403,
        code: 'IP_DENIED',
        reason: null,
        route: 'all',
        upstream: null,
        target: null,
        attempts: 0,
        bytesOut: 2,
        upstreamMs: null,
      },
    ]);
  });

  it('says why there was no response, and who should have given it', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: () => 'nonsense\r\n\r\n' });
    const { gateway, entries } = await startLogged(t, upstream.url);
    await request(t, gateway.address(), get());
    await gateway.observation();
    const [entry] = await entries();
    assert.partialDeepStrictEqual(entry, {
      status: 502,
      code: 'UPSTREAM_BAD_RESPONSE',
      upstream: 'service',
      target: upstream.url,
      attempts: 1,
      upstreamMs: null,
    });
    assert.match(String(entry['reason']), /./);
  });

  it('counts attempts and names the last target', async (t) => {
    const targets = [nobody, 'http://127.0.0.1:2'];
    const { gateway, entries } = await startLogged(t, targets);
    await request(t, gateway.address(), get());
    await gateway.observation();
    const [entry] = await entries();
    assert.partialDeepStrictEqual(entry, {
      code: 'UPSTREAM_UNREACHABLE',
      reason: 'ECONNREFUSED',
      attempts: 2,
      target: targets[1],
    });
  });

  it('has an entry for what no route matches, and for what is no request at all', async (t) => {
    const { gateway, entries } = await startLogged(t, nobody, [], { match: { path: '/only' } });
    for (const bytes of [
      get('/other'),
      'GET /\r\n\r\n',
      get('/%00'),
      'GET / HTTP/1.1\r\n\r\n',
      `GET /?${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`,
    ]) {
      await request(t, gateway.address(), bytes);
    }
    await gateway.observation(4);
    const found = await entries();
    assert.deepEqual(
      found.map(({ status, code, route }) => [status, code, route]),
      [
        [404, 'NO_ROUTE', null],
        [400, 'BAD_REQUEST', null],
        [400, 'BAD_PATH', null],
        [400, 'BAD_REQUEST', null],
        [414, 'TARGET_TOO_LONG', null],
      ],
    );
    assert.ok(found.slice(1).every(({ reason, attempts }) => typeof reason === 'string' && attempts === 0));
    assert.ok(found.every(({ clientIp }) => clientIp === '127.0.0.1'));
  });

  it('has a client that went away, with what it had got by then', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf',
    });
    const { gateway, entries } = await startLogged(t, upstream.url);
    const client = await RawClient.connect(t, gateway.address());
    client.write(get());
    await client.until((received) => received.endsWith('half'), 'the first half');
    client.reset();
    await gateway.observation();
    assert.partialDeepStrictEqual(await entries(), [
      { status: 200, code: 'CLIENT_CLOSED', reason: 'the client closed the connection', bytesOut: 4 },
    ]);
  });

  it('has a WebSocket once, when it is over, with the bytes of both directions', async (t) => {
    const { promise: switched, resolve } = Promise.withResolvers<void>();
    const upstream = await RawUpstream.start(t, {
      onRequest(_, connection) {
        clock.advance(20);
        connection.switchProtocols();
        connection.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
        resolve();
      },
    });
    const hooks: string[] = [];
    const policy: Policy = {
      onResponse: () => void hooks.push('response'),
      onFinish: (_, { status, bytesIn, bytesOut }) => void hooks.push(`finish ${status} ${bytesIn} ${bytesOut}`),
    };
    const { gateway, clock, entries } = await startLogged(t, upstream.url, [policy]);
    const client = await RawClient.connect(t, gateway.address());
    client.write(get('/', 'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n'));
    await switched;
    await client.until(
      (received) => received.startsWith('HTTP/1.1 101 ') && received.endsWith('\r\n\r\n'),
      'the switch',
    );
    client.write('hello');
    await upstream.until(() => upstream.bytes.endsWith('hello'), 'the bytes of the client');
    upstream.connections[0].write('good day');
    await client.until((received) => received.endsWith('good day'), 'the bytes of the upstream');
    clock.advance(1000);
    assert.deepEqual([gateway.observations, hooks], [[], []]);
    client.finish();
    upstream.connections[0].end();
    await gateway.observation();
    assert.deepEqual(hooks, ['finish 101 5 8'], 'a 101 is no final response');
    assert.partialDeepStrictEqual(await entries(), [
      {
        status: 101,
        code: null,
        attempts: 1,
        target: upstream.url,
        bytesIn: 5,
        bytesOut: 8,
        durationMs: 1020,
        upstreamMs: 20,
      },
    ]);
  });

  it('has what an upstream answers instead of switching as an ordinary response', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: () => ok('no') });
    const { gateway, entries } = await startLogged(t, upstream.url);
    const response = await request(t, gateway.address(), get('/', 'connection: upgrade\r\nupgrade: websocket\r\n'));
    assert.equal(response.body, 'no');
    await gateway.observation();
    assert.partialDeepStrictEqual(await entries(), [{ status: 200, bytesOut: 2 }]);
  });
});
