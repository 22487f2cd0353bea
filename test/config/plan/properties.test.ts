/** What holds of every two configurations: nothing changes between equal ones, and nothing that does is left out. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { changeKinds, formatChange, impacts } from '../../../src/config/plan/change.ts';
import { diffConfigs } from '../../../src/config/plan/diff-configs.ts';
import { markHidden } from '../../../src/config/plan/unknown-value.ts';
import type { GatewayConfig } from '../../../src/config/schema.ts';
import { configOf, use } from './documents.ts';

const loaded = await configOf(`
listeners:
  web: {port: 8080, trustedProxies: [10.0.0.0/8, "::1"]}
  local: {unix: ./gw.sock}
upstreams:
  one: {targets: ["http://127.0.0.1:3001", {url: "http://127.0.0.1:3002", weight: 3}]}
  two: {targets: ["unix:/run/app.sock", "https://api.internal"], tls: {serverName: a.internal}, hostHeader: target}
defaults: {timeouts: {total: 60s}, policies: [requestId]}
routes:
  plain: {match: {path: /plain}, upstream: one}
  full:
    match:
      {host: [a.example, "*.b.example"], path: [/c/*, {regex: "^/v[0-9]+/"}], methods: [GET, HEAD], query: {p: "1"},
       headers: {x-v: "2", x-b: {present: true}, user-agent: {regex: ^M}}, listener: web, encodedSlash: keep}
    priority: 5
    policies: [{bodyLimit: {max: 1KiB}}, {cors: {origins: ["https://a.example"]}}, compress]
    upstream: [{upstream: one, weight: 90}, {upstream: two}]
  rewritten: {match: {path: "/users/{id}"}, rewrite: {path: "/v1/{id}", host: users.internal}, upstream: two}
  moved: {match: {path: /old/*}, redirect: {to: "https://new.example.com/{*}"}}
  teapot: {match: {path: /teapot}, respond: {status: 418, headers: {x-a: b}, body: short}}
consumers:
  shop:
    groups: [gold]
    apiKeys: [{hash: "sha256:${'ab'.repeat(32)}", label: laptop, expires: 2031-12-31}]
    basic: {user: u, password: "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="}
    hmac: {keyId: k, secret: sesame-signed-with}
    jwt: {subject: s}
    certificates: [{san: "DNS:a"}]
consumerSources: {database: ./consumers.db}
quotas: {database: ./quotas.db}
notFound: {policies: [securityHeaders], respond: {body: nothing here}}
`);
const certificates = [{ cert: '/gw/a.pem', key: '/gw/a.key' }];
/** Of an API key only the beginning of its hash is compared, which is all that a gateway shows. */
const base: GatewayConfig = {
  ...loaded,
  admin: { ...loaded.admin, token: 'sesame-open' },
  listeners: {
    ...loaded.listeners,
    secure: {
      ...loaded.listeners['web'],
      port: 8443,
      tls: { minVersion: '1.2', certificates, clientAuth: { ca: '/gw/ca.pem', require: true } },
    },
  },
  routes: {
    ...loaded.routes,
    later: {
      ...loaded.routes['plain'],
      name: 'later',
      match: { ...loaded.routes['plain'].match, path: ['/later'] },
      policies: [
        use('jwt', { issuer: 'i', algorithms: ['RS256'], claims: { a: 'b' }, clockSkew: 5 }),
        use('rateLimit', { rate: { limit: 5, windowMs: 1000 }, by: ['ip'] }, { label: 'gold' }),
        use('tenant', { header: 'x' }, { module: '/gw/tenant.ts' }),
        use('anyOf', [{ name: 'apiKey' }]),
      ],
    },
  },
};

interface Place {
  readonly holder: Record<string, unknown> | unknown[];
  readonly key: string;
  readonly path: string;
}

/** Everything that can be another, or be left out. What is no setting is not among them. */
function placesIn(value: unknown, path = ''): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const holder = value as Place['holder'];
  return Object.entries(value).flatMap(([key, item]) => {
    const here = `${path}/${key}`;
    const isSetting =
      !here.endsWith('/digest') &&
      here !== '/baseDir' &&
      here !== '/defaultPolicies' &&
      !/^\/routes\/[^/]+\/name$/.test(here);
    const own = isSetting ? [{ holder, key, path: here }] : [];
    return own.concat(placesIn(item, here));
  });
}

