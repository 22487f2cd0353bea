/** Upstreams that refuse, reset, hang up, talk nonsense or talk too early: what the client gets, and what becomes of the connection. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import { settle } from '../support/changes.ts';
import { type ProxySettings, TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, type UpstreamPeer, type UpstreamScript, ok } from '../support/raw-upstream.ts';

const get = (path = '/'): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
const message = (method: string, body = '', path = '/'): string =>
  `${method} ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

async function start(t: TestContext, script: UpstreamScript, settings: ProxySettings = {}) {
  const upstream = await RawUpstream.start(t, script);
  const gateway = await TestGateway.start(t, proxyTo(upstream.url, settings));
  const client = await RawClient.connect(t, gateway.address());
  return { upstream, gateway, client };
}

/** The URL of a port on which nobody listens. */
async function deadUrl(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await once(server.close(), 'close');
  return `http://127.0.0.1:${port}`;
}

/** Status and code of a failure. */
async function failure(client: RawClient): Promise<readonly [number, string]> {
  const { status, body, fields } = await client.response();
  assert.equal(fieldValue(fields, 'content-type'), 'application/problem+json');
  return [status, (JSON.parse(body) as { code: string }).code];
}

describe('an upstream that fails before its response', () => {
  const faults: readonly (readonly [fault: string, act: (connection: UpstreamPeer) => void, code: string])[] = [
    ['closes', (connection) => connection.end(), 'UPSTREAM_RESET'],
    ['resets', (connection) => connection.reset(), 'UPSTREAM_RESET'],
    ['closes in its status line', (connection) => connection.end('HTTP/1.1 20'), 'UPSTREAM_RESET'],
    [
      'closes in its head',
      (connection) => connection.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n'),
      'UPSTREAM_RESET',
    ],
    [
      'closes behind an interim response',
      (connection) => connection.end('HTTP/1.1 103 Early Hints\r\n\r\n'),
      'UPSTREAM_RESET',
    ],
    ['sends garbage', (connection) => connection.write('\x16\x03\x01\x02\0garbage\r\n\r\n'), 'UPSTREAM_BAD_RESPONSE'],
    ['greets as if for SSH', (connection) => connection.write('SSH-2.0-OpenSSH_9.2\r\n'), 'UPSTREAM_BAD_RESPONSE'],
    ['answers with a request', (connection) => connection.write(get()), 'UPSTREAM_BAD_RESPONSE'],
    [
      'sends two lengths',
      (connection) => connection.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok'),
      'UPSTREAM_BAD_RESPONSE',
    ],
    [
      'sends a length and chunks',
      (connection) =>
        connection.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
      'UPSTREAM_BAD_RESPONSE',
    ],
    [
      'switches protocols unasked',
      (connection) => connection.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n'),
      'UPSTREAM_BAD_RESPONSE',
    ],
    [
      'sends interim responses without end',
      (connection) => connection.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(1000)),
      'UPSTREAM_BAD_RESPONSE',
    ],
  ];
  for (const [fault, act, code] of faults) {
    it(`and ${fault} is a 502 ${code}; the client's connection goes on`, async (t) => {
      const { upstream, client, gateway } = await start(t, {
        onRequest: ({ target }, connection) => (target === '/' ? act(connection) : ok()),
      });
      assert.deepEqual(await failure(client.write(get())), [502, code]);
      assert.notEqual((await gateway.observation()).reason, '', 'the log says why');
      await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
      assert.equal((await client.write(get('/next')).response()).body, 'ok');
      assert.equal(upstream.connections.length, 2, 'the connection was not used again');
      assert.deepEqual(
        upstream.requests.map(({ target }) => target),
        ['/', '/next'],
      );
    });
  }

  it('and refuses the connection is a 502 UPSTREAM_UNREACHABLE', async (t) => {
    const gateway = await TestGateway.start(t, proxyTo(await deadUrl()));
    const client = await RawClient.connect(t, gateway.address());
    for (const bytes of [get(), message('POST', 'hello')]) {
      assert.deepEqual(await failure(client.write(bytes)), [502, 'UPSTREAM_UNREACHABLE']);
    }
  });

  it('and whose name does not exist is a 502 UPSTREAM_UNREACHABLE', async (t) => {
    const gateway = await TestGateway.start(t, proxyTo('http://nowhere.invalid'));
    const client = await RawClient.connect(t, gateway.address());
    assert.deepEqual(await failure(client.write(get())), [502, 'UPSTREAM_UNREACHABLE']);
  });
});

