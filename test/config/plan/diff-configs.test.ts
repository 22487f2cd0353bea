import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { changeKinds, formatChange } from '../../../src/config/plan/change.ts';
import { diffConfigs } from '../../../src/config/plan/diff-configs.ts';
import { markHidden } from '../../../src/config/plan/unknown-value.ts';
import type { GatewayConfig } from '../../../src/config/schema.ts';
import { changesOf, configOf, linesOf, planOf, withPolicies } from './documents.ts';

const UP = 'upstreams: {u: {targets: ["http://127.0.0.1:1"]}}\n';
const route = (rest: string): string => `${UP}routes: {catalog: {${rest}}}`;

suite('the plan of routes', () => {
  test('tells those that are new, gone and renamed', async () => {
    assert.deepEqual(
      await planOf(
        `${UP}routes:\n  a: {match: {path: /a/*, methods: [GET], host: a.example}, upstream: u}\n  b: {match: {path: /b}, upstream: u}`,
        `${UP}routes:\n  c: {match: {path: /c}, redirect: {to: /b}}\n  bb: {match: {path: /b}, upstream: u, timeouts: {total: 5s}}`,
      ),
      [
        'route-removed | route a: removed: GET a.example /a/* → upstream u',
        'route-added | route c: added: /c → redirect 308 to /b',
        'route-renamed | route bb: renamed: was b',
        'timeout-changed | route bb: time-out changed: total none → 5s',
      ],
    );
    // Two that have gone could be the one that came.
    assert.deepEqual(
      await planOf(
        `${UP}routes: {a: {match: {path: /a}, upstream: u}, b: {match: {path: /a}, upstream: u}}`,
        `${UP}routes: {c: {match: {path: /a}, upstream: u}}`,
      ),
      ['route-removed | routes a and b: removed: /a → upstream u', 'route-added | route c: added: /a → upstream u'],
    );
  });

  test('tells a match that changes, but not one that is written otherwise', async () => {
    const from = route('match: {path: [/a, /b], methods: [GET], headers: {x-a: "1"}, listener: [web]}, upstream: u');
    assert.deepEqual(
      await planOf(
        from,
        route(
          'match: {path: [/b, {regex: "^/c"}], headers: {x-a: {present: true}}, encodedSlash: keep}, priority: 2, upstream: u',
        ),
      ),
      [
        'path-check-weakened | route catalog: path check weakened: encoded slashes refuse → keep',
        'route-match-changed | route catalog: match changed: headers + x-a: {present: true}, - x-a: 1',
        'route-match-changed | route catalog: match changed: listener - web',
        'route-match-changed | route catalog: match changed: methods [GET] removed',
        'route-match-changed | route catalog: match changed: path + {regex: ^/c}, - /a',
        'route-match-changed | route catalog: match changed: priority 0 → 2',
      ],
    );
    assert.deepEqual(
      await planOf(from, from.replace('[/a, /b]', '[/b, /a]').replace('methods: [GET]', 'methods: GET')),
      [],
    );
  });

  test('tells what a route does otherwise', async () => {
    const to = async (before: string, after: string): Promise<string[]> => planOf(route(before), route(after));
    assert.deepEqual(await to('upstream: u', 'redirect: {to: "https://a.example/"}'), [
      'route-action-changed | route catalog: action changed: upstream u → redirect 308 to https://a.example/',
    ]);
    assert.deepEqual(await to('redirect: {to: /a}', 'redirect: {to: /b, status: 301}'), [
      'route-action-changed | route catalog: action changed: redirect.status 308 → 301',
      'route-action-changed | route catalog: action changed: redirect.to /a → /b',
    ]);
    assert.deepEqual(await to('respond: {body: a}', 'respond: {status: 404, body: "b c"}'), [
      'route-action-changed | route catalog: action changed: respond.body a → "b c"',
      'route-action-changed | route catalog: action changed: respond.status 200 → 404',
    ]);
    assert.deepEqual(
      await to(
        'upstream: [{upstream: u, weight: 9}, {upstream: u}]',
        'upstream: [{upstream: u, weight: 5}, {upstream: u}]',
      ),
      ['route-action-changed | route catalog: action changed: upstreams u (9), u (1) → upstreams u (5), u (1)'],
    );
    assert.deepEqual(await to('upstream: u', 'upstream: u, rewrite: {path: /x}'), [
      'route-action-changed | route catalog: action changed: rewrite none → {path: /x}',
    ]);
  });

  test('says of a default once what it changes', async () => {
    const routes =
      '\nroutes: {a: {match: {path: /a}, upstream: u}, b: {match: {path: /b}, upstream: u}, c: {match: {path: /c}, respond: {}, policies: [compress]}}';
    assert.deepEqual(
      await planOf(
        `${UP}defaults: {policies: [securityHeaders], timeouts: {total: 60s}}${routes}`,
        `${UP}defaults: {timeouts: {total: 30s}}${routes}`,
      ),
      [
        'protection-removed | notFound: protection removed (securityHeaders)',
        'protection-removed | routes a, b and c: protection removed (securityHeaders)',
        'timeout-changed | routes a, b and c: time-out changed: total 1m → 30s',
      ],
    );
  });

  test('tells what is answered where no route matches', async () => {
    assert.deepEqual(await planOf('notFound: {respond: {status: 404}}', 'notFound: {respond: {status: 410}}'), [
      'not-found-changed | notFound: changed: respond.status 404 → 410',
    ]);
  });
});

