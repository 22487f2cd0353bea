/** What `explain` says is what the router does: one implementation, held to the linear reference. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { explain, type ExplainRequest } from '../../src/compile/explain/explain.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { GatewayConfig, RouteConfig } from '../../src/config/schema.ts';
import { builtinPolicies } from '../../src/policies/index.ts';
import type { RoutableRequest, RouteRule } from '../../src/proxy/router/router.ts';
import { requests, rules } from './arbitraries.ts';
import { linearMatch } from './linear-reference.ts';
import { request } from './requests.ts';

const definitions = await builtinPolicies.load(builtinPolicies.names);

async function parse(yaml: string): Promise<GatewayConfig> {
  const { config, problems } = await parseConfig(yaml, { registry: builtinPolicies, fileName: 'gateway.yaml' });
  assert.ok(config, problems.map(({ message }) => message).join('\n'));
  return config;
}

const base = await parse(`
listeners: {web: {port: 8080}, secure: {port: 8443}}
upstreams: {u: {targets: ["http://127.0.0.1:1"]}}
routes:
  plain: {match: {path: /}, upstream: u}
  shared: {match: {path: /}, upstream: u, policies: [{cors: {origins: ["https://a.example"]}}]}
`);

function toRoute({ name, priority, match, answersPreflight }: RouteRule<string>): RouteConfig {
  const { hosts, paths, methods, headers, query, listeners, encodedSlash, emptySegments } = match;
  return {
    ...base.routes[answersPreflight ? 'shared' : 'plain'],
    name,
    priority,
    match: {
      host: [...hosts],
      path: [...paths],
      methods: methods === null ? undefined : [...methods],
      headers: [...headers],
      query: [...query],
      listener: [...(listeners ?? [])],
      encodedSlash,
      emptySegments,
    },
  };
}

/** No rule is for no listener at all, which a configuration cannot say. */
const sayable = (maxLength: number): fc.Arbitrary<RouteRule<string>[]> =>
  rules(maxLength).filter((all) => all.every(({ match }) => match.listeners === null || match.listeners.length > 0));

/** The request in words, and as the router is asked. */
function spellings(asked: RoutableRequest): [ExplainRequest, RoutableRequest] {
  const { method, listener, query, unmergedPath } = asked;
  const host = /^[a-z]/.test(asked.host) ? asked.host : 'z';
  const target = unmergedPath + (query === '' ? '' : `?${query}`);
  const headers = [...asked.headers];
  return [
    { method, url: `http://${host}${target}`, listener, headers },
    request(host + target, { method, listener, headers: [['host', host], ...headers] }),
  ];
}

/** A hundred thousand on demand: EXPLAIN_REQUESTS=100000. */
const wanted = Number(process.env['EXPLAIN_REQUESTS'] ?? 4000);
const perConfiguration = 20;

