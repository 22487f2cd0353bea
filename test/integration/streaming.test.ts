/** Bodies that stream: without delay, and in bounded memory however slowly they are taken. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type RequestListener, createServer } from 'node:http';
import { type AddressInfo, type Socket, connect } from 'node:net';
import type { Readable } from 'node:stream';
import { type TestContext, describe, it } from 'node:test';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const mebibyte = 2 ** 20;

async function startUpstream(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('server-sent events', () => {
  it('arrive within 50 ms, each by itself', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n',
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write('GET /events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n');
    await client.until((received) => received.endsWith('\r\n\r\n'), 'the head, before any event');
    const delays: number[] = [];
    for (let i = 0; i < 50; i++) {
      const sentAt = performance.now();
      upstream.connections[0].write(`data: ${i}\n\n`);
      await client.until((received) => received.endsWith(`data: ${i}\n\n\r\n`), `event ${i}`);
      delays.push(performance.now() - sentAt);
    }
    // A busy machine may hold one or two up, but nothing that waits for a buffer or a timer could hide among fifty.
    const [median, slow] = [25, 45].map((rank) => delays.toSorted((a, b) => a - b)[rank]);
    assert.ok(median < 20 && slow < 50, `median ${median} ms, tenth slowest ${slow} ms`);
  });
});

describe('tiny chunks', () => {
  it('that come together leave together, in either direction', async (t) => {
    const chunks = '1\r\nx\r\n'.repeat(10_000);
    let reads = 0;
    const upstream = await RawUpstream.start(t, {
      onConnection: ({ socket }) => void socket.on('data', () => reads++),
      onRequest: () => `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`,
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    let clientReads = 0;
    client.socket.on('data', () => clientReads++);
    client.write(`POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`);
    assert.equal((await client.response()).body.length, 10_000);
    assert.equal(upstream.requests[0].body.length, 10_000);
    assert.ok(reads < 100 && clientReads < 100, `the upstream read ${reads} times, the client ${clientReads} times`);
  });
});

const total = 200 * mebibyte;

/** Takes everything that comes, a mebibyte at a time with rests, up to a number of bytes. */
async function takeSlowly(source: Readable, length: number): Promise<void> {
  let taken = 0;
  let sinceRest = 0;
  for await (const piece of source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    taken += piece.length;
    sinceRest += piece.length;
    if (taken >= length) return;
    if (sinceRest < mebibyte) continue;
    sinceRest = 0;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function dial(t: TestContext, gateway: GatewayProcess): Socket {
  const socket = connect(gateway.address as { host: string; port: number });
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  return socket;
}

/** Writes a number of bytes as fast as they are taken. */
async function pour(write: (piece: Buffer) => boolean, drained: () => Promise<unknown>, length: number): Promise<void> {
  const piece = Buffer.alloc(mebibyte, 'x');
  for (let left = length; left > 0; left -= piece.length) if (!write(piece)) await drained();
}

describe('memory', () => {
  it(`stays within 64 MiB while ${total / mebibyte} MiB stream to a slow client and to a slow upstream`, async (t) => {
    const upstream = await startUpstream(t, (request, response) => {
      if (request.method === 'GET') {
        response.setHeader('content-length', total);
        void pour(
          (piece) => response.write(piece),
          () => once(response, 'drain'),
          total,
        ).then(() => response.end());
      } else {
        void takeSlowly(request, total).then(() => response.end('taken'));
      }
    });
    const gateway = await GatewayProcess.start(t, proxyTo(upstream, { listener: { limits: { bodyBytes: '1GiB' } } }));
    const small = dial(t, gateway);
    small.write('GET /%00 HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await once(small, 'data');
    const before = await gateway.memory();

    const download = dial(t, gateway);
    download.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await takeSlowly(download, total);
    download.destroy();

    const upload = dial(t, gateway);
    upload.write(`PUT / HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${total}\r\n\r\n`);
    await pour(
      (piece) => upload.write(piece),
      () => once(upload, 'drain'),
      total,
    );
    const [answer] = (await once(upload, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 200 OK\r\n/);

    const { peak } = await gateway.memory();
    const growth = (peak - Math.max(before.rss, before.peak)) / mebibyte;
    assert.ok(growth < 64, `it grew by ${growth.toFixed(1)} MiB`);
  });

  it('stays bounded with a hundred clients that take nothing and a hundred uploads that nobody takes', async (t) => {
    const upstream = await startUpstream(t, (request, response) => {
      if (request.method === 'GET') {
        void pour(
          (piece) => response.write(piece),
          () => once(response, 'drain'),
          16 * mebibyte,
        );
      }
    });
    const gateway = await GatewayProcess.start(t, proxyTo(upstream));
    const before = await gateway.memory();
    const sockets = Array.from({ length: 200 }, () => dial(t, gateway));
    const full = Buffer.alloc(mebibyte);
    for (const [i, socket] of sockets.entries()) {
      socket.pause();
      if (i % 2 === 0) {
        socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
        continue;
      }
      socket.write('PUT / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n');
      for (let chunk = 0; chunk < 12; chunk++) {
        socket.write('100000\r\n');
        socket.write(full);
        socket.write('\r\n');
      }
    }
    // Until nothing moves any more.
    const moved = (): number =>
      sockets.reduce((sum, { bytesWritten, writableLength }) => sum + bytesWritten - writableLength, 0);
    for (let last = -1; last !== moved(); await new Promise((resolve) => setTimeout(resolve, 200))) last = moved();
    const { rss } = await gateway.memory();
    const growth = (rss - before.rss) / mebibyte;
    assert.ok(growth < 64, `it grew by ${growth.toFixed(1)} MiB`);
    assert.ok(gateway.isRunning && gateway.complaints === '');
  });
});
