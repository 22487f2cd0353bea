/** What a route is for: an upstream, several in proportion, a redirect or a fixed response. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { get, head } from './with-policies.ts';

type Routes = NonNullable<ConfigInput['routes']>;

function startRoutes(
  t: TestContext,
  routes: Routes,
  config: ConfigInput = proxyTo('http://127.0.0.1:1'),
): Promise<TestGateway> {
  return TestGateway.start(t, { ...config, routes });
}

/** Upstreams that answer with their names. */
async function named(
  t: TestContext,
  names: readonly string[],
): Promise<{ readonly targets: string[]; readonly upstreams: NonNullable<ConfigInput['upstreams']> }> {
  const servers = await Promise.all(names.map((name) => RawUpstream.start(t, { onRequest: () => ok(name) })));
  const targets = servers.map(({ url }) => url);
  return { targets, upstreams: Object.fromEntries(names.map((name, i) => [name, { targets: [targets[i]] }])) };
}

async function answers(t: TestContext, gateway: TestGateway, count: number): Promise<string> {
  const client = await RawClient.connect(t, gateway.address());
  let text = '';
  for (let i = 0; i < count; i++) text += (await client.write(get()).response()).body;
  return text;
}

describe('a redirect', () => {
  it('has the status and the place that the route says, with what was captured and the query', async (t) => {
    const gateway = await startRoutes(t, {
      old: { match: { path: '/old/*' }, redirect: { to: 'https://new.example.com/{*}' } },
      user: { match: { path: '/users/{id}/{name}' }, redirect: { to: '/people?id={id}&name={name}', status: 301 } },
      host: { match: { path: '/secure' }, redirect: { to: 'https://{host}:8443{path}', status: 307 } },
    });
    for (const [path, status, location] of [
      ['/old/a/b?x=1&y', 308, 'https://new.example.com/a/b?x=1&y'],
      ['/old', 308, 'https://new.example.com/'],
      ['/old/./c/../d', 308, 'https://new.example.com/d'],
      ['/users/7/a%26b?x=1', 301, '/people?id=7&name=a%26b'],
      ['/secure?q', 307, 'https://localhost:8443/secure?q'],
    ] as const) {
      const response = await request(t, gateway.address(), get(path));
      assert.deepEqual(
        [response.status, fieldValue(response.fields, 'location'), response.body, response.framing],
        [status, location, '', 0],
      );
    }
    assert.partialDeepStrictEqual(await gateway.observation(), { status: 308, code: null, attempts: 0, route: 'old' });
  });

  it('cannot be split or sent elsewhere by what was captured', async (t) => {
    const gateway = await startRoutes(t, { all: { match: { path: '/go/*' }, redirect: { to: '/{*}' } } });
    for (const path of ['/go/%0d%0ax-evil:1', '/go//evil.example/', '/go/%2f%2fevil.example']) {
      const { status, fields } = await request(t, gateway.address(), get(path));
      assert.deepEqual(fieldValues(fields, 'x-evil'), []);
      if (status === 308) assert.match(fieldValue(fields, 'location')!, /^\/[^/]/);
      else assert.equal(status, 400);
    }
  });

  it('that needs a host is refused to a request without one', async (t) => {
    const gateway = await startRoutes(t, { all: { redirect: { to: 'https://{host}/' } } });
    const { status, body } = await request(t, gateway.address(), 'GET / HTTP/1.0\r\n\r\n');
    assert.deepEqual([status, JSON.parse(body).code], [500, 'BAD_REWRITE']);
  });
});

