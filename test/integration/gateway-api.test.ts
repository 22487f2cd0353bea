/**
 * The HTTP cases of the Kubernetes Gateway API (`test/corpora/gateway-api-cases.json`) at real sockets: each group of routes
 * in our configuration, each request through a gateway to upstreams that stand for the backends.
 *
 * Not here: mirrors and h2c, which are not built; ports of listeners and several gateways (`test/router`), CORS
 * (`test/policies`), gRPC and weights (`test/router`, `test/proxy`); backends that do not exist or may not be used, which
 * are problems of a configuration with us instead of a 500 for each request.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, describe, it } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { settle } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway } from '../support/gateway.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

interface HeaderChange {
  readonly set?: readonly { readonly name: string; readonly value: string }[];
  readonly add?: readonly { readonly name: string; readonly value: string }[];
  readonly remove?: readonly string[];
}

interface Replacement {
  readonly hostname?: string;
  readonly scheme?: string;
  readonly port?: number;
  readonly statusCode?: 301 | 302 | 303 | 307 | 308;
  readonly path?: { readonly replaceFullPath?: string; readonly replacePrefixMatch?: string };
}

interface Filter {
  readonly requestHeaderModifier?: HeaderChange;
  readonly requestRedirect?: Replacement;
  readonly urlRewrite?: Replacement;
}

interface Rule {
  readonly matches: readonly {
    readonly path?: { readonly type: string; readonly value: string };
    readonly method?: string;
    readonly headers?: readonly { readonly name: string; readonly value: string }[];
  }[];
  readonly filters?: readonly Filter[];
  readonly backends?: readonly { readonly name: string; readonly filters?: readonly Filter[] }[];
  readonly timeouts?: { readonly request: string };
}

interface Case {
  readonly request: {
    readonly path: string;
    readonly method?: string;
    readonly host?: string;
    readonly headers?: Readonly<Record<string, string>>;
  };
  readonly expect_backend?: string;
  readonly expect_response: { readonly status: number };
  readonly expect_redirect?: Readonly<Partial<Record<'host' | 'port' | 'scheme' | 'path', string>>>;
  readonly upstream_sees?: { readonly path?: string; readonly headers?: Readonly<Record<string, string>> };
  readonly upstream_absent_headers?: readonly string[];
}

interface Group {
  readonly id: string;
  readonly routes: readonly { readonly rules: readonly Rule[] }[];
  readonly cases: readonly Case[];
}

const file = readFileSync(new URL('../corpora/gateway-api-cases.json', import.meta.url), 'utf8');
const { groups } = JSON.parse(file) as { readonly groups: readonly Group[] };

type RouteInput = NonNullable<ConfigInput['routes']>[string];

/** The path template of a replaced path; without one the path stays. */
function toTemplate({ path }: Replacement, prefix: string): string {
  const { replaceFullPath: full, replacePrefixMatch: begin = prefix } = path ?? {};
  return full ?? `${begin === '/' ? '' : begin}/{*}`;
}

/** @param origin scheme and port of the listener: what a redirect that names none of them keeps. */
function toRedirect(to: Replacement, prefix: string, origin: URL): RouteInput['redirect'] {
  const scheme = to.scheme ?? origin.protocol.slice(0, -1);
  const port = to.port ?? (to.scheme === undefined ? Number(origin.port) : 0);
  const isStandard = port === 0 || port === (scheme === 'https' ? 443 : 80);
  const authority = `${to.hostname ?? '{host}'}${isStandard ? '' : `:${port}`}`;
  return { to: `${scheme}://${authority}${toTemplate(to, prefix)}`, status: to.statusCode ?? 302 };
}

function toRoute(
  { filters = [], backends = [], timeouts }: Rule,
  match: Rule['matches'][number],
  origin: URL,
): RouteInput {
  const prefix = match.path?.value.replace(/\/$/, '') ?? '';
  const all = [...filters, ...backends.flatMap((backend) => backend.filters ?? [])];
  const changes = all.flatMap(({ requestHeaderModifier: change }) => (change === undefined ? [] : [change]));
  const redirect = all.find(({ requestRedirect }) => requestRedirect !== undefined)?.requestRedirect;
  const rewrite = all.find(({ urlRewrite }) => urlRewrite !== undefined)?.urlRewrite;
  const pairs = (list: HeaderChange['set'] = []) => Object.fromEntries(list.map(({ name, value }) => [name, value]));
  return {
    match: {
      path: `${prefix}/*`,
      ...(match.method === undefined ? {} : { methods: [match.method] }),
      headers: pairs(match.headers),
    },
    policies: changes.map(({ set, add, remove = [] }) => ({
      headers: { request: { set: pairs(set), add: pairs(add), remove: [...remove] } },
    })),
    ...(redirect === undefined ? { upstream: backends[0].name } : { redirect: toRedirect(redirect, prefix, origin) }),
    ...(rewrite === undefined ? {} : { rewrite: { path: toTemplate(rewrite, prefix) } }),
    ...(timeouts === undefined || timeouts.request === '0s' ? {} : { timeouts: { total: timeouts.request } }),
  };
}

