/** How long a client's connection lasts, and in which order it is served (RFC 9112, section 9). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

const get = (path: string, fields = '', version = '1.1'): string =>
  `GET ${path} HTTP/${version}\r\nhost: localhost\r\n${fields}\r\n`;

describe('a connection of HTTP/1.1', () => {
  it('serves one request after another, over one connection to the upstream', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: ({ target }) => ok(target) });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    for (const path of ['/1', '/2', '/3']) {
      const response = await client.write(get(path)).response();
      assert.deepEqual([response.body, fieldValue(response.fields, 'connection')], [path, undefined]);
    }
    assert.equal(upstream.connections.length, 1);
  });

  it('ends behind the response to a request that asked for it', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write(get('/', 'connection: close\r\n') + get('/ignored'));
    const { responses, rest } = await client.transcript();
    assert.deepEqual([responses.length, rest, fieldValue(responses[0].fields, 'connection')], [1, '', 'close']);
    assert.equal(upstream.requests.length, 1);
  });

  it('answers requests that were sent ahead in their order, however long each takes', async (t) => {
    const waiting: (() => void)[] = [];
    const upstream = await RawUpstream.start(t, {
      // The first is answered last, as far as the upstream is concerned.
      onRequest: ({ target }, connection) =>
        void (target === '/1' ? waiting.push(() => connection.write(ok(target))) : connection.write(ok(target))),
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    const post = 'POST /4 HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
    client.write(get('/1') + get('/2') + get('/%00') + get('/never'));
    await upstream.request();
    waiting[0]();
    assert.deepEqual(
      (await client.transcript()).responses.map(({ status, body }) => (status === 200 ? body : status)),
      ['/1', '/2', 400],
    );

    const another = await RawClient.connect(t, gateway.address());
    another.write(get('/2') + get('/3') + post + get('/5') + get('/6', 'connection: close\r\n'));
    assert.deepEqual(
      (await another.transcript()).responses.map(({ body }) => body),
      ['/2', '/3', '/4', '/5', '/6'],
    );
  });

  it('serves a thousand requests that were sent at once', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: ({ target }) => ok(target) });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    const paths = Array.from({ length: 1000 }, (_, i) => `/${i}`);
    client.write(paths.map((path) => get(path)).join('')).finish();
    assert.deepEqual(
      (await client.transcript()).responses.map(({ body }) => body),
      paths,
    );
  });

  it('gives the same answers wherever its bytes are split', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: ({ target, body }) => ok(target + body) });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const bytes =
      get('/1') +
      'POST /2 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello' +
      'POST /3 HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nx-t: 1\r\n\r\n' +
      get('/4', 'connection: close\r\n');
    const splits = Array.from({ length: bytes.length }, (_, i) =>
      [bytes.slice(0, i), bytes.slice(i)].filter((piece) => piece !== ''),
    );
    splits.push(Array.from(bytes));
    await Promise.all(
      splits.map(async (pieces) => {
        const client = await RawClient.connect(t, gateway.address());
        await client.writePieces(pieces);
        const { responses, rest } = await client.transcript();
        assert.deepEqual([responses.map(({ body }) => body), rest], [['/1', '/2hello', '/3hello!', '/4'], '']);
      }),
    );
  });

  it('ends without a word when no request comes for the keep-alive time', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(
      t,
      proxyTo(upstream.url, { listener: { timeouts: { keepAlive: '60ms' } } }),
    );
    const client = await RawClient.connect(t, gateway.address());
    assert.equal((await client.write(get('/')).response()).status, 200);
    assert.deepEqual(await client.transcript(), { responses: [], rest: '', wasReset: false });
    assert.equal(gateway.observations.length, 1);
  });

  it('ends as soon as a client that has finished sending has its responses', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { listener: { timeouts: { keepAlive: '1h' } } }));
    const client = await RawClient.connect(t, gateway.address());
    client.write(get('/1') + get('/2')).finish();
    assert.equal((await client.transcript()).responses.length, 2);
  });

  it('may begin with one empty line, as after a POST of an old client, but not with two', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    assert.equal((await client.write(`\r\n${get('/')}`).response()).status, 200);
    assert.equal((await client.write(`\r\n\r\n${get('/')}`).response()).status, 400);
  });
});

describe('a connection of HTTP/1.0', () => {
  it('ends behind its response', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write(`${get('/', '', '1.0')}${get('/ignored', '', '1.0')}`);
    const { responses } = await client.transcript();
    assert.deepEqual(
      responses.map(({ fields }) => fieldValue(fields, 'connection')),
      ['close'],
    );
    assert.match(upstream.bytes, /^GET \/ HTTP\/1\.1\r\n/, 'the gateway speaks its own version');
  });

  it('goes on when the client asks for it', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    for (let i = 0; i < 3; i++) {
      const { fields } = await client.write(get('/', 'connection: Keep-Alive\r\n', '1.0')).response();
      assert.equal(fieldValue(fields, 'connection'), 'keep-alive');
    }
  });

  it('needs no Host; the upstream gets that of the target', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    assert.equal((await client.write('GET / HTTP/1.0\r\n\r\n').response()).status, 200);
    assert.equal(`http://${fieldValue(upstream.requests[0].fields, 'host')}`, upstream.url);
  });
});

describe('a client that has finished sending', () => {
  it('is served what it has asked for, body and all', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: ({ body }) => ok(body) });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    for (const body of [
      'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      `content-length: 50000\r\n\r\n${'x'.repeat(50_000)}`,
    ]) {
      const client = await RawClient.connect(t, gateway.address());
      client.write(`POST / HTTP/1.1\r\nhost: localhost\r\n${body}`).finish();
      const { responses } = await client.transcript();
      assert.deepEqual(
        responses.map(({ status }) => status),
        [200],
      );
    }
    assert.deepEqual(
      upstream.requests.map(({ body }) => body.length),
      [5, 50_000],
    );
  });

  it('gets the whole of a response that takes its time', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: (_, connection) => void connection.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello'),
    });
    const clock = new FakeClock();
    const gateway = await TestGateway.start(t, proxyTo(upstream.url), { clock });
    const client = await RawClient.connect(t, gateway.address());
    client.write(get('/')).finish();
    await client.until((received) => received.endsWith('hello'), 'the first half');
    clock.advance(10_000);
    upstream.connections[0].write('world');
    assert.equal((await client.response()).body, 'helloworld');
  });

  it('counts as gone when no response has begun after a while', async (t) => {
    const upstream = await RawUpstream.start(t, {});
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write(get('/')).finish();
    assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');
    await upstream.until(() => upstream.connections[0].closed, 'the end of the request at the upstream');
  });
});
