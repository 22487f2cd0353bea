/** Policies that put streams into the way of request bodies. */
import assert from 'node:assert/strict';
import { type Duplex, PassThrough, Transform } from 'node:stream';
import { describe, it } from 'node:test';
import type { Policy } from '../../src/contract.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { blamed, between, countBytes, failing, large, later, untilSteady, upperCase } from './body-streams.ts';
import { get, inFlight, nameOf, post, postChunks, startWith } from './with-policies.ts';

describe('transformRequest', () => {
  const echo = { onRequest: ({ body }: { readonly body: string }) => ok(body) };

  for (const wait of [false, true]) {
    it(`changes bodies, however they are framed${wait ? ', behind policies that wait' : ''}`, async (t) => {
      const upstream = await RawUpstream.start(t, echo);
      const policy: Policy = { transformRequest: () => between('<', '>') };
      if (wait) Object.assign(policy, { onRequest: () => later(), onUpstreamRequest: () => later() });
      const gateway = await startWith(t, upstream.url, [policy, { transformRequest: upperCase }]);
      const client = await RawClient.connect(t, gateway.address());
      for (const [bytes, body] of [
        [post('small'), '<SMALL>'],
        [postChunks('in ', 'chunks'), '<IN CHUNKS>'],
        [post(large), `<${large.toUpperCase()}>`],
        [postChunks(large, large), `<${large.toUpperCase()}${large.toUpperCase()}>`],
        [postChunks(), '<>'],
      ] as const) {
        assert.ok((await client.write(bytes).response()).body === body, body.slice(0, 20));
        // Nobody knows the length beforehand.
        assert.equal(upstream.requests.at(-1)!.framing, 'chunked');
      }
      assert.equal(upstream.connections.length, 1);
    });
  }

  it('is not asked when there is no body', async (t) => {
    const upstream = await RawUpstream.start(t);
    let asked = 0;
    const gateway = await startWith(t, upstream.url, [{ transformRequest: () => (asked++, upperCase()) }]);
    for (const bytes of [get(), post('')]) assert.equal((await request(t, gateway.address(), bytes)).status, 200);
    assert.deepEqual([asked, upstream.requests.map(({ framing }) => framing)], [0, [0, 0]]);
  });

  it('leaves a body alone when it returns null', async (t) => {
    const upstream = await RawUpstream.start(t, echo);
    const gateway = await startWith(t, upstream.url, [{ transformRequest: () => null }]);
    for (const [bytes, framing] of [
      [post('small'), 5],
      [post(large), large.length],
      [postChunks('small'), 'chunked'],
    ] as const) {
      assert.equal((await request(t, gateway.address(), bytes)).status, 200);
      assert.equal(upstream.requests.at(-1)!.framing, framing);
    }
  });

  it('comes after buffering: it changes what a policy has put there', async (t) => {
    const upstream = await RawUpstream.start(t, echo);
    const gateway = await startWith(t, upstream.url, [
      { transformRequest: upperCase },
      { buffersRequest: 100, onRequest: (exchange) => void (exchange.requestBody = Buffer.from('replaced')) },
    ]);
    for (const bytes of [post('small'), postChunks('small')]) {
      assert.equal((await request(t, gateway.address(), bytes)).body, 'REPLACED');
    }
  });

  it('drops trailers, which speak of what was there before', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await startWith(t, upstream.url, [{ transformRequest: upperCase }]);
    await request(t, gateway.address(), postChunks('a').replace(/\r\n$/, 'x-checksum: 1\r\n\r\n'));
    assert.deepEqual([upstream.requests[0].body, upstream.requests[0].trailers], ['A', []]);
  });

  it('that fails is answered with 500, and the upstream sees that the body is not whole', async (t) => {
    const upstream = await RawUpstream.start(t);
    const broken: Policy[] = [
      { transformRequest: failing },
      {
        transformRequest() {
          throw new Error('boom');
        },
      },
      { transformRequest: () => ({}) as Transform },
      { transformRequest: () => new PassThrough().destroy() },
    ];
    for (const policy of broken) {
      for (const bytes of [post('small'), postChunks('small'), post(large)]) {
        const left: (number | undefined)[] = [];
        const policies = [
          policy,
          { transformRequest: upperCase, onFinish: (exchange) => void left.push(inFlight(exchange)) } satisfies Policy,
        ];
        const gateway = await startWith(t, upstream.url, policies);
        assert.equal((await request(t, gateway.address(), bytes)).status, 500);
        assert.deepEqual(blamed(gateway), [['a policy failed', nameOf(0)]]);
        await gateway.observation();
        assert.deepEqual(left, [0]);
      }
    }
    assert.equal(upstream.requests.length, 0);
  });

  it('that cannot be opened costs no upstream connection', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await startWith(t, upstream.url, [
      {
        transformRequest({ query }) {
          if (query === 'bad') throw new Error('boom');
          return null;
        },
      },
    ]);
    const client = await RawClient.connect(t, gateway.address());
    for (const [target, status] of [
      ['/', 200],
      ['/?bad', 500],
      ['/', 200],
      ['/?bad', 500],
      ['/', 200],
    ] as const) {
      assert.equal((await client.write(post('x').replace('POST /', `POST ${target}`)).response()).status, status);
    }
    assert.equal(upstream.connections.length, 1);
  });

  it('that cannot be opened sends nothing, although the 500 is held back by a policy that waits', async (t) => {
    const upstream = await RawUpstream.start(t);
    const transformRequest = (): never => {
      throw new Error('boom');
    };
    const gateway = await startWith(t, upstream.url, [{ onResponse: () => later(), transformRequest }]);
    const client = await RawClient.connect(t, gateway.address());
    for (let i = 0; i < 2; i++) assert.equal((await client.write(post('hello')).response()).status, 500);
    assert.deepEqual([upstream.bytes, upstream.connections.length], ['', 1]);
  });

  it('is destroyed when the upstream has answered before it had everything', async (t) => {
    const upstream = await RawUpstream.start(t, { onHead: (_, connection) => void connection.write(ok('early')) });
    const stream = new PassThrough();
    const gateway = await startWith(t, upstream.url, [{ transformRequest: () => stream }]);
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
    assert.equal((await client.response()).body, 'early');
    await gateway.observation();
    assert.ok(stream.destroyed);
    assert.deepEqual(blamed(gateway), []);
  });

  it('is destroyed when the client leaves', async (t) => {
    const upstream = await RawUpstream.start(t, {});
    const streams: Duplex[] = [];
    const make = (): Duplex => streams[streams.push(new PassThrough()) - 1];
    const gateway = await startWith(t, upstream.url, [{ transformRequest: make }, { transformRequest: make }]);
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await upstream.until(() => upstream.bytes.endsWith('hello\r\n'), 'the beginning of the body');
    client.reset();
    assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');
    assert.deepEqual(
      streams.map(({ destroyed }) => destroyed),
      [true, true],
    );
    await upstream.until(() => upstream.connections[0].closed, 'the end of the upstream connection');
    assert.deepEqual(blamed(gateway), []);
  });

  it('makes a client wait whose body nobody takes', async (t) => {
    const upstream = await RawUpstream.start(t, { onConnection: ({ socket }) => void socket.pause() });
    let through = 0;
    const counting = (): Transform =>
      new Transform({
        transform(bytes: Buffer, _, done) {
          through += bytes.length;
          done(null, bytes);
        },
      });
    const gateway = await startWith(t, upstream.url, [
      { transformRequest: counting },
      { transformRequest: () => new PassThrough() },
    ]);
    const total = 32 * 1024 * 1024;
    const client = await RawClient.connect(t, gateway.address());
    client.write(`POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${total}\r\n\r\n`);
    const block = Buffer.alloc(1024 * 1024, 'x');
    for (let sent = 0; sent < total; sent += block.length) client.write(block);
    await upstream.connection();
    // What is in the kernel and in the streams; everything else waits at the client.
    await untilSteady(() => through);
    assert.ok(through > 0 && through < total / 2, `${through} of ${total} bytes were taken`);
    assert.ok(client.socket.writableLength > total / 2);
    assert.ok((await countBytes(upstream.connections[0].socket, total)) >= total);
    assert.equal(through, total);
  });
});