/** A gateway with these rules, and what every backend has got. */
async function serve(t: TestContext, rules: readonly Rule[], origin: URL) {
  const clock = new FakeClock();
  const names = [...new Set(rules.flatMap(({ backends = [] }) => backends.map(({ name }) => name)))];
  const backends = new Map<string, RawUpstream>();
  for (const name of names) {
    const onRequest = ({ target }: { target: string }) => (target.includes('delay=') ? undefined : ok(name));
    backends.set(name, await RawUpstream.start(t, { onRequest }));
  }
  const gateway = await TestGateway.start(
    t,
    {
      telemetry: { accessLog: false },
      listeners: { web: { host: '127.0.0.1', port: 0 } },
      upstreams: Object.fromEntries([...backends].map(([name, { url }]) => [name, { targets: [url] }])),
      routes: Object.fromEntries(
        rules.flatMap((rule, index) =>
          rule.matches.map((match, which) => [`r${index}-${which}`, toRoute(rule, match, origin)]),
        ),
      ),
    },
    { clock },
  );
  return { clock, gateway, backends };
}

function assertRedirect(location: string | undefined, expected: NonNullable<Case['expect_redirect']>): void {
  const url = new URL(location!);
  const found = { host: url.hostname, port: url.port, scheme: url.protocol.slice(0, -1), path: url.pathname };
  for (const part of ['host', 'scheme', 'path'] as const) {
    if (expected[part] !== undefined) assert.equal(found[part], expected[part]);
  }
  assert.equal(found.port, expected.port ?? '');
}

async function play(t: TestContext, rules: readonly Rule[], each: Case, origin: URL): Promise<void> {
  const { clock, gateway, backends } = await serve(t, rules, origin);
  const { path, method = 'GET', host = 'gateway.example', headers = {} } = each.request;
  const fields = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const client = await RawClient.connect(t, gateway.address());
  client.write(`${method} ${path} HTTP/1.1\r\n${fields.join('')}\r\n`);
  if (path.includes('delay=')) {
    const [backend] = backends.values();
    await backend.request();
    await settle();
    clock.advance(1000);
    if (each.expect_response.status === 200) backend.connections[0].write(ok('late'));
  }
  const response = await client.response(method);
  const refused = each.expect_response.status === 404 ? [404, 405] : [each.expect_response.status];
  assert.ok(refused.includes(response.status), `answered ${response.status}`);
  if (each.expect_redirect !== undefined) assertRedirect(fieldValue(response.fields, 'location'), each.expect_redirect);
  if (each.expect_backend === undefined) return;
  assert.equal(response.body, each.expect_backend);
  const [seen] = backends.get(each.expect_backend)!.requests;
  if (each.upstream_sees?.path !== undefined) assert.equal(seen.target, each.upstream_sees.path);
  for (const [name, value] of Object.entries(each.upstream_sees?.headers ?? {})) {
    assert.equal(fieldValues(seen.fields, name.toLowerCase()).join(',').replaceAll(', ', ','), value, name);
  }
  for (const name of each.upstream_absent_headers ?? []) {
    assert.equal(fieldValue(seen.fields, name.toLowerCase()), undefined, name);
  }
}

describe('the cases of the Gateway API, through a gateway', () => {
  const plain = new URL('http://gateway.example:80');
  for (const id of [
    'HTTPRoute308Redirect',
    'HTTPRouteBackendRequestHeaderModifier',
    'HTTPRouteBackendRequestRedirect',
    'HTTPRouteBackendURLRewrite',
    'HTTPRouteCrossNamespace',
    'HTTPRouteHeaderMatching',
    'HTTPRouteMethodMatching',
    'HTTPRouteRedirectPath',
    'HTTPRouteRedirectScheme',
    'HTTPRouteRewritePath',
    'HTTPRouteTimeoutRequest',
  ]) {
    const group = groups.find((each) => each.id === id)!;
    const rules = group.routes.flatMap((route) => route.rules);
    for (const [index, each] of group.cases.entries()) {
      it(`${id} ${index}: ${each.request.method ?? 'GET'} ${each.request.path}`, (t) => play(t, rules, each, plain));
    }
  }

  // The first six cases ask the listener on port 80, three that on 8080, six that for https.
  const group = groups.find(({ id }) => id === 'HTTPRouteRedirectPortAndScheme')!;
  const listeners = ['http://gateway.example:80', 'http://gateway.example:8080', 'https://example.org:443'];
  for (const [index, each] of group.cases.entries()) {
    const which = index < 6 ? 0 : index < 9 ? 1 : 2;
    it(`HTTPRouteRedirectPortAndScheme ${index}: ${listeners[which]}${each.request.path}`, (t) =>
      play(t, group.routes[which].rules, each, new URL(listeners[which])));
  }
});
