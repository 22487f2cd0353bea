/** `gatewright plan` as a user meets it: two files, or a file and a gateway that runs. */
import assert from 'node:assert/strict';
import { type IncomingMessage, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import { loadText } from '../config/load-text.ts';
import { Command, folderWith } from '../support/command.ts';
import { runHere } from '../support/run-here.ts';
import { makeCertificate } from '../support/certificates.ts';

const OLD = `admin: {token: "\${env:TOKEN:-sesame-open}"}
upstreams: {u: {targets: ["http://127.0.0.1:1"]}}
routes:
  a: {match: {path: /a}, policies: [{ipFilter: {allow: [10.0.0.0/8]}}], upstream: u}
  b: {match: {path: /b}, upstream: u}
`;
const NEW = `admin: {token: "\${env:TOKEN:-sesame-shut}"}
upstreams: {u: {targets: ["http://127.0.0.1:1"]}}
routes:
  a: {match: {path: /a}, upstream: u}
`;

const plan = async (t: TestContext, files: Readonly<Record<string, string>>, ...args: string[]) =>
  runHere(['plan', ...args], { cwd: await folderWith(t, files) });

const both = { 'old.yaml': OLD, 'new.yaml': NEW };

interface Admin {
  readonly url: string;
  readonly requests: IncomingMessage[];
}

/** An admin port that answers everything with this. */
async function adminWith(
  t: TestContext,
  status: number,
  body: string,
  headers: Record<string, string> = {},
): Promise<Admin> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

async function snapshotOf(text: string): Promise<string> {
  const { config } = await loadText(text);
  return JSON.stringify({ revision: { number: 7, digest: 'd' }, config }).replaceAll('sesame-open', '[secret]');
}

describe('gatewright plan', () => {
  it('tells what changes, the most important first, and ends with 0', async (t) => {
    const cwd = await folderWith(t, both);
    const { exitCode, stdout, stderr } = await Command.run(t, ['plan', 'new.yaml', '--against', 'old.yaml'], { cwd });
    assert.deepEqual([exitCode, stderr], [0, '']);
    assert.equal(
      stdout,
      `Security
  route a: IP filter widened: ipFilter removed

Traffic
  route b: removed: /b → upstream u

Other
  admin: changed: token changed (secret, not shown)

new.yaml against old.yaml: 3 changes (1 security, 1 traffic, 1 other)
`,
    );
    const none = await plan(t, both, 'new.yaml', '--against', 'new.yaml', '--fail-on', 'security,traffic,other');
    assert.deepEqual([none.exitCode, none.stdout], [0, 'new.yaml against new.yaml: no changes\n']);
  });

  it('ends with 1 for changes that must not be, and says which', async (t) => {
    const args = ['new.yaml', '--against', 'old.yaml', '--fail-on', 'auth-removed, route-removed'];
    const failed = await Command.run(t, ['plan', ...args], { cwd: await folderWith(t, both) });
    assert.equal(failed.exitCode, 1);
    assert.deepEqual(
      failed.stdout.trimEnd().split('\n').at(-1),
      'failed on route-removed: route b: removed: /b → upstream u',
    );
    const other = await plan(t, both, 'new.yaml', '--against', 'old.yaml', '--fail-on', 'auth-removed,limit-raised');
    assert.equal(other.exitCode, 0);
    assert.doesNotMatch(other.stdout, /failed/);
    const group = await plan(t, both, 'new.yaml', '--against', 'old.yaml', '--fail-on', 'security');
    assert.equal(group.exitCode, 1);
    assert.match(group.stdout, /^failed on ip-filter-widened: route a: /m);
  });

  it('prints one JSON object for programs, without secrets', async (t) => {
    const args = ['new.yaml', '--against', 'old.yaml', '--format', 'json', '--fail-on', 'route-removed'];
    const { exitCode, stdout } = await plan(t, both, ...args);
    assert.equal(exitCode, 1);
    assert.doesNotMatch(stdout, /sesame/);
    const { changes, ...rest } = JSON.parse(stdout) as { changes: unknown[] };
    assert.deepEqual(rest, {
      file: 'new.yaml',
      against: 'old.yaml',
      ok: false,
      counts: { security: 1, traffic: 1, other: 1 },
      failedOn: ['route-removed'],
      notCompared: [],
    });
    assert.deepEqual(changes[1], {
      kind: 'route-removed',
      impact: 'traffic',
      subject: { section: 'routes', names: ['b'] },
      message: 'removed: /b → upstream u',
    });
  });

  it('prints the problems of a configuration that has errors, and ends with 1', async (t) => {
    const files = { ...both, 'bad.yaml': NEW.replace('path: /a', 'pth: /a') };
    for (const args of [
      ['bad.yaml', '--against', 'old.yaml'],
      ['new.yaml', '--against', 'bad.yaml'],
    ]) {
      const { exitCode, stdout } = await plan(t, files, ...args);
      assert.equal(exitCode, 1);
      assert.deepEqual(stdout.split('\n').slice(0, 2), [
        'bad.yaml:4:15  error  UNKNOWN_KEY  unknown key "pth" in routes.a.match (did you mean "path"?)',
        'bad.yaml: 1 error',
      ]);
    }
    // What only the router refuses counts as well.
    const unroutable = { ...both, 'bad.yaml': NEW.replace('path: /a', 'path: {regex: "^/(?=a)"}') };
    const { exitCode, stdout } = await plan(t, unroutable, 'bad.yaml', '--against', 'old.yaml', '--format', 'json');
    assert.equal(exitCode, 1);
    assert.equal((JSON.parse(stdout) as { ok: boolean }).ok, false);
  });

  it('sees that a certificate is another one, although its name is the same', async (t) => {
    const [first, second] = [makeCertificate(), makeCertificate()];
    const text = 'listeners: {web: {port: 8443, tls: {certificates: [{cert: ./a.pem, key: ./a.key}]}}}\n';
    const old = await folderWith(t, { 'gateway.yaml': text, 'a.pem': first.cert, 'a.key': first.key });
    const renewed = { 'gateway.yaml': text, 'a.pem': second.cert, 'a.key': second.key };
    const { exitCode, stdout } = await plan(t, renewed, 'gateway.yaml', '--against', `${old}/gateway.yaml`);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^ {2}listener web: certificate changed: what is in a\.pem$/m);
    assert.match(stdout, /: 1 change \(1 traffic\)$/m);
  });

  it('takes a policy beside the configuration for what it says that it is', async (t) => {
    const contract = new URL('../../src/index.ts', import.meta.url).href;
    const own = `import { definePolicy } from '${contract}';
import { z } from '${new URL('../../src/util/schema.ts', import.meta.url).href}';
const options = z.strictObject({ pepper: z.string().meta({ secret: true }) });
export default definePolicy({ name: 'badge', summary: '-', options, provides: ['consumer'], create: () => ({}) });
`;
    const withPepper = (pepper: string): string =>
      OLD.replace(
        '[{ipFilter: {allow: [10.0.0.0/8]}}]',
        `[{use: ./badge.ts, options: {pepper: "\${env:P:-${pepper}}"}}]`,
      );
    const files = { 'badge.ts': own, 'old.yaml': withPepper('aa'), 'other.yaml': withPepper('bb'), 'new.yaml': OLD };
    const removed = await plan(t, files, 'new.yaml', '--against', 'old.yaml', '--fail-on', 'auth-removed');
    assert.equal(removed.exitCode, 1, removed.stdout);
    assert.match(removed.stdout, /^ {2}route a: authentication removed \(badge\)$/m);
    const changed = await plan(t, files, 'other.yaml', '--against', 'old.yaml');
    assert.match(
      changed.stdout,
      /^ {2}route a: authentication changed: pepper changed \(secret, not shown\) \(badge\)$/m,
    );
    assert.doesNotMatch(changed.stdout, /\b(?:aa|bb)\b/);
  });

  it('answers wrong usage with 2 and one line that helps', async (t) => {
    for (const [args, expected] of [
      [['new.yaml'], /--against FILE, or --admin URL/],
      [['new.yaml', '--against', 'old.yaml', '--admin', 'http://127.0.0.1:1'], /not both/],
      [
        ['new.yaml', '--against', 'old.yaml', '--fail-on', 'auth-remved'],
        /"auth-remved"\. Did you mean auth-removed\?/,
      ],
      [['new.yaml', '--against', 'old.yaml', '--fail-on', 'everything'], /It knows auth-removed, /],
      [[], /missing required argument 'new'/],
    ] as const) {
      const { exitCode, stdout, stderr } = await plan(t, both, ...args);
      assert.deepEqual([exitCode, stdout], [2, ''], args.join(' '));
      assert.match(stderr, expected);
      assert.match(stderr, /^[^\n]+\n$/);
    }
  });
});

