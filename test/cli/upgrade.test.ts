/** Processes that take over from each other without losing a connection, and sockets that systemd passes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, type Server, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { eventually } from '../support/changes.ts';
import { Command, folderWith, withPorts } from '../support/command.ts';
import { RawClient } from '../support/raw-client.ts';
import { freePort } from '../support/free-port.ts';
import { ask, Clients } from '../support/threaded.ts';
import { isRunning, upgrade } from '../support/upgrade.ts';

const replying = (body: string, more: object = {}): object =>
  withPorts({ telemetry: { accessLog: false }, threads: 2, routes: { all: { respond: { body } } }, ...more });

const failed = 'no other process has taken over; this one serves on';

const readiness = async (gateway: Command): Promise<number> =>
  (await fetch(`${gateway.admin}/readyz`, { headers: { connection: 'close' } })).status;

describe('a process that is told by SIGUSR2 to be replaced', () => {
  it('hands its sockets over under load without losing a connection, and ends', async (t) => {
    const cwd = await folderWith(t);
    const port = await freePort();
    const admin = { port: await freePort() };
    const config = (body: string): string =>
      JSON.stringify(
        replying(body, { admin, listeners: { web: { host: '127.0.0.1', port }, unix: { unix: `${cwd}/gw.sock` } } }),
      );
    const gateway = await Command.serve(t, JSON.parse(config('first')) as object, { cwd });
    const [tcp, unix] = [
      new Clients(24, () => ({ host: '127.0.0.1', port })),
      new Clients(4, () => ({ path: `${cwd}/gw.sock` })),
    ];
    const second = await upgrade(t, gateway);
    await gateway.untilExit(false);
    assert.equal(gateway.exitCode, 0);
    assert.equal(await readiness(gateway), 200);

    const third = await upgrade(t, gateway, second);
    await eventually(() => !isRunning(second), 'the second process to end');
    assert.equal(await readiness(gateway), 200);
    await Promise.all([tcp.stop(), unix.stop()]);
    t.diagnostic(`${tcp.answers} + ${unix.answers} connections`);
    assert.deepEqual([...tcp.failures, ...unix.failures], []);
    assert.ok(tcp.answers > 100 && unix.answers > 10);
    process.kill(third, 'SIGTERM');
    await eventually(() => !isRunning(third), 'the third process to end');
  });

  it('serves on when the new one cannot, and can be replaced later', async (t) => {
    const cwd = await folderWith(t);
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    t.after(() => taken.close());
    const web = { host: '127.0.0.1', port: await freePort() };
    const good = replying('good', { admin: { port: await freePort() }, listeners: { web } });
    const gateway = await Command.serve(t, good, { cwd });
    const { port } = taken.address() as AddressInfo;
    const more = { host: '127.0.0.1', port };
    // The first shows at once, the others only when it has got the sockets.
    const all = [
      '{',
      JSON.stringify({ ...good, listeners: { web, more } }),
      JSON.stringify({ ...good, admin: { port } }),
    ];
    for (const broken of all) {
      const clients = new Clients(4, () => web);
      const from = gateway.log.length;
      writeFileSync(join(cwd, 'gateway.json'), broken);
      gateway.kill('SIGUSR2');
      const { level } = await gateway.logged(failed, from);
      assert.equal(level, 'error');
      await eventually(() => clients.answers > 20, 'clients to be served');
      await clients.stop();
      assert.deepEqual(clients.failures, []);
      assert.equal(await readiness(gateway), 200);
      assert.equal(gateway.exitCode, null);
    }
    writeFileSync(join(cwd, 'gateway.json'), JSON.stringify(good));
    await upgrade(t, gateway);
    await gateway.untilExit(false);
    assert.equal((await ask(web)).status, 200);
  });

  it('hands over who is banned, by operators and by policies', async (t) => {
    const token = 'a-token-of-the-operator';
    const env = { GATEWRIGHT_ADMIN_TOKEN: token };
    const [web, admin] = [
      { host: '127.0.0.1', port: await freePort() },
      { port: await freePort(), token },
    ];
    const policies = [{ ban: { after: 2, for: '2h' } }, 'apiKey'];
    const gateway = await Command.serve(
      t,
      withPorts({ admin, listeners: { web }, threads: 2, routes: { all: { policies, respond: { body: 'hello' } } } }),
      { env },
    );
    const bans = async (...args: string[]): Promise<string> => {
      const { stdout } = await Command.run(t, ['bans', ...args, '--admin', gateway.admin], { env });
      return stdout;
    };
    const statusFrom = async (localAddress: string): Promise<number> => {
      const client = await RawClient.connect(t, { ...web, localAddress });
      return (await client.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n').response()).status;
    };
    for (let n = 0; n < 2; n++) assert.equal(await statusFrom('127.0.0.2'), 401);
    await bans('add', '127.0.0.8/29', '--for', '1h', '--reason', 'a test');
    await bans('add', '127.0.0.16', '--for', '1h');
    await bans('remove', '127.0.0.16');
    const listed = await bans('list');

    await upgrade(t, gateway);
    await gateway.untilExit(false);
    assert.deepEqual(await Promise.all(['127.0.0.2', '127.0.0.9', '127.0.0.16'].map(statusFrom)), [403, 403, 401]);
    // What is left of each is the one thing that changes.
    const withoutRest = (text: string): string[][] =>
      text.split('\n').map((line) => line.split(/ {2,}/).toSpliced(1, 1));
    assert.deepEqual(withoutRest(await bans('list')), withoutRest(listed));
    assert.match(listed, /127\.0\.0\.2 .*a ban on route all/);
  });

  it('finishes a WebSocket that it has', async (t) => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    await once(server, 'listening');
    t.after(() => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const gateway = await Command.serve(
      t,
      withPorts({ threads: 2, upstreams: { u: { targets: [target] } }, routes: { all: { upstream: 'u' } } }),
    );
    const socket = new WebSocket(gateway.url().replace('http', 'ws'));
    t.after(() => socket.terminate());
    await once(socket, 'open');
    await upgrade(t, gateway);
    const echoed = once(socket, 'message') as Promise<[Buffer]>;
    socket.send('still there?');
    assert.equal(String((await echoed)[0]), 'still there?');
    assert.equal(gateway.exitCode, null);
    socket.close();
    await gateway.untilExit(false);
    assert.equal(gateway.exitCode, 0);
  });

  it('ends, and what was to take over as well, when it is told to stop meanwhile', async (t) => {
    const gateway = await Command.serve(t, replying('x'));
    gateway.kill('SIGUSR2');
    gateway.kill('SIGTERM');
    // All of their output: neither goes on.
    await gateway.untilExit();
    assert.equal(gateway.exitCode, 0);
  });
});

/** A socket that listens, for another process to accept on. */
async function listening(): Promise<{ readonly server: Server; readonly port: number; readonly descriptor: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { fd: descriptor } = (server as unknown as { _handle: { fd: number } })._handle;
  return { server, port: (server.address() as AddressInfo).port, descriptor };
}

