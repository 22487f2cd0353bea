/** A gateway that moves to another configuration while it serves: what goes on, what ends, and what is refused. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type TestContext, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import type { ConfigInput } from '../../src/config/schema.ts';
import { eventually, settle } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { freePort } from '../support/free-port.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { policyOf } from '../support/inline-policy.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';
import { makeTlsFiles } from '../support/tls-files.ts';

const getPath = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n${fields}\r\n`;
const get = getPath('/');

const replying = (body: string, listeners: ConfigInput['listeners'] = { web: { host: '127.0.0.1', port: 0 } }) => ({
  telemetry: { accessLog: false as const },
  listeners,
  routes: { all: { respond: { body } } },
});

describe('what is upstream, after a reload', () => {
  it('keeps its connections when it did not change, and closes those that are idle when it did', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    await request(t, gateway.address(), get);
    const connection = await upstream.connection();

    await gateway.apply(proxyTo(upstream.url, { route: { timeouts: { total: '5s' } } }));
    await request(t, gateway.address(), get);
    assert.equal(upstream.connections.length, 1);

    await gateway.apply(proxyTo(upstream.url, { upstream: { connections: { max: 7 } } }));
    await eventually(() => connection.closed, 'the idle connection to be closed');
    await request(t, gateway.address(), get);
    assert.equal(upstream.connections.length, 2);
  });

  it('keeps the connections of the targets that are left when one of them is gone', async (t) => {
    const [one, other] = [await RawUpstream.start(t), await RawUpstream.start(t)];
    const gateway = await TestGateway.start(t, proxyTo([one.url, other.url]));
    await request(t, gateway.address(), get);
    await request(t, gateway.address(), get);
    await gateway.apply(proxyTo([other.url]));
    await eventually(() => one.connections[0].closed, 'the connection to the target that is gone to be closed');
    await request(t, gateway.address(), get);
    assert.equal(other.connections.length, 1);
  });

  it('keeps the turn of its balancer', async (t) => {
    const bodies = ['a', 'b', 'c'];
    const upstreams = await Promise.all(bodies.map((body) => RawUpstream.start(t, { onRequest: () => ok(body) })));
    const config = (total: string) =>
      proxyTo(
        upstreams.map(({ url }) => url),
        { route: { timeouts: { total } } },
      );
    const gateway = await TestGateway.start(t, config('5s'));
    const seen: string[] = [];
    for (let turn = 0; turn < 6; turn++) {
      seen.push((await request(t, gateway.address(), get)).body);
      await gateway.apply(config(`${turn + 6}s`));
    }
    assert.deepEqual(seen, [...bodies, ...bodies]);
  });
});

describe('what was begun before a reload', () => {
  it('is finished with the configuration that it began with', async (t) => {
    const upstream = await RawUpstream.start(t, {});
    const config = (value: string) =>
      proxyTo(upstream.url, { route: { policies: [{ headers: { response: { set: { 'x-config': value } } } }] } });
    const gateway = await TestGateway.start(t, config('old'));
    const client = await RawClient.connect(t, gateway.address());
    client.write(get);
    const connection = await upstream.connection();
    await upstream.request();
    await gateway.apply(config('new'));
    connection.write(ok('late'));
    const late = await client.response();
    assert.deepEqual([late.body, fieldValue(late.fields, 'x-config')], ['late', 'old']);
    client.write(get);
    await eventually(() => connection.requests.length === 2, 'the next request');
    connection.write(ok('next'));
    assert.equal(fieldValue((await client.response()).fields, 'x-config'), 'new');
  });

  it('is finished by an upstream that is no longer there', async (t) => {
    const upstream = await RawUpstream.start(t, {});
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write(get);
    const connection = await upstream.connection();
    await upstream.request();
    await gateway.apply(replying('without'));
    connection.write(ok('late'));
    assert.equal((await client.response()).body, 'late');
    await eventually(() => connection.closed, 'its connection to be closed afterwards');
    assert.equal((await client.write(get).response()).body, 'without');
  });

  /** Echoes; with a gateway that has a WebSocket open on each of two routes. */
  async function twoWebSockets(t: TestContext) {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    await once(server, 'listening');
    t.after(() => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const config = (...routes: string[]): ConfigInput => ({
      telemetry: { accessLog: false },
      listeners: { web: { host: '127.0.0.1', port: 0 } },
      upstreams: { u: { targets: [url] } },
      routes: Object.fromEntries(routes.map((name) => [name, { match: { path: `/${name}` }, upstream: 'u' }])),
    });
    const clock = new FakeClock();
    const gateway = await TestGateway.start(t, config('stays', 'goes'), { clock });
    const open = async (name: string): Promise<WebSocket> => {
      const socket = new WebSocket(`${gateway.url().replace('http', 'ws')}/${name}`);
      t.after(() => socket.terminate());
      await once(socket, 'open');
      return socket;
    };
    return { clock, gateway, config, stays: await open('stays'), goes: await open('goes') };
  }

  async function echoes(socket: WebSocket): Promise<boolean> {
    const answered = once(socket, 'message') as Promise<[Buffer]>;
    socket.send('still there?');
    return String((await answered)[0]) === 'still there?';
  }

  it('goes on if it is a WebSocket of a route that stays, and gets a grace on one that is gone', async (t) => {
    const { clock, gateway, config, stays, goes } = await twoWebSockets(t);
    await gateway.apply(config('stays'));
    clock.advance(29_000);
    assert.ok(await echoes(goes));
    const closed = once(goes, 'close');
    clock.advance(1_100);
    await closed;
    const { route, code } = await gateway.observation();
    assert.deepEqual([route, code], ['goes', 'ROUTE_GONE']);
    assert.ok(await echoes(stays));
  });

  it('gets the whole grace when its route came back meanwhile and went again', async (t) => {
    const { clock, gateway, config, goes } = await twoWebSockets(t);
    await gateway.apply(config('stays'));
    clock.advance(20_000);
    await gateway.apply(config('stays', 'goes'));
    clock.advance(5_000);
    await gateway.apply(config('stays'));
    clock.advance(20_000);
    assert.ok(await echoes(goes), 'half a minute after it was gone first');
    const closed = once(goes, 'close');
    clock.advance(10_100);
    await closed;
  });
});

