/** WebSockets (RFC 6455) through the gateway: with a real implementation on both sides, and byte by byte. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type TestContext, describe, it } from 'node:test';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { settle } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type ProxySettings, TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, type UpstreamScript, ok } from '../support/raw-upstream.ts';
import { makeTlsFiles } from '../support/tls-files.ts';

/** An echo server, which also takes the subprotocol `echo`. */
async function echoServer(t: TestContext): Promise<string> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => 'echo' });
  server.on('connection', (socket) =>
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
  );
  await once(server, 'listening');
  t.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function open(t: TestContext, url: string, options: { readonly ca?: string } = {}): Promise<WebSocket> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), ['echo'], options);
  t.after(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

async function echo(socket: WebSocket, message: Buffer): Promise<Buffer> {
  const answered = once(socket, 'message') as Promise<[Buffer]>;
  socket.send(message);
  return (await answered)[0];
}

describe('a WebSocket', () => {
  it('echoes small messages, large ones and empty ones, and closes with its code', async (t) => {
    const gateway = await TestGateway.start(t, proxyTo(await echoServer(t)));
    const socket = await open(t, `${gateway.url()}/echo?a=b`);
    assert.equal(socket.protocol, 'echo');
    for (const size of [0, 1, 125, 126, 65_536, 2 ** 20]) {
      const message = randomBytes(size);
      assert.ok((await echo(socket, message)).equals(message), `${size} bytes`);
    }
    const closed = once(socket, 'close');
    socket.close(4321, 'bye');
    const [code] = await closed;
    assert.equal(code, 4321);
    const { status, bytesIn, bytesOut } = await gateway.observation();
    assert.equal(status, 101);
    assert.ok(bytesIn > 2 ** 20 && bytesOut > 2 ** 20);
  });

  it('works over TLS', async (t) => {
    const { cert, key, certPem } = makeTlsFiles(t);
    const gateway = await TestGateway.start(
      t,
      proxyTo(await echoServer(t), { listener: { tls: { certificates: [{ cert, key }] } } }),
    );
    const socket = await open(t, gateway.url(), { ca: certPem });
    const message = randomBytes(2 ** 20);
    assert.ok((await echo(socket, message)).equals(message));
  });

  it('is one of a thousand', async (t) => {
    const gateway = await TestGateway.start(t, proxyTo(await echoServer(t)));
    const sockets: WebSocket[] = [];
    for (let batch = 0; batch < 10; batch++) {
      sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => open(t, gateway.url())))));
    }
    const answers = await Promise.all(
      sockets.map(async (socket, i) => (await echo(socket, Buffer.from(`${i}`))).toString()),
    );
    assert.deepEqual(
      answers,
      sockets.map((_, i) => `${i}`),
    );
    for (const socket of sockets) socket.close();
    await gateway.observation(999);
    assert.ok(gateway.observations.every(({ status, code }) => status === 101 && code === null));
  });
});

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
const upgrade = `GET /socket HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-key: ${key}\r\nsec-websocket-version: 13\r\n\r\n`;
const switched = `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`;

/** Switches, then says what it is told to say at once; notes what comes. */
function switching(saying = ''): UpstreamScript {
  return {
    onRequest: ({ target }, connection) => {
      if (target !== '/socket') return ok();
      connection.switchProtocols();
      return switched + saying;
    },
  };
}

async function start(t: TestContext, script: UpstreamScript, settings: ProxySettings = {}) {
  const clock = new FakeClock();
  const upstream = await RawUpstream.start(t, script);
  const gateway = await TestGateway.start(
    t,
    proxyTo(upstream.url, { route: { timeouts: { idle: '60s', firstByte: '10s', total: '20s' } }, ...settings }),
    { clock },
  );
  const client = await RawClient.connect(t, gateway.address());
  return { clock, upstream, gateway, client };
}

/** Asks for a switch of protocols and waits for it; what follows stays in `received`. */
async function switchOver(client: RawClient, early = ''): Promise<void> {
  client.write(upgrade + early);
  const { status, fields } = await client.response();
  assert.deepEqual(
    [
      status,
      fieldValue(fields, 'upgrade'),
      fieldValue(fields, 'connection'),
      fieldValue(fields, 'sec-websocket-accept'),
    ],
    [101, 'websocket', 'upgrade', accept],
  );
}