suite('the plan of upstreams', () => {
  const upstream = (rest: string): string => `upstreams: {u: {${rest}}}\nroutes: {r: {upstream: u}}`;

  test('tells targets by their URL', async () => {
    assert.deepEqual(
      await planOf(
        upstream('targets: ["http://a:1", {url: "http://b:2", weight: 3}, "http://c:3"]'),
        upstream('targets: ["http://c:3", "http://b:2", {url: "http://d:4", weight: 0}]'),
      ),
      [
        'target-removed | upstream u: target removed: http://a:1',
        'target-added | upstream u: target added: http://d:4, weight 0',
        'target-changed | upstream u: target changed: weight 3 → 1 (http://b:2)',
        'upstream-changed | upstream u: changed: order of targets',
      ],
    );
  });

  test('warns first of a connection that is no longer encrypted or verified', async () => {
    assert.deepEqual(
      await planOf(upstream('targets: ["https://a"]'), upstream('targets: ["http://a"], tls: {insecure: true}')),
      [
        'tls-weakened | upstream u: TLS weakened: insecure false → true',
        'tls-weakened | upstream u: TLS weakened: requests to http://a are not encrypted',
        'target-removed | upstream u: target removed: https://a',
        'target-added | upstream u: target added: http://a',
      ],
    );
    assert.deepEqual(await planOf(upstream('targets: ["http://a"]'), upstream('targets: ["https://a"]')), [
      'target-removed | upstream u: target removed: http://a',
      'target-added | upstream u: target added: https://a',
    ]);
  });

  test('tells options, and names that are others', async () => {
    assert.deepEqual(
      await planOf(
        upstream('targets: ["http://a"]'),
        upstream('targets: ["http://a"], balance: weighted-round-robin, connections: {idle: 5s}, hostHeader: target'),
      ),
      [
        'upstream-changed | upstream u: changed: balance round-robin → weighted-round-robin',
        'upstream-changed | upstream u: changed: connections.idle 1m → 5s',
        'upstream-changed | upstream u: changed: hostHeader preserve → target',
      ],
    );
    // A route that names it by its new name goes to the same place.
    const named = (name: string): string =>
      `upstreams: {${name}: {targets: ["http://a"]}}\nroutes: {r: {upstream: ${name}}}`;
    assert.deepEqual(await planOf(named('old'), named('new')), ['upstream-renamed | upstream new: renamed: was old']);
    assert.deepEqual(
      await planOf('upstreams: {a: {targets: ["http://a"]}}', 'upstreams: {b: {targets: ["http://b"]}}'),
      ['upstream-removed | upstream a: removed: [http://a]', 'upstream-added | upstream b: added: [http://b]'],
    );
  });
});

