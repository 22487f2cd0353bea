/** Bodies, interim responses and methods: every way in which HTTP/1.1 frames a message (RFC 9112, section 6), through the gateway. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

const get = (path = '/', fields = ''): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${fields}\r\n`;
const post = (fields: string, body = ''): string => `POST / HTTP/1.1\r\nhost: localhost\r\n${fields}\r\n${body}`;

describe('a request body', () => {
  it('keeps its Content-Length', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    for (const length of [0, 1, 16_384, 16_385, 300_000]) {
      const body = 'x'.repeat(length);
      assert.equal((await request(t, gateway.address(), post(`content-length: ${length}\r\n`, body))).status, 200);
      const received = upstream.requests.at(-1)!;
      assert.ok(received.body === body && received.framing === length);
    }
  });

  it('in chunks stays in chunks, with its trailers but without extensions', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const body =
      '5;a=b\r\nhello\r\n10000\r\n' +
      'x'.repeat(65_536) +
      '\r\n0\r\nX-Checksum: 1\r\nAuthorization: x\r\nCookie: a=b\r\n\r\n';
    await request(t, gateway.address(), post('transfer-encoding: chunked\r\nte: trailers\r\n', body));
    const received = upstream.requests[0];
    assert.deepEqual(
      [received.framing, received.body.length, received.trailers],
      ['chunked', 65_541, [['x-checksum', '1']]],
    );
    assert.deepEqual(
      [fieldValue(received.fields, 'te'), fieldValue(received.fields, 'connection')],
      ['trailers', 'te'],
    );
    assert.doesNotMatch(upstream.bytes, /a=b/);
  });

  it('that is absent has no length, unless the method expects one', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    await request(t, gateway.address(), get());
    await request(t, gateway.address(), post(''));
    assert.deepEqual(
      upstream.requests.map(({ fields }) => fieldValue(fields, 'content-length')),
      [undefined, '0'],
    );
  });

  it('is sent on while it arrives, and the response comes back while it is sent', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onHead: (_, connection) => {
        connection.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
        connection.socket.on('data', (bytes: Buffer) =>
          connection.write(`${bytes.length.toString(16)}\r\n${bytes.toString('latin1')}\r\n`),
        );
      },
      onRequest: (_, connection) => void setImmediate(() => connection.write('0\r\n\r\n')),
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write(post('content-length: 20\r\n'));
    await client.until((received) => received.endsWith('\r\n\r\n'), 'the head of the response');
    for (const word of ['first', 'other', 'third', 'forth']) {
      client.write(word);
      await client.until((received) => received.includes(word), `the echo of ${word}`);
    }
    assert.match((await client.response()).body, /first.*forth$/s);
  });
});

describe('Expect: 100-continue', () => {
  const expecting = post('content-length: 5\r\nexpect: 100-continue\r\n');

  it('is answered by the gateway once the upstream is there, and not sent on', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write(expecting);
    await client.until((received) => received === 'HTTP/1.1 100 Continue\r\n\r\n', 'the 100');
    const { status, interim } = await client.write('hello').response();
    assert.deepEqual([status, interim.map((response) => response.status)], [200, [100]]);
    const { body, fields } = upstream.requests[0];
    assert.deepEqual([body, fieldValues(fields, 'expect')], ['hello', []]);
  });

  it('is answered once, whatever the upstream says', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onHead: (_, connection) => void connection.write('HTTP/1.1 100 Continue\r\n\r\n'),
      onRequest: () => ok(),
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write(expecting);
    await client.until((received) => received !== '', 'the 100');
    assert.equal((await client.write('hello').response()).interim.length, 1);
  });

  it('is not answered with 100 when the answer is already known, and then the connection ends', async (t) => {
    const gateway = await TestGateway.start(
      t,
      proxyTo('http://127.0.0.1:1', { listener: { limits: { bodyBytes: '4B' } } }),
    );
    for (const [fields, status] of [
      ['', 413],
      ['content-length: 1\r\n', 502],
    ] as const) {
      const client = await RawClient.connect(t, gateway.address());
      client.write(fields === '' ? expecting : post(`${fields}expect: 100-continue\r\n`));
      const { responses } = await client.transcript();
      assert.deepEqual(
        responses.map((response) => [response.status, response.interim.length]),
        [[status, 0]],
      );
    }
  });

  it('is not answered when the body came with the head', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    assert.deepEqual((await request(t, gateway.address(), `${expecting}hello`)).interim, []);
  });

  it('is ignored in a request of HTTP/1.0', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n');
    await upstream.until(() => upstream.bytes.includes('\r\n\r\n'), 'the head');
    client.write('hello');
    assert.deepEqual((await client.response()).interim, []);
  });
});

describe('interim responses', () => {
  const script = {
    onRequest: () =>
      `HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${ok()}`,
  };

  it('are passed on, in order', async (t) => {
    const upstream = await RawUpstream.start(t, script);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const { interim, body } = await request(t, gateway.address(), get());
    assert.deepEqual(
      interim.map(({ status, fields }) => [status, fields]),
      [
        [103, [['link', '</a.css>']]],
        [102, []],
      ],
    );
    assert.equal(body, 'ok');
  });

  it('are passed on before the final one is there', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => 'HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n',
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write(get());
    await client.until((received) => received.endsWith('\r\n\r\n'), 'the hints');
    upstream.connections[0].write(ok());
    assert.equal((await client.response()).status, 200);
  });

  it('are kept from a client of HTTP/1.0, which would not know them', async (t) => {
    const upstream = await RawUpstream.start(t, script);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    assert.deepEqual((await request(t, gateway.address(), 'GET / HTTP/1.0\r\n\r\n')).interim, []);
  });
});

describe('a response body', () => {
  it('keeps its Content-Length', async (t) => {
    const bodies = [0, 1, 16_384, 16_385, 300_000].map((length) => 'x'.repeat(length));
    const upstream = await RawUpstream.start(t, { onRequest: ({ target }) => ok(bodies[Number(target.slice(1))]) });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    for (const [index, body] of bodies.entries()) {
      const response = await client.write(get(`/${index}`)).response();
      assert.ok(response.body === body && response.framing === body.length);
    }
    assert.equal(upstream.connections.length, 1);
  });

  it('in chunks stays in chunks, with its trailers', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () =>
        'HTTP/1.1 200 OK\r\ntrailer: x-checksum\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nx-checksum: 1\r\nset-cookie: a=b\r\n\r\n',
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    for (let i = 0; i < 2; i++) {
      const { framing, body, trailers, fields } = await client.write(get('/', 'te: trailers\r\n')).response();
      assert.deepEqual(
        [framing, body, trailers, fieldValue(fields, 'trailer')],
        ['chunked', 'hello', [['x-checksum', '1']], 'x-checksum'],
      );
    }
    assert.equal(upstream.connections.length, 1);
  });

  it('in chunks ends with the connection for a client of HTTP/1.0', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n',
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write('GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n');
    const { responses } = await client.transcript();
    assert.deepEqual(
      [responses[0].framing, responses[0].body, fieldValue(responses[0].fields, 'connection')],
      ['close', 'hello', 'close'],
    );
  });

  for (const version of ['1.0', '1.1']) {
    it(`that ends when an upstream of HTTP/${version} closes comes in chunks, and the client's connection goes on`, async (t) => {
      const upstream = await RawUpstream.start(t, {
        onRequest: (_, connection) => connection.end(`HTTP/${version} 200 OK\r\n\r\nhello`),
      });
      const gateway = await TestGateway.start(t, proxyTo(upstream.url));
      const client = await RawClient.connect(t, gateway.address());
      for (let i = 0; i < 2; i++) {
        const { framing, body } = await client.write(get()).response();
        assert.deepEqual([framing, body], ['chunked', 'hello']);
      }
    });
  }

  it('of an upstream of HTTP/1.0 with a length comes whole; its connection is kept when it says so', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => 'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello',
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    for (let i = 0; i < 2; i++) assert.equal((await request(t, gateway.address(), get())).framing, 5);
    assert.equal(upstream.connections.length, 1);
  });

  it('arrives byte by byte when the upstream sends it so, wherever its bytes are split', async (t) => {
    const bytes =
      'HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nx-t: 1\r\n\r\n';
    const upstream = await RawUpstream.start(t, {
      onRequest({ target }, connection) {
        const at = Number(target.slice(1));
        const pieces = at === 0 ? Array.from(bytes) : [bytes.slice(0, at), bytes.slice(at)];
        const writeNext = (): void => {
          const piece = pieces.shift();
          if (piece === undefined) return;
          connection.write(piece);
          setImmediate(writeNext);
        };
        writeNext();
      },
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    await Promise.all(
      Array.from({ length: bytes.length }, async (_, at) => {
        const { body, fields } = await request(t, gateway.address(), get(`/${at}`));
        assert.deepEqual([body, fieldValue(fields, 'x')], ['hello!', 'y'], `split at ${at}`);
      }),
    );
  });
});

describe('a response without a body', () => {
  const cases = [
    ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n', '5'],
    ['HEAD', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', undefined],
    ['HEAD', 'HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\n', '5'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: "a"\r\n\r\n', '5'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n', undefined],
    ['GET', 'HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n', undefined],
    ['DELETE', 'HTTP/1.1 204 No Content\r\n\r\n', undefined],
  ] as const;
  for (const [method, reply, length] of cases) {
    it(`${method} → ${reply.slice(9, 12)} is over with its head (${reply.split('\r\n')[1] || 'no length'})`, async (t) => {
      const upstream = await RawUpstream.start(t, { onRequest: ({ target }) => (target === '/next' ? ok() : reply) });
      const gateway = await TestGateway.start(t, proxyTo(upstream.url));
      const client = await RawClient.connect(t, gateway.address());
      const { status, fields, body } = await client
        .write(`${method} / HTTP/1.1\r\nhost: localhost\r\n\r\n`)
        .response(method);
      assert.deepEqual([status, fieldValue(fields, 'content-length'), body], [Number(reply.slice(9, 12)), length, '']);
      assert.deepEqual(fieldValues(fields, 'transfer-encoding'), []);
      assert.equal((await client.write(get('/next')).response()).body, 'ok');
      assert.equal(upstream.connections.length, 1);
    });
  }

  it('is also what HEAD gets where the gateway itself answers', async (t) => {
    const gateway = await TestGateway.start(t, {
      ...proxyTo('http://127.0.0.1:1'),
      routes: { hi: { match: { path: '/hi' }, respond: { body: 'hello' } } },
    });
    const client = await RawClient.connect(t, gateway.address());
    for (const [path, status] of [
      ['/hi', 200],
      ['/nowhere', 404],
      ['/%00', 400],
    ] as const) {
      const response = await client.write(`HEAD ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`).response('HEAD');
      assert.deepEqual([response.status, response.body], [status, '']);
      assert.ok(Number(fieldValue(response.fields, 'content-length')) > 0);
    }
  });
});

describe('fields', () => {
  it('keep their order, spelling and repetition both ways, without those for one hop', async (t) => {
    const hop = 'Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n';
    const upstream = await RawUpstream.start(t, {
      onRequest: () => ok('ok', `Set-Cookie: a=1\r\nX-Odd: \xe9\r\n${hop}Set-Cookie: b=2\r\nAlt-Svc: h3=":443"\r\n`),
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write(get('/', `X-B: 1\r\nx-a:\t2 \r\n${hop}X-B: 3\r\nX-Odd: \xe9\r\nX-Empty:\r\n`));
    const { fields } = await client.response();
    assert.deepEqual(
      fields.filter(([name]) => name !== 'date'),
      [
        ['set-cookie', 'a=1'],
        ['x-odd', '\xe9'],
        ['set-cookie', 'b=2'],
        ['content-length', '2'],
      ],
    );
    assert.match(upstream.bytes, /\r\nX-B: 1\r\nx-a:\t2 \r\nX-B: 3\r\nX-Odd: \xe9\r\nX-Empty:\r\n/);
    assert.doesNotMatch(upstream.bytes, /hop|keep-alive|proxy-connection/i);
  });

  it('have one Date, that of the upstream if there is one', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: ({ target }) => ok('ok', target === '/' ? '' : 'Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n'),
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const own = fieldValue((await request(t, gateway.address(), get())).fields, 'date')!;
    assert.ok(Math.abs(Date.parse(own) - Date.now()) < 10_000);
    assert.equal(
      fieldValue((await request(t, gateway.address(), get('/its'))).fields, 'date'),
      'Thu, 01 Jan 1970 00:00:00 GMT',
    );
  });
});

describe('a method', () => {
  it('that no route of the path accepts is answered 405 with those that are', async (t) => {
    const gateway = await TestGateway.start(t, {
      ...proxyTo('http://127.0.0.1:1'),
      routes: {
        read: { match: { path: '/a', methods: ['GET'] }, respond: { body: 'a' } },
        write: { match: { path: '/a', methods: ['PUT', 'DELETE'] }, respond: { body: 'b' } },
      },
    });
    const response = await request(t, gateway.address(), post('').replace('/', '/a'));
    assert.equal(response.status, 405);
    const allowed = fieldValue(response.fields, 'allow')!.split(', ');
    for (const method of ['GET', 'PUT', 'DELETE']) assert.ok(allowed.includes(method), method);
    assert.equal(JSON.parse(response.body).code, 'METHOD_NOT_ALLOWED');
  });

  it('that nobody knows is passed on', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    await request(t, gateway.address(), 'PROPFIND-X /a HTTP/1.1\r\nhost: localhost\r\n\r\n');
    assert.equal(upstream.requests[0].method, 'PROPFIND-X');
  });
});
