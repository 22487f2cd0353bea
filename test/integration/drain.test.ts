/** `stop`: nothing new is begun, what was begun is finished, and the grace is the end of it. */
import assert from 'node:assert/strict';
import { type TestContext, describe, it } from 'node:test';
import { settle } from '../support/changes.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValue } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, type UpstreamScript, ok } from '../support/raw-upstream.ts';

const get = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n';
const hour = 3_600_000;

async function start(t: TestContext, script: UpstreamScript = {}) {
  const upstream = await RawUpstream.start(t, script);
  const gateway = await TestGateway.start(t, proxyTo(upstream.url));
  const client = await RawClient.connect(t, gateway.address());
  let stopped = false;
  const stop = (graceMs: number): Promise<void> => gateway.gateway.stop(graceMs).then(() => void (stopped = true));
  return { upstream, gateway, client, stop, isStopped: () => stopped };
}

describe('a gateway that is stopped', () => {
  it('finishes the request that it is serving and says that it was the last one', async (t) => {
    const { upstream, client, stop, isStopped } = await start(t);
    client.write(get);
    await upstream.request();
    const stopping = stop(hour);
    await settle();
    assert.equal(isStopped(), false);
    upstream.connections[0].write(ok());
    const { responses } = await client.transcript();
    assert.deepEqual(
      responses.map(({ status, fields }) => [status, fieldValue(fields, 'connection')]),
      [[200, 'close']],
    );
    client.destroy();
    await stopping;
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
  });

  it('lets a response stream to its end', async (t) => {
    const { upstream, client, stop } = await start(t, {
      onRequest: () => 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello',
    });
    client.write(get);
    await client.until((received) => received.endsWith('hello'), 'the first half');
    const stopping = stop(hour);
    await settle();
    upstream.connections[0].write('world');
    assert.equal((await client.response()).body, 'helloworld');
    await client.untilEnded();
    client.destroy();
    await stopping;
  });

  it('takes the rest of a request whose head or body has begun', async (t) => {
    for (const [begun, rest] of [
      ['GET / HTTP/1.1\r\nhost:', ' localhost\r\n\r\n'],
      ['POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhello', 'world'],
    ] as const) {
      const { client, stop } = await start(t, { onRequest: ({ body }) => ok(body) });
      client.write(begun);
      await settle();
      const stopping = stop(hour);
      await settle();
      const { responses } = await client.write(rest).transcript();
      assert.deepEqual(
        responses.map(({ status, fields }) => [status, fieldValue(fields, 'connection')]),
        [[200, 'close']],
      );
      client.destroy();
      await stopping;
    }
  });

  it('does not begin what was sent ahead', async (t) => {
    const { upstream, client, stop } = await start(t);
    client.write(get + get + get);
    await upstream.request();
    const stopping = stop(hour);
    upstream.connections[0].write(ok());
    const { responses, rest } = await client.transcript();
    assert.deepEqual([responses.length, rest, upstream.requests.length], [1, '', 1]);
    client.destroy();
    await stopping;
  });

  it('ends idle connections, on both sides, and accepts no others', async (t) => {
    const { upstream, gateway, client, stop } = await start(t, { onRequest: () => ok() });
    await client.write(get).response();
    const fresh = await RawClient.connect(t, gateway.address());
    await settle();
    const stopping = stop(hour);
    await Promise.all([client.untilEnded(), fresh.untilEnded()]);
    for (const { socket } of [client, fresh]) socket.destroy();
    await stopping;
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
    await assert.rejects(RawClient.connect(t, gateway.address()), { code: 'ECONNREFUSED' });
  });

  it('serves the requests that were on their way to idle connections, and says that they were the last', async (t) => {
    const { client, gateway, stop } = await start(t, { onRequest: () => ok() });
    await client.write(get).response();
    const fresh = await RawClient.connect(t, gateway.address());
    await settle();
    const stopping = stop(hour);
    for (const each of [client, fresh]) {
      const { responses } = await each.write(get).transcript();
      assert.deepEqual(
        responses.map(({ status, fields }) => [status, fieldValue(fields, 'connection')]),
        [[200, 'close']],
      );
      each.destroy();
    }
    await stopping;
  });

  it('breaks off what is left after the grace', async (t) => {
    const { upstream, client, stop, gateway } = await start(t);
    client.write(get);
    await upstream.request();
    await stop(50);
    await client.untilEnded();
    assert.equal(client.received, '');
    assert.equal((await gateway.observation()).code, 'CLIENT_CLOSED');
    await upstream.until(() => upstream.connections[0].closed, 'the end of the connection');
  });

  it('can be stopped twice', async (t) => {
    const { stop } = await start(t);
    await Promise.all([stop(0), stop(0)]);
  });
});
