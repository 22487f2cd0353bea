import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { compress } from '../../src/policies/compress.ts';
import { FakeExchange, type FakeRequest, createPolicy, runThrough } from '../support/fake-exchange.ts';

const TEXT = 'It was a bright cold day in April, and the clocks were striking thirteen. '.repeat(100);
const decompress: Readonly<Record<string, (data: Buffer) => Buffer>> = {
  zstd: zstdDecompressSync,
  br: brotliDecompressSync,
  gzip: gunzipSync,
};

interface Upstream {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

async function run(request: FakeRequest, response: Upstream = {}, options: unknown = {}) {
  const result = await runThrough([createPolicy(compress, options)], new FakeExchange(request), {
    ...response,
    headers: { 'content-type': 'text/plain', ...response.headers },
    body: TEXT,
  });
  return { ...result, encoding: result.headers.get('content-encoding') };
}

const accepting = (value: string): FakeRequest => ({ headers: { 'accept-encoding': value } });

suite('compress', () => {
  for (const [coding, plainOf] of Object.entries(decompress)) {
    test(`compresses with ${coding} for a client that accepts it`, async () => {
      const { body, encoding, headers } = await run(accepting(coding), { headers: { 'content-length': '7400' } });
      assert.equal(encoding, coding);
      assert.equal(plainOf(body).toString(), TEXT);
      assert.ok(body.length < TEXT.length / 10);
      assert.equal(headers.get('vary'), 'Accept-Encoding');
      assert.equal(headers.has('content-length'), false);
    });
  }

  test('takes what the client likes best, then what comes first in its own list', async () => {
    assert.equal((await run(accepting('gzip, br, zstd'))).encoding, 'zstd');
    assert.equal((await run(accepting('gzip;q=0.9, br;q=0.5'))).encoding, 'gzip');
    assert.equal((await run(accepting('gzip, br'), {}, { encodings: ['gzip', 'br'] })).encoding, 'gzip');
    assert.equal((await run(accepting('zstd'), {}, { encodings: ['gzip'] })).encoding, undefined);
    assert.equal((await run({ headers: { 'accept-encoding': ['gzip;q=0.1', 'br;q=0.2'] } })).encoding, 'br');
  });

  test('leaves the body alone for a client that does not accept a coding, but says that it varies', async () => {
    for (const request of [
      {},
      accepting('identity'),
      accepting('deflate'),
      accepting('gzip;q=0'),
      accepting('identity;q=0'),
    ]) {
      const { body, encoding, headers } = await run(request, { headers: { 'content-length': '7400', etag: '"a"' } });
      assert.equal(encoding, undefined);
      assert.equal(body.toString(), TEXT);
      assert.equal(headers.get('vary'), 'Accept-Encoding');
      assert.equal(headers.get('content-length'), '7400');
      assert.equal(headers.get('etag'), '"a"');
    }
  });

  const leftAlone: readonly (readonly [because: string, response: Upstream, request?: FakeRequest])[] = [
    ['it is encoded already', { headers: { 'content-encoding': 'gzip' } }],
    [
      'the origin forbids transforms (RFC 9111, section 5.2.2.6)',
      { headers: { 'cache-control': 'public, No-Transform' } },
    ],
    ['the origin forbids transforms in a second field', { headers: { 'cache-control': ['public', 'no-transform'] } }],
    [
      'the client forbids transforms (RFC 9111, section 5.2.1.6)',
      {},
      { headers: { 'accept-encoding': 'gzip', 'cache-control': 'no-transform' } },
    ],
    ['it is a part of a body', { status: 206, headers: { 'content-range': 'bytes 0-99/1000' } }],
    ['it is several parts of a body', { status: 206 }],
    ['no part can be had', { status: 416, headers: { 'content-range': 'bytes */1000' } }],
    ['204 has no body', { status: 204 }],
    ['205 has no body', { status: 205 }],
    ['its known length is less than the least', { headers: { 'content-length': '1023' } }],
    ['its type is not listed', { headers: { 'content-type': 'image/png' } }],
    ['its type is not listed, though it looks like one', { headers: { 'content-type': 'application/jsonp' } }],
    ['it is a stream of events', { headers: { 'content-type': 'text/event-stream' } }],
    [
      'it is a stream of events in another spelling',
      { headers: { 'content-type': 'Text/Event-Stream ; charset=utf-8' } },
    ],
  ];
  for (const [because, response, request = accepting('gzip')] of leftAlone) {
    test(`leaves a response alone when ${because}`, async () => {
      const before = { etag: '"a"', 'accept-ranges': 'bytes', digest: 'sha-256=abc' };
      const { body, headers } = await run(request, { ...response, headers: { ...before, ...response.headers } });
      assert.equal(body.toString(), TEXT);
      for (const [name, value] of Object.entries({ ...before, ...response.headers })) {
        assert.deepEqual(headers.getAll(name), [value].flat(), name);
      }
      assert.equal(headers.has('vary'), false);
    });
  }

  test('leaves a response without a type alone', async () => {
    const policy = createPolicy(compress);
    const { headers } = await runThrough([policy], new FakeExchange(accepting('gzip')), { body: TEXT });
    assert.equal(headers.has('content-encoding'), false);
  });

  for (const type of [
    'application/json',
    'Application/JSON; charset=utf-8',
    'application/problem+json',
    'image/svg+xml',
    'text/html;x=y',
    'application/wasm',
  ]) {
    test(`compresses ${type} by default`, async () => {
      assert.equal((await run(accepting('br'), { headers: { 'content-type': type } })).encoding, 'br');
    });
  }

  test('compresses the types that it is told, and no others', async () => {
    const options = { types: ['Application/X-Custom', 'font/*', '*+cbor'] };
    for (const type of ['application/x-custom', 'FONT/ttf', 'application/senml+cbor']) {
      assert.equal((await run(accepting('br'), { headers: { 'content-type': type } }, options)).encoding, 'br', type);
    }
    for (const type of ['text/plain', 'application/x-customs', 'fonts/ttf', 'application/cbor']) {
      assert.equal(
        (await run(accepting('br'), { headers: { 'content-type': type } }, options)).encoding,
        undefined,
        type,
      );
    }
  });

  test('compresses a body of exactly the least length, and one of unknown length', async () => {
    assert.equal((await run(accepting('br'), { headers: { 'content-length': '1024' } })).encoding, 'br');
    assert.equal((await run(accepting('br'))).encoding, 'br');
    const options = { minBytes: '8KiB' };
    assert.equal((await run(accepting('br'), { headers: { 'content-length': '8191' } }, options)).encoding, undefined);
  });

  test('weakens a strong validator, because the bytes are other ones now (RFC 9110, section 8.8.1)', async () => {
    assert.equal((await run(accepting('br'), { headers: { etag: '"abc"' } })).headers.get('etag'), 'W/"abc"');
    assert.equal((await run(accepting('br'), { headers: { etag: 'W/"abc"' } })).headers.get('etag'), 'W/"abc"');
  });

  test('removes all that speaks of the bytes as they were', async () => {
    const fields = {
      'content-length': '7400',
      'accept-ranges': 'bytes',
      'Content-MD5': 'Q2hlY2sgSW50ZWdyaXR5IQ==',
      'Content-Digest': 'sha-256=:d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=:',
      'Repr-Digest': 'sha-256=:d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=:',
      Digest: 'sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=',
    };
    const { headers } = await run(accepting('br'), { headers: fields });
    for (const name of Object.keys(fields)) assert.equal(headers.has(name), false, name);
  });

  test('adds to what the response varies on already', async () => {
    assert.equal(
      (await run(accepting('br'), { headers: { vary: 'Origin' } })).headers.get('vary'),
      'Origin, Accept-Encoding',
    );
    assert.equal((await run(accepting('br'), { headers: { vary: '*' } })).headers.get('vary'), '*');
  });

  test('gives HEAD the head that GET gets, and compresses nothing (RFC 9110, section 9.3.2)', async () => {
    const response = { headers: { 'content-length': '7400', etag: '"a"' } };
    const get = await run(accepting('gzip'), response);
    const exchange = new FakeExchange({ method: 'HEAD', ...accepting('gzip') });
    const policy = createPolicy(compress);
    exchange.respond({ headers: { 'content-type': 'text/plain', ...response.headers } });
    await policy.onResponse?.(exchange);
    assert.deepEqual([...exchange.responseHeaders], [...get.headers]);
    assert.equal(policy.transformResponse?.(exchange), null);
  });

  test('gives 304 the validator and the Vary of the response that it stands for, and no coding', async () => {
    const exchange = new FakeExchange(accepting('gzip'));
    const policy = createPolicy(compress);
    exchange.respond({ status: 304, headers: { etag: '"a"', vary: 'Origin' } });
    await policy.onResponse?.(exchange);
    assert.deepEqual(
      [...exchange.responseHeaders],
      [
        ['etag', 'W/"a"'],
        ['vary', 'Origin, Accept-Encoding'],
      ],
    );
    assert.equal(policy.transformResponse?.(exchange), null);
  });

  test('measures a buffered body by what it is, not by what its head says', async () => {
    const exchange = new FakeExchange(accepting('gzip'));
    exchange.responseBody = Buffer.from('short');
    const { headers } = await runThrough([createPolicy(compress)], exchange, {
      headers: { 'content-type': 'text/plain', 'content-length': '100000' },
    });
    assert.equal(headers.has('content-encoding'), false);
  });

  test('forgets what it promised for a response that another one has replaced', async () => {
    const exchange = new FakeExchange(accepting('gzip'));
    const policy = createPolicy(compress);
    exchange.respond({ headers: { 'content-type': 'text/plain' } });
    await policy.onResponse?.(exchange);
    for (const name of ['content-type', 'content-encoding', 'vary']) exchange.responseHeaders.remove(name);
    exchange.respond({ status: 502, headers: { 'content-type': 'image/png' } });
    await policy.onResponse?.(exchange);
    assert.equal(policy.transformResponse?.(exchange), null);
  });

  test('compresses once where two of these policies meet', async () => {
    const policies = [createPolicy(compress), createPolicy(compress, { encodings: ['br'] })];
    const { headers, body } = await runThrough(policies, new FakeExchange(accepting('gzip, br')), {
      headers: { 'content-type': 'text/plain' },
      body: TEXT,
    });
    assert.deepEqual(headers.getAll('content-encoding'), ['br']);
    assert.equal(brotliDecompressSync(body).toString(), TEXT);
  });

  test('compresses the own replies of the gateway as well', async () => {
    const replying = {
      onRequest: () => ({ status: 200, headers: [['content-type', 'text/html']] as const, body: TEXT }),
    };
    const { headers, body } = await runThrough([createPolicy(compress), replying], new FakeExchange(accepting('gzip')));
    assert.equal(headers.get('content-encoding'), 'gzip');
    assert.equal(gunzipSync(body).toString(), TEXT);
  });

  for (const options of [
    { encodings: [] },
    { encodings: ['deflate'] },
    { types: [] },
    { types: ['*'] },
    { types: ['*/*'] },
    { types: ['json'] },
    { types: ['text/html; charset=utf-8'] },
    { minBytes: 1024 },
  ]) {
    test(`refuses ${JSON.stringify(options)}`, () => {
      assert.equal(compress.options.safeParse(options).success, false);
    });
  }
});
