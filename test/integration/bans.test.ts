/** Bans on real sockets: who is turned away by whom, and how. Clients have addresses of their own in 127.0.0.0/8. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, suite, test } from 'node:test';
import { parseNetwork } from '../../src/util/ip-network.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { folderWith } from '../support/command.ts';
import { fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { TestThreads, toldConfig } from '../support/threaded.ts';
import { makeTlsFiles } from '../support/tls-files.ts';

const request = (fields = '', target = '/'): string => `GET ${target} HTTP/1.1\r\nhost: x\r\n${fields}\r\n`;

/** Everything is answered 401. */
const guarded = (options: object, listener: object = {}, more: readonly { use: string }[] = []): ConfigInput =>
  toldConfig({
    listeners: { web: { host: '127.0.0.1', port: 0, ...listener } },
    routes: { all: { policies: [...more, { ban: options }, { apiKey: {} }], respond: { body: 'hello' } } },
  });

/** One request on a connection of its own from this address. */
async function ask(t: TestContext, threads: Pick<TestThreads, 'address'>, localAddress: string, fields = '') {
  const client = await RawClient.connect(t, { ...threads.address(), localAddress });
  client.write(request(`connection: close\r\n${fields}`));
  return client.response();
}

/** Everything is answered. */
const answering = { all: { respond: { body: 'hello' } } };

const order = (threads: TestThreads, network: string, forMs = 60_000) =>
  threads.gateway.shared.bans.order({ network: parseNetwork(network)!, forMs, by: 'admin API', reason: 'test' });

suite('a client that has come to too many 401', () => {
  test('is turned away by all threads and on all routes, and nobody else is', async (t) => {
    const threads = await TestThreads.start(t, guarded({ after: 6 }));
    const open = await RawClient.connect(t, { ...threads.address(), localAddress: '127.0.0.2' });
    for (let n = 0; n < 6; n++) {
      assert.equal((await ask(t, threads, '127.0.0.2')).status, 401);
    }
    for (let n = 0; n < 8; n++) {
      const { status, fields, body } = await ask(t, threads, '127.0.0.2');
      assert.equal(status, 403);
      assert.equal((JSON.parse(body) as { code: string }).code, 'BANNED');
      const [seconds] = fieldValues(fields, 'retry-after');
      assert.ok(Number(seconds) > 590 && Number(seconds) <= 600, seconds);
      assert.deepEqual(fieldValues(fields, 'connection'), ['close']);
    }
    // On a connection that was open the next request is refused, and the connection closed.
    open.write(request());
    const late = await open.response();
    assert.equal(late.status, 403);
    assert.match(late.body, /BANNED/);
    await open.untilEnded();
    assert.equal((await ask(t, threads, '127.0.0.3')).status, 401);
    const { protection } = await threads.gateway.status();
    assert.deepEqual(protection.bans, { made: 1, requests: 1, connections: 8, evicted: 0 });
  });

  test('stays so through a reload and the loss of a thread', async (t) => {
    const told = [{ use: './told.mjs' }];
    const threads = await TestThreads.start(t, guarded({ after: 2 }, {}, told));
    for (let n = 0; n < 2; n++) await ask(t, threads, '127.0.0.2');
    await threads.apply(guarded({ after: 1000 }, {}, told));
    assert.equal((await ask(t, threads, '127.0.0.2')).status, 403);
    const dying = await RawClient.connect(t, { ...threads.address(), localAddress: '127.0.0.3' });
    dying.write(request('x-do: exit\r\n'));
    await threads.logged('a serving thread was replaced');
    assert.equal((await ask(t, threads, '127.0.0.2')).status, 403);
  });

  test('cannot have somebody else banned by saying who it is', async (t) => {
    const threads = await TestThreads.start(t, guarded({ after: 3 }));
    const lies = 'x-forwarded-for: 127.0.0.9\r\nforwarded: for=127.0.0.9\r\nx-real-ip: 127.0.0.9\r\n';
    for (let n = 0; n < 5; n++) await ask(t, threads, '127.0.0.2', lies);
    assert.equal((await ask(t, threads, '127.0.0.2', lies)).status, 403);
    assert.equal((await ask(t, threads, '127.0.0.9')).status, 401);
  });

  test('is known behind a trusted proxy, which is never banned itself', async (t) => {
    const threads = await TestThreads.start(t, guarded({ after: 3 }, { trustedProxies: ['127.0.0.1'] }));
    const by = (fields: string) => ask(t, threads, '127.0.0.1', fields);
    for (let n = 0; n < 3; n++) assert.equal((await by('x-forwarded-for: 192.0.2.1\r\n')).status, 401);
    assert.equal((await by('x-forwarded-for: 192.0.2.1\r\n')).status, 403);
    // What the client itself has put in front changes nothing.
    assert.equal((await by('x-forwarded-for: 192.0.2.7, 192.0.2.1\r\n')).status, 403);
    assert.equal((await by('x-forwarded-for: 192.0.2.1, 192.0.2.7\r\n')).status, 401);
    // The proxy says nothing, or nonsense: it is not known who it is.
    for (let n = 0; n < 10; n++) assert.equal((await by(n % 2 === 0 ? '' : 'x-forwarded-for: ;;;\r\n')).status, 401);
    order(threads, '127.0.0.0/8');
    assert.equal((await by('x-forwarded-for: 192.0.2.8\r\n')).status, 401);
    assert.equal((await ask(t, threads, '127.0.0.2')).status, 403);
  });
});

