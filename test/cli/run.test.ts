/** `gatewright run` as an operator meets it: what it says, what signals do, how it ends. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeCertificate } from '../support/certificates.ts';
import { Command, folderWith } from '../support/command.ts';
import { takenPort } from '../support/free-port.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

const get = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n';

const proxyTo = (url: string): object => ({ upstreams: { u: { targets: [url] } }, routes: { all: { upstream: 'u' } } });

const statusOf = async (url: string): Promise<number> =>
  (await fetch(url, { headers: { connection: 'close' } })).status;

describe('gatewright run', () => {
  it('says where it listens, serves, and tells about itself on the admin port', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await Command.serve(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    assert.equal((await client.write(get).response()).status, 200);
    client.destroy();
    assert.deepEqual(
      [
        await statusOf(`${gateway.admin}/livez`),
        await statusOf(`${gateway.admin}/readyz`),
        await statusOf(`${gateway.admin}/x`),
      ],
      [200, 200, 404],
    );
    gateway.kill('SIGTERM');
    await gateway.untilExit();
    assert.equal(gateway.exitCode, 0);
    assert.deepEqual(
      gateway.log.map(({ level, msg }) => `${level} ${msg}`),
      ['info listening', 'info ready', 'info draining', 'info stopped'],
    );
    // The access log is on standard output, the gateway's own on standard error.
    const line = JSON.parse(gateway.stdout) as { path: string; status: number };
    assert.deepEqual([line.path, line.status], ['/', 200]);
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`finishes what was begun after ${signal}, while it tells load balancers to go elsewhere`, async (t) => {
      const upstream = await RawUpstream.start(t, {});
      const gateway = await Command.serve(t, proxyTo(upstream.url));
      const [busy, idle] = [
        await RawClient.connect(t, gateway.address()),
        await RawClient.connect(t, gateway.address()),
      ];
      busy.write(get);
      const connection = await upstream.connection();
      await upstream.request();

      gateway.kill(signal);
      await gateway.logged('draining');
      await idle.untilEnded();
      idle.destroy();
      assert.deepEqual(
        [await statusOf(`${gateway.admin}/livez`), await statusOf(`${gateway.admin}/readyz`)],
        [200, 503],
      );
      await assert.rejects(RawClient.connect(t, gateway.address()), /ECONNREFUSED/);
      assert.equal(gateway.exitCode, null);

      connection.write(ok('late'));
      const response = await busy.response();
      assert.deepEqual(
        [response.status, response.body, fieldValue(response.fields, 'connection')],
        [200, 'late', 'close'],
      );
      busy.destroy();
      await gateway.untilExit();
      assert.equal(gateway.exitCode, 0);
    });
  }

  it('ends at once at the second signal', async (t) => {
    const upstream = await RawUpstream.start(t, {});
    const gateway = await Command.serve(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write(get);
    await upstream.request();
    gateway.kill('SIGTERM');
    await gateway.logged('draining');
    gateway.kill('SIGTERM');
    await gateway.untilExit();
    assert.equal(gateway.exitCode, 1);
    await client.untilEnded();
    assert.equal(client.received, '');
  });

  it('goes on serving after SIGHUP and SIGUSR1, and says what they do', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await Command.serve(t, proxyTo(upstream.url));
    gateway.kill('SIGHUP');
    const reload = await gateway.logged('the configuration is what is served already');
    assert.equal(reload.level, 'info');
    gateway.kill('SIGUSR1');
    await gateway.logged('there is nothing to do: a log that was renamed is reopened by itself');
    const client = await RawClient.connect(t, gateway.address());
    assert.equal((await client.write(get).response()).status, 200);
    assert.doesNotMatch(gateway.stderr, /debugger/i);
  });

  it('shows in its log what is no secret, though it came from the environment', async (t) => {
    const listeners = {
      web: { host: '127.0.0.1', port: '${env:GATEWAY_PORT:-0}' },
      more: { host: '${env:GATEWAY_HOST}', port: 0 },
    };
    const config = { listeners, routes: { all: { respond: { body: '${env:SOME_TOKEN}' } } } };
    const env = { GATEWAY_HOST: '127.0.0.1', SOME_TOKEN: 'gateway.json' };
    const gateway = await Command.serve(t, config, { env });
    assert.match(gateway.url('more'), /^http:\/\/127\.0\.0\.1:\d+$/);
    const { config: file } = await gateway.logged('ready');
    assert.equal(file, '[secret]', 'the value of a variable that is called like a secret, wherever it turns up');
  });
});

describe('gatewright run, when it cannot serve', () => {
  it('ends with 1 and names every problem of the configuration', async (t) => {
    const wrong = `upstreams: {u: {targets: ["http://127.0.0.1:1"]}}
routes:
  unknown: {match: {path: /a}, upstream: v}
  bad: {match: {path: {regex: "^/(?=a)"}}, upstream: u}
`;
    const { exitCode, stdout, stderr } = await Command.run(t, ['run'], {
      cwd: await folderWith(t, { 'gateway.yaml': wrong }),
    });
    assert.deepEqual([exitCode, stdout], [1, '']);
    const lines = stderr.trimEnd().split('\n');
    assert.match(lines[0], /^gateway\.yaml:3:\d+ {2}error {2}UNKNOWN_UPSTREAM /);
    assert.match(lines[1], /^gateway\.yaml:4:\d+ {2}error {2}BAD_PATTERN /);
    assert.deepEqual(lines.slice(2), ['gateway.yaml cannot be served; nothing was started']);
  });

  it('ends with 1 for what only the router refuses', async (t) => {
    const wrong =
      'admin: {port: 0}\nlisteners: {w: {port: 0}}\nroutes: {bad: {match: {path: {regex: "^/(?=a)"}}, respond: {}}}\n';
    const { exitCode, stderr } = await Command.run(t, ['run'], { cwd: await folderWith(t, { 'gateway.yaml': wrong }) });
    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      /^gateway\.yaml:3:\d+ {2}error {2}BAD_PATTERN [^\n]*\ngateway\.yaml cannot be served; nothing was started\n$/,
    );
  });

  it('ends with 1 for a policy that cannot be made, and says which and why', async (t) => {
    const library = new URL('../../src/index.ts', import.meta.url).href;
    const files = {
      'gateway.yaml':
        'admin: {port: 0}\nlisteners: {w: {port: 0}}\nroutes: {r: {policies: [{use: ./broken.ts}], respond: {}}}\n',
      'broken.ts': `import { definePolicy, z } from '${library}';
export default definePolicy({ name: 'broken', summary: 'Fails.', options: z.strictObject({}), create() { throw new Error('no key'); } });
`,
    };
    const { exitCode, stderr } = await Command.run(t, ['run'], { cwd: await folderWith(t, files) });
    assert.equal(exitCode, 1);
    assert.equal(
      stderr,
      'gateway.yaml:3:25  error  CANNOT_SERVE  route r: policy broken: no key\ngateway.yaml cannot be served; nothing was started\n',
    );
  });

  it('ends with 2 when there is no configuration, and with 1 when the one that was named cannot be read', async (t) => {
    const nothing = await Command.run(t, ['run'], { cwd: await folderWith(t) });
    assert.equal(nothing.exitCode, 2);
    assert.match(nothing.stderr, /^There is no gateway\.yaml here: [^\n]*gatewright init[^\n]*\n$/);
    const missing = await Command.run(t, ['run', 'nope.yaml'], { cwd: await folderWith(t) });
    assert.equal(missing.exitCode, 1);
    assert.match(missing.stderr, /^nope\.yaml:1:1 {2}error {2}FILE /);
  });

  it('ends with 3 when somebody else has the port of a listener', async (t) => {
    const port = await takenPort(t);
    const config = `admin: {port: 0}\nlisteners: {free: {host: 127.0.0.1, port: 0}, web: {host: 127.0.0.1, port: ${port}}}\nroutes: {r: {respond: {}}}\n`;
    const { exitCode, stderr } = await Command.run(t, ['run'], {
      cwd: await folderWith(t, { 'gateway.yaml': config }),
    });
    assert.equal(exitCode, 3);
    assert.equal(stderr, `listener web cannot listen on http://127.0.0.1:${port}: the address is in use\n`);
  });

  it('ends with 3 when somebody else has the admin port', async (t) => {
    const port = await takenPort(t);
    const config = `admin: {port: ${port}}\nlisteners: {web: {host: 127.0.0.1, port: 0}}\nroutes: {r: {respond: {}}}\n`;
    const { exitCode, stderr } = await Command.run(t, ['run'], {
      cwd: await folderWith(t, { 'gateway.yaml': config }),
    });
    assert.equal(exitCode, 3);
    assert.match(
      stderr,
      new RegExp(`^the admin port cannot listen on 127\\.0\\.0\\.1:${port}: the address is in use\\n$`),
    );
  });
});

describe('gatewright run, when something is not as it should be', () => {
  it('serves all the same what it can: beside a certificate that is bad, and routes that tie', async (t) => {
    const { cert, key } = makeCertificate();
    const cwd = await folderWith(t, { 'good.pem': cert, 'good.key': key, 'bad.pem': 'damaged' });
    const certificates = ['bad', 'good'].map((name) => ({ cert: `${name}.pem`, key: 'good.key' }));
    const config = {
      listeners: { web: { host: '127.0.0.1', port: 0, tls: { certificates } } },
      routes: { a: { match: { path: '/x' }, respond: {} }, b: { match: { path: '/x' }, respond: {} } },
    };
    const gateway = await Command.serve(t, config, { cwd });
    assert.match(gateway.stderr, /^gateway\.json:1:\d+ {2}error {2}BAD_CERTIFICATE {2}bad\.pem: [^\n]*\n\{/);
    const { level, code, place, problem } = await gateway.logged('the configuration has a problem');
    assert.deepEqual([level, code], ['warn', 'ROUTE_TIED']);
    assert.match(String(place), /^gateway\.json:1:\d+$/);
    assert.match(String(problem), /^routes a and b .* GET http:\/\/\S+\/x; a gets it/);
    assert.equal(await statusOf(`${gateway.admin}/readyz`), 200);
  });
});
