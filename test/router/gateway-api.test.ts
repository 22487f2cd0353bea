/**
 * The cases of the Kubernetes Gateway API that are about which rule wins, with their routes written as rules.
 *
 * A rule with several matches, any of which may hold, becomes several rules; a listener of the Gateway API is a host on a
 * port, so its host joins the rule and its port is the listener.
 *
 * Not here, since every request of theirs meets one rule and something else is asked: redirects and rewritten paths
 * (308Redirect, RedirectPath, RedirectPortAndScheme, RedirectScheme, RewritePath, BackendRequestRedirect,
 * BackendURLRewrite: test/proxy/rewrite-gateway-api.test.ts and rewrite-redirect.test.ts), CORS (test/policies), headers
 * (BackendRequestHeaderModifier), weights (GRPCRouteWeight, RequestHeaderModifierBackendWeights), mirrors
 * (RequestMirror), time-outs (TimeoutRequest), HTTP/2 upstreams (BackendProtocolH2C), and references between Kubernetes
 * objects, which a configuration file does not have (CrossNamespace, InvalidNonExistentBackendRef,
 * PartiallyInvalidViaInvalidReferenceGrant, ReferenceGrant). GRPCExactMethodMatching and GRPCRouteNamedRule say in one
 * case each what they call; there a method of gRPC is its path.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import {
  Router,
  type RoutableRequest,
  type RouteMatch,
  type RouteRule,
  type ValueCondition,
} from '../../src/proxy/router/router.ts';
import { request, rule } from './requests.ts';

interface Match {
  readonly path?: { readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression'; readonly value: string };
  readonly method?: string | { readonly service: string; readonly method: string };
  readonly headers?: readonly { readonly name: string; readonly value: string }[];
}

interface Attachment {
  readonly name: string;
  readonly sectionName?: string;
  readonly port?: number;
}

interface Gateway {
  readonly name: string;
  readonly listeners: readonly { readonly name: string; readonly port: number; readonly hostname?: string }[];
}

interface Case {
  readonly request?: {
    readonly host?: string;
    readonly path?: string;
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
  };
  readonly grpc?: {
    readonly Backend?: string;
    readonly EchoRequest?: unknown;
    readonly RequestMetadata?: { readonly Metadata: Readonly<Record<string, string>> };
    readonly Response?: { readonly Code: string };
  };
  readonly expect_backend?: string;
  readonly expect_response?: { readonly status?: number };
}

interface Group {
  readonly id: string;
  readonly gateways: readonly Gateway[];
  readonly routes: readonly {
    readonly name: string;
    readonly attach: readonly Attachment[];
    readonly rules: readonly {
      readonly matches: readonly Match[];
      readonly backends: readonly [{ readonly name: string }];
    }[];
  }[];
  readonly cases: readonly Case[];
}

interface Corpus {
  readonly base_gateways: Readonly<Record<string, Gateway>>;
  readonly groups: readonly Group[];
}

const file = readFileSync(new URL('../corpora/gateway-api-cases.json', import.meta.url), 'utf8');
const corpus = JSON.parse(file) as Corpus;

function groupOf(id: string): Group {
  const group = corpus.groups.find((each) => each.id === id);
  assert.ok(group, `${id} is not in the corpus`);
  return group;
}

/** The value of a rule is its backend. */
function rulesOf(group: Group): RouteRule<string>[] {
  const rules: RouteRule<string>[] = [];
  for (const route of group.routes) {
    const places = route.attach.flatMap((attachment) => listenersOf(group, attachment));
    for (const { matches, backends } of route.rules) {
      for (const match of matches) {
        for (const place of places) {
          // Their last resort is the order in which they were written, for which names stand here.
          const name = `${route.name} ${String(rules.length).padStart(3, '0')}`;
          rules.push({ ...rule(name, { ...place, ...toMatch(match) }), value: backends[0].name });
        }
      }
    }
  }
  return rules;
}

function listenersOf(group: Group, attachment: Attachment): Pick<RouteMatch, 'hosts' | 'listeners'>[] {
  const gateway = group.gateways.find(({ name }) => name === attachment.name) ?? corpus.base_gateways[attachment.name];
  return gateway.listeners
    .filter(({ port }) => attachment.port === undefined || attachment.port === port)
    .filter(({ name }) => attachment.sectionName === undefined || attachment.sectionName === name)
    .map(({ hostname, port }) => ({
      hosts: hostname === undefined ? [] : [hostname],
      listeners: [`${gateway.name}:${port}`],
    }));
}

function toMatch({ path, method, headers = [] }: Match): Partial<RouteMatch> {
  const conditions: ValueCondition[] = headers.map(({ name, value }) => ({ name, equals: value }));
  if (method !== undefined && typeof method !== 'string') {
    return { paths: [`/${method.service}/${method.method}`], headers: conditions };
  }
  return { paths: [toPath(path)], methods: method === undefined ? null : [method], headers: conditions };
}

function toPath(path: Match['path']): RouteMatch['paths'][number] {
  if (path?.type === 'RegularExpression') return { regex: `^(?:${path.value})$` };
  if (path?.type === 'Exact') return path.value;
  return `${(path?.value ?? '/').replace(/\/$/, '')}/*`;
}

