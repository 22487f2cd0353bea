/** Every time-out of a listener and of a route, on a clock that the test turns. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import { settle } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type ProxySettings, TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, type UpstreamScript, ok } from '../support/raw-upstream.ts';

const get = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n';
const postHead = 'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n';

async function start(t: TestContext, script: UpstreamScript = {}, settings: ProxySettings = {}) {
  const clock = new FakeClock();
  const upstream = await RawUpstream.start(t, script);
  const listener = { timeouts: { head: '10s', bodyIdle: '30s', keepAlive: '60s' }, ...settings.listener };
  const route = { timeouts: { connect: '2s', firstByte: '20s', idle: '40s' }, ...settings.route };
  const gateway = await TestGateway.start(t, proxyTo(upstream.url, { listener, route }), { clock });
  const client = await RawClient.connect(t, gateway.address());
  return { clock, upstream, gateway, client };
}

/** Sends a piece and waits until it has arrived. */
async function parted(client: RawClient, piece: string): Promise<void> {
  client.write(piece);
  await settle();
}

/** Resolves once nothing more of what was written leaves, because everything on the way is full. */
async function standstill(socket: Socket): Promise<void> {
  for (let left = -1; left !== socket.bytesWritten - socket.writableLength; await settle()) {
    left = socket.bytesWritten - socket.writableLength;
  }
}

