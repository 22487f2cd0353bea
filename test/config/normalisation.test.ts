import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { loadText } from './load-text.ts';

async function configOf(text: string) {
  const { config, problems } = await loadText(text);
  assert.deepEqual(problems, []);
  assert.ok(config !== null);
  return config;
}

suite('what the gateway is built from', () => {
  test('has listeners with all defaults, in bytes and milliseconds', async () => {
    const { listeners } = await configOf('listeners: {web: {}}\nroutes: {r: {respond: {}}}');
    assert.deepEqual(listeners['web'], {
      port: 8080,
      host: '0.0.0.0',
      unix: null,
      trustedProxies: [],
      proxyProtocol: false,
      limits: {
        headBytes: 32_768,
        targetBytes: 16_384,
        headers: 100,
        bodyBytes: 104_857_600,
        connections: 10_000,
        underscores: 'drop',
      },
      timeouts: { handshake: 10_000, head: 10_000, bodyIdle: 30_000, keepAlive: 60_000 },
      http2: false,
    });
  });

  test('has targets taken apart', async () => {
    const { upstreams } = await configOf(`upstreams:
  u:
    targets:
      - http://127.0.0.1:3001
      - {url: "https://API.internal", weight: 3}
      - http://[::1]:80/
      - unix:run/app.sock
      - unix:///run/other.sock
routes: {r: {upstream: u}}
`);
    assert.deepEqual(upstreams['u'], {
      targets: [
        { url: 'http://127.0.0.1:3001', weight: 1, tls: false, host: '127.0.0.1', port: 3001, unix: null },
        { url: 'https://API.internal', weight: 3, tls: true, host: 'api.internal', port: 443, unix: null },
        { url: 'http://[::1]:80/', weight: 1, tls: false, host: '::1', port: 80, unix: null },
        { url: 'unix:run/app.sock', weight: 1, tls: false, host: '', port: 0, unix: '/gw/run/app.sock' },
        { url: 'unix:///run/other.sock', weight: 1, tls: false, host: '', port: 0, unix: '/run/other.sock' },
      ],
      balance: 'round-robin',
      connections: { max: 10_000, idle: 60_000, pipelining: 1 },
      tls: { insecure: false },
      hostHeader: 'preserve',
      auth: null,
    });
  });

  test('has lists wherever one or several could be written', async () => {
    const { routes } = await configOf(`upstreams: {u: {targets: ["http://h:1"]}}
routes:
  one:
    match:
      host: API.example.com
      path: {regex: ^/v1}
      methods: GET
      headers: {X-Version: "2", x-beta: {present: true}, user-agent: {regex: ^M}}
      query: {Preview: "1"}
      listener: web
    upstream: u
  several:
    match: {host: ["*.example.com", "[::1]"], path: [/a, {regex: ^/b}], methods: [GET, PURGE], listener: [web]}
    upstream: [{upstream: u, weight: 90}, {upstream: u}]
`);
    assert.deepEqual(routes['one']?.match, {
      host: ['api.example.com'],
      path: [{ regex: '^/v1' }],
      methods: ['GET'],
      headers: [
        { name: 'x-version', equals: '2' },
        { name: 'x-beta', present: true },
        { name: 'user-agent', regex: '^M' },
      ],
      query: [{ name: 'Preview', equals: '1' }],
      listener: ['web'],
      emptySegments: 'merge',
      encodedSlash: 'refuse',
    });
    assert.deepEqual(routes['one']?.upstream, [{ upstream: 'u', weight: 1 }]);
    assert.deepEqual(routes['several']?.match.host, ['*.example.com', '::1']);
    assert.deepEqual(routes['several']?.match.path, ['/a', { regex: '^/b' }]);
    assert.deepEqual(routes['several']?.upstream, [
      { upstream: 'u', weight: 90 },
      { upstream: 'u', weight: 1 },
    ]);
  });

  test('has the defaults merged under every route, and notFound', async () => {
    const { routes, notFound } = await configOf(`upstreams: {u: {targets: ["http://h:1"]}}
defaults:
  timeouts: {connect: 1s, total: 9s}
  policies: [requestId]
routes:
  plain: {respond: {}}
  own: {upstream: u, timeouts: {connect: 3s, total: none}, policies: [{bodyLimit: {max: 1KiB}}]}
notFound:
  policies: [securityHeaders]
  respond: {status: 404, body: gone}
`);
    assert.deepEqual(routes['plain']?.timeouts, { connect: 1000, firstByte: 30_000, idle: 60_000, total: 9000 });
    assert.deepEqual(routes['own']?.timeouts, { connect: 3000, firstByte: 30_000, idle: 60_000, total: null });
    assert.deepEqual(
      routes['plain']?.policies.map(({ name }) => name),
      ['requestId'],
    );
    assert.deepEqual(
      routes['own']?.policies.map(({ name }) => name),
      ['requestId', 'bodyLimit'],
    );
    assert.deepEqual(routes['own']?.policies[1], {
      name: 'bodyLimit',
      label: 'bodyLimit',
      module: null,
      options: { max: 1024 },
    });
    assert.deepEqual(
      notFound.policies.map(({ name }) => name),
      ['requestId', 'securityHeaders'],
    );
    assert.equal(notFound.respond?.body, 'gone');
  });

  test('can be sent to another thread and is the same there', async () => {
    const config = await configOf(`upstreams: {u: {targets: ["http://h:1"]}}
routes: {r: {match: {path: /x}, policies: [cors: {origins: ["*"]}, compress], upstream: u}}
`);
    assert.deepEqual(structuredClone(config), config);
    assert.deepEqual(JSON.parse(JSON.stringify(config)), config);
  });

  test('disables the access log with false, and finds its file', async () => {
    const accessLog = async (value: string) =>
      (await configOf(`telemetry: {accessLog: ${value}}\nroutes: {r: {respond: {}}}`)).telemetry.accessLog;
    assert.equal(await accessLog('false'), null);
    assert.equal((await accessLog('{file: logs/access.log, sample: 10%}'))?.file, '/gw/logs/access.log');
    assert.deepEqual(await accessLog('{}'), {
      file: 'stdout',
      format: 'json',
      sample: 1,
      redact: ['authorization', 'cookie', '?token'],
      headers: [],
    });
    const asked = await accessLog('{format: text, headers: [X-Tenant, referer]}');
    assert.deepEqual([asked?.format, asked?.headers], ['text', ['X-Tenant', 'referer']]);
  });

  test('takes an unquoted TLS version for what it is meant to be', async () => {
    const { config } = await loadText('listeners: {s: {tls: {minVersion: 1.3, certificates: [{cert: a, key: b}]}}}');
    assert.equal(config, null);
    const { problems } = await loadText('listeners: {s: {tls: {minVersion: 1.1, certificates: [{cert: a, key: b}]}}}');
    assert.equal(
      problems.find(({ code }) => code === 'BAD_VALUE')?.message,
      'listeners.s.tls.minVersion: write "1.2" or "1.3"',
    );
  });
});