describe('an upstream that fails in its response', () => {
  const faults: readonly (readonly [fault: string, reply: string, end: 'close' | 'reset' | 'stay'])[] = [
    ['closes in a body with a length', 'HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhello', 'close'],
    ['resets in a body with a length', 'HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhello', 'reset'],
    ['closes in a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n20\r\nhello', 'close'],
    ['closes between chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n', 'close'],
    [
      'closes in the trailers',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-t: 1\r\n',
      'close',
    ],
    ['resets between chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n', 'reset'],
    ['resets in a body without a length', 'HTTP/1.1 200 OK\r\n\r\nhello', 'reset'],
    ['sends a bad chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n', 'stay'],
    [
      'sends a bad trailer',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx : 1\r\n\r\n',
      'stay',
    ],
  ];
  for (const [fault, reply, end] of faults) {
    for (const version of ['1.1', '1.0']) {
      it(`and ${fault} is not taken for complete by a client of HTTP/${version}`, async (t) => {
        const { upstream, gateway, client } = await start(t, {
          onRequest: (_, connection) => void connection.write(reply),
        });
        client.write(`GET / HTTP/${version}\r\nhost: localhost\r\n\r\n`);
        if (end !== 'stay') {
          await client.until((received) => received.includes('hello'), 'what there is of the body');
          if (end === 'close') upstream.connections[0].end();
          else upstream.connections[0].reset();
        }
        await client.untilEnded();
        if (client.received !== '' && !/content-length|chunked/.test(client.received)) {
          assert.ok(client.wasReset, 'a close would have looked like the end of the body');
        } else assert.deepEqual((await client.transcript()).responses, []);
        assert.match((await gateway.observation()).code!, /^UPSTREAM_(?:RESET|BAD_RESPONSE)$/);
        await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
      });
    }
  }
});

describe('what came before a fault', () => {
  it('reaches the client, although all of it came at once', async (t) => {
    const good = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n';
    const { client } = await start(t, { onRequest: () => `${good}no size\r\n` });
    await client.write(get()).untilEnded();
    assert.match(client.received, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n5\r\nhello\r\n$/);
  });
});

describe('a connection to an upstream', () => {
  const lingering: readonly (readonly [what: string, reply: string])[] = [
    ['with a byte too many', `${ok()}x`],
    ['with a second response', ok() + ok('evil')],
    ['with a body behind a 304', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\nEVIL'],
    ['that says close', ok('ok', 'connection: close\r\n')],
    ['of HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok'],
  ];
  for (const [what, reply] of lingering) {
    it(`is not used again after a response ${what}`, async (t) => {
      const { upstream, client } = await start(t, { onRequest: ({ target }) => (target === '/' ? reply : ok('next')) });
      assert.ok((await client.write(get()).response()).status < 400);
      await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
      assert.equal((await client.write(get('/next')).response()).body, 'next');
      assert.equal(upstream.connections.length, 2);
    });
  }

  it('that says something while nobody has asked is dropped', async (t) => {
    const { upstream, client } = await start(t, {});
    upstream
      .until(() => upstream.requests.length > 0, 'a request')
      .then(
        () => upstream.connections[0].write(ok()),
        () => {},
      );
    await client.write(get()).response();
    upstream.connections[0].write(ok('evil'));
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
    client.write(get());
    (await upstream.connection(1)).write('');
    await upstream.request(1);
    upstream.connections[1].write(ok('next'));
    assert.equal((await client.response()).body, 'next');
  });

  /** Answers the first request of a connection, and hangs up on the second. */
  const hangsUpOnSecond = (how: 'end' | 'reset'): UpstreamScript => ({
    onRequest: (_, connection) =>
      connection.requests.length === 1 ? ok(`from ${connection.index}`) : connection[how](),
  });
  for (const how of ['end', 'reset'] as const) {
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
      it(`that turns out to be dead (${how}) is replaced for ${method}, once`, async (t) => {
        const { upstream, client, gateway } = await start(t, hangsUpOnSecond(how));
        const bytes = method === 'PUT' ? message(method, 'hello') : `${method} / HTTP/1.1\r\nhost: localhost\r\n\r\n`;
        assert.equal((await client.write(bytes).response()).body, 'from 0');
        assert.equal((await client.write(bytes).response()).body, 'from 1');
        assert.equal(upstream.connections.length, 2);
        assert.deepEqual(
          gateway.observations.map(({ attempts }) => attempts),
          [1, 2],
        );
      });
    }

    it(`that turns out to be dead (${how}) is not replaced for POST, which may have been acted on`, async (t) => {
      const { upstream, client } = await start(t, hangsUpOnSecond(how));
      assert.equal((await client.write(message('POST', 'hello')).response()).status, 200);
      assert.deepEqual(await failure(client.write(message('POST', 'hello'))), [502, 'UPSTREAM_RESET']);
      assert.equal(upstream.connections.length, 1);
    });
  }

  it('that is dead again is not replaced a second time', async (t) => {
    const { upstream, client } = await start(t, {
      onRequest: (_, connection) =>
        connection.index === 0 && connection.requests.length === 1 ? ok() : connection.end(),
    });
    assert.equal((await client.write(get()).response()).status, 200);
    assert.deepEqual(await failure(client.write(get())), [502, 'UPSTREAM_RESET']);
    assert.equal(upstream.connections.length, 2);
  });

  it('that dies after a byte of the response is not replaced', async (t) => {
    for (const bytes of ['H', 'HTTP/1.1 103 Early Hints\r\n\r\n']) {
      const { upstream, client } = await start(t, {
        onRequest: (_, connection) => (connection.requests.length === 1 ? ok() : connection.end(bytes)),
      });
      await client.write(get()).response();
      assert.deepEqual(await failure(client.write(get())), [502, 'UPSTREAM_RESET']);
      assert.equal(upstream.connections.length, 1);
    }
  });

  it('that is dead is replaced even where one connection is all there may be', async (t) => {
    const { upstream, client } = await start(t, hangsUpOnSecond('end'), { upstream: { connections: { max: 1 } } });
    assert.equal((await client.write(get()).response()).body, 'from 0');
    assert.equal((await client.write(get()).response()).body, 'from 1');
    assert.equal(upstream.connections.length, 2);
  });

  it('that is dead is not replaced for a body that was streamed', async (t) => {
    const { client } = await start(t, {
      onHead: (_, connection) => void (connection.requests.length === 1 && connection.end()),
      onRequest: () => ok(),
    });
    const chunks = 'PUT / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
    assert.equal((await client.write(chunks).response()).status, 200);
    assert.deepEqual(await failure(client.write(chunks)), [502, 'UPSTREAM_RESET']);
  });
});