describe('sockets that systemd passes', () => {
  async function start(
    t: TestContext,
    configOf: (port: number) => object,
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly gateway: Command; readonly port: number }> {
    const { server, port, descriptor } = await listening();
    const cwd = await folderWith(t, { 'gateway.json': JSON.stringify(configOf(port)) });
    const gateway = new Command(t, ['run', 'gateway.json'], { cwd, sockets: [descriptor], env });
    server.close();
    return { gateway, port };
  }

  it('are served by all threads, and found by their port', async (t) => {
    const { gateway, port } = await start(t, (at) =>
      replying('x', { listeners: { web: { host: '127.0.0.1', port: at } } }),
    );
    // It waits in the socket's queue until it is served.
    assert.equal((await ask({ host: '127.0.0.1', port })).status, 200);
    await gateway.logged('ready');
    await Promise.all(Array.from({ length: 10 }, () => ask({ host: '127.0.0.1', port })));
    gateway.kill('SIGTERM');
    await gateway.untilExit();
    assert.equal(gateway.exitCode, 0);
  });

  it('are found by the names that they are given', async (t) => {
    const { gateway, port } = await start(
      t,
      () =>
        replying('named', {
          listeners: { other: { host: '127.0.0.1', port: 0 }, web: { host: '127.0.0.1', port: 0 } },
        }),
      { LISTEN_FDNAMES: 'web' },
    );
    assert.ok((await ask({ host: '127.0.0.1', port })).text.endsWith('named'));
    await gateway.logged('ready');
    assert.equal(new URL(gateway.url('web')).port, String(port));
  });

  it('end the start when no listener has them', async (t) => {
    const { gateway, port } = await start(t, () => replying('x'));
    await gateway.untilExit();
    assert.equal(gateway.exitCode, 3);
    assert.equal(gateway.stderr, `systemd has passed a socket at port ${port}, which no listener has\n`);
  });

  it('are not touched when they are meant for another process', async (t) => {
    const { gateway, port } = await start(t, () => replying('x'), { LISTEN_PID: '1' });
    await gateway.logged('ready');
    assert.notEqual(new URL(gateway.url()).port, String(port));
  });
});
