/** Clients that go away: whatever was being done for them ends, upstream too. */
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import { settle } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type ProxySettings, TestGateway, proxyTo } from '../support/gateway.ts';
import { policyOf } from '../support/inline-policy.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, type UpstreamScript, ok } from '../support/raw-upstream.ts';
import { makeTlsFiles } from '../support/tls-files.ts';

const get = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n';

async function start(t: TestContext, script: UpstreamScript = {}, settings: ProxySettings = {}) {
  const upstream = await RawUpstream.start(t, script);
  const clock = new FakeClock();
  const gateway = await TestGateway.start(t, proxyTo(upstream.url, settings), { clock });
  const client = await RawClient.connect(t, gateway.address());
  return { upstream, gateway, client, clock };
}

const departures = {
  /** Closes its socket: FIN, then RST for whatever still comes. */
  'closes its connection': (client: RawClient) => client.destroy(),
  'resets its connection': (client: RawClient) => client.reset(),
} as const;

describe('a client', () => {
  for (const [departure, leave] of Object.entries(departures)) {
    it(`that ${departure} before the response cancels the request upstream`, async (t) => {
      const { upstream, gateway, client, clock } = await start(t);
      client.write(get);
      await upstream.request();
      leave(client);
      await settle();
      // One that has only finished sending could still be there; it is given a moment.
      clock.advance(1_000);
      await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
      const { status, code } = await gateway.observation();
      assert.deepEqual([status, code], [499, 'CLIENT_CLOSED']);
    });

    it(`that ${departure} in the response cancels it upstream`, async (t) => {
      const { upstream, gateway, client, clock } = await start(t, {
        onRequest: () => 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n',
      });
      client.write(get);
      await client.until((received) => received.includes('hello'), 'the first piece');
      leave(client);
      await settle();
      // A client that has closed shows it once it is written to.
      for (let i = 0; i < 3; i++) {
        upstream.connections[0].write('5\r\nhello\r\n');
        await settle();
      }
      clock.advance(1_000);
      await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
      const { status, code } = await gateway.observation();
      assert.deepEqual([status, code], [200, 'CLIENT_CLOSED']);
    });

    it(`that ${departure} in its request leaves nothing complete upstream`, async (t) => {
      const { upstream, gateway, client } = await start(t);
      client.write('POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
      await upstream.until(() => upstream.bytes.includes('hello'), 'the first piece');
      leave(client);
      await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
      assert.equal(upstream.requests.length, 0);
      assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');
    });

    it(`that ${departure} in its head is no request`, async (t) => {
      const { gateway, client } = await start(t);
      client.write('GET / HTTP/1.1\r\nhost:');
      await settle();
      leave(client);
      await settle();
      assert.deepEqual(gateway.observations, []);
    });
  }

  it('that leaves while a policy thinks is not forwarded', async (t) => {
    let decide = (): void => {};
    const upstream = await RawUpstream.start(t);
    const thinking = policyOf({ onRequest: () => new Promise<void>((resolve) => (decide = resolve)) });
    const gateway = await TestGateway.start(
      t,
      proxyTo(upstream.url, { route: { policies: [{ use: './thinking.ts' }] } }),
      { modules: { './thinking.ts': thinking } },
    );
    const client = await RawClient.connect(t, gateway.address());
    client.write(get);
    await settle();
    client.reset();
    assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');
    decide();
    await settle();
    assert.equal(upstream.connections.length, 0);
    assert.equal(gateway.observations.length, 1);
  });

  it('that leaves while a policy thinks about the response gets nothing more done', async (t) => {
    let decide = (): void => {};
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const upstream = await RawUpstream.start(t, {
      onRequest: () => 'HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nhello',
    });
    const thinking = policyOf({
      onResponse: () => {
        ask();
        return new Promise<void>((resolve) => (decide = resolve));
      },
    });
    const gateway = await TestGateway.start(
      t,
      proxyTo(upstream.url, { route: { policies: [{ use: './thinking.ts' }] } }),
      { modules: { './thinking.ts': thinking } },
    );
    const client = await RawClient.connect(t, gateway.address());
    client.write(get);
    await asked;
    client.reset();
    assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');
    decide();
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
    assert.equal(gateway.observations.length, 1);
  });

  it('that leaves aborts the signal that policies wait on', async (t) => {
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const upstream = await RawUpstream.start(t, {});
    const waiting = policyOf({ onRequest: ({ signal }) => signal.addEventListener('abort', () => resolve()) });
    const gateway = await TestGateway.start(
      t,
      proxyTo(upstream.url, { route: { policies: [{ use: './waiting.ts' }] } }),
      { modules: { './waiting.ts': waiting } },
    );
    const client = await RawClient.connect(t, gateway.address());
    client.write(get);
    await upstream.request();
    client.reset();
    await aborted;
  });

  it('that leaves while the upstream is connected to leaves a connection for the next', async (t) => {
    const { upstream, gateway, client } = await start(t, { onRequest: () => ok() });
    client.write(get);
    client.reset();
    await settle();
    assert.equal((await request(t, gateway.address(), get)).status, 200);
    assert.ok(upstream.connections.length <= 2);
  });

  it('over TLS that leaves in the response cancels it upstream as well', async (t) => {
    const { cert, key, certPem } = makeTlsFiles(t);
    const upstream = await RawUpstream.start(t, {
      onRequest: () => 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n',
    });
    const gateway = await TestGateway.start(
      t,
      proxyTo(upstream.url, { listener: { tls: { certificates: [{ cert, key }] } } }),
    );
    const client = await RawClient.connect(t, {
      ...(gateway.address() as { host: string; port: number }),
      ca: certPem,
    });
    client.write(get);
    await client.until((received) => received.includes('hello'), 'the first piece');
    client.destroy();
    await upstream.until(
      () => upstream.connections[0].closed || upstream.connections[0].write('5\r\nhello\r\n').closed,
      'the end of the connection',
    );
    assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');
  });

  it('that leaves a hundred requests behind costs the upstream one connection at most', async (t) => {
    const { upstream, gateway, client } = await start(t);
    client.write(get.repeat(100));
    await upstream.request();
    client.reset();
    // A client that has sent ahead is not read from, so that it is missed only when it is written to.
    upstream.connections[0].write(ok('x'.repeat(200_000)));
    await gateway.observation();
    await settle();
    assert.ok(upstream.requests.length <= 3, `${upstream.requests.length} requests`);
  });
});