describe('a client', () => {
  it('that says nothing is closed without a word after the head time-out', async (t) => {
    const { clock, client, gateway } = await start(t);
    await settle();
    clock.advance(9_900);
    await settle();
    assert.equal(client.ended, false);
    clock.advance(200);
    assert.deepEqual(await client.transcript(), { responses: [], rest: '', wasReset: false });
    assert.deepEqual(gateway.observations, []);
  });

  it('whose head does not arrive whole is answered 408, however often it sends a piece', async (t) => {
    const { clock, client, gateway, upstream } = await start(t);
    await parted(client, 'GET / HTTP/1.1\r\n');
    for (let i = 0; i < 9; i++) {
      clock.advance(1_000);
      await parted(client, 'x: y\r\n');
    }
    assert.equal(client.received, '');
    clock.advance(1_100);
    const { responses } = await client.transcript();
    assert.deepEqual(
      responses.map(({ status, fields }) => [status, fieldValue(fields, 'connection')]),
      [[408, 'close']],
    );
    assert.equal((await gateway.observation()).code, 'REQUEST_TIMEOUT');
    assert.equal(upstream.connections.length, 0);
  });

  it('whose second head does not arrive whole is answered 408 as well', async (t) => {
    const { clock, client } = await start(t, { onRequest: () => ok() });
    await client.write(get).response();
    clock.advance(50_000);
    await parted(client, 'GET / HTTP/1.1\r\nx: ');
    clock.advance(9_900);
    await settle();
    assert.equal(client.ended, false, 'the time for the head begins with its first byte');
    clock.advance(200);
    assert.equal((await client.response()).status, 408);
  });

  it('that makes no other request is closed without a word after the keep-alive time-out', async (t) => {
    const { clock, client } = await start(t, { onRequest: () => ok() });
    await client.write(get).response();
    clock.advance(59_900);
    await settle();
    assert.equal(client.ended, false);
    clock.advance(200);
    assert.deepEqual(await client.transcript(), { responses: [], rest: '', wasReset: false });
  });

  it('whose body stands still is answered 408, and its connection to the upstream is cut', async (t) => {
    const { clock, client, gateway, upstream } = await start(t);
    client.write(postHead);
    await upstream.connection();
    for (let i = 0; i < 2; i++) {
      await parted(client, 'x');
      clock.advance(29_000);
    }
    assert.equal(client.received, '', 'every piece gives it more time');
    clock.advance(1_100);
    const { responses } = await client.transcript();
    assert.deepEqual(
      responses.map(({ status }) => status),
      [408],
    );
    assert.equal((await gateway.observation()).code, 'REQUEST_TIMEOUT');
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
    assert.equal(upstream.requests.length, 0);
  });

  it('whose body trickles is answered 408 after a minute, and later when it brings a KiB in 30 s', async (t) => {
    for (const [piece, seconds] of [
      ['x', 80],
      ['x'.repeat(256), 100],
    ] as const) {
      const { clock, client, gateway } = await start(t, { onRequest: () => ok() });
      client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n');
      await settle();
      let passed = 0;
      for (; client.received === '' && passed < 300; passed += 20) {
        await parted(client, piece);
        clock.advance(20_000);
        await settle();
      }
      assert.deepEqual([(await client.response()).status, passed], [408, seconds]);
      assert.equal((await gateway.observation()).reason, 'body too slow');
    }
    const { clock, client } = await start(t, { onRequest: () => ok() });
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20480\r\n\r\n');
    await settle();
    for (let i = 0; i < 20; i++) {
      await parted(client, 'x'.repeat(1024));
      clock.advance(29_000);
    }
    assert.equal((await client.response()).status, 200);
  });

  it('is not held responsible for the time that the upstream takes over its body', async (t) => {
    const length = 64 * 2 ** 20;
    const { clock, client, upstream, gateway } = await start(t, {}, { route: { timeouts: { idle: '1h' } } });
    client.write(`POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${length + 1}\r\n\r\n`);
    const { socket } = await upstream.connection();
    socket.pause();
    client.socket.write(Buffer.alloc(length));
    await standstill(client.socket);
    clock.advance(1_000_000);
    await settle();
    assert.deepEqual([client.received, gateway.observations.length], ['', 0]);
  });

  it('that does not read its response is cut after the body time-out', async (t) => {
    const length = 64 * 2 ** 20;
    const { clock, client, gateway, upstream } = await start(t, {
      onRequest: (_, connection) =>
        void connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`).write(Buffer.alloc(length)),
    });
    client.socket.pause();
    client.write(get);
    // The upstream is stopped once all buffers on the way are full.
    const { socket } = await upstream.connection();
    await standstill(socket);
    clock.advance(29_000);
    await settle();
    assert.deepEqual(gateway.observations, []);
    clock.advance(1_100);
    const { code, reason } = await gateway.observation();
    assert.deepEqual([code, reason], ['CLIENT_CLOSED', 'the client did not read its response']);
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
  });

  it('that has been answered with `close` and stays is cut', async (t) => {
    const { clock, client } = await start(t);
    await client.write('bad\r\n\r\n').untilEnded();
    clock.advance(2_100);
    await settle();
    client.write('x');
    await settle();
    client.write('x');
    await client.until(() => client.closed, 'the end of the connection');
  });
});

describe('an upstream', () => {
  const code = async (client: RawClient): Promise<unknown> => {
    const { status, body } = await client.response();
    return [status, (JSON.parse(body) as { code: string }).code];
  };

  it('that does not accept the connection is given up after `connect`', async (t) => {
    const clock = new FakeClock();
    // Reserved for documentation (RFC 5737); nothing answers there, or the network says at once that it is unreachable.
    const gateway = await TestGateway.start(
      t,
      proxyTo('http://192.0.2.1:9', { route: { timeouts: { connect: '2s' } } }),
      { clock },
    );
    const client = await RawClient.connect(t, gateway.address());
    await parted(client, get);
    clock.advance(2_100);
    const [status, reason] = (await code(client)) as [number, string];
    assert.ok(
      (status === 504 && reason === 'UPSTREAM_CONNECT_TIMEOUT') ||
        (status === 502 && reason === 'UPSTREAM_UNREACHABLE'),
    );
  });

  it('that does not begin to answer is given up after `firstByte`: 504', async (t) => {
    const { clock, client, upstream, gateway } = await start(t);
    client.write(get);
    await upstream.request();
    clock.advance(19_900);
    await settle();
    assert.equal(client.received, '');
    clock.advance(200);
    assert.deepEqual(await code(client), [504, 'UPSTREAM_TIMEOUT']);
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
    assert.equal((await gateway.observation()).attempts, 1);
    // The client's connection is in a known state.
    client.write(get);
    await upstream.request(1);
  });

  it('is given the time of `firstByte` from the end of the request, however long that took', async (t) => {
    const { clock, client, upstream } = await start(t);
    client.write(postHead);
    await upstream.until(() => upstream.bytes.endsWith('\r\n\r\n'), 'the head');
    clock.advance(25_000);
    client.write('0123456789');
    await upstream.request();
    clock.advance(19_900);
    await settle();
    assert.equal(client.received, '');
    clock.advance(200);
    assert.deepEqual(await code(client), [504, 'UPSTREAM_TIMEOUT']);
  });

  it('that sends its head in drops is given up after `firstByte`', async (t) => {
    const { clock, client, upstream } = await start(t);
    client.write(get);
    await upstream.request();
    for (let i = 0; i < 19; i++) {
      clock.advance(1_000);
      upstream.connections[0].write(i === 0 ? 'HTTP/1.1 200 OK\r\n' : 'x: y\r\n');
      await settle();
    }
    clock.advance(1_100);
    assert.deepEqual(await code(client), [504, 'UPSTREAM_TIMEOUT']);
  });

  it('that stands still in its body is given up after `idle`, visibly for the client', async (t) => {
    const { clock, client, upstream, gateway } = await start(t, {
      onRequest: () => 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n',
    });
    client.write(get);
    await client.until((received) => received.endsWith('\r\n\r\n'), 'the head');
    for (let i = 0; i < 3; i++) {
      clock.advance(39_000);
      upstream.connections[0].write('x');
      await client.until((received) => received.endsWith('x'.repeat(i + 1)), 'a piece');
    }
    clock.advance(40_100);
    const { responses, rest } = await client.transcript();
    assert.deepEqual([responses.length, rest.slice(-3)], [0, 'xxx']);
    assert.deepEqual((await gateway.observation()).code, 'UPSTREAM_TIMEOUT');
  });

  it('that does not take a request body is given up after `idle`', async (t) => {
    const { clock, client, upstream } = await start(t, { onConnection: ({ socket }) => void socket.pause() });
    client
      .write(`POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${64 * 2 ** 20}\r\n\r\n`)
      .write(Buffer.alloc(64 * 2 ** 20));
    await upstream.connection();
    await standstill(client.socket);
    clock.advance(39_000);
    await settle();
    assert.equal(client.received, '');
    clock.advance(1_100);
    assert.deepEqual(await code(client), [504, 'UPSTREAM_TIMEOUT']);
  });

  for (const [when, script] of [
    ['before the head', {}],
    ['in interim responses', { onRequest: () => 'HTTP/1.1 102 Processing\r\n\r\n' }],
  ] as const) {
    it(`that takes longer than \`total\` is given up ${when}: 504`, async (t) => {
      const { clock, client, upstream } = await start(t, script, { route: { timeouts: { total: '5s' } } });
      client.write(get);
      await upstream.request();
      await settle();
      clock.advance(5_100);
      assert.deepEqual(await code(client), [504, 'UPSTREAM_TIMEOUT']);
    });
  }

  it('that takes longer than `total` is given up in its body, although it sends', async (t) => {
    const { clock, client, upstream, gateway } = await start(
      t,
      { onRequest: () => 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n' },
      { route: { timeouts: { total: '5s' } } },
    );
    client.write(get);
    await upstream.request();
    for (let i = 1; i < 5; i++) {
      upstream.connections[0].write('1\r\nx\r\n');
      await client.until((received) => received.split('x').length > i, 'a piece');
      clock.advance(1_000);
    }
    assert.equal(client.ended, false);
    clock.advance(1_100);
    assert.equal((await client.transcript()).responses.length, 0);
    const { code: failed, reason } = await gateway.observation();
    assert.deepEqual([failed, reason], ['UPSTREAM_TIMEOUT', 'longer than `total`']);
  });

  it('is not given more than `total` for an upload either', async (t) => {
    const { clock, client, upstream } = await start(t, {}, { route: { timeouts: { total: '5s' } } });
    client.write(postHead);
    await upstream.connection();
    for (let i = 0; i < 5; i++) {
      await parted(client, 'x');
      clock.advance(1_000);
    }
    clock.advance(100);
    assert.deepEqual(await code(client), [504, 'UPSTREAM_TIMEOUT']);
  });

  it('loses a connection that nobody uses after the idle time of the pool', async (t) => {
    const clock = new FakeClock();
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { upstream: { connections: { idle: '5s' } } }), {
      clock,
    });
    const client = await RawClient.connect(t, gateway.address());
    for (let i = 0; i < 3; i++) {
      await client.write(get).response();
      clock.advance(4_900);
    }
    assert.equal(upstream.connections.length, 1, 'each use gives it more time');
    clock.advance(200);
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
    await client.write(get).response();
    assert.equal(upstream.connections.length, 2);
  });
});