/** What must stay for the document to be a configuration. */
const MAY_GO =
  /^\/(?:routes|listeners|upstreams)\/[^/]+$|\/\d+$|\/options\/[^/]+$|tls$|clientAuth$|serverName$|token$|methods$|rewrite\/[^/]+$/;

const other = (value: unknown): unknown => {
  if (typeof value === 'string') return `${value}z`;
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'boolean') return !value;
  return value === null ? 'something' : undefined;
};

/** Changes one thing; says what, or null when there is nothing to be changed at this place. */
function mutate(config: GatewayConfig, which: number, isRemoval: boolean): string | null {
  const places = placesIn(config);
  const { holder, key, path } = places[which % places.length];
  if (isRemoval) {
    if (!MAY_GO.test(path)) return null;
    if (/\/(?:upstream|targets|certificates)\/0$/.test(path) && Object.keys(holder).length === 1) return null;
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
    return `${path} removed`;
  }
  const current = (holder as Record<string, unknown>)[key];
  const mutated = other(current);
  // All of the requests are all of them, whatever their weight.
  if (path.endsWith('/upstream/0/weight') && !path.includes('/full/')) return null;
  // A route does one thing; with a second one it would be no configuration.
  if (
    mutated === undefined ||
    /^\/routes\/[^/]+\/(?:upstream|redirect|respond|rewrite)$|notFound\/respond$|accessLog$/.test(path)
  ) {
    return null;
  }
  (holder as Record<string, unknown>)[key] = mutated;
  return `${path}: ${JSON.stringify(mutated)}`;
}

const step = fc.record({ which: fc.nat({ max: 100_000 }), isRemoval: fc.boolean() });

suite('two configurations', () => {
  test('that are equal have no difference', () => {
    assert.deepEqual(diffConfigs(base, base), []);
    assert.deepEqual(diffConfigs(base, structuredClone(base)), []);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), (steps) => {
        const config = structuredClone(base);
        for (const { which, isRemoval } of steps) mutate(config, which, isRemoval);
        assert.deepEqual(diffConfigs(config, structuredClone(config)), []);
      }),
      { numRuns: 200 },
    );
  });

  test('have a difference when anything at all is another, or left out, and say so both ways', () => {
    const seen = new Set<string>();
    for (const isRemoval of [false, true]) {
      for (const which of placesIn(base).keys()) {
        const mutated = structuredClone(base);
        const what = mutate(mutated, which, isRemoval);
        if (what === null) continue;
        seen.add(what);
        assert.ok(diffConfigs(base, mutated).length > 0, what);
        assert.ok(diffConfigs(mutated, base).length > 0, `${what}, undone`);
      }
    }
    assert.ok(seen.size > 250, `only ${seen.size} mutations`);
  });

  test('are compared without a failure, a secret or a line break, however far they are apart', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.array(step, { maxLength: 30 }), (first, second) => {
        const [before, after] = [first, second].map((steps) => {
          const config = structuredClone(base);
          for (const { which, isRemoval } of steps) mutate(config, which, isRemoval);
          return config;
        }) as [GatewayConfig, GatewayConfig];
        for (const change of diffConfigs(before, after)) {
          assert.ok(change.kind in changeKinds);
          assert.ok(impacts.includes(change.impact));
          assert.match(formatChange(change), /^\S[^\n]*\S$/);
          assert.doesNotMatch(JSON.stringify(change), /sesame|undefined|\[object/);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('are compared also where anything may be hidden', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const hidden = structuredClone(base);
        for (const { which } of steps) {
          const places = placesIn(hidden);
          const { holder, key } = places[which % places.length];
          const values = holder as Record<string, unknown>;
          if (typeof values[key] === 'string') values[key] = 'a [secret]';
        }
        diffConfigs(markHidden(hidden).document, base);
      }),
      { numRuns: 300 },
    );
  });
});
