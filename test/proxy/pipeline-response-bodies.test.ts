/** Policies that want the whole body of a response. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Exchange, Policy } from '../../src/contract.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { chunks, fileOf, get, head, inFlight, post, postChunks, startWith } from './with-policies.ts';

const later = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const text = (bytes: Uint8Array | null): string => (bytes === null ? 'null' : Buffer.from(bytes).toString('latin1'));
const problemCode = (body: string): unknown => JSON.parse(body).code;

describe('buffersResponse', () => {
  /** Notes what its `onResponse` finds. */
  const reading = (seen: string[], buffersResponse: number, wait = false): Policy => ({
    buffersResponse,
    onResponse({ responseBody }) {
      seen.push(text(responseBody));
      return wait ? later() : undefined;
    },
  });
  const bodies = {
    small: ok('small'),
    large: ok('x'.repeat(90_000)),
    chunked: `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks('in ', 'chunks')}`,
    empty: ok(''),
    'empty-chunked': `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks()}`,
  };
  const script = {
    onRequest: ({ target }: { readonly target: string }) => bodies[target.slice(1) as keyof typeof bodies],
  };
  const expected = ['small', 'x'.repeat(90_000), 'in chunks', '', ''];

  for (const wait of [false, true]) {
    it(`hands over the whole body, however it is framed, before onResponse${wait ? ', which may wait' : ''}`, async (t) => {
      const upstream = await RawUpstream.start(t, script);
      const seen: string[] = [];
      const left: (number | undefined)[] = [];
      const gateway = await startWith(t, upstream.url, [
        reading(seen, 100_000, wait),
        { onFinish: (exchange) => void left.push(inFlight(exchange)) },
      ]);
      const client = await RawClient.connect(t, gateway.address());
      for (const [i, name] of Object.keys(bodies).entries()) {
        const { body, framing } = await client.write(get(`/${name}`)).response();
        assert.ok(body === expected[i] && framing === body.length, name);
      }
      assert.ok(seen.every((body, i) => body === expected[i]) && seen.length === expected.length);
      await gateway.observation(4);
      assert.deepEqual([left, upstream.connections.length], [[0, 0, 0, 0, 0], 1]);
    });
  }

  it('takes a body that ends with the connection', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: (_, connection) => connection.end('HTTP/1.1 200 OK\r\n\r\nuntil the end'),
    });
    const seen: string[] = [];
    const gateway = await startWith(t, upstream.url, [reading(seen, 100)]);
    const { body, framing } = await request(t, gateway.address(), get());
    assert.deepEqual([body, framing, seen], ['until the end', 13, ['until the end']]);
  });

  it('takes a body of exactly its limit, and refuses one of a byte more with 502', async (t) => {
    for (const limit of [10, 40_000]) {
      const exact = 'x'.repeat(limit);
      const upstream = await RawUpstream.start(t, {
        onRequest({ target }) {
          const body = target.endsWith('more') ? `${exact}x` : exact;
          return target.startsWith('/chunked')
            ? `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks(body)}`
            : ok(body);
        },
      });
      const seen: string[] = [];
      const policies = [
        { onResponse: ({ responseHeaders }: Exchange) => responseHeaders.set('x-outer', '1') },
        reading(seen, limit),
      ];
      const gateway = await startWith(t, upstream.url, policies);
      for (const path of ['/', '/chunked']) {
        assert.equal((await request(t, gateway.address(), get(path))).status, 200);
        const { status, body, fields } = await request(t, gateway.address(), get(`${path}more`));
        assert.deepEqual(
          [status, problemCode(body), fieldValue(fields, 'x-outer')],
          [502, 'UPSTREAM_RESPONSE_TOO_LARGE', '1'],
        );
        assert.equal(seen.at(-1), body, 'its body is that of the failure');
      }
    }
  });

  it('does not read more of a body than it takes', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: (_, connection) =>
        void connection.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n${'x'.repeat(2000)}`),
    });
    const gateway = await startWith(t, upstream.url, [reading([], 1000)]);
    assert.equal((await request(t, gateway.address(), get())).status, 502);
    await upstream.until(() => upstream.connections[0].closed, 'the end of the upstream connection');
  });

  it('holds for each policy: the smallest of several limits counts', async (t) => {
    const upstream = await RawUpstream.start(t, script);
    for (const limits of [
      [1000, 10],
      [10, 1000],
    ]) {
      const gateway = await startWith(
        t,
        upstream.url,
        limits.map((limit) => reading([], limit)),
      );
      assert.equal((await request(t, gateway.address(), get('/small'))).status, 200);
      assert.equal((await request(t, gateway.address(), get('/large'))).status, 502);
    }
  });

  it('gives policies the bodies of replies, too', async (t) => {
    const seen: string[] = [];
    const own = ['text', 'größer', Buffer.from([1, 2, 3]), ''];
    const policies: Policy[] = [
      reading(seen, 100),
      { onRequest: ({ path }) => ({ status: 200, body: own[Number(path.slice(1))] }) },
    ];
    const gateway = await startWith(t, 'http://127.0.0.1:1', policies);
    for (const i of own.keys()) await request(t, gateway.address(), get(`/${i}`));
    assert.deepEqual(
      seen,
      own.map((body) => Buffer.from(body).toString('latin1')),
    );
  });

  it('lets a policy replace the body, or take it away', async (t) => {
    const upstream = await RawUpstream.start(t, script);
    const replacements: (Buffer | null)[] = [Buffer.from('größer'), Buffer.alloc(100_000, 'y'), Buffer.alloc(0), null];
    for (const body of replacements) {
      for (const wait of [false, true]) {
        const onResponse = (exchange: Exchange): Promise<void> | undefined => {
          exchange.responseBody = body;
          return wait ? later() : undefined;
        };
        const gateway = await startWith(t, upstream.url, [{ buffersResponse: 100_000, onResponse }]);
        const client = await RawClient.connect(t, gateway.address());
        for (const name of Object.keys(bodies)) {
          const response = await client.write(get(`/${name}`)).response();
          const whole = body ?? Buffer.alloc(0);
          assert.ok(Buffer.from(response.body, 'latin1').equals(whole) && response.framing === whole.length, name);
        }
      }
    }
  });

  it('is not needed to replace a body unseen; then the rest of the old one is not read', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: () => `HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(50_000)}`,
    });
    for (const wait of [false, true]) {
      const policies: Policy[] = [
        { onResponse: () => (wait ? later() : undefined) },
        { onResponse: (exchange) => void (exchange.responseBody = Buffer.from('instead')) },
      ];
      const gateway = await startWith(t, upstream.url, policies);
      const client = await RawClient.connect(t, gateway.address());
      for (let i = 0; i < 2; i++) assert.equal((await client.write(get()).response()).body, 'instead');
    }
    await upstream.until(
      () => upstream.connections.every(({ closed }) => closed),
      'the end of the upstream connections',
    );
  });

  it('does not invent a length for responses that have no body', async (t) => {
    const answers: Record<string, string> = {
      '/head': 'HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n',
      '/204': 'HTTP/1.1 204 No Content\r\n\r\n',
      '/304': 'HTTP/1.1 304 Not Modified\r\ncontent-length: 1234\r\netag: "a"\r\n\r\n',
    };
    const upstream = await RawUpstream.start(t, { onRequest: ({ target }) => answers[target] });
    const seen: string[] = [];
    const gateway = await startWith(t, upstream.url, [reading(seen, 100, true)]);
    const client = await RawClient.connect(t, gateway.address());
    for (const [bytes, status] of [
      [head('/head'), 200],
      [get('/204'), 204],
      [get('/304'), 304],
    ] as const) {
      const response = await client.write(bytes).response(bytes.slice(0, bytes.indexOf(' ')));
      // Policies could have changed the body that the length would be that of.
      assert.deepEqual([response.status, fieldValues(response.fields, 'content-length')], [status, []]);
    }
    assert.deepEqual(seen, ['', '', '']);
  });

  it('comes before compression', async (t) => {
    const plain = 'It was a bright cold day in April. '.repeat(1000);
    const upstream = await RawUpstream.start(t, { onRequest: () => ok(plain, 'content-type: text/plain\r\n') });
    for (const wait of [false, true]) {
      const seen: string[] = [];
      const settings = { route: { policies: [{ compress: { encodings: ['gzip' as const] } }, { use: fileOf(0) }] } };
      const gateway = await startWith(t, upstream.url, [reading(seen, 100_000, wait)], settings);
      const response = await request(t, gateway.address(), get('/', 'accept-encoding: gzip\r\n'));
      assert.equal(fieldValue(response.fields, 'content-encoding'), 'gzip');
      assert.equal(gunzipSync(Buffer.from(response.body, 'latin1')).toString(), plain);
      assert.ok(seen[0] === plain);
    }
  });
});

it('request and response may both be buffered by policies that wait', async (t) => {
  const upstream = await RawUpstream.start(t, {
    onRequest: ({ body }) => `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks(body)}`,
  });
  const policy: Policy = {
    buffersRequest: 100_000,
    buffersResponse: 200_000,
    async onRequest(exchange) {
      await later();
      exchange.requestBody = Buffer.concat([exchange.requestBody!, Buffer.from('+')]);
    },
    async onResponse(exchange) {
      await later();
      exchange.responseBody = Buffer.concat([exchange.responseBody!, Buffer.from('-')]);
    },
  };
  const gateway = await startWith(t, upstream.url, [policy, policy]);
  for (const body of ['small', 'x'.repeat(60_000)]) {
    for (const bytes of [post(body), postChunks(body)]) {
      assert.ok((await request(t, gateway.address(), bytes)).body === `${body}++--`);
    }
  }
});