describe('a listener, after a reload', () => {
  it('that was removed serves what it had accepted, and another one opens', async (t) => {
    const clock = new FakeClock();
    const [before, after] = [await freePort(), await freePort()];
    const gateway = await TestGateway.start(t, replying('old', { web: { host: '127.0.0.1', port: before } }), {
      clock,
    });
    const old = gateway.address();
    const idle = await RawClient.connect(t, old);
    assert.equal((await idle.write(get).response()).status, 200);

    await gateway.apply(replying('new', { next: { host: '127.0.0.1', port: after } }));
    assert.equal((await request(t, gateway.address('next'), get)).body, 'new');
    const late = await RawClient.connect(t, old);
    await settle();
    clock.advance(200);
    await assert.rejects(RawClient.connect(t, old), /ECONNREFUSED/);
    for (const client of [idle, late]) {
      const last = await client.write(get).response();
      assert.deepEqual([last.status, fieldValue(last.fields, 'connection')], [200, 'close']);
    }
    for (const client of [idle, late]) client.destroy();
    const open = async (): Promise<number> => (await gateway.gateway.status()).threads[0].connections;
    await eventually(async () => (await open()) === 0, 'them to be forgotten');
  });

  it('that was removed does not wait for clients that ask for nothing', async (t) => {
    const clock = new FakeClock();
    const port = await freePort();
    const gateway = await TestGateway.start(t, replying('a', { web: { host: '127.0.0.1', port } }), { clock });
    const idle = await RawClient.connect(t, gateway.address());
    await idle.write(get).response();
    await gateway.apply(replying('b'));
    clock.advance(5_100);
    await idle.untilEnded();
  });

  it('that is only called differently keeps its socket, and its connections go by the new name', async (t) => {
    const port = await freePort();
    const config = (name: string, trust: { readonly trustedProxies?: string[] }): ConfigInput => ({
      telemetry: { accessLog: false },
      listeners: { [name]: { host: '127.0.0.1', port, ...trust } },
      routes: {
        here: { match: { listener: name }, policies: [{ use: './client.ts' }], respond: { body: name } },
      },
    });
    const modules = {
      './client.ts': policyOf({
        onResponse: (exchange) => exchange.responseHeaders.set('x-client', exchange.clientIp),
      }),
    };
    const gateway = await TestGateway.start(t, config('before', {}), { modules });
    const client = await RawClient.connect(t, gateway.address('before'));
    const forwarded = getPath('/', 'x-forwarded-for: 203.0.113.9\r\n');
    const first = await client.write(forwarded).response();
    assert.deepEqual([first.body, fieldValue(first.fields, 'x-client')], ['before', '127.0.0.1']);
    await gateway.apply(config('after', { trustedProxies: ['127.0.0.0/8'] }), modules);
    const second = await client.write(forwarded).response();
    assert.deepEqual([second.body, fieldValue(second.fields, 'x-client')], ['after', '203.0.113.9']);
  });

  it('has its new limits and time-outs on connections that are open', async (t) => {
    const clock = new FakeClock();
    const listener = { host: '127.0.0.1', port: 0 };
    const gateway = await TestGateway.start(t, replying('x', { web: listener }), { clock });
    const [long, idle] = [await RawClient.connect(t, gateway.address()), await RawClient.connect(t, gateway.address())];
    assert.equal((await long.write(getPath(`/${'a'.repeat(400)}`)).response()).status, 200);
    await gateway.apply(
      replying('x', { web: { ...listener, limits: { targetBytes: '256B' }, timeouts: { keepAlive: '2s' } } }),
    );
    assert.equal((await long.write(getPath(`/${'a'.repeat(400)}`)).response()).status, 414);
    await idle.write(get).response();
    clock.advance(2_100);
    await idle.untilEnded();
  });

  it('shakes hands by its new TLS settings, and resumes no session of before (CVE-2022-21654)', async (t) => {
    const { cert, key, certPem } = makeTlsFiles(t);
    const certificates = [{ cert, key }];
    const config = (tls: NonNullable<NonNullable<ConfigInput['listeners']>[string]['tls']>) =>
      replying('x', { web: { host: '127.0.0.1', port: 0, tls } });
    const gateway = await TestGateway.start(t, config({ certificates }));
    const address = { ...(gateway.address() as { host: string; port: number }), ca: certPem };

    const handshake = async (options: object): Promise<{ session: Buffer; reused: boolean; protocol: string }> => {
      const socket = connectTls({ ...address, maxVersion: 'TLSv1.2', ...options });
      t.after(() => socket.destroy());
      await once(socket, 'secureConnect');
      const done = { session: socket.getSession()!, reused: socket.isSessionReused(), protocol: socket.getProtocol()! };
      socket.destroy();
      return done;
    };
    const { session, protocol } = await handshake({});
    assert.equal(protocol, 'TLSv1.2');
    await gateway.apply({ ...config({ certificates }), routes: { all: { respond: { body: 'y' } } } });
    assert.equal((await handshake({ session })).reused, true, 'nothing about TLS has changed');
    await gateway.apply(config({ certificates, clientAuth: { ca: cert, require: false } }));
    assert.equal((await handshake({ session })).reused, false);
    await gateway.apply(config({ certificates, minVersion: '1.3' }));
    await assert.rejects(handshake({}), /protocol version|alert/i);
    assert.equal((await handshake({ maxVersion: 'TLSv1.3' })).protocol, 'TLSv1.3');
  });

  it('speaks TLS from now on where it spoke in clear, at the same socket', async (t) => {
    const { cert, key, certPem } = makeTlsFiles(t);
    const port = await freePort();
    const web = { host: '127.0.0.1', port };
    const gateway = await TestGateway.start(t, replying('clear', { web }));
    const open = await RawClient.connect(t, gateway.address());
    assert.equal((await open.write(get).response()).body, 'clear');
    await gateway.apply(replying('secure', { web: { ...web, tls: { certificates: [{ cert, key }] } } }));
    assert.match(gateway.url(), /^https:/);
    const secure = await RawClient.connect(t, { ...web, ca: certPem });
    assert.equal((await secure.write(get).response()).body, 'secure');
    assert.equal((await open.write(get).response()).body, 'secure', 'what is open stays open');
  });
});
