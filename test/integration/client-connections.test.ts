/** How many connections a client may have, and how fast it may open them, over all threads. */
import assert from 'node:assert/strict';
import { type TestContext, suite, test } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { eventually } from '../support/changes.ts';
import { fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { TestThreads, toldConfig } from '../support/threaded.ts';
import { makeTlsFiles } from '../support/tls-files.ts';

const request = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

/** Of its own accord: code to be loaded would make each start longer. */
const answering = (web: object): ConfigInput =>
  toldConfig({
    listeners: { web: { host: '127.0.0.1', port: 0, ...web } },
    routes: { all: { respond: { body: 'hello' } } },
  });

async function start(t: TestContext, limits: object, listener: object = {}): Promise<TestThreads> {
  const web = { host: '127.0.0.1', port: 0, limits, ...listener };
  return TestThreads.start(t, answering(web));
}

/** A connection that stays open, from this address; behind a PROXY header if there is a greeting. */
async function open(t: TestContext, threads: TestThreads, localAddress: string, greeting = ''): Promise<RawClient> {
  const client = await RawClient.connect(t, { ...threads.address(), localAddress });
  return client.write(greeting);
}

interface Opened {
  readonly client: RawClient;
  /** 200, or that of the refusal. */
  readonly status: number;
}

/** Opens a connection and asks for something. */
async function visit(t: TestContext, threads: TestThreads, address: string, greeting = ''): Promise<Opened> {
  const client = await open(t, threads, address, greeting);
  const { status } = await client.write(request).response();
  return { client, status };
}

async function visits(t: TestContext, threads: TestThreads, count: number, address: string): Promise<Opened[]> {
  return Promise.all(Array.from({ length: count }, () => visit(t, threads, address)));
}

const served = (opened: readonly Opened[]): Opened[] => opened.filter(({ status }) => status === 200);

suite('a client', () => {
  test('has as many connections as an address may have, over both threads, and nobody else has fewer', async (t) => {
    const threads = await start(t, { connectionsPerAddress: 6 });
    const opened = served(await visits(t, threads, 20, '127.0.0.2'));
    assert.equal(opened.length, 6);
    assert.equal(served(await visits(t, threads, 6, '127.0.0.3')).length, 6);
    const refused = await open(t, threads, '127.0.0.2');
    const { status, fields, body } = await refused.response();
    assert.equal(status, 503);
    assert.deepEqual([fieldValues(fields, 'retry-after'), fieldValues(fields, 'connection')], [['1'], ['close']]);
    assert.equal((JSON.parse(body) as { code: string }).code, 'TOO_MANY_CLIENT_CONNECTIONS');
    for (const { client } of opened.slice(0, 3)) client.destroy();
    let more: Opened[] = [];
    await eventually(async () => {
      more = more.concat(served(await visits(t, threads, 1, '127.0.0.2')));
      return more.length === 3;
    }, 'three more connections in place of those that are closed');
    assert.equal(served(await visits(t, threads, 5, '127.0.0.2')).length, 0);
    assert.ok((await threads.gateway.status()).protection.connectionsRefused >= 20);
  });

  test('gets back what a thread had that has died', async (t) => {
    const web = { host: '127.0.0.1', port: 0, limits: { connectionsPerAddress: 4 } };
    const threads = await TestThreads.start(t, toldConfig({ listeners: { web } }));
    assert.equal(served(await visits(t, threads, 4, '127.0.0.2')).length, 4);
    const killer = await open(t, threads, '127.0.0.3');
    killer.write('GET / HTTP/1.1\r\nhost: x\r\nx-do: exit\r\n\r\n');
    await threads.logged('a serving thread was replaced');
    // Those that the other thread has are still there.
    const { connections } = (await threads.gateway.status()).listeners[0];
    assert.equal(served(await visits(t, threads, 8, '127.0.0.2')).length, 4 - connections);
  });

  test('that is turned away takes nobody else the room', async (t) => {
    const threads = await start(t, { connections: 4, connectionsPerAddress: 2 });
    assert.equal(served(await visits(t, threads, 2, '127.0.0.2')).length, 2);
    // They do not leave when they are told to.
    const stubborn = await Promise.all(Array.from({ length: 20 }, () => open(t, threads, '127.0.0.2')));
    const refused = async (): Promise<number> => (await threads.gateway.status()).protection.connectionsRefused;
    await eventually(async () => (await refused()) === 20, 'all of them to be told');
    assert.equal(served(await visits(t, threads, 2, '127.0.0.3')).length, 2);
    for (const client of stubborn) assert.equal((await client.response()).status, 503);
  });

  test('is counted from before its TLS handshake, and turned away without one', async (t) => {
    const { cert, key, certPem: ca } = makeTlsFiles(t);
    const threads = await start(t, { connectionsPerAddress: 5 }, { tls: { certificates: [{ cert, key }] } });
    // Handshakes that never come.
    const idle = await Promise.all(Array.from({ length: 5 }, () => open(t, threads, '127.0.0.2')));
    await eventually(
      async () => (await threads.gateway.status()).listeners[0].connections === 5,
      'all of them to be accepted',
    );
    const one = await open(t, threads, '127.0.0.2');
    await one.untilEnded();
    assert.equal(one.received, '');
    const secure = (localAddress: string) =>
      RawClient.connect(t, { ...threads.address(), localAddress, ca, servername: 'localhost' });
    await assert.rejects(secure('127.0.0.2'));
    const other = await secure('127.0.0.3');
    assert.equal((await other.write(request).finish().response()).status, 200, 'also once it has said all');
    for (const client of idle) client.destroy();
    await eventually(
      () =>
        secure('127.0.0.2')
          .then(() => true)
          .catch(() => false),
      'a handshake once the others have left',
    );
  });

  test('is who the PROXY header says, not who has the connection', async (t) => {
    const threads = await start(t, { connectionsPerAddress: 2 }, { proxyProtocol: true });
    const by = (client: string) => visit(t, threads, '127.0.0.2', `PROXY TCP4 ${client} 127.0.0.1 1000 80\r\n`);
    const first = await Promise.all(['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2'].map(by));
    assert.deepEqual(
      first.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 200, 200, 503],
    );
    const v6 = (n: number) => visit(t, threads, '127.0.0.2', `PROXY TCP6 2001:db8::${n} ::1 1000 80\r\n`);
    const second = await Promise.all([1, 2, 3].map(v6));
    assert.deepEqual(
      second.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 200, 503],
      'a /64 is one client',
    );
  });

  test('is none if it is a trusted proxy', async (t) => {
    const limits = { connectionsPerAddress: 1, newConnectionsPerAddress: '1/1h' };
    const threads = await start(t, limits, { trustedProxies: ['127.0.0.2'] });
    assert.equal(served(await visits(t, threads, 10, '127.0.0.2')).length, 10);
    assert.equal(served(await visits(t, threads, 10, '127.0.0.3')).length, 1);
  });

  test('opens connections as fast as it may, and those that are refused are charged to nobody', async (t) => {
    const threads = await start(t, { newConnections: '8/1h', newConnectionsPerAddress: '5/1h' });
    assert.equal(served(await visits(t, threads, 20, '127.0.0.2')).length, 5);
    assert.equal(served(await visits(t, threads, 20, '127.0.0.3')).length, 3, 'eight in all');
    const { status, body } = await (await open(t, threads, '127.0.0.4')).response();
    assert.deepEqual([status, (JSON.parse(body) as { code: string }).code], [503, 'TOO_MANY_CONNECTIONS']);
  });

  test('has what it has through a change of the limit', async (t) => {
    const threads = await start(t, { connectionsPerAddress: 3 });
    const { port } = threads.address() as { port: number };
    assert.equal(served(await visits(t, threads, 5, '127.0.0.2')).length, 3);
    const web = { host: '127.0.0.1', port: 0, limits: { connectionsPerAddress: 4 } };
    await threads.apply(answering(web));
    assert.equal((threads.address() as { port: number }).port, port);
    assert.equal(served(await visits(t, threads, 5, '127.0.0.2')).length, 1);
    await threads.apply(answering({ ...web, limits: {} }));
    assert.equal(served(await visits(t, threads, 5, '127.0.0.2')).length, 5);
  });
});