suite('a ban by an operator', () => {
  test('holds for all threads from the moment it is made until it is lifted', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ routes: answering }));
    assert.equal((await ask(t, threads, '127.0.0.2')).status, 200);
    order(threads, '127.0.0.0/30');
    const banned = await Promise.all(Array.from({ length: 12 }, () => ask(t, threads, '127.0.0.2')));
    assert.deepEqual(new Set(banned.map(({ status }) => status)), new Set([403]));
    assert.equal((await ask(t, threads, '127.0.0.4')).status, 200);
    threads.gateway.shared.bans.lift(parseNetwork('127.0.0.0/30')!);
    const lifted = await Promise.all(Array.from({ length: 12 }, () => ask(t, threads, '127.0.0.2')));
    assert.deepEqual(new Set(lifted.map(({ status }) => status)), new Set([200]));
  });

  test('closes connections for TLS before the handshake', async (t) => {
    const { cert, key, certPem: ca } = makeTlsFiles(t);
    const web = { host: '127.0.0.1', port: 0, tls: { certificates: [{ cert, key }] } };
    const threads = await TestThreads.start(t, toldConfig({ listeners: { web }, routes: answering }));
    const address = { ...threads.address(), localAddress: '127.0.0.2', ca, servername: 'localhost' };
    const open = await RawClient.connect(t, address);
    order(threads, '127.0.0.2');
    await assert.rejects(RawClient.connect(t, address));
    open.write(request());
    assert.equal((await open.response()).status, 403);
  });

  test('is of the address that the PROXY protocol tells', async (t) => {
    const web = { host: '127.0.0.1', port: 0, proxyProtocol: true };
    const threads = await TestThreads.start(t, toldConfig({ listeners: { web }, routes: answering }));
    order(threads, '192.0.2.1');
    order(threads, '127.0.0.2');
    const by = async (client: string) => {
      const raw = await RawClient.connect(t, { ...threads.address(), localAddress: '127.0.0.2' });
      raw.write(`PROXY TCP4 ${client} 127.0.0.1 1000 80\r\n${request('connection: close\r\n')}`);
      return (await raw.response()).status;
    };
    assert.deepEqual([await by('192.0.2.1'), await by('192.0.2.2')], [403, 200]);
  });

  test('leaves those alone who come by a Unix socket, as nobody knows who they are', async (t) => {
    const web = { unix: join(await folderWith(t), 'socket') };
    const policies = [{ ban: { after: 1, statuses: [418] } }];
    const config = toldConfig({ listeners: { web }, routes: { all: { policies, respond: { status: 418 } } } });
    const threads = await TestThreads.start(t, config);
    for (let n = 0; n < 3; n++) {
      const client = await RawClient.connect(t, threads.address());
      assert.equal((await client.write(request()).response()).status, 418);
    }
    assert.equal((await threads.gateway.status()).protection.bans.made, 0);
  });
});
