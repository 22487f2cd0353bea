/** `gatewright status`, and what every command says that cannot reach the admin API. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type RequestListener, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import { adminRequest } from '../../src/cli/admin-client.ts';
import { limitFacts } from '../../src/policies/limit-facts.ts';
import { type StatusOptions, runStatus } from '../../src/cli/status.ts';
import { AdminApi, token } from '../admin/admin-api.ts';
import { Command } from '../support/command.ts';

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function status(options: Partial<StatusOptions>, env: Record<string, string> = {}): Promise<Outcome> {
  let [stdout, stderr] = ['', ''];
  const io = {
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
    cwd: '/',
    env,
  };
  const code = await runStatus({ format: 'text', ...options }, io);
  return { code, stdout, stderr };
}

const env = { GATEWRIGHT_ADMIN_TOKEN: token };

/** @returns the URL. */
async function answering(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('gatewright status', () => {
  it('shows one screen of how a gateway is', async (t) => {
    const api = await AdminApi.start(t);
    api.clock.advance(3_725_000);
    const { code, stdout, stderr } = await status({ admin: api.url }, env);
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(
      stdout,
      `gatewright 1.2.3  ready  up 1 h 2 min
revision 1  d-1  since 2026-01-01T00:00:00.000Z  by start

threads (1)
  thread  state    revision  restarts  connections  in flight  served  stall ms
  0       serving  1         0         3            2          9       1.5

listeners (1)
  name  url                    connections
  web   http://127.0.0.1:8080  3

upstreams (3)
  name     routes  target                 weight  connections  in flight
  catalog  1       http://127.0.0.1:3001  1       3            2
                   http://127.0.0.1:3002  3       3            2
  next     1       http://127.0.0.1:3003  1       3            2
  unused   0       http://127.0.0.1:3004  1       3            2

attempts to authenticate: 12 failed, 4 slowed down, 1 refused
limits: 7 refused, 3 would have been; 2 keys forgotten early, 0 not decided
limits in stores: 40 asked for, 5 not answered, 4 of them decided here
quotas: /var/lib/quotas.db written 2023-11-14T22:13:20.000Z; 0 attempts have failed
refused for overload: 31 low, 6 normal, 0 high, 2 bodies
  thread 0 REFUSES 100 % of low, 25 % of normal (lag 260 ms, memory 42 %)
connections refused by address or rate: 5
bans: 2 by policies; 6 requests and 8 connections refused

problems (1)
/gw/gateway.yaml:7:3  warning  UNUSED  upstreams.unused is not used by anything
`,
    );
  });

  it('shows what limits have done', async (t) => {
    const limits =
      '{rateLimit: {rate: 5/1m, by: ip, name: n}}, {quota: {limit: 5, per: day, by: [ip, route], enforce: false}}';
    const text = `admin: {token: "\${env:GATEWRIGHT_ADMIN_TOKEN}"}\nroutes: {a: {policies: [${limits}], respond: {}}}\n`;
    const api = await AdminApi.start(t, text);
    const [, { policies }] = Object.entries(api.control.config.routes)[0];
    const counter = api.control.limits.counter(limitFacts(policies[0], 'a')!.identity);
    counter.admitted();
    counter.refused(true, { consumer: null, clientIp: '192.0.2.1' });
    const { stdout } = await status({ admin: api.url }, env);
    assert.ok(
      stdout.includes(`
limits (2)
  name     kind                  by         routes  admitted  refused  would refuse
  default  quota (not enforced)  ip, route  1       -         -        -
  n        rateLimit             ip         1       1         1        0
`),
      stdout,
    );
  });

  it('says loudly that the last change was refused, and what is not ready', async (t) => {
    const api = await AdminApi.start(t);
    api.control.isReady = false;
    const problem = { file: 'g.yaml', line: 1, column: 1, severity: 'error', code: 'SYNTAX', path: [] } as const;
    const problems = Array.from({ length: 25 }, (_, n) => ({ ...problem, message: `bad ${n}\u001b[31m` }));
    api.control.findings = { refused: true, problems };
    const { stdout } = await status({ admin: api.url }, env);
    assert.match(stdout, /^gatewright 1\.2\.3 {2}NOT READY/);
    assert.match(stdout, /^problems \(25\): THE LAST CHANGE WAS REFUSED, what served before serves on$/m);
    assert.match(stdout, /bad 19 \[31m\n… and 5 more\n$/, 'no control characters');
  });

  it('is one JSON object for programs', async (t) => {
    const api = await AdminApi.start(t);
    const { code, stdout } = await status({ admin: api.url, format: 'json' }, env);
    const report = JSON.parse(stdout) as { status: { version: string }; problems: { total: number } };
    assert.deepEqual([code, report.status.version, report.problems.total], [0, '1.2.3', 1]);
  });

  it('is a command of the program', async (t) => {
    const api = await AdminApi.start(t);
    const shown = await Command.run(t, ['status', '--admin', api.url], { env });
    assert.deepEqual([shown.exitCode, shown.stderr], [0, '']);
    assert.match(shown.stdout, /^gatewright 1\.2\.3 /);
    const refused = await Command.run(t, ['status', '--admin', api.url]);
    assert.deepEqual([refused.exitCode, refused.stdout], [3, '']);
  });
});

describe('gatewright status ends with 3 and one line that says what to do', () => {
  const isOneLine = /^[^\n]+\n$/;

  it('when nothing is there', async (t) => {
    const url = await answering(t, () => {});
    // A port that was free a moment ago.
    const { hostname, port } = new URL(url);
    const gone = `http://${hostname}:${Number(port) === 65_535 ? 1 : 65_535}`;
    const { code, stderr } = await status({ admin: gone });
    assert.equal(code, 3);
    assert.match(
      stderr,
      /cannot be reached \(ECONNREFUSED\): start the gateway, or name its admin URL with --admin\n$/,
    );
    assert.match(stderr, isOneLine);
  });

  it('when it wants a token, or another one', async (t) => {
    const api = await AdminApi.start(t);
    const none = await status({ admin: api.url });
    assert.equal(none.code, 3);
    assert.match(none.stderr, /wants a token: set GATEWRIGHT_ADMIN_TOKEN to the admin\.token of the gateway\n$/);
    const wrong = await status({ admin: api.url }, { GATEWRIGHT_ADMIN_TOKEN: 'not-this' });
    assert.match(wrong.stderr, /refuses the token: set GATEWRIGHT_ADMIN_TOKEN/);
    for (const { stderr } of [none, wrong]) {
      assert.match(stderr, isOneLine);
      assert.doesNotMatch(stderr, /not-this/);
    }
  });

  it('when the token cannot be sent, without showing it', async (t) => {
    const api = await AdminApi.start(t);
    const { code, stderr } = await status({ admin: api.url }, { GATEWRIGHT_ADMIN_TOKEN: 'some\nthing' });
    assert.equal(code, 3);
    assert.match(stderr, /^GATEWRIGHT_ADMIN_TOKEN has characters/);
    assert.doesNotMatch(stderr, /some|thing/);
  });

  for (const [what, listener, expected] of [
    ['what answers is no API', (_, response) => response.end('<html>'), /is not the admin API of a gateway/],
    [
      'what answers is another API',
      (_, response) => response.end('{"threads":1}'),
      /is not the admin API of a gateway/,
    ],
    [
      'what answers leads elsewhere',
      (_, response) => response.writeHead(302, { location: 'http://192.0.2.1/' }).end('{}'),
      /has answered 302: it gives no reason/,
    ],
    [
      'the gateway is still starting',
      (_, response) => response.writeHead(503).end('{"title":"Not yet","detail":"Wait."}'),
      /has answered 503: Not yet\. Wait\./,
    ],
    [
      'the answer breaks off',
      (_, response) => response.writeHead(200, { 'content-length': 9 }).end('{', () => response.destroy()),
      /cannot be reached/,
    ],
  ] as readonly [string, RequestListener, RegExp][]) {
    it(`when ${what}`, async (t) => {
      const { code, stdout, stderr } = await status({ admin: await answering(t, listener) }, env);
      assert.deepEqual([code, stdout], [3, '']);
      assert.match(stderr, expected);
      assert.match(stderr, isOneLine);
    });
  }

  for (const admin of [
    '',
    'ftp://127.0.0.1',
    'http://u:p@127.0.0.1:9901',
    'http://127.0.0.1:9901/api',
    'http://[',
    '127.0.0.1:99999',
  ]) {
    it(`when ${JSON.stringify(admin)} is no URL of an admin API`, async () => {
      const { code, stderr } = await status({ admin });
      assert.equal(code, 3);
      assert.match(
        stderr,
        /^the URL of the admin API is only scheme, host and port, such as http:\/\/127\.0\.0\.1:9901\n$/,
      );
    });
  }

  it('when there is no answer for five seconds', { timeout: 20_000 }, async (t) => {
    const { code, stderr } = await status({ admin: await answering(t, () => {}) });
    assert.equal(code, 3);
    assert.match(stderr, /no answer within 5 s/);
  });
});

describe('the client of the admin API', () => {
  it('needs no scheme, and sends bodies with their type', async (t) => {
    const api = await AdminApi.start(t);
    const request = { path: '/api/v1/config?dryRun=1', body: 'routes: {a: {respond: {}}}', token } as const;
    const url = new URL(api.url).host;
    const valid = await adminRequest(url, { ...request, method: 'PUT', contentType: 'application/yaml' });
    assert.deepEqual([valid.status, (valid.json as { result: string }).result], [200, 'valid']);
    const { status: wrong } = await adminRequest(`${api.url}/`, { ...request, method: 'PUT' });
    assert.equal(wrong, 422, 'it is not JSON');
  });
});