describe('explain', () => {
  it(`says of ${wanted} random requests what the linear reference says`, () => {
    fc.assert(
      fc.property(
        sayable(12),
        fc.array(requests, { minLength: perConfiguration, maxLength: perConfiguration }),
        (all, asked) => {
          const config = { ...base, routes: Object.fromEntries(all.map((each) => [each.name, toRoute(each)])) };
          for (const each of asked) {
            const [words, routable] = spellings(each);
            const expected = linearMatch(all, routable);
            const said = explain(config, words);
            const context = JSON.stringify(words);
            assert.equal(said.route?.name ?? null, expected?.kind === 'route' ? expected.rule.name : null, context);
            assert.deepEqual(said.route?.captures ?? {}, expected?.kind === 'route' ? expected.params : {}, context);
            assert.deepEqual(said.outcome.allow, expected?.kind === 'method' ? expected.allowed : [], context);
            // Every other route either matches as well, or has a condition that does not hold.
            const matching = [said.route?.name, ...said.alsoMatched.map(({ name }) => name)];
            for (const { name } of said.nearMisses) assert.ok(!matching.includes(name), context);
            for (const { name, failed } of said.nearMisses) {
              const alone = linearMatch(
                all.filter((rule) => rule.name === name),
                routable,
              );
              if (failed !== 'method') assert.equal(alone, null, context);
              assert.notEqual(alone?.kind, 'route', context);
            }
            if (said.alsoMatchedTotal > 10) continue;
            for (const { name } of all) {
              const alone = linearMatch(
                all.filter((rule) => rule.name === name),
                routable,
              );
              assert.equal(alone?.kind === 'route', matching.includes(name), `${name} ${context}`);
            }
          }
        },
      ),
      { numRuns: Math.ceil(wanted / perConfiguration) },
    );
  });

  it('names the rule of the order that decided, each of them', async () => {
    const config = await parse(`
upstreams: {u: {targets: ["http://127.0.0.1:1"]}}
routes:
  priority: {match: {host: h.x}, priority: 1, upstream: u}
  host: {match: {host: h.x, path: /a, methods: [GET], headers: {v: "1"}, query: {q: "1"}}, upstream: u}
  query: {match: {host: h.x, path: /a, methods: [GET], headers: {v: "1"}}, upstream: u}
  name: {match: {host: h.x, path: /a, methods: [GET], headers: {w: "1"}}, upstream: u}
  headers: {match: {host: h.x, path: /a, methods: [GET]}, upstream: u}
  methods: {match: {host: h.x, path: /a}, upstream: u}
  path: {match: {host: h.x, path: "/{p}"}, upstream: u}
  wild: {match: {host: "*.x", path: /a}, upstream: u}
`);
    const { route, alsoMatched } = explain(config, {
      method: 'GET',
      url: 'http://h.x/a?q=1',
      headers: { v: '1', w: ['1'] },
    });
    assert.equal(route?.name, 'priority');
    assert.deepEqual(new Set(alsoMatched.map(({ decidedBy }) => decidedBy)), new Set(['priority']));
    const without = (names: string[]): GatewayConfig => ({
      ...config,
      routes: Object.fromEntries(Object.entries(config.routes).filter(([name]) => !names.includes(name))),
    });
    const asked = { method: 'GET', url: 'http://h.x/a?q=1', headers: { v: '1', w: '1' } };
    const reasons = explain(without(['priority']), asked).alsoMatched.map(
      ({ name, decidedBy }) => `${name} ${decidedBy}`,
    );
    assert.deepEqual(reasons, [
      'name query',
      'query query',
      'headers headers',
      'methods methods',
      'path path',
      'wild host',
    ]);
    assert.equal(explain(without(['priority', 'host']), asked).alsoMatched[0]?.decidedBy, 'name');
  });

  it('says that a preflight went to the route that lists OPTIONS', async () => {
    const config = await parse(`
upstreams: {u: {targets: ["http://127.0.0.1:1"]}}
routes:
  a: {match: {path: /a, methods: [GET]}, upstream: u, policies: [{cors: {origins: ["https://a.example"]}}]}
  z: {match: {path: /a, methods: [OPTIONS]}, upstream: u}
`);
    const headers = { origin: 'https://a.example', 'access-control-request-method': 'GET' };
    const { route, alsoMatched } = explain(config, { method: 'OPTIONS', url: 'http://h/a', headers });
    assert.equal(route?.name, 'z');
    assert.deepEqual(
      alsoMatched.map(({ name, decidedBy }) => `${name} ${decidedBy}`),
      ['a preflight'],
    );
  });

  it('says of a near miss the first condition that does not hold', async () => {
    const config = await parse(
      `
listeners: {web: {port: 8080}, secure: {port: 8443}}
upstreams: {u: {targets: ["http://127.0.0.1:1"]}}
routes:
  listener: {match: {path: /a, listener: secure}, upstream: u}
  host: {match: {host: b.example, path: /a}, upstream: u}
  path: {match: {path: /a/b, headers: {x: "1"}}, upstream: u}
  method: {match: {path: /a, methods: [PUT]}, upstream: u}
  header: {match: {path: /a, headers: {x: {regex: "^1"}, y: {present: false}}}, upstream: u}
  query: {match: {path: /a, query: {q: "1"}}, upstream: u}
`,
    );
    const { nearMisses, outcome } = explain(config, {
      method: 'GET',
      url: '/a?q=2',
      headers: [
        ['Host', 'a.example'],
        ['x', '1'],
        ['y', ''],
      ],
    });
    assert.equal(outcome.code, 'METHOD_NOT_ALLOWED');
    assert.deepEqual(
      Object.fromEntries(nearMisses.map(({ name, failed, message }) => [name, `${failed}: ${message}`])),
      {
        header: 'header: the header y must not be there, and is ""',
        host: 'host: it is only for host b.example, not a.example',
        listener: 'listener: it is only for listener secure, not web',
        method: 'method: it is only for method PUT, not GET',
        path: 'path: /a does not match its path /a/b',
        query: 'query: the query parameter q must be "1", and is "2"',
      },
    );
  });

  it('gives the target, the policies and what is sent, by the code that sends it', async () => {
    const config = await parse(`
upstreams:
  one: {targets: ["http://127.0.0.1:3001", {url: "https://two.example", weight: 3}], hostHeader: target}
  two: {targets: ["unix:/run/app.sock"]}
policies: {trace: requestId}
defaults: {policies: [trace], timeouts: {total: 5s}}
routes:
  split:
    match: {path: "/api/{id}/*"}
    policies: [securityHeaders]
    rewrite: {path: "/v1/{*}/{id}"}
    upstream: [{upstream: one, weight: 3}, {upstream: two}]
  moved: {match: {path: "/old/*"}, redirect: {to: "https://new.example/{*}"}}
  bad: {match: {path: "/bad/{x}"}, rewrite: {path: "/.{x}"}, upstream: two}
  tea: {match: {path: /tea}, respond: {status: 418, body: short}}
`);
    const ask = (url: string, headers = {}) =>
      explain(config, { method: 'GET', url, headers }, { definitionOf: ({ name }) => definitions.get(name) });
    const {
      request: asked,
      policies,
      action,
      timeouts,
    } = ask('http://A.example:81/api//%7e/x/../y?z', { 'x-forwarded-for': '1.2.3.4', a_b: 'c' });
    assert.deepEqual(asked, {
      method: 'GET',
      target: '/api//%7e/x/../y?z',
      listener: 'web',
      host: 'a.example',
      port: 81,
      path: '/api/~/y',
      query: 'z',
      droppedHeaders: ['a_b', 'x-forwarded-for'],
    });
    assert.deepEqual(
      policies.map(({ label, name, from, provides }) => [label, name, from, provides]),
      [
        ['trace', 'requestId', 'defaults', ['requestId']],
        ['securityHeaders', 'securityHeaders', 'route', []],
      ],
    );
    assert.deepEqual(timeouts, { connect: 2000, firstByte: 30_000, idle: 60_000, total: 5000 });
    assert.ok(action?.kind === 'forward');
    assert.equal(action.requestLine, 'GET /v1/y/~?z HTTP/1.1');
    assert.deepEqual(
      action.upstreams.map(({ name, share, balance }) => [name, share, balance]),
      [
        ['one', 0.75, 'weighted-round-robin'],
        ['two', 0.25, 'round-robin'],
      ],
    );
    assert.deepEqual(
      action.upstreams.flatMap(({ targets }) => targets.map(({ host }) => host)),
      ['127.0.0.1:3001', 'two.example', 'a.example:81'],
    );
    assert.deepEqual(ask('http://h/old/a?b').action, {
      kind: 'redirect',
      status: 308,
      location: 'https://new.example/a?b',
    });
    assert.deepEqual(ask('http://h/tea').action, {
      kind: 'respond',
      status: 418,
      headers: [['content-type', 'text/plain; charset=utf-8']],
      body: 'short',
    });
    const bad = ask('http://h/bad/.').action;
    assert.equal(bad, null);
    const refused = ask('http://h/bad/.x').action;
    assert.ok(refused?.kind === 'forward' && refused.failure === null && refused.target === '/..x');
  });

  it('says why a request is refused before a route is chosen, or by the route', async () => {
    const config = await parse(
      'upstreams: {u: {targets: ["http://127.0.0.1:1"]}}\nroutes: {a: {match: {path: "/a/*"}, upstream: u}}',
    );
    const outcomes = (['/a/../../b', '/a%5Cb', '/a/x%2Fy', '/a#b', '/b'] as const).map((target) => {
      const { outcome, route, policies, action } = explain(config, { method: 'GET', url: `http://h${target}` });
      assert.deepEqual([route, policies, action], [null, [], null]);
      return `${outcome.status} ${outcome.code} ${outcome.message}`;
    });
    assert.match(outcomes[0], /^400 BAD_PATH .*above the root/);
    assert.match(outcomes[1], /^400 BAD_PATH .*backslash/);
    assert.match(outcomes[2], /^400 BAD_PATH .*encoded slash; it would be for route a/);
    assert.match(outcomes[3], /^400 BAD_PATH /);
    assert.match(outcomes[4], /^404 NO_ROUTE no route matches it$/);
    const twice = explain(config, { method: 'GET', url: 'http://a.example/a', headers: { host: 'bad host' } });
    assert.equal(twice.outcome.code, 'BAD_REQUEST');
  });

  it('shows no secret, wherever it stands', async () => {
    const config = await parse(`
upstreams: {u: {targets: ["http://127.0.0.1:1"]}}
routes:
  guarded: {match: {path: /a, headers: {x-version: s3cr3t}}, upstream: u}
  keyed: {match: {path: /a, headers: {x-api-key: 0th3r}, query: {token: th1rd}}, upstream: u}
  queried: {match: {path: /a, query: {token: th1rd}}, upstream: u}
  told: {match: {path: /b}, respond: {body: "is s3cr3t", headers: {x-key: s3cr3t}}}
`);
    const hide = (text: string): string => text.replaceAll('s3cr3t', '***');
    for (const url of ['http://h/a', 'http://h/b']) {
      const said = JSON.stringify(explain(config, { method: 'GET', url }, { hide }));
      assert.ok(!said.includes('s3cr3t'), said);
      assert.ok(said.includes('***'));
    }
    // What is called like a credential is not even shown where nobody knows which texts are secret.
    const said = JSON.stringify(
      explain(config, { method: 'GET', url: '/a?token=mine', headers: { 'x-api-key': 'own' } }).nearMisses,
    );
    for (const value of ['0th3r', 'th1rd', 'own', 'mine']) assert.ok(!said.includes(value), said);
  });

  it('tells a request that cannot be from one that is refused', async () => {
    const config = await parse(
      'upstreams: {u: {targets: ["http://127.0.0.1:1"]}}\nroutes: {a: {match: {path: "/a/*"}, upstream: u}}',
    );
    const impossible: readonly (readonly [ExplainRequest, RegExp])[] = [
      [{ method: 'G ET', url: '/' }, /is not a method/],
      [{ method: 'GET', url: 'ftp://h/' }, /^the URL is http:/],
      [{ method: 'GET', url: 'http://me:pw@h/' }, /^the URL has no user name/],
      [{ method: 'GET', url: '/', listener: 'x' }, /^there is no listener "x"; there is web$/],
      [{ method: 'GET', url: '/', headers: { 'a b': 's3cr3t' } }, /^a header has a name/],
      [
        {
          method: 'GET',
          url: '/',
          headers: [
            ['host', 'a'],
            ['Host', 'b'],
          ],
        },
        /^a request has one Host$/,
      ],
    ];
    for (const [asked, message] of impossible) {
      assert.throws(() => explain(config, asked), { name: 'ExplainError', message });
    }
  });
});