describe('a fixed response', () => {
  it('has the status, the headers and the body that the route says', async (t) => {
    const gateway = await startRoutes(t, {
      teapot: { match: { path: '/teapot' }, respond: { status: 418, body: 'short and stout' } },
      json: {
        match: { path: '/json' },
        respond: { headers: { 'Content-Type': 'application/json', 'x-a': 'b' }, body: '{"größe":"大"}' },
      },
      empty: { match: { path: '/empty' }, respond: { status: 204 } },
    });
    const client = await RawClient.connect(t, gateway.address());
    const teapot = await client.write(get('/teapot')).response();
    assert.deepEqual(
      [teapot.status, teapot.body, fieldValue(teapot.fields, 'content-type')],
      [418, 'short and stout', 'text/plain; charset=utf-8'],
    );
    const json = await client.write(get('/json')).response();
    assert.deepEqual(
      [fieldValues(json.fields, 'content-type'), fieldValue(json.fields, 'x-a')],
      [['application/json'], 'b'],
    );
    assert.deepEqual(JSON.parse(Buffer.from(json.body, 'latin1').toString()), { größe: '大' });
    assert.equal(json.framing, Buffer.byteLength('{"größe":"大"}'));
    const empty = await client.write(get('/empty')).response();
    assert.deepEqual([empty.status, empty.body, fieldValue(empty.fields, 'content-length')], [204, '', undefined]);
    const headOfTeapot = await client.write(head('/teapot')).response('HEAD');
    assert.deepEqual([headOfTeapot.status, fieldValue(headOfTeapot.fields, 'content-length')], [418, '15']);
    assert.equal(client.received, '');
  });

  it('is given to what no route matches, if `notFound` has one', async (t) => {
    const config = { ...proxyTo('http://127.0.0.1:1'), notFound: { respond: { status: 404, body: 'nothing here' } } };
    const gateway = await startRoutes(t, { only: { match: { path: '/only' }, respond: {} } }, config);
    assert.equal((await request(t, gateway.address(), get('/other'))).body, 'nothing here');
    assert.equal((await request(t, gateway.address(), get('/only'))).body, '');
  });
});

describe('a split', () => {
  it('gives each upstream its exact share, evenly interleaved', async (t) => {
    const { upstreams } = await named(t, ['a', 'b', 'c']);
    const config = {
      telemetry: { accessLog: false as const },
      listeners: { web: { host: '127.0.0.1', port: 0 } },
      upstreams,
    };
    const gateway = await startRoutes(
      t,
      {
        all: {
          upstream: [
            { upstream: 'a', weight: 5 },
            { upstream: 'b', weight: 1 },
            { upstream: 'c', weight: 1 },
          ],
        },
      },
      config,
    );
    assert.equal(await answers(t, gateway, 21), 'aabacaa'.repeat(3));
  });

  it('gives nothing to a weight of 0, wherever it stands', async (t) => {
    const { upstreams } = await named(t, ['a', 'b', 'c']);
    const config = {
      telemetry: { accessLog: false as const },
      listeners: { web: { host: '127.0.0.1', port: 0 } },
      upstreams,
    };
    for (const weights of [
      [0, 1, 1],
      [1, 0, 1],
      [1, 1, 0],
      [0, 2, 0],
    ]) {
      const parts = ['a', 'b', 'c'].map((upstream, i) => ({ upstream, weight: weights[i] }));
      const gateway = await startRoutes(t, { all: { upstream: parts } }, config);
      const text = await answers(t, gateway, 12);
      const total = weights[0] + weights[1] + weights[2];
      for (const [i, name] of ['a', 'b', 'c'].entries()) {
        assert.equal(text.split(name).length - 1, (12 * weights[i]) / total, `${weights.join()} gave ${text}`);
      }
    }
  });
});

