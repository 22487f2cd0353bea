/** SECURITY.md, section A, at real sockets: what is matched is what is sent. Each test names the row that it holds. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, describe, it } from 'node:test';
import { isAdmin, readersOfAdmin } from '../http/path-decoders.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { policyOf } from '../support/inline-policy.ts';
import { fieldValues, type ResponseMessage } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

interface TargetCase {
  readonly name: string;
  readonly method: string;
  readonly target: string;
  readonly must: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A gateway that refuses `/admin` and below, has a static prefix and a rewritten one, and forwards the rest. */
async function guarded(t: TestContext) {
  const upstream = await RawUpstream.start(t);
  const config = proxyTo(upstream.url);
  const seen: string[] = [];
  const gateway = await TestGateway.start(
    t,
    {
      ...config,
      routes: {
        admin: { match: { path: '/admin/*' }, respond: { status: 403 } },
        files: { match: { path: '/static/*' }, respond: { status: 204 } },
        api: { match: { path: '/api/*' }, rewrite: { path: '/internal/{*}' }, upstream: 'service' },
        rest: { policies: [{ use: './witness.ts' }], upstream: 'service' },
      },
    },
    { modules: { './witness.ts': policyOf({ onRequest: (exchange) => void seen.push(exchange.path) }) } },
  );

  /** What the client and the upstream get; the target is null when nothing reached the upstream. */
  const ask = async (
    target: string,
    fields = '',
    method = 'GET',
  ): Promise<{ response: ResponseMessage; sent: string | null }> => {
    const before = upstream.requests.length;
    const client = await RawClient.connect(t, gateway.address());
    client.write(`${method} ${target} HTTP/1.1\r\nhost: localhost\r\n${fields}\r\n`);
    const response = await client.response(method);
    client.destroy();
    const sent = upstream.requests.slice(before).map((request) => request.target);
    assert.ok(sent.length <= 1, 'one request at most');
    return { response, sent: sent[0] ?? null };
  };
  return { upstream, gateway, seen, ask };
}

