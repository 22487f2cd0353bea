/** Policies that want the whole body of a request, and limits on what a client may send. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Policy } from '../../src/contract.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { fileOf, get, post, postChunks, startWith } from './with-policies.ts';

const later = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const text = (bytes: Uint8Array | null): string => (bytes === null ? 'null' : Buffer.from(bytes).toString('latin1'));
const problemCode = (body: string): unknown => JSON.parse(body).code;

describe('buffersRequest', () => {
  /** Notes what its `onRequest` finds. */
  const reading = (seen: string[], buffersRequest: number, wait = false): Policy => ({
    buffersRequest,
    onRequest({ requestBody }) {
      seen.push(text(requestBody));
      return wait ? later() : undefined;
    },
  });

  for (const wait of [false, true]) {
    it(`hands over the whole body, however it is framed, before onRequest${wait ? ', which may wait' : ''}`, async (t) => {
      const upstream = await RawUpstream.start(t, { onRequest: ({ body }) => ok(body) });
      const seen: string[] = [];
      const gateway = await startWith(t, upstream.url, [reading(seen, 100_000, wait)]);
      const large = 'x'.repeat(90_000);
      const client = await RawClient.connect(t, gateway.address());
      for (const [bytes, body] of [
        [post('small'), 'small'],
        [post(large), large],
        [postChunks('in ', 'chunks'), 'in chunks'],
        [postChunks(large.slice(0, 30_000), large.slice(30_000)), large],
        [post(''), ''],
        [postChunks(), ''],
        [get(), ''],
      ] as const) {
        const response = await client.write(bytes).response();
        assert.equal(response.status, 200);
        assert.ok(seen.at(-1) === body && response.body === body, bytes.slice(0, 100));
        const { fields, framing } = upstream.requests.at(-1)!;
        // What is whole has a length.
        assert.deepEqual([framing, fieldValue(fields, 'transfer-encoding')], [body.length, undefined]);
      }
      assert.equal(seen.length, 7);
    });
  }

  it('waits for a body that arrives in drops, and answers an expectation', async (t) => {
    const upstream = await RawUpstream.start(t);
    const seen: string[] = [];
    const gateway = await startWith(t, upstream.url, [reading(seen, 100)]);
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n');
    await client.until((received) => received === 'HTTP/1.1 100 Continue\r\n\r\n', 'the 100');
    assert.deepEqual([seen, upstream.connections.length], [[], 0]);
    await client.writePieces('hello');
    assert.equal((await client.response()).status, 200);
    assert.deepEqual([seen, upstream.requests[0].body], [['hello'], 'hello']);
  });

  it('takes a body of exactly its limit, and refuses one of a byte more with 413', async (t) => {
    const upstream = await RawUpstream.start(t);
    for (const limit of [10, 40_000]) {
      const seen: string[] = [];
      const gateway = await startWith(t, upstream.url, [reading(seen, limit)]);
      const exact = 'x'.repeat(limit);
      for (const bytes of [post(exact), postChunks(exact), postChunks(exact.slice(1), 'x')]) {
        assert.equal((await request(t, gateway.address(), bytes)).status, 200);
      }
      upstream.requests.length = 0;
      for (const bytes of [post(`${exact}x`), postChunks(`${exact}x`), postChunks(exact, 'x')]) {
        const { status, body } = await request(t, gateway.address(), bytes);
        assert.deepEqual([status, problemCode(body)], [413, 'BODY_TOO_LARGE']);
      }
      assert.deepEqual([seen.length, upstream.requests.length], [3, 0]);
    }
  });

  it('refuses a body by its announced length, without waiting for it', async (t) => {
    const gateway = await startWith(t, 'http://127.0.0.1:1', [reading([], 10)]);
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 11\r\nexpect: 100-continue\r\n\r\n');
    const { responses } = await client.transcript();
    assert.deepEqual(
      responses.map(({ status, interim }) => [status, interim.length]),
      [[413, 0]],
    );
  });

  it('holds for each policy: what is buffered for one may be too much for the next', async (t) => {
    const upstream = await RawUpstream.start(t);
    const seen: string[] = [];
    const gateway = await startWith(t, upstream.url, [reading(seen, 100), reading(seen, 10)]);
    assert.equal((await request(t, gateway.address(), post('x'.repeat(10)))).status, 200);
    assert.equal(seen.length, 2);
    for (const bytes of [post('x'.repeat(11)), postChunks('x'.repeat(11))]) {
      assert.equal((await request(t, gateway.address(), bytes)).status, 413);
    }
    assert.equal(seen.length, 4, 'the first one took it, the second one never saw it');
  });

  it('refuses in the name of the policy: those before it see the 413, it and those behind it do not', async (t) => {
    const notes: string[] = [];
    const policies = ['a', 'b', 'c'].map((name): Policy => ({
      onResponse: ({ status }) => void notes.push(`${name} ${status}`),
    }));
    const gateway = await startWith(t, 'http://127.0.0.1:1', [
      policies[0],
      { ...policies[1], buffersRequest: 10 },
      policies[2],
    ]);
    for (const bytes of [post('x'.repeat(11)), postChunks('x'.repeat(11))]) {
      assert.equal((await request(t, gateway.address(), bytes)).status, 413);
    }
    assert.deepEqual(notes, ['a 413', 'a 413']);
  });

  it('does not read the body for policies behind one that replies', async (t) => {
    const gateway = await startWith(t, 'http://127.0.0.1:1', [{ onRequest: () => ({ status: 403 }) }, reading([], 10)]);
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n');
    const { responses } = await client.transcript();
    assert.deepEqual(
      responses.map(({ status, interim }) => [status, interim.length]),
      [[403, 0]],
    );
  });

  it('works for a policy without onRequest', async (t) => {
    const upstream = await RawUpstream.start(t);
    const seen: string[] = [];
    const gateway = await startWith(t, upstream.url, [
      { buffersRequest: 10, onUpstreamRequest: ({ requestBody }) => void seen.push(text(requestBody)) },
    ]);
    assert.equal((await request(t, gateway.address(), postChunks('hello'))).status, 200);
    assert.equal((await request(t, gateway.address(), postChunks('hello world'))).status, 413);
    assert.deepEqual(seen, ['hello']);
  });

  it('lets a policy replace the body, or take it away', async (t) => {
    const upstream = await RawUpstream.start(t);
    const bodies: (Buffer | null)[] = [Buffer.from('größer'), Buffer.alloc(100_000, 'y'), Buffer.alloc(0), null];
    for (const body of bodies) {
      const gateway = await startWith(t, upstream.url, [
        { buffersRequest: 100, onRequest: (exchange) => void (exchange.requestBody = body) },
        { buffersRequest: 1_000_000, onRequest: ({ requestBody }) => assert.equal(requestBody, body) },
      ]);
      for (const bytes of [post('hello'), postChunks('hello')]) {
        assert.equal((await request(t, gateway.address(), bytes)).status, 200);
        const sent = upstream.requests.at(-1)!;
        const expected = body ?? Buffer.alloc(0);
        assert.ok(Buffer.from(sent.body, 'latin1').equals(expected));
        assert.equal(sent.framing, expected.length);
      }
    }
  });

  it('lets the body be sent again when a target cannot be reached', async (t) => {
    const upstream = await RawUpstream.start(t);
    const targets = ['http://127.0.0.1:1', upstream.url];
    const gateway = await startWith(t, targets[0], [reading([], 100)], { upstream: { targets } });
    assert.equal((await request(t, gateway.address(), postChunks('hello'))).status, 200);
    assert.equal(upstream.requests[0].body, 'hello');
  });

  it('gives up a body that is slower than timeouts.total', async (t) => {
    const clock = new FakeClock();
    const settings = { listener: { timeouts: { bodyIdle: '1m' } }, route: { timeouts: { total: '5s' } } };
    const gateway = await startWith(t, 'http://127.0.0.1:1', [reading([], 100)], settings, { clock });
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n');
    await client.until((received) => received.includes('100 Continue'), 'the 100');
    clock.advance(5_100);
    const { responses } = await client.transcript();
    assert.deepEqual(
      responses.map(({ status, body }) => [status, problemCode(body)]),
      [[408, 'REQUEST_TIMEOUT']],
    );
  });

  it('refuses a body that is malformed with 400', async (t) => {
    const seen: string[] = [];
    const gateway = await startWith(t, 'http://127.0.0.1:1', [reading(seen, 100)]);
    const bytes = 'POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n';
    assert.equal((await request(t, gateway.address(), bytes)).status, 400);
    assert.deepEqual(seen, []);
  });
});