describe('a target', () => {
  it('that cannot be connected to is followed by the next, for every method', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo([await deadUrl(), upstream.url, await deadUrl()]));
    const client = await RawClient.connect(t, gateway.address());
    for (let i = 0; i < 6; i++) {
      assert.equal((await client.write(message('POST', 'hello')).response()).status, 200);
    }
    assert.deepEqual(
      upstream.requests.map(({ body }) => body),
      Array.from({ length: 6 }, () => 'hello'),
    );
    assert.ok(gateway.observations.every(({ attempts }) => attempts >= 1 && attempts <= 3));
    assert.ok(gateway.observations.some(({ attempts }) => attempts > 1));
  });

  it('that cannot be connected to leaves a streamed body whole for the next', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo([await deadUrl(), upstream.url]));
    const body = 'x'.repeat(200_000);
    for (let i = 0; i < 2; i++) assert.equal((await request(t, gateway.address(), message('POST', body))).status, 200);
    assert.ok(upstream.requests.every((received) => received.body === body));
  });

  it('that was reached is not followed by another when it fails', async (t) => {
    const other = await RawUpstream.start(t);
    const failing = await RawUpstream.start(t, { onRequest: (_, connection) => connection.reset() });
    const gateway = await TestGateway.start(t, proxyTo([failing.url, other.url]));
    const client = await RawClient.connect(t, gateway.address());
    assert.deepEqual(await failure(client.write(message('POST', 'hello'))), [502, 'UPSTREAM_RESET']);
    assert.equal(other.requests.length, 0);
  });

  it('of which none can be connected to is a 502', async (t) => {
    const gateway = await TestGateway.start(t, proxyTo([await deadUrl(), await deadUrl()]));
    const client = await RawClient.connect(t, gateway.address());
    assert.deepEqual(await failure(client.write(get())), [502, 'UPSTREAM_UNREACHABLE']);
    assert.equal((await gateway.observation()).attempts, 2);
  });
});

describe('an upstream that answers before it has the whole request', () => {
  const early = (extra: string, after: (connection: UpstreamPeer) => void): UpstreamScript => ({
    onHead: ({ startLine }, connection) => {
      if (startLine.startsWith('GET')) return;
      connection.write(`HTTP/1.1 413 Content Too Large\r\n${extra}content-length: 9\r\n\r\ntoo large`);
      after(connection);
    },
    onRequest: () => ok('next'),
  });
  for (const [what, script] of [
    ['and stays', early('', () => {})],
    ['and closes', early('connection: close\r\n', (connection) => connection.end())],
  ] as const) {
    it(`${what} is heard, and neither connection is used again`, async (t) => {
      const { upstream, gateway, client } = await start(t, script);
      client.write(`POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(1000)}`);
      const response = await client.response();
      assert.deepEqual(
        [response.status, response.body, fieldValue(response.fields, 'connection')],
        [413, 'too large', 'close'],
      );
      await client.untilEnded();
      await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
      assert.equal(upstream.requests.length, 0);
      assert.equal((await request(t, gateway.address(), get())).body, 'next');
      assert.equal(upstream.connections.length, 2);
    });

    it(`${what} is heard by a client that goes on sending before it reads`, async (t) => {
      const { client } = await start(t, script);
      client.socket.pause();
      client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n');
      for (let i = 0; i < 20; i++) {
        client.write('x'.repeat(50_000));
        await settle();
      }
      client.socket.resume();
      assert.equal((await client.response()).body, 'too large');
    });
  }

  it('with a long body is heard to its end', async (t) => {
    const body = 'y'.repeat(300_000);
    const { client } = await start(t, { onHead: (_, connection) => void connection.write(ok(body)) });
    client.write(`POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(1000)}`);
    assert.ok((await client.response()).body === body);
  });
});