describe('paths that were made to be read in two ways', () => {
  const cases = readFileSync(new URL('../corpora/request-targets.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as TargetCase);

  it('never reach the upstream in a form that anything there could read as the guarded path', async (t) => {
    const { ask } = await guarded(t);
    for (const { name, target, method, must, headers = {} } of cases) {
      // Whitespace or control characters in a target are the business of the request corpus.
      const fields = Object.entries(headers)
        .map(([field, value]) => `${field}: ${value}\r\n`)
        .join('');
      const { response, sent } = await ask(Buffer.from(target).toString('latin1'), fields, method);
      if (must === 'deny' || must === 'safe') {
        assert.deepEqual(
          sent === null ? [] : readersOfAdmin(sent.replace(/\?.*/s, '')),
          [],
          `${name}: ${target} sent as ${sent}`,
        );
      } else if (must === 'refuse') {
        assert.ok(response.status >= 400 && sent === null, `${name}: ${target} was answered ${response.status}`);
      } else if (must.endsWith('literal') && sent !== null) {
        assert.equal(isAdmin(sent), false, name);
      }
      if (must === 'literal') assert.ok(sent !== null || response.status === 403, `${name}: ${target} was refused`);
    }
  });

  const rows: readonly (readonly [row: string, behaviour: string, target: string, status: number])[] = [
    ['CVE-2019-9901', 'dot segments are resolved before matching', '/info/../admin', 403],
    ['CVE-2025-32431', 'escaped dot segments are resolved before matching', '/service/%2e%2e/admin', 403],
    ['GHSA-vrch-868g-9jx5', 'half escaped dot segments are resolved before matching', '/service/.%2E/%61dmin', 403],
    ['CVE-2021-29492', 'an encoded slash is refused', '/info/..%2Fadmin', 400],
    ['CVE-2021-29492', 'an encoded backslash is refused', '/info/..%5Cadmin', 400],
    ['CVE-2021-32779', 'a fragment is refused', '/admin#/public', 400],
    ['CVE-2023-45539', 'a fragment that ends in an innocent name is refused', '/admin#.png', 400],
    ['CVE-2025-66490', 'an encoded NUL is refused', '/admin%00', 400],
    ['CVE-2025-54576', 'the query has no part in matching', '/admin?x=/public', 403],
    ['nginx alias off-by-slash', 'a prefix ends with its segment', '/static../secret', 200],
  ];
  for (const [row, behaviour, target, status] of rows) {
    it(`${row}: ${behaviour} (${target})`, async (t) => {
      const { ask } = await guarded(t);
      const { response, sent } = await ask(target);
      assert.equal(response.status, status);
      assert.equal(sent, status === 200 ? target : null);
    });
  }

  it('CVE-2021-43557: a policy sees the path that was matched and is sent', async (t) => {
    const { ask, seen } = await guarded(t);
    const { sent } = await ask('/a/./b/%2e%2e/%63//d');
    assert.deepEqual([seen, sent], [['/a/c/d'], '/a/c/d']);
  });

  it('CVE-2025-66490: reserved characters in escapes stay what they are', async (t) => {
    const { ask } = await guarded(t);
    for (const escape of ['%3B', '%3F', '%23']) assert.equal((await ask(`/a${escape}b`)).sent, `/a${escape}b`);
  });

  it('GHSA-xf64-8mw2-4gr2: a rewrite cannot be left through dot segments', async (t) => {
    const { ask } = await guarded(t);
    const escapes = [
      '/api%2e%2e/admin',
      '/api/%2e%2e/admin',
      '/api/..;/admin',
      '/api/x/../../admin',
      '/api/..%2fadmin',
      '/api/%2e%2e%2fadmin',
    ];
    for (const target of escapes) {
      const { sent } = await ask(target);
      assert.deepEqual(sent === null ? [] : readersOfAdmin(sent), [], `${target} sent as ${sent}`);
    }
    assert.equal((await ask('/api/./a/../b')).sent, '/internal/b');
  });

  it('CVE-2024-38474: what a rewrite captured never becomes a query or a fragment', async (t) => {
    const { ask } = await guarded(t);
    assert.equal((await ask('/api/a%3Fadmin=1')).sent, '/internal/a%3Fadmin=1');
    assert.equal((await ask('/api/a%23b')).sent, '/internal/a%23b');
    assert.equal((await ask('/api/a%0D%0Ax:y')).sent, '/internal/a%0D%0Ax:y');
  });

  it('CVE-2018-14773: headers that override the path are not sent on', async (t) => {
    const { ask, upstream } = await guarded(t);
    const { sent } = await ask(
      '/public',
      'X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\nX-Original-URI: /admin\r\n',
    );
    assert.equal(sent, '/public');
    assert.doesNotMatch(upstream.bytes, /admin/);
  });

  it('CVE-2026-26308: a policy gets every value of a repeated header', async (t) => {
    const values: string[][] = [];
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(
      t,
      proxyTo(upstream.url, { route: { policies: [{ use: './roles.ts' }] } }),
      {
        modules: {
          './roles.ts': policyOf({
            onRequest: ({ requestHeaders }) => void values.push(requestHeaders.getAll('x-role')),
          }),
        },
      },
    );
    const client = await RawClient.connect(t, gateway.address());
    client.write('GET / HTTP/1.1\r\nhost: localhost\r\nx-role: guest\r\nX-Role: admin\r\n\r\n');
    await client.response();
    assert.deepEqual(values, [['guest', 'admin']]);
    assert.deepEqual(fieldValues((await upstream.request()).fields, 'x-role'), ['guest', 'admin']);
  });

  it('CVE-2026-27587, CVE-2026-27588: hosts match in any case, however many there are', async (t) => {
    const names = Array.from({ length: 150 }, (_, i) => `host-${i}.example.com`);
    const gateway = await TestGateway.start(t, {
      ...proxyTo('http://127.0.0.1:1'),
      routes: Object.fromEntries(
        names.map((host, i) => [`route-${i}`, { match: { host }, respond: { status: 200 + i } }]),
      ),
    });
    const client = await RawClient.connect(t, gateway.address());
    for (const index of [1, 99, 101, 149]) {
      client.write(`GET /%61 HTTP/1.1\r\nhost: ${names[index].toUpperCase()}\r\n\r\n`);
      assert.equal((await client.response()).status, 200 + index);
    }
  });
});