describe('a tunnel', () => {
  it('asks the upstream for exactly what the client asked for', async (t) => {
    const { client, upstream } = await start(t, switching());
    await switchOver(client);
    const { fields } = upstream.requests[0];
    assert.deepEqual(
      ['connection', 'upgrade', 'sec-websocket-key', 'sec-websocket-version'].map((name) => fieldValue(fields, name)),
      ['upgrade', 'websocket', key, '13'],
    );
  });

  it('carries what the client sent before the switch, and what the upstream sent together with it', async (t) => {
    const { client, upstream } = await start(t, switching('from upstream'));
    await switchOver(client, 'from client');
    await client.until((received) => received === 'from upstream', 'what the upstream said');
    await upstream.until(() => upstream.bytes.endsWith('from client'), 'what the client said');
    client.write('\0\xff more');
    await upstream.until(() => upstream.bytes.endsWith('from client\0\xff more'), 'more');
  });

  it('is made on a connection that has served others, and that serves nobody afterwards', async (t) => {
    const { client, upstream, gateway } = await start(t, switching());
    await client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n').response();
    await switchOver(client);
    const other = await RawClient.connect(t, gateway.address());
    await other.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n').response();
    assert.deepEqual(
      upstream.connections.map(({ requests }) => requests.length),
      [2, 1],
    );
  });

  it('is not made when the upstream refuses; the connection goes on', async (t) => {
    const { client } = await start(t, {
      onRequest: ({ target }) =>
        target === '/socket' ? 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno' : ok(),
    });
    const response = await client.write(upgrade).response();
    assert.deepEqual([response.status, response.body], [403, 'no']);
    assert.equal((await client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n').response()).body, 'ok');
  });

  it('lasts for as long as either side says something within the idle time, and no longer', async (t) => {
    const { client, upstream, clock, gateway } = await start(t, switching());
    await switchOver(client);
    for (let i = 1; i <= 4; i++) {
      clock.advance(59_000);
      client.write('c');
      await upstream.until(() => upstream.bytes.endsWith('c'.repeat(i)), 'what the client said');
      clock.advance(59_000);
      upstream.connections[0].write('u');
      await client.until((received) => received === 'u'.repeat(i), 'what the upstream said');
    }
    clock.advance(60_100);
    await client.untilEnded();
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
    const { status, code, reason } = await gateway.observation();
    assert.deepEqual([status, code, reason], [101, 'UPSTREAM_TIMEOUT', 'the tunnel stood still']);
  });

  it('ends on both sides when either is reset, and the log says which', async (t) => {
    for (const side of ['client', 'upstream'] as const) {
      const { client, upstream, gateway } = await start(t, switching());
      await switchOver(client);
      if (side === 'client') client.reset();
      else upstream.connections[0].reset();
      await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
      if (side === 'upstream') await client.untilEnded();
      const { code, reason } = await gateway.observation();
      assert.deepEqual([code, reason], [side === 'client' ? 'CLIENT_CLOSED' : 'UPSTREAM_RESET', 'ECONNRESET']);
    }
  });

  it('delivers all that was said before a side finished', async (t) => {
    const { client, upstream } = await start(t, switching());
    await switchOver(client);
    const [connection] = upstream.connections;
    connection.end('x'.repeat(3_000_000));
    await client.until((received) => received.length === 3_000_000, 'everything');
    await client.untilEnded();
  });

  it('lets a client listen that has finished speaking', async (t) => {
    const { client, upstream } = await start(t, switching());
    await switchOver(client);
    client.write('last words').finish();
    await upstream.until(() => upstream.connections[0].ended, 'the end of what the client says');
    assert.ok(upstream.bytes.endsWith('last words'));
  });

  it('makes the faster side wait for the slower', async (t) => {
    for (const slow of ['client', 'upstream'] as const) {
      const { client, upstream } = await start(t, switching());
      await switchOver(client);
      const [fast, taker] =
        slow === 'client'
          ? [upstream.connections[0].socket, client.socket]
          : [client.socket, upstream.connections[0].socket];
      taker.pause();
      const flood = Buffer.alloc(64 * 2 ** 20);
      fast.write(flood);
      let left = -1;
      while (left !== fast.writableLength) {
        left = fast.writableLength;
        await settle();
      }
      assert.ok(left > 0, 'it does not get rid of everything');
      taker.resume();
      await once(fast, 'drain');
    }
  });
});