describe('the targets of an upstream', () => {
  it('get their exact shares, by weight or by turns', async (t) => {
    const { targets } = await named(t, ['a', 'b']);
    const even = await TestGateway.start(t, proxyTo(targets));
    assert.equal(await answers(t, even, 6), 'ababab');
    const weighted = [
      { url: targets[0], weight: 3 },
      { url: targets[1], weight: 1 },
    ];
    const uneven = await TestGateway.start(t, proxyTo(targets, { upstream: { targets: weighted } }));
    const text = await answers(t, uneven, 12);
    assert.equal(text, text.slice(0, 4).repeat(3));
    assert.equal(Array.from(text.slice(0, 4)).toSorted().join(''), 'aaab');
  });

  it('may be Unix sockets', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'gatewright-'));
    t.after(() => rm(folder, { recursive: true }));
    const upstream = await RawUpstream.start(t, { onRequest: () => ok('by socket') }, join(folder, 'app.sock'));
    for (const hostHeader of ['preserve', 'target']) {
      const gateway = await TestGateway.start(t, proxyTo(upstream.url, { upstream: { hostHeader } }));
      assert.equal(await answers(t, gateway, 2), 'by socket'.repeat(2));
    }
    assert.deepEqual(
      upstream.requests.map(({ fields }) => fieldValue(fields, 'host')),
      ['localhost', 'localhost', 'localhost', 'localhost'],
    );
    assert.equal(upstream.connections.length, 2);
    const gone = await TestGateway.start(t, proxyTo(`unix:${join(folder, 'nobody.sock')}`));
    assert.equal((await request(t, gone.address(), get())).status, 502);
  });

  it('get the Host that the configuration says', async (t) => {
    const upstream = await RawUpstream.start(t);
    const authority = new URL(upstream.url).host;
    for (const [hostHeader, rewrite, expected] of [
      ['preserve', undefined, 'api.example.com:8080'],
      ['target', undefined, authority],
      ['internal.example', undefined, 'internal.example'],
      ['preserve', { host: 'rewritten.example' }, 'rewritten.example'],
      ['target', { host: 'rewritten.example' }, 'rewritten.example'],
    ] as const) {
      const gateway = await TestGateway.start(
        t,
        proxyTo(upstream.url, { upstream: { hostHeader }, route: rewrite === undefined ? {} : { rewrite } }),
      );
      await request(t, gateway.address(), 'GET / HTTP/1.1\r\nhost: API.example.com:8080\r\n\r\n');
      const { fields } = upstream.requests.at(-1)!;
      assert.deepEqual(
        [fieldValues(fields, 'host'), fieldValue(fields, 'x-forwarded-host')],
        [[expected], 'api.example.com:8080'],
      );
    }
  });

  it('get the path that the rewrite makes, or no request at all', async (t) => {
    const upstream = await RawUpstream.start(t);
    const route = {
      match: { path: '/api/{version}/{rest...}' },
      rewrite: { path: '/{rest}/of/{version}', host: 'inner.example' },
    };
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { route }));
    await request(t, gateway.address(), get('/api/v1/a/b?q=%20'));
    assert.deepEqual(
      [upstream.requests[0].target, fieldValue(upstream.requests[0].fields, 'host')],
      ['/a/b/of/v1?q=%20', 'inner.example'],
    );
  });
});

describe('problem details', () => {
  it('name the request, which the log, the upstream and the client know by the same id', async (t) => {
    const gateway = await TestGateway.start(t, proxyTo('http://127.0.0.1:1', { route: { policies: ['requestId'] } }));
    const { status, fields, body } = await request(t, gateway.address(), get());
    const problem = JSON.parse(body);
    assert.equal(status, 502);
    assert.deepEqual(Object.keys(problem).toSorted(), ['code', 'requestId', 'status', 'title', 'type']);
    assert.match(problem.requestId, /^[0-9a-f-]{36}$/);
    assert.equal(fieldValue(fields, 'x-request-id'), problem.requestId);
    assert.equal(fieldValue(fields, 'content-type'), 'application/problem+json');
  });

  it('come with Proxy-Status, and without anything about the upstream', async (t) => {
    const upstream = await RawUpstream.start(t, { onRequest: () => 'secret-banner\r\n\r\n' });
    const cases = [
      ['http://127.0.0.1:1', 'gatewright; error=connection_refused'],
      [upstream.url, 'gatewright; error=http_protocol_error'],
    ] as const;
    for (const [url, proxyStatus] of cases) {
      const gateway = await TestGateway.start(t, proxyTo(url));
      const response = await request(t, gateway.address(), get());
      assert.equal(fieldValue(response.fields, 'proxy-status'), proxyStatus);
      assert.doesNotMatch(JSON.stringify([response.body, response.fields]), /127\.0\.0\.1|secret|ECONN/);
    }
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { route: { match: { path: '/x' } } }));
    const missing = await request(t, gateway.address(), get('/'));
    assert.equal(fieldValue(missing.fields, 'proxy-status'), 'gatewright; error=destination_not_found');
  });

  it('are not sent to HEAD, but their length is', async (t) => {
    const gateway = await TestGateway.start(t, proxyTo('http://127.0.0.1:1'));
    const client = await RawClient.connect(t, gateway.address());
    const whole = await client.write(get()).response();
    const { status, fields, body } = await client.write(head()).response('HEAD');
    assert.deepEqual([status, body, fieldValue(fields, 'content-length')], [502, '', String(whole.body.length)]);
    assert.equal(client.received, '');
  });
});
