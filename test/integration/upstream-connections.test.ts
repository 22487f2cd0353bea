/** How many connections an upstream is given. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

const get = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n';
const upgrade =
  'GET /socket HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n';
const switched = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';

describe('connections.max of an upstream', () => {
  it('refuses the requests beyond it, until a connection is free again', async (t) => {
    const upstream = await RawUpstream.start(t, {});
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { upstream: { connections: { max: 2 } } }));
    const waiting = [await RawClient.connect(t, gateway.address()), await RawClient.connect(t, gateway.address())];
    for (const client of waiting) client.write(get);
    await upstream.request(1);

    const beyond = await RawClient.connect(t, gateway.address());
    const refusal = await beyond.write(get).response();
    assert.equal(refusal.status, 503);
    assert.equal((JSON.parse(refusal.body) as { code: string }).code, 'UPSTREAM_BUSY');

    for (const connection of upstream.connections) connection.write(ok());
    for (const client of waiting) assert.equal((await client.response()).status, 200);
    beyond.write(get);
    await upstream.request(2);
    for (const connection of upstream.connections) connection.write(ok());
    assert.equal((await beyond.response()).status, 200);
    assert.equal(upstream.connections.length, 2);
  });

  it('leads to the next target when one has none left', async (t) => {
    const [silent, other] = [await RawUpstream.start(t, {}), await RawUpstream.start(t)];
    const config = proxyTo([silent.url, other.url], { upstream: { connections: { max: 1 } } });
    const gateway = await TestGateway.start(t, config);
    (await RawClient.connect(t, gateway.address())).write(get);
    await silent.request();

    const client = await RawClient.connect(t, gateway.address());
    for (let turn = 0; turn < 4; turn++) assert.equal((await client.write(get).response()).status, 200);
    assert.deepEqual([silent.requests.length, other.requests.length], [1, 4]);
  });

  it('does not count tunnels', async (t) => {
    const upstream = await RawUpstream.start(t, {
      onRequest: ({ startLine }, connection) => {
        if (!startLine.includes('/socket')) return ok();
        connection.switchProtocols();
        return switched;
      },
    });
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { upstream: { connections: { max: 1 } } }));
    for (let tunnels = 0; tunnels < 3; tunnels++) {
      const client = await RawClient.connect(t, gateway.address());
      client.write(upgrade);
      await client.until((received) => received.startsWith('HTTP/1.1 101 '), 'a switch of protocols');
    }
    const client = await RawClient.connect(t, gateway.address());
    assert.equal((await client.write(get).response()).status, 200);
  });
});