/** The backend that is chosen, or null. */
function backendOf(group: Group, asked: RoutableRequest): string | null {
  const rules = rulesOf(group);
  const [found, again] = [rules, rules.toReversed()].map((each) => Router.compile(each).match(asked));
  assert.deepEqual(found, again, 'the order of declaration decides');
  // Where the method is wrong, a 405 is answered instead of their 404; either way there is no route.
  return found?.kind === 'route' ? found.rule.value : null;
}

function askedBy(
  { host = 'example.test', path = '/', method = 'GET', headers = {} }: NonNullable<Case['request']>,
  gateway: string,
) {
  const [name, port = '80'] = host.split(':');
  return request(name + path, { method, headers: Object.entries(headers), listener: `${gateway}:${port}` });
}

describe('the routing cases of the Gateway API', () => {
  const groups: readonly (readonly [id: string, gateway: string, cases: number])[] = [
    ['HTTPRouteHeaderMatching', 'same-namespace', 11],
    ['HTTPRouteMethodMatching', 'same-namespace', 12],
    ['HTTPRouteListenerPortMatching', 'httproute-listener-port-matching', 5],
  ];
  for (const [id, gateway, count] of groups) {
    const group = groupOf(id);
    it(`${id}: all ${count} cases are there`, () => assert.equal(group.cases.length, count));
    for (const [index, each] of group.cases.entries()) {
      it(`${id} ${index}: ${JSON.stringify(each.request)} goes to ${each.expect_backend ?? 'nobody'}`, () => {
        assert.ok(each.request);
        assert.equal(each.expect_response?.status, each.expect_backend === undefined ? 404 : 200);
        assert.equal(backendOf(group, askedBy(each.request, gateway)), each.expect_backend ?? null);
      });
    }
  }

  it('HTTPRouteMultipleGateways: a route that is attached twice serves both, others only their own', () => {
    const group = groupOf('HTTPRouteMultipleGateways');
    // The cases do not say which gateway they call: two call the one, two the other.
    const gateways = ['same-namespace', 'same-namespace', 'all-namespaces', 'all-namespaces'];
    assert.equal(group.cases.length, gateways.length);
    for (const [index, each] of group.cases.entries()) {
      assert.ok(each.request);
      assert.equal(backendOf(group, askedBy(each.request, gateways[index])), each.expect_backend);
    }
  });

  it('GRPCRouteHeaderMatching: metadata are headers', () => {
    const group = groupOf('GRPCRouteHeaderMatching');
    let checked = 0;
    for (const { grpc } of group.cases) {
      if (grpc === undefined) continue;
      const headers = grpc.RequestMetadata?.Metadata ?? {};
      const path = '/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo';
      const asked = askedBy({ path, method: 'POST', headers }, 'same-namespace');
      assert.equal(backendOf(group, asked), grpc.Backend ?? null, JSON.stringify(headers));
      checked++;
    }
    assert.equal(checked, 11);
  });

  for (const id of ['GRPCExactMethodMatching', 'GRPCRouteNamedRule']) {
    it(`${id}: a method is a path`, () => {
      const group = groupOf(id);
      const called = (method: string): string | null => {
        const path = `/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/${method}`;
        return backendOf(group, askedBy({ path, method: 'POST' }, 'same-namespace'));
      };
      assert.equal(called('Echo'), group.cases[0].grpc?.Backend);
      assert.equal(called('EchoTwo'), group.cases[1].expect_backend);
      assert.equal(called('EchoThree'), null);
    });
  }
});

describe('the rules of the Gateway API that its cases stand on', () => {
  const winners: readonly (readonly [sentence: string, url: string, rules: readonly RouteRule<string>[]])[] = [
    [
      'the host goes before the path',
      'a.example/long/path',
      [rule('z', { hosts: ['a.example'], paths: ['/*'] }), rule('a', { hosts: ['*.example'], paths: ['/long/path'] })],
    ],
    [
      'an exact path goes before a longer prefix of it',
      'h/match/exact',
      [rule('z', { paths: ['/match/exact'] }), rule('a', { paths: ['/match/exact/*'] })],
    ],
    [
      'a longer prefix goes before a method, headers and query parameters',
      'h/a/b?q=1',
      [
        rule('z', { paths: ['/a/*'] }),
        rule('a', {
          paths: ['/*'],
          methods: ['GET'],
          headers: [{ name: 'x', present: false }],
          query: [{ name: 'q', equals: '1' }],
        }),
      ],
    ],
    [
      'headers go before query parameters',
      'h/?p=1&q=1',
      [
        rule('z', { headers: [{ name: 'x', present: false }] }),
        rule('a', {
          query: [
            { name: 'p', equals: '1' },
            { name: 'q', equals: '1' },
          ],
        }),
      ],
    ],
  ];
  for (const [sentence, url, rules] of winners) {
    it(sentence, () => {
      for (const order of [rules, rules.toReversed()]) {
        const found = Router.compile(order).match(request(url));
        assert.equal(found?.kind === 'route' && found.rule.name, 'z');
      }
    });
  }
});