suite('the plan of sockets', () => {
  test('tells which are opened, closed and renamed', async () => {
    assert.deepEqual(
      await planOf(
        'listeners: {web: {port: 80}, a: {port: 81}}',
        'listeners: {web: {port: 80}, b: {port: 81}, c: {port: 82, host: "::1"}}',
      ),
      ['listener-opened | listener c: opened: http://[::1]:82', 'listener-renamed | listener b: renamed: was a'],
    );
    const [none, some] = ['', 'connectionsPerAddress: 50, newConnections: 100/1s, newConnectionsPerAddress: 5/1s'].map(
      (limits) => `listeners: {a: {port: 81, limits: {${limits}}}}`,
    );
    assert.deepEqual(await planOf(some, none), [
      'limit-raised | listener a: limit raised: limits.connectionsPerAddress 50 removed',
      'limit-raised | listener a: limit raised: limits.newConnections 100/1s removed',
      'limit-raised | listener a: limit raised: limits.newConnectionsPerAddress 5/1s removed',
    ]);
    assert.ok((await planOf(none, some)).every((line) => line.startsWith('limit-lowered')));
    assert.deepEqual(
      await planOf(some, some.replace('50', '60').replace('5/1s', '4/1s').replace('100/1s', '100/500ms')),
      [
        'limit-raised | listener a: limit raised: limits.connectionsPerAddress 50 → 60',
        'limit-raised | listener a: limit raised: limits.newConnections 100/1s → 100/500ms',
        'limit-lowered | listener a: limit lowered: limits.newConnectionsPerAddress 5/1s → 4/1s',
      ],
    );
    assert.deepEqual(await planOf('listeners: {a: {port: 81}}', 'listeners: {a: {unix: ./s}}'), [
      'listener-changed | listener a: changed: port 81 → 8080',
      'listener-changed | listener a: changed: unix none → s',
    ]);
    assert.deepEqual(await planOf('listeners: {a: {port: 81}, b: {port: 82}}', 'listeners: {a: {port: 81}}'), [
      'listener-closed | listener b: closed: http://0.0.0.0:82',
    ]);
  });

  test('warns of what is believed, reachable or let through', async () => {
    assert.deepEqual(
      await planOf(
        'listeners: {web: {host: 127.0.0.1, trustedProxies: [10.0.0.1, 10.0.0.2], limits: {bodyBytes: 1MiB, headers: 50}}}',
        'listeners: {web: {host: 0.0.0.0, trustedProxies: [10.0.0.0/8], proxyProtocol: true, limits: {bodyBytes: 2MiB, headers: 40, underscores: keep}, timeouts: {head: 5s}}}',
      ),
      [
        'trust-widened | listener web: more is believed: PROXY protocol false → true',
        'trust-widened | listener web: more is believed: limits.underscores drop → keep',
        'trust-widened | listener web: more is believed: trusted proxies + 10.0.0.0/8, - 10.0.0.1, - 10.0.0.2',
        'body-limit-raised | listener web: body limit raised: limits.bodyBytes 1MiB → 2MiB',
        'listener-exposed | listener web: exposed: host 127.0.0.1 → 0.0.0.0',
        'limit-lowered | listener web: limit lowered: limits.headers 50 → 40',
        'timeout-changed | listener web: time-out changed: timeouts.head 10s → 5s',
      ],
    );
    assert.deepEqual(
      await planOf(
        'listeners: {w: {trustedProxies: [10.0.0.1, 10.0.0.2]}}',
        'listeners: {w: {trustedProxies: [10.0.0.2]}}',
      ),
      ['listener-changed | listener w: changed: trusted proxies - 10.0.0.1'],
    );
  });

  test('tells of certificates by their names and what is in them', async () => {
    const base = await configOf('listeners: {web: {port: 443}}');
    const secure = (tls: unknown): GatewayConfig => {
      return { ...base, listeners: { web: { ...base.listeners['web'], tls } } } as GatewayConfig;
    };
    const certificates = (...names: readonly string[]): unknown => ({
      minVersion: '1.2',
      certificates: names.map((name) => ({ cert: `/gw/${name}.pem`, key: `/gw/${name}.key` })),
    });
    const plan = (before: unknown, after: unknown, fingerprintOf?: (path: string) => string): string[] =>
      linesOf(diffConfigs(secure(before), secure(after), fingerprintOf === undefined ? {} : { fingerprintOf }));
    assert.deepEqual(plan(certificates('a'), certificates('b')), [
      'certificate-changed | listener web: certificate changed: a.pem → b.pem',
    ]);
    assert.deepEqual(plan(certificates('a'), certificates('a', 'b')), [
      'certificate-changed | listener web: certificate changed: b.pem added',
    ]);
    assert.deepEqual(plan(certificates('a', 'b'), certificates('a')), [
      'certificate-changed | listener web: certificate changed: b.pem removed',
    ]);
    assert.deepEqual(
      plan(certificates('a'), certificates('b'), () => 'equal'),
      [
        'listener-changed | listener web: changed: tls.certificates[0].cert a.pem → b.pem, with the same in it',
        'listener-changed | listener web: changed: tls.certificates[0].key a.key → b.key, with the same in it',
      ],
    );
    // Beside a configuration in another folder the same name is another file.
    const elsewhere = {
      ...secure(JSON.parse(JSON.stringify(certificates('a')).replaceAll('/gw/', '/old/'))),
      baseDir: '/old',
    };
    assert.deepEqual(linesOf(diffConfigs(elsewhere, secure(certificates('a')))), []);
    assert.deepEqual(
      linesOf(diffConfigs(elsewhere, secure(certificates('a')), { fingerprintOf: (path, side) => side + path })),
      ['certificate-changed | listener web: certificate changed: what is in a.pem'],
    );
    const auth = { ca: '/gw/ca.pem', require: true };
    assert.deepEqual(
      plan(
        { ...(certificates('a') as object), clientAuth: auth },
        { ...(certificates('a') as object), clientAuth: { ...auth, require: false } },
      ),
      ['tls-weakened | listener web: TLS weakened: client certificates required true → false'],
    );
    assert.deepEqual(
      plan({ ...(certificates('a') as object), clientAuth: auth, minVersion: '1.3' }, certificates('a')),
      [
        'tls-weakened | listener web: TLS weakened: client certificates removed',
        'tls-weakened | listener web: TLS weakened: tls.minVersion 1.3 → 1.2',
      ],
    );
    assert.deepEqual(plan(certificates('a'), undefined), ['tls-weakened | listener web: TLS weakened: https removed']);
    assert.deepEqual(plan(undefined, certificates('a')), ['listener-changed | listener web: changed: now https']);
  });

  test('warns when the admin port is exposed, and never shows its token', async () => {
    const base = withPolicies();
    const admin = (more: Partial<GatewayConfig['admin']>): GatewayConfig => ({
      ...base,
      admin: { ...base.admin, ...more },
    });
    const found = [
      ...diffConfigs(admin({ token: 'sesame' }), admin({})),
      ...diffConfigs(admin({ token: 'sesame' }), admin({ token: 'simsalabim' })),
      ...diffConfigs(admin({}), admin({ token: 'sesame' })),
      ...diffConfigs(admin({ token: 'sesame' }), admin({ token: 'sesame', host: '0.0.0.0', port: 1 })),
    ];
    assert.doesNotMatch(JSON.stringify(found), /sesame|simsalabim/);
    assert.deepEqual(linesOf(found), [
      'admin-exposed | admin: exposed: token removed',
      'admin-changed | admin: changed: token changed (secret, not shown)',
      'admin-changed | admin: changed: token added (secret, not shown)',
      'admin-exposed | admin: exposed: host 127.0.0.1 → 0.0.0.0',
      'admin-changed | admin: changed: port 9901 → 1',
    ]);
  });

  test('the debug header, without its secret', async () => {
    const debug = (maxAge: string, secret: string): string =>
      `telemetry: {debug: {secret: ${secret.repeat(32)}, maxAge: ${maxAge}}}`;
    assert.deepEqual(await planOf('', debug('5m', 'a')), [
      'setting-changed | telemetry: changed: debug added (secret, not shown)',
    ]);
    assert.deepEqual(await planOf(debug('5m', 'a'), debug('1h', 'b')), [
      'setting-changed | telemetry: changed: debug.maxAge 5m → 1h',
      'setting-changed | telemetry: changed: debug.secret changed (secret, not shown)',
    ]);
  });

  test('how many series of metrics there may be', async () => {
    assert.deepEqual(await planOf('', 'telemetry: {metrics: {maxSeries: 500}}'), [
      'setting-changed | telemetry: changed: metrics.maxSeries 2000 → 500',
    ]);
    assert.deepEqual(await planOf('', 'telemetry: {metrics: {maxSeries: 2000}}'), []);
  });

  test('tells of the access log, and of settings that nothing special is known of', async () => {
    assert.deepEqual(
      await planOf(
        'telemetry: {accessLog: {redact: [cookie, "?token"]}}',
        'telemetry: {accessLog: {redact: [cookie, authorization], file: log.txt, sample: 50%}}',
      ),
      [
        'redaction-removed | telemetry: redaction removed: redact + authorization, - ?token',
        'access-log-changed | telemetry: access log changed: file stdout → log.txt',
        'access-log-changed | telemetry: access log changed: sample 100% → 50%',
      ],
    );
    const base = withPolicies();
    const { stores } = await configOf('stores: {shared: {type: redis, url: "redis://h"}}');
    const later: GatewayConfig = { ...base, threads: 4, stores };
    const lines = linesOf(diffConfigs({ ...base, telemetry: { ...base.telemetry, accessLog: null } }, later));
    assert.deepEqual(
      lines.map((line) => line.replace(/\{.*/, '…')),
      [
        'access-log-changed | telemetry: access log changed: none → …',
        'setting-changed | store shared: added: redis://h',
        'setting-changed | threads: changed: auto → 4',
      ],
    );
  });
});

suite('a change', () => {
  test('has its place by its importance, before that of what it is about', async () => {
    const changes = await changesOf(
      'listeners: {web: {}}\nroutes: {a: {match: {path: /a}, respond: {}, policies: [securityHeaders]}}',
      'listeners: {web: {trustedProxies: [10.0.0.1], port: 8081}}\nthreads: 1\nroutes: {a: {match: {path: /b}, respond: {}}}',
    );
    assert.deepEqual(
      changes.map(({ impact, kind }) => `${impact} ${kind}`),
      [
        'security trust-widened',
        'security protection-removed',
        'traffic listener-changed',
        'traffic route-match-changed',
        'other setting-changed',
      ],
    );
  });

  test('is one line, whatever it quotes', async () => {
    const [change] = await changesOf(
      'notFound: {respond: {body: a}}',
      'notFound: {respond: {body: "a\\nb\\u2028c\\u0007"}}',
    );
    assert.match(formatChange(change), /^[^\p{Cc}\u2028]+$/u);
  });

  test('has a kind that is a stable name', () => {
    for (const kind of Object.keys(changeKinds)) assert.match(kind, /^[a-z]+(?:-[a-z]+)+$/);
  });

  test('is not made up where a value is hidden', async () => {
    const base = withPolicies();
    const after = { ...base, admin: { ...base.admin, token: 'sesame' } };
    const hidden = markHidden({ ...base, admin: { ...base.admin, token: '[secret]' } });
    assert.deepEqual(hidden.places, ['admin.token']);
    assert.deepEqual(diffConfigs(hidden.document, after), []);
    assert.deepEqual(linesOf(diffConfigs(hidden.document, base)), ['admin-exposed | admin: exposed: token removed']);
    assert.deepEqual(linesOf(diffConfigs({ ...base, admin: { ...base.admin, token: '[secret]' } }, after)), [
      'admin-changed | admin: changed: token changed (secret, not shown)',
    ]);
  });
});
