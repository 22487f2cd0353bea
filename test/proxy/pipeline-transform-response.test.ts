/** Policies that put streams into the way of response bodies. */
import assert from 'node:assert/strict';
import { type Duplex, PassThrough, Transform } from 'node:stream';
import { describe, it } from 'node:test';
import { createGzip, gunzipSync } from 'node:zlib';
import type { Policy } from '../../src/contract.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { blamed, between, countBytes, failing, large, later, untilSteady, upperCase } from './body-streams.ts';
import { chunks, fileOf, get, head, inFlight, nameOf, startWith } from './with-policies.ts';

describe('transformResponse', () => {
  const bodies = {
    small: ok('small', 'trailer: x-checksum\r\n'),
    large: ok(large),
    chunked: `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks('in ', 'chunks')}`,
    trailers: `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks('in ', 'chunks').replace(/\r\n$/, 'x-checksum: 1\r\n\r\n')}`,
    empty: ok(''),
  };
  const expected = ['<SMALL>', `<${large.toUpperCase()}>`, '<IN CHUNKS>', '<IN CHUNKS>', '<>'];
  const script = {
    onRequest: ({ target }: { readonly target: string }) => bodies[target.slice(1) as keyof typeof bodies],
  };

  for (const wait of [false, true]) {
    it(`changes bodies, however they are framed, inner policies first${wait ? ', behind policies that wait' : ''}`, async (t) => {
      const upstream = await RawUpstream.start(t, script);
      const left: (number | undefined)[] = [];
      const policies: Policy[] = [
        { transformResponse: () => between('<', '>'), onFinish: (exchange) => void left.push(inFlight(exchange)) },
        { transformResponse: upperCase },
      ];
      if (wait) for (const policy of policies) Object.assign(policy, { onResponse: () => later() });
      const gateway = await startWith(t, upstream.url, policies);
      const client = await RawClient.connect(t, gateway.address());
      for (const [i, name] of Object.keys(bodies).entries()) {
        const { body, framing, trailers } = await client.write(get(`/${name}`, 'te: trailers\r\n')).response();
        assert.ok(body === expected[i], name);
        assert.deepEqual([framing, trailers], ['chunked', []]);
      }
      await gateway.observation(4);
      assert.deepEqual([left, upstream.connections.length], [[0, 0, 0, 0, 0], 1]);
    });
  }

  it('changes replies, of policies before it and of failures', async (t) => {
    const reply: Policy = {
      onRequest: ({ path }) =>
        path === '/text'
          ? { status: 200, body: 'text' }
          : path === '/bytes'
            ? { status: 200, body: Buffer.from('bytes') }
            : undefined,
    };
    const gateway = await startWith(t, 'http://127.0.0.1:1', [
      { transformResponse: upperCase },
      reply,
      { transformResponse: failing },
    ]);
    const client = await RawClient.connect(t, gateway.address());
    assert.equal((await client.write(get('/text')).response()).body, 'TEXT');
    assert.equal((await client.write(get('/bytes')).response()).body, 'BYTES');
    const outer = await startWith(t, 'http://127.0.0.1:1', [{ transformResponse: upperCase }]);
    assert.match((await request(t, outer.address(), get())).body, /"CODE":"UPSTREAM_UNREACHABLE"/);
  });

  it('comes after buffering, and changes what a policy has put there', async (t) => {
    const upstream = await RawUpstream.start(t, script);
    const replace: Policy['onResponse'] = (exchange) => void (exchange.responseBody = Buffer.from('replaced'));
    const outer: Policy = { transformResponse: upperCase };
    const gateway = await startWith(t, upstream.url, [outer, { buffersResponse: 1_000_000, onResponse: replace }]);
    const unseen = await startWith(t, upstream.url, [outer, { onResponse: replace }]);
    for (const name of Object.keys(bodies)) {
      assert.equal((await request(t, gateway.address(), get(`/${name}`))).body, 'REPLACED');
      assert.equal((await request(t, unseen.address(), get(`/${name}`))).body, 'REPLACED');
    }
  });

  it('leaves a body alone when it returns null', async (t) => {
    const upstream = await RawUpstream.start(t, script);
    const gateway = await startWith(t, upstream.url, [{ transformResponse: () => null }]);
    for (const [name, framing] of [
      ['small', 5],
      ['large', large.length],
      ['chunked', 'chunked'],
      ['empty', 0],
    ] as const) {
      assert.equal((await request(t, gateway.address(), get(`/${name}`))).framing, framing);
    }
  });

  it('is not asked for responses without a body, whose length is left out if a policy has removed it', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: ({ target }) =>
        target === '/204'
          ? 'HTTP/1.1 204 No Content\r\n\r\n'
          : `HTTP/1.1 ${target === '/304' ? '304 Not Modified' : '200 OK'}\r\ncontent-length: 9999\r\n\r\n`,
    });
    let asked = 0;
    const onResponse: Policy['onResponse'] = ({ query, responseHeaders }) => {
      if (query === 'changed') responseHeaders.remove('content-length');
    };
    const gateway = await startWith(t, upstream.url, [{ transformResponse: () => (asked++, upperCase()), onResponse }]);
    const client = await RawClient.connect(t, gateway.address());
    for (const [bytes, status, length] of [
      [head('/'), 200, '9999'],
      [head('/?changed'), 200, undefined],
      [get('/304'), 304, '9999'],
      [get('/204'), 204, undefined],
    ] as const) {
      const response = await client.write(bytes).response(bytes.slice(0, bytes.indexOf(' ')));
      assert.deepEqual([response.status, fieldValue(response.fields, 'content-length')], [status, length]);
    }
    assert.equal(asked, 0);
  });

  it('to a client of HTTP/1.0 ends with the connection', async (t) => {
    const upstream = await RawUpstream.start(t, script);
    const gateway = await startWith(t, upstream.url, [{ transformResponse: upperCase }]);
    const client = await RawClient.connect(t, gateway.address());
    client.write('GET /small HTTP/1.0\r\nconnection: keep-alive\r\n\r\n');
    const { responses } = await client.transcript();
    assert.deepEqual(
      responses.map(({ body, framing }) => [body, framing]),
      [['SMALL', 'close']],
    );
  });

  it('that cannot be opened is answered with 500, which passes the policies before it', async (t) => {
    const upstream = await RawUpstream.start(t, script);
    const opened: Duplex[] = [];
    const make = (): Duplex => opened[opened.push(new PassThrough()) - 1];
    const broken: readonly NonNullable<Policy['transformResponse']>[] = [
      () => {
        throw new Error('boom');
      },
      () => 'not a stream' as unknown as Duplex,
      () => undefined as unknown as null,
    ];
    for (const transformResponse of broken) {
      opened.length = 0;
      const outer: Policy = {
        onResponse: ({ responseHeaders }) => responseHeaders.add('x-outer', '1'),
        transformResponse: upperCase,
      };
      const gateway = await startWith(t, upstream.url, [outer, { transformResponse }, { transformResponse: make }]);
      const client = await RawClient.connect(t, gateway.address());
      for (const path of ['/small', '/large']) {
        const { status, body, fields } = await client.write(get(path)).response();
        assert.deepEqual([status, fieldValues(fields, 'x-outer')], [500, ['1']]);
        assert.match(body, /"CODE":"POLICY_FAILED"/);
      }
      assert.ok(opened.length === 2 && opened.every(({ destroyed }) => destroyed));
      const line = ['a policy failed', nameOf(1)];
      assert.deepEqual(blamed(gateway), [line, line]);
    }
  });

  it('that fails breaks the response off, so that the client can see it, and nobody else is harmed', async (t) => {
    const upstream = await RawUpstream.start(t, script);
    const lateFailure = (): Transform => {
      let pieces = 0;
      return new Transform({
        transform: (bytes: Buffer, _, done) => (++pieces > 1 ? done(new Error('boom')) : done(null, bytes)),
      });
    };
    const broken: readonly (() => Duplex)[] = [
      failing,
      lateFailure,
      () =>
        new Transform({ transform: (bytes, _, done) => done(null, bytes), flush: (done) => done(new Error('boom')) }),
      // Ends without a word.
      () => {
        const stream = new PassThrough();
        stream.once('data', () => stream.destroy());
        return stream;
      },
    ];
    for (const transformResponse of broken) {
      for (const name of ['large', 'chunked']) {
        const others: Duplex[] = [];
        const left: (number | undefined)[] = [];
        const gateway = await startWith(t, upstream.url, [
          {
            transformResponse: () => others[others.push(new PassThrough()) - 1],
            onFinish: (exchange) => void left.push(inFlight(exchange)),
          },
          { transformResponse },
        ]);
        const client = await RawClient.connect(t, gateway.address());
        client.write(get(`/${name}`) + get(`/${name}`));
        const { responses, rest } = await client.transcript();
        assert.deepEqual(responses, [], `${rest.slice(-50)} would be taken for a whole response`);
        const { status, code } = await gateway.observation();
        assert.deepEqual([status, code], [200, 'POLICY_FAILED']);
        assert.deepEqual(blamed(gateway), [['a policy failed', nameOf(1)]]);
        assert.ok(others.length === 1 && others[0].destroyed);
        assert.deepEqual(left, [0]);
      }
    }
  });

  it('that makes neither text nor bytes has failed', async (t) => {
    const upstream = await RawUpstream.start(t, script);
    const objects = (): Transform =>
      new Transform({ readableObjectMode: true, transform: (_bytes, _, done) => done(null, { an: 'object' }) });
    const gateway = await startWith(t, upstream.url, [
      { transformResponse: objects },
      { transformResponse: upperCase },
    ]);
    const client = await RawClient.connect(t, gateway.address());
    client.write(get('/large'));
    assert.deepEqual((await client.transcript()).responses, []);
    assert.deepEqual(blamed(gateway), [['a policy failed', nameOf(0)]]);
  });

  it('may speak in text, and end before the upstream does', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: (_, connection) =>
        void connection.write(
          'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\ngrößer\r\n'.replace(
            'größer',
            Buffer.from('grö??').toString('latin1') + 'r',
          ),
        ),
    });
    const firstOnly = (): Transform => {
      const stream = new Transform({
        transform(bytes: Buffer, _, done) {
          this.push(bytes.toString('utf8'));
          this.push(null);
          done();
        },
      });
      return stream.setEncoding('utf8');
    };
    const gateway = await startWith(t, upstream.url, [{ transformResponse: firstOnly }]);
    const client = await RawClient.connect(t, gateway.address());
    const { body } = await client.write(get()).response();
    assert.equal(Buffer.from(body, 'latin1').toString(), 'grö??r');
    await upstream.until(() => upstream.connections[0].closed, 'the end of a response that nobody reads');
    assert.partialDeepStrictEqual(await gateway.observation(), { status: 200, code: null });
    assert.deepEqual(blamed(gateway), []);
  });

  it('is destroyed when the client leaves, or the upstream dies', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => 'HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nbeginning',
    });
    for (const end of ['client', 'upstream'] as const) {
      const streams: Duplex[] = [];
      const make = (): Duplex => streams[streams.push(new PassThrough()) - 1];
      const gateway = await startWith(t, upstream.url, [{ transformResponse: make }, { transformResponse: make }]);
      const client = await RawClient.connect(t, gateway.address());
      client.write(get());
      await client.until((received) => received.endsWith('beginning\r\n'), 'the beginning of the body');
      if (end === 'client') client.reset();
      else upstream.connections.at(-1)!.reset();
      assert.equal((await gateway.observation()).code, end === 'client' ? 'CLIENT_CLOSED' : 'UPSTREAM_RESET');
      assert.deepEqual(
        streams.map(({ destroyed }) => destroyed),
        [true, true],
      );
      await client.untilEnded().catch(() => assert.equal(end, 'client'));
      assert.deepEqual(blamed(gateway), []);
    }
    await upstream.until(
      () => upstream.connections.every(({ closed }) => closed),
      'the end of the upstream connections',
    );
  });

  it('does not hold the head back, however long its first piece takes', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => 'HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n',
    });
    const gateway = await startWith(t, upstream.url, [{ transformResponse: () => createGzip() }]);
    const client = await RawClient.connect(t, gateway.address());
    client.write(get());
    await client.until((received) => received.includes('x-a: b') && received.endsWith('\r\n\r\n'), 'the head');
    upstream.connections[0].write('4\r\nbody\r\n');
    upstream.connections[0].write('0\r\n\r\n');
    const { body } = await client.response();
    assert.equal(gunzipSync(Buffer.from(body, 'latin1')).toString(), 'body');
  });

  it('makes an upstream wait whose body the client does not take', async (t) => {
    const total = 32 * 1024 * 1024;
    const block = Buffer.alloc(1024 * 1024, 'x');
    const upstream = await RawUpstream.start(t, {
      onRequest(_, connection) {
        connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`);
        for (let sent = 0; sent < total; sent += block.length) connection.write(block);
      },
    });
    let through = 0;
    const counting = (): Transform =>
      new Transform({
        transform(bytes: Buffer, _, done) {
          through += bytes.length;
          done(null, bytes);
        },
      });
    const clock = new FakeClock();
    const policies = [{ transformResponse: () => new PassThrough() }, { transformResponse: counting }];
    const gateway = await startWith(t, upstream.url, policies, {}, { clock });
    const client = await RawClient.connect(t, gateway.address());
    client.socket.pause();
    client.write(get());
    await upstream.request();
    await untilSteady(() => through);
    assert.ok(through > 0 && through < total / 2, `${through} of ${total} bytes were taken`);
    assert.ok((await countBytes(client.socket, total)) >= total);
    assert.equal(through, total);
    assert.partialDeepStrictEqual(await gateway.observation(), { code: null, bytesOut: total });
  });

  it('may be one of Node’s own, whichever way its policy waits', async (t) => {
    const upstream = await RawUpstream.start(t, script);
    const policy: Policy = {
      async onResponse({ responseHeaders }) {
        await later();
        responseHeaders.set('content-encoding', 'gzip');
      },
      transformResponse: () => createGzip(),
    };
    const gateway = await startWith(t, upstream.url, [policy]);
    const client = await RawClient.connect(t, gateway.address());
    for (const name of ['small', 'large', 'chunked', 'empty']) {
      const { body } = await client.write(get(`/${name}`)).response();
      assert.match(gunzipSync(Buffer.from(body, 'latin1')).toString(), /^(small|(abcdefghij)+|in chunks|)$/);
    }
  });
});

it('compression of a failure that a policy behind it has caused says that it is compressed', async (t) => {
  const plain = 'It was a bright cold day in April. '.repeat(1000);
  const upstream = await RawUpstream.start(t, { onRequest: () => ok(plain, 'content-type: text/plain\r\n') });
  const failingLast: Policy = {
    onResponse() {
      throw new Error('boom');
    },
  };
  const compress = { compress: { encodings: ['gzip' as const], minBytes: '1B' } };
  const fields = 'accept-encoding: gzip\r\n';
  for (const [policies, encoding] of [
    [[compress, { use: fileOf(0) }], 'gzip'],
    [[{ use: fileOf(0) }, compress], undefined],
  ] as const) {
    const gateway = await startWith(t, upstream.url, [failingLast], { route: { policies: [...policies] } });
    const response = await request(t, gateway.address(), get('/', fields));
    assert.deepEqual([response.status, fieldValue(response.fields, 'content-encoding')], [500, encoding]);
    const bytes = Buffer.from(response.body, 'latin1');
    assert.equal(JSON.parse((encoding === 'gzip' ? gunzipSync(bytes) : bytes).toString()).code, 'POLICY_FAILED');
  }
});
