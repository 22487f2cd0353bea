/** SECURITY.md, section C, at real sockets: where a message ends is never in doubt. Each test names the row that it holds. */
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import type { Policy } from '../../src/contract.ts';
import { type ProxySettings, TestGateway, proxyTo } from '../support/gateway.ts';
import { policyOf } from '../support/inline-policy.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, type UpstreamScript } from '../support/raw-upstream.ts';

async function start(t: TestContext, settings: ProxySettings = {}, script?: UpstreamScript, hooks?: Policy) {
  const upstream = await RawUpstream.start(t, script);
  const policies = hooks === undefined ? [] : [{ use: './hooks.ts' }];
  const config = proxyTo(upstream.url, { ...settings, route: { policies, ...settings.route } });
  const gateway = await TestGateway.start(
    t,
    config,
    hooks === undefined ? {} : { modules: { './hooks.ts': policyOf(hooks) } },
  );
  const client = await RawClient.connect(t, gateway.address());
  return { upstream, gateway, client };
}

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** Fields and body of a POST that must be refused with its connection. */
interface Refusal {
  readonly row: string;
  readonly behaviour: string;
  /** Behind `POST / HTTP/1.1` and Host. */
  readonly fields: string;
  readonly body?: string;
  readonly status?: number;
}

const chunked = 'Transfer-Encoding: chunked\r\n';

const refusals: readonly Refusal[] = [
  { row: 'CVE-2023-25725', behaviour: 'an empty header name', fields: ': x\r\nContent-Length: 5\r\n', body: 'hello' },
  { row: 'CVE-2023-40225', behaviour: 'an empty Content-Length', fields: 'Content-Length:\r\n' },
  { row: 'CVE-2023-40225', behaviour: 'a blank Content-Length', fields: 'Content-Length: \t\r\n' },
  ...[
    '4294967301x',
    '+5',
    '-5',
    '0x5',
    '5.0',
    '5e0',
    '5 5',
    '5,5',
    '9007199254740992',
    '18446744073709551621',
    `1${'0'.repeat(30)}`,
  ].map((length): Refusal => ({
    row: 'CVE-2021-40346',
    behaviour: `a Content-Length of ${length}`,
    fields: `Content-Length: ${length}\r\n`,
    body: 'hello',
  })),
  {
    row: 'CVE-2022-32213',
    behaviour: 'a coding hidden in a list',
    fields: 'Transfer-Encoding: chunked, identity\r\n',
    status: 501,
  },
  { row: 'CVE-2022-32214', behaviour: 'a line end of LF alone', fields: 'X: y\nTransfer-Encoding: chunked\r\n' },
  { row: 'CVE-2022-32215', behaviour: 'a folded Transfer-Encoding', fields: 'Transfer-Encoding: x,\r\n chunked\r\n' },
  { row: 'CVE-2022-35256', behaviour: 'a bare CR behind a value', fields: 'Transfer-Encoding: chunked\r\r\n' },
  {
    row: 'CVE-2023-30589',
    behaviour: 'a bare CR for a line end',
    fields: 'X: y\rContent-Length: 5\r\n',
    body: 'hello',
  },
  {
    row: 'CVE-2024-27982',
    behaviour: 'a space before Content-Length',
    fields: ' Content-Length: 5\r\n',
    body: 'hello',
  },
  { row: 'CVE-2024-27982', behaviour: 'a space behind the name', fields: 'Content-Length : 5\r\n', body: 'hello' },
  { row: 'CVE-2025-23167', behaviour: 'a bare CR behind the fields', fields: '\rX: y\r\n' },
  {
    row: 'CVE-2025-55315',
    behaviour: 'a LF in a chunk extension',
    fields: chunked,
    body: `5;a\nb\r\nhello\r\n0\r\n\r\n`,
  },
  {
    row: 'CVE-2025-55315',
    behaviour: 'a CR in a chunk extension',
    fields: chunked,
    body: `5;a\rb\r\nhello\r\n0\r\n\r\n`,
  },
  {
    row: 'CVE-2025-55315',
    behaviour: 'a LF in a quoted chunk extension',
    fields: chunked,
    body: `5;a="\n"\r\nhello\r\n0\r\n\r\n`,
  },
  {
    row: 'CVE-2025-22871',
    behaviour: 'a chunk line that ends with LF alone',
    fields: chunked,
    body: '5\nhello\r\n0\r\n\r\n',
  },
  {
    row: 'CVE-2025-22871',
    behaviour: 'a last chunk line that ends with LF alone',
    fields: chunked,
    body: '5\r\nhello\r\n0\n\r\n',
  },
  {
    row: 'CVE-2025-58056',
    behaviour: 'a chunk extension that is none',
    fields: chunked,
    body: '5 x\r\nhello\r\n0\r\n\r\n',
  },
  { row: 'CVE-2024-6827', behaviour: 'two codings', fields: `${chunked}${chunked}`, body: '0\r\n\r\n' },
  {
    row: 'CVE-2024-6827',
    behaviour: 'an unknown coding',
    fields: 'Transfer-Encoding: xchunked\r\n',
    body: '0\r\n\r\n',
    status: 501,
  },
  {
    row: 'CVE-2024-1135',
    behaviour: 'a coding beside a length',
    fields: `${chunked}Content-Length: 5\r\n`,
    body: `0\r\n\r\n${smuggled}`,
  },
  {
    row: 'CVE-2024-22019',
    behaviour: 'one endless chunk extension',
    fields: chunked,
    body: `5;${'a'.repeat(100_000)}`,
  },
  {
    row: 'CVE-2024-22019',
    behaviour: 'chunk extensions without end',
    fields: chunked,
    body: `1;aaaaaaaaaaaaaaaa\r\nx\r\n`.repeat(5000),
  },
  {
    row: 'CVE-2025-32094',
    behaviour: 'a folded Expect',
    fields: 'Expect: 100-continue\r\n x\r\nContent-Length: 5\r\n',
    body: 'hello',
  },
  {
    row: 'CVE-2025-32094',
    behaviour: 'an Expect that begins by folding',
    fields: 'Expect:\r\n 100-continue\r\n',
    status: 417,
  },
];