describe('gatewright plan --admin', () => {
  const env = { GATEWRIGHT_ADMIN_TOKEN: 'letmein' };

  it('compares with what a gateway serves, and says what it could not see', async (t) => {
    const admin = await adminWith(t, 200, await snapshotOf(OLD));
    const cwd = await folderWith(t, both);
    const { exitCode, stdout } = await Command.run(t, ['plan', 'new.yaml', '--admin', admin.url], { cwd, env });
    assert.equal(exitCode, 0);
    assert.deepEqual(stdout.split('\n'), [
      'Security',
      '  route a: IP filter widened: ipFilter removed',
      '',
      'Traffic',
      '  route b: removed: /b → upstream u',
      '',
      `new.yaml against revision 7 at ${admin.url}: 2 changes (1 security, 1 traffic)`,
      'Not compared, because the admin API does not show secrets: admin.token',
      '',
    ]);
    assert.deepEqual(
      admin.requests.map(({ method, url, headers }) => [method, url, headers.authorization]),
      [['GET', '/api/v1/snapshot', 'Bearer letmein']],
    );
    const same = await runHere(['plan', 'old.yaml', '--admin', `${admin.url}/`], { cwd, env });
    assert.match(same.stdout, /: no changes$/m);
  });

  it('finds nothing between a gateway that runs and its own configuration, and what is new in another', async (t) => {
    const config = {
      admin: { port: 0, token: '${env:GATEWRIGHT_ADMIN_TOKEN}' },
      upstreams: { u: { targets: ['http://127.0.0.1:1', { url: 'unix:./app.sock', weight: 2 }] } },
      defaults: { timeouts: { total: '9s' }, policies: ['requestId', 'securityHeaders'] },
      routes: {
        a: {
          match: {
            path: ['/a/*', { regex: '^/v[0-9]' }],
            headers: { authorization: 'Basic eDp5', 'x-a': { present: true } },
          },
          policies: [{ headers: { request: { set: { 'x-key': '${env:KEY}' } } } }, { bodyLimit: { max: '1MiB' } }],
          upstream: 'u',
          rewrite: { path: '/' },
        },
        b: { match: { path: '/b' }, redirect: { to: '/a' } },
      },
    };
    const secrets = { ...env, KEY: 'sesame-open' };
    const gateway = await Command.serve(t, config, { env: secrets });
    const url = String((await gateway.logged('ready'))['admin']);
    const listeners = { web: { host: '127.0.0.1', port: 0 } };
    const { b: _, ...fewer } = config.routes;
    const cwd = await folderWith(t, {
      'same.json': JSON.stringify({ listeners, ...config }),
      'other.json': JSON.stringify({ listeners, ...config, routes: fewer }),
    });
    const same = await runHere(['plan', 'same.json', '--admin', url], { cwd, env: secrets });
    assert.deepEqual([same.exitCode, same.stderr], [0, '']);
    assert.match(same.stdout, /: no changes\nNot compared, .*admin\.token/);
    const other = await runHere(['plan', 'other.json', '--admin', url], { cwd, env: secrets });
    assert.match(
      other.stdout,
      /^Traffic\n {2}route b: removed: \/b → redirect 308 to \/a\n\n[^\n]* 1 change \(1 traffic\)$/m,
    );
  });

  it('ends with 3 and one line when it cannot ask', async (t) => {
    const snapshot = await snapshotOf(OLD);
    for (const [status, body, expected] of [
      [401, '{}', /wants a token: set GATEWRIGHT_ADMIN_TOKEN/],
      [404, '{}', /answered with status 404: is a gateway/],
      [200, 'hello', /is not the admin API of a gateway/],
      [200, '{"revision": 1, "config": {}}', /with no configuration that can be compared/],
      [200, snapshot.replace('"policies":[', '"policies":[null,'), /with no configuration that can be compared/],
    ] as const) {
      const { url } = await adminWith(t, status, body);
      const { exitCode, stdout, stderr } = await plan(t, both, 'new.yaml', '--admin', url);
      assert.deepEqual([exitCode, stdout], [3, ''], stderr);
      assert.match(stderr, expected);
      assert.match(stderr, /^[^\n]+\n$/);
    }
  });

  it('takes its token nowhere else', async (t) => {
    const elsewhere = await adminWith(t, 200, await snapshotOf(OLD));
    const admin = await adminWith(t, 307, '', { location: `${elsewhere.url}/api/v1/snapshot` });
    const cwd = await folderWith(t, both);
    const { exitCode, stderr } = await runHere(['plan', 'new.yaml', '--admin', admin.url], { cwd, env });
    assert.equal(exitCode, 3);
    assert.match(stderr, /is not the admin API/);
    assert.deepEqual(elsewhere.requests, []);
  });
});
