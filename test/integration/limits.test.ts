/** The limits of a listener, each with the status that tells of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually, settle } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

const get = (target = '/', fields = ''): string => `GET ${target} HTTP/1.1\r\nhost: localhost\r\n${fields}\r\n`;

/** A request head of exactly this many bytes. */
function headOf(bytes: number): string {
  const rest = get('/', 'x: \r\n').length;
  return get('/', `x: ${'y'.repeat(bytes - rest)}\r\n`);
}

const limits = { headBytes: '2KiB', targetBytes: '1KiB', headers: 10, bodyBytes: '100KiB' };

async function start(t: Parameters<typeof RawUpstream.start>[0]) {
  const upstream = await RawUpstream.start(t);
  const gateway = await TestGateway.start(t, proxyTo(upstream.url, { listener: { limits } }));
  const status = async (bytes: string): Promise<number> => (await request(t, gateway.address(), bytes)).status;
  return { upstream, gateway, status };
}

describe('a request', () => {
  it('may have a head of headBytes; beyond that it is answered 431', async (t) => {
    const { status, upstream } = await start(t);
    assert.deepEqual(
      [await status(headOf(2048)), await status(headOf(2049)), await status(headOf(200_000))],
      [200, 431, 431],
    );
    assert.equal(upstream.requests.length, 1);
  });

  it('is answered 431 before its head is complete, once that is too long', async (t) => {
    const { gateway } = await start(t);
    for (const endless of [`GET / HTTP/1.1\r\nx: ${'y'.repeat(3000)}`, `GET / HTTP/1.1\r\n${'y'.repeat(3000)}`]) {
      const client = await RawClient.connect(t, gateway.address());
      assert.equal((await client.write(endless).response()).status, 431);
    }
  });

  it('may have a target of targetBytes; beyond that it is answered 414', async (t) => {
    const { status } = await start(t);
    const target = (bytes: number): string => `/${'a'.repeat(bytes - 1)}`;
    assert.deepEqual(
      [await status(get(target(1024))), await status(get(target(1025))), await status(get(target(100_000)))],
      [200, 414, 414],
    );
    assert.equal(await status(`GET ${target(5000)}`), 414);
  });

  it('may have as many headers as the limit says, those that are dropped included; beyond that it is answered 431', async (t) => {
    const { status } = await start(t);
    assert.deepEqual(
      [await status(get('/', 'x: y\r\n'.repeat(9))), await status(get('/', 'x: y\r\n'.repeat(10)))],
      [200, 431],
    );
    assert.equal(await status(get('/', 'x_z: y\r\n'.repeat(10))), 431);
  });

  it('may have a body of bodyBytes; beyond that it is answered 413, at once if it says so', async (t) => {
    const { status, upstream } = await start(t);
    const post = (length: number, sent: number): string =>
      `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${length}\r\n\r\n${'x'.repeat(sent)}`;
    assert.deepEqual([await status(post(102_400, 102_400)), await status(post(102_401, 0))], [200, 413]);
    assert.equal(upstream.requests.length, 1);
  });

  it('with a body in chunks is answered 413 as soon as there is too much of it, and its connection to the upstream is cut', async (t) => {
    const { gateway, upstream } = await start(t);
    const client = await RawClient.connect(t, gateway.address());
    const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`;
    client.write(`POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(26)}`);
    assert.equal((await client.response()).status, 413);
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
    assert.equal(upstream.requests.length, 0);
  });

  it('is cut off when its body grows too large after the response has begun', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onHead: (_, connection) => void connection.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello'),
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { listener: { limits: { bodyBytes: '10B' } } }));
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n');
    await client.until((received) => received.endsWith('hello'), 'the first half');
    client.write('b\r\nhello world\r\n');
    assert.equal((await client.transcript()).responses.length, 0);
    assert.equal((await gateway.observation()).code, 'BODY_TOO_LARGE');
  });

  it('costs little, whatever it packs into its head', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const cost = async (fields: string): Promise<number> => {
      const begun = process.cpuUsage();
      for (let i = 0; i < 20; i++) await request(t, gateway.address(), get('/', fields));
      const { user, system } = process.cpuUsage(begun);
      return (user + system) / 20;
    };
    const plain = `x: ${'y'.repeat(30_000)}\r\n`;
    await cost(plain);
    const expected = await cost(plain);
    for (const fields of [
      `connection: ${'a,'.repeat(15_000)}\r\n`,
      `connection: ${Array.from({ length: 4000 }, (_, i) => `h${i}`).join()}\r\n`,
      `te: ${',\t'.repeat(15_000)}\r\n`,
      `transfer-encoding: ${'a ,'.repeat(10_000)}\r\n`,
      `cookie: ${'a=b;'.repeat(7500)}\r\n`,
      'a_b: c\r\n'.repeat(3700),
    ]) {
      const found = await cost(fields);
      assert.ok(
        found < expected * 4 + 10_000,
        `${found} µs for ${fields.slice(0, 40)}…, ${expected} µs for a plain head of that size`,
      );
    }
  });
});

describe('requests that are sent ahead', () => {
  it('wait while the client does not read what it is answered, and are served when it does', async (t) => {
    const body = 'x'.repeat(2000);
    const gateway = await TestGateway.start(t, {
      ...proxyTo('http://127.0.0.1:1'),
      routes: { all: { respond: { body } } },
    });
    const client = await RawClient.connect(t, gateway.address());
    const count = 20_000;
    client.socket.pause();
    client.write(get().repeat(count));
    let served = -1;
    while (served !== gateway.observations.length) {
      served = gateway.observations.length;
      await settle();
    }
    // What the kernel takes on loopback, about 6 MiB, and 256 KiB that wait in the gateway.
    assert.ok(served > 0 && served < count / 2, `${served} were served`);
    let bytes = 0;
    client.socket.on('data', (piece: Buffer) => (bytes += piece.length));
    client.socket.resume();
    await eventually(() => bytes >= count * body.length, 'all answers');
    assert.equal(gateway.observations.length, count);
  });
});

describe('a listener', () => {
  it('answers connections beyond its limit 503, and serves again when others have gone', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { listener: { limits: { connections: 2 } } }));
    const first = await RawClient.connect(t, gateway.address());
    assert.equal((await first.write(get()).response()).status, 200);
    const second = await RawClient.connect(t, gateway.address());
    assert.equal((await second.write(get()).response()).status, 200);

    const third = await RawClient.connect(t, gateway.address());
    const { responses } = await third.write(get()).transcript();
    assert.deepEqual(
      responses.map(({ status, body }) => [status, JSON.parse(body).code]),
      [[503, 'TOO_MANY_CONNECTIONS']],
    );

    first.destroy();
    third.destroy();
    const isServed = async (): Promise<boolean> => {
      const next = await RawClient.connect(t, gateway.address());
      const { status } = await next.write(get()).response();
      next.destroy();
      return status === 200;
    };
    await eventually(isServed, 'a place for another connection');
    assert.equal((await second.write(get()).response()).status, 200, 'those that are there are not disturbed');
  });

  it('does not count those that it turned away, though they have not gone yet', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { listener: { limits: { connections: 1 } } }));
    const first = await RawClient.connect(t, gateway.address());
    assert.equal((await first.write(get()).response()).status, 200);
    const away = await RawClient.connect(t, gateway.address());
    assert.equal((await away.write(get()).transcript()).responses[0].status, 503);
    first.destroy();
    const isServed = async (): Promise<boolean> => {
      const next = await RawClient.connect(t, gateway.address());
      const { status } = await next.write(get()).response();
      return status === 200;
    };
    await eventually(isServed, 'the place that the first has left');
    assert.equal(away.socket.writableEnded, false, 'it is still there');
  });

  it('does not let those that it turned away keep their connections', async (t) => {
    const clock = new FakeClock();
    const gateway = await TestGateway.start(
      t,
      proxyTo('http://127.0.0.1:1', { listener: { limits: { connections: 1 } } }),
      { clock },
    );
    const first = await RawClient.connect(t, gateway.address());
    const lingering = await RawClient.connect(t, gateway.address());
    await lingering.untilEnded();
    assert.equal(lingering.closed, false, 'the client has not closed its side');
    clock.advance(10_000);
    // Writing to a connection that the gateway has destroyed is answered with a reset.
    await eventually(() => lingering.write('x').closed, 'the end of the connection');
    first.destroy();
  });
});

describe('a response of an upstream', () => {
  it('may not have too large a head, nor too many headers', async (t) => {
    for (const reply of [
      ok('ok', `x: ${'y'.repeat(65_536)}\r\n`),
      ok('ok', 'x: y\r\n'.repeat(201)),
      `HTTP/1.1 200 ${'a'.repeat(70_000)}`,
      `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}`,
    ]) {
      const upstream = await RawUpstream.start(t, { onRequest: () => reply });
      const gateway = await TestGateway.start(t, proxyTo(upstream.url));
      const response = await request(t, gateway.address(), get());
      assert.deepEqual([response.status, JSON.parse(response.body).code], [502, 'UPSTREAM_BAD_RESPONSE']);
      await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
    }
  });
});