describe('a request that could end in two places', () => {
  for (const { row, behaviour, fields, body = '', status = 400 } of refusals) {
    it(`${row}: is refused for ${behaviour}`, async (t) => {
      const { upstream, client } = await start(t);
      const method = row === 'CVE-2025-32094' ? 'OPTIONS' : 'POST';
      client.write(`${method} / HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n${body}${smuggled}`);
      const { responses, rest } = await client.transcript([method]);
      assert.deepEqual([responses.map((response) => response.status), rest], [[status], '']);
      assert.deepEqual([upstream.requests, upstream.malformed], [[], null]);
    });
  }

  it('CVE-2021-40346: no length of a name hides a field behind it', async (t) => {
    const { upstream, client } = await start(t);
    let served = 0;
    for (const length of [127, 128, 255, 256, 257, 270, 511, 512, 513, 16_383, 16_384]) {
      client.write(
        `POST / HTTP/1.1\r\nHost: localhost\r\n${'a'.repeat(length)}: x\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
      );
      assert.equal((await client.response()).status, 200);
      assert.equal(upstream.requests[served++].body, smuggled);
    }
    assert.equal(upstream.requests.length, served);
  });
});

describe('what the gateway writes', () => {
  it('CVE-2026-1525: has one field for the length whatever policies add', async (t) => {
    const lie: Policy = {
      onUpstreamRequest: (_, { headers }) => {
        headers.add('Content-Length', '1');
        headers.add('content-length', '2');
        headers.add('Transfer-Encoding', 'chunked');
        headers.set('Host', 'evil.example');
        headers.add('Connection', 'close');
      },
      onResponse: ({ responseHeaders }) => {
        responseHeaders.add('Content-Length', '1');
        responseHeaders.add('TRANSFER-ENCODING', 'chunked');
        responseHeaders.add('connection', 'close');
      },
    };
    const { upstream, client } = await start(t, {}, undefined, lie);
    for (const body of ['', 'hello']) {
      client.write(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      const { fields } = await client.response();
      assert.deepEqual(
        ['content-length', 'transfer-encoding', 'connection'].map((name) => fieldValues(fields, name)),
        [['2'], [], []],
      );
      const sent = upstream.requests.at(-1)!;
      assert.deepEqual(
        ['content-length', 'transfer-encoding', 'host', 'connection'].map((name) => fieldValues(sent.fields, name)),
        [[String(body.length)], [], ['localhost'], []],
      );
      assert.equal(sent.body, body);
    }
  });

  it('CVE-2022-31150, CVE-2023-23936, CVE-2026-1527: never has a line break that came as an escape', async (t) => {
    const { upstream, client } = await start(t, {
      route: { match: { path: '/{name}/*' }, rewrite: { path: '/v1/{name}/{*}' } },
    });
    client.write('GET /a%0D%0Ab/c%0d%0ad?e%0d%0a HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await client.response();
    assert.equal(upstream.requests[0].target, '/v1/a%0D%0Ab/c%0D%0Ad?e%0d%0a');
    client.write('GET / HTTP/1.1\r\nHost: a%0d%0ab\r\nConnection: upgrade\r\nUpgrade: websocket%0d%0ax:y\r\n\r\n');
    assert.ok((await client.response()).status >= 400);
    assert.equal(upstream.requests.length, 1);
  });

  it('CVE-2026-55603, CVE-2025-32996, CVE-2025-32997: is the body as it came, once', async (t) => {
    const { upstream, client } = await start(t);
    const part =
      '--b\r\nContent-Disposition: form-data; name="a\r\nb"\r\n\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n';
    const body = `${part}\0\xff${part}--b--`;
    client.write(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await client.response();
    client.write(
      `POST / HTTP/1.1\r\nHost: localhost\r\n${chunked}\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    );
    await client.response();
    assert.deepEqual(
      upstream.requests.map((request) => request.body),
      [body, body],
    );
  });

  for (const framing of ['Content-Length: 10\r\n\r\nhello', `${chunked}\r\n5\r\nhello\r\n`]) {
    it(`CVE-2026-33555: is cut when the body was not sent whole (${framing.slice(0, 10)}…)`, async (t) => {
      const { upstream, gateway, client } = await start(t);
      client.write(`POST / HTTP/1.1\r\nHost: localhost\r\n${framing}`);
      await upstream.until(() => upstream.bytes.includes('hello'), 'the first half of the body');
      client.finish();
      await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
      assert.equal(upstream.requests.length, 0);
      assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');

      const next = await RawClient.connect(t, gateway.address());
      assert.equal((await next.write(smuggled).response()).status, 200);
      assert.equal(upstream.connections.length, 2, 'on another connection');
    });
  }
});

describe('an upgrade', () => {
  for (const upgrade of ['h2c', 'H2C', 'h2c, websocket', 'websocket, h2c', 'TLS/1.0', 'websocket/13 ']) {
    it(`h2c smuggling, CVE-2022-41721: to ${upgrade} is not asked for upstream`, async (t) => {
      const { upstream, client } = await start(t);
      client.write(
        `GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`,
      );
      assert.equal((await client.response()).status, 200);
      const { fields } = await upstream.request();
      for (const name of ['upgrade', 'connection', 'http2-settings']) {
        assert.deepEqual(fieldValues(fields, name), [], name);
      }
    });
  }

  it('h2c smuggling: that the upstream makes unasked is a bad response', async (t) => {
    const { upstream, client } = await start(
      t,
      {},
      { onRequest: () => 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n' },
    );
    client.write(`GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n`);
    const response = await client.response();
    assert.equal(response.status, 502);
    assert.equal(JSON.parse(response.body).code, 'UPSTREAM_BAD_RESPONSE');
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
  });

  it('h2c smuggling: to websocket that the upstream takes for one to h2c is a bad response', async (t) => {
    const { client } = await start(
      t,
      {},
      { onRequest: () => 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n' },
    );
    client.write(`GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    assert.equal((await client.response()).status, 502);
  });

  it('the preface of HTTP/2 is no request of HTTP/1.1', async (t) => {
    const { upstream, client } = await start(t);
    client.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
    const response = await client.response();
    assert.ok(response.status === 505 || response.status === 400);
    assert.equal(fieldValue(response.fields, 'connection'), 'close');
    assert.equal(upstream.bytes, '');
  });

  it('CVE-2024-37890: has its headers counted like any request', async (t) => {
    const { upstream, client } = await start(t);
    client.write(
      `GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${'X: y\r\n'.repeat(200)}\r\n`,
    );
    assert.equal((await client.response()).status, 431);
    assert.equal(upstream.bytes, '');
  });
});