describe('limitRequestBody', () => {
  const limiting = (maxBytes: number): Policy => ({ onRequest: (exchange) => exchange.limitRequestBody(maxBytes) });

  it('refuses what is larger with 413, however it is framed, and lets the rest pass', async (t) => {
    const upstream = await RawUpstream.start(t);
    for (const limit of [10, 40_000]) {
      const gateway = await startWith(t, upstream.url, [limiting(limit)]);
      const exact = 'x'.repeat(limit);
      for (const bytes of [post(exact), postChunks(exact), get()]) {
        assert.equal((await request(t, gateway.address(), bytes)).status, 200);
      }
      for (const bytes of [post(`${exact}x`), postChunks(`${exact}x`), postChunks(exact, 'x')]) {
        const { status, body } = await request(t, gateway.address(), bytes);
        assert.deepEqual([status, problemCode(body)], [413, 'BODY_TOO_LARGE']);
      }
      assert.ok(upstream.requests.every(({ body }) => body.length <= limit));
    }
  });

  it('refuses by the announced length before anybody is asked for it', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await startWith(t, upstream.url, [limiting(10)]);
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 11\r\nexpect: 100-continue\r\n\r\n');
    const { responses } = await client.transcript();
    assert.deepEqual(
      responses.map(({ status, interim }) => [status, interim.length]),
      [[413, 0]],
    );
    assert.equal(upstream.connections.length, 0);
  });

  it('is the smallest of several, the listener’s among them', async (t) => {
    const upstream = await RawUpstream.start(t);
    const bodyLimit = (max: string) => ({ bodyLimit: { max } });
    for (const [policies, listener] of [
      [[{ use: fileOf(0) }, bodyLimit('10B')], '1MiB'],
      [[bodyLimit('10B'), { use: fileOf(0) }], '1MiB'],
      [[bodyLimit('1MiB'), { use: fileOf(0) }], '10B'],
    ] as const) {
      const settings = { listener: { limits: { bodyBytes: listener } }, route: { policies: [...policies] } };
      const gateway = await startWith(t, upstream.url, [limiting(1000)], settings);
      for (const [bytes, status] of [
        [post('x'.repeat(10)), 200],
        [post('x'.repeat(11)), 413],
        [postChunks('x'.repeat(10)), 200],
        [postChunks('x'.repeat(11)), 413],
      ] as const) {
        assert.equal((await request(t, gateway.address(), bytes)).status, status);
      }
    }
  });

  it('holds for a body that was buffered before it was set, and for one that is buffered afterwards', async (t) => {
    const upstream = await RawUpstream.start(t);
    const buffering: Policy = { buffersRequest: 1000 };
    for (const policies of [
      [buffering, limiting(10)],
      [limiting(10), buffering],
    ]) {
      const gateway = await startWith(t, upstream.url, policies);
      for (const [length, status] of [
        [10, 200],
        [11, 413],
      ] as const) {
        for (const bytes of [post('x'.repeat(length)), postChunks('x'.repeat(length))]) {
          assert.equal((await request(t, gateway.address(), bytes)).status, status);
        }
      }
    }
  });

  it('breaks off a response that has begun, for there is no other way left to say it', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onHead: (_, connection) => void connection.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nhello'),
    });
    const gateway = await startWith(t, upstream.url, [limiting(10)]);
    const client = await RawClient.connect(t, gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await client.until((received) => received.endsWith('hello'), 'the beginning of the response');
    client.write('6\r\n world\r\n');
    assert.match((await client.transcript()).rest, /^HTTP\/1\.1 200 OK\r\n[^]*hello$/);
    assert.partialDeepStrictEqual(await gateway.observation(), { status: 200, code: 'BODY_TOO_LARGE' });
    await upstream.until(() => upstream.connections[0].closed, 'the end of the upstream connection');
  });
});
