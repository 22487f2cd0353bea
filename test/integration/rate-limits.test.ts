/** Limits on real sockets: who counts as one client, and what stands in the responses of upstreams. */
import assert from 'node:assert/strict';
import { type TestContext, suite, test } from 'node:test';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

async function start(t: TestContext, options: object, { listener = {}, answer = 'HTTP/1.1 200 OK\r\n' } = {}) {
  const upstream = await RawUpstream.start(t, { onRequest: () => `${answer}content-length: 2\r\n\r\nok` });
  const route = { policies: [{ rateLimit: options }] };
  const gateway = await TestGateway.start(t, proxyTo(upstream.url, { listener, route }));
  const send = async (fields = '') => {
    const client = await RawClient.connect(t, gateway.address());
    client.write(`GET / HTTP/1.1\r\nhost: x\r\n${fields}\r\n`);
    return client.response();
  };
  return { gateway, send };
}

suite('a rate limit by address', () => {
  test('is not to be got around by what a client says of itself', async (t) => {
    const { send } = await start(t, { rate: '3/1h', by: 'ip' });
    const claims = [
      'x-forwarded-for: 192.0.2.1',
      'forwarded: for=192.0.2.2',
      'x-real-ip: 192.0.2.3',
      'x-consumer: ann',
    ];
    const statuses = [];
    for (const claim of claims) statuses.push((await send(`${claim}\r\n`)).status);
    assert.deepEqual(statuses, [200, 200, 200, 429]);
  });

  test('believes a trusted proxy about who the client is, and takes an IPv6 network for one', async (t) => {
    const { send } = await start(t, { rate: '1/1h', by: 'ip' }, { listener: { trustedProxies: ['127.0.0.1'] } });
    const from = async (address: string) => (await send(`x-forwarded-for: ${address}\r\n`)).status;
    assert.equal(await from('192.0.2.1'), 200);
    assert.equal(await from('192.0.2.1'), 429);
    assert.equal(await from('198.51.100.7, 192.0.2.1'), 429, 'the rightmost that is not trusted');
    assert.equal(await from('192.0.2.2'), 200);
    assert.equal(await from('2001:db8:1:2::1'), 200);
    assert.equal(await from('2001:db8:1:2:ffff::2'), 429);
    assert.equal(await from('2001:db8:1:3::1'), 200);
  });
});

suite('what a response says of limits', () => {
  test('stands behind what the upstream says of its own', async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nratelimit: "own";r=7;t=5\r\nx-ratelimit-remaining: 7\r\n';
    const { send, gateway } = await start(t, { rate: '2/1h', headers: 'both' }, { answer });
    const { fields } = await send();
    assert.equal(fieldValues(fields, 'ratelimit').join(', '), '"own";r=7;t=5, "default";r=1;t=1800');
    assert.deepEqual(fieldValues(fields, 'ratelimit-policy'), ['"default";q=2;w=3600']);
    assert.deepEqual(fieldValues(fields, 'x-ratelimit-remaining'), ['1'], 'which is no list');
    await send();
    const refused = await send();
    assert.equal(refused.status, 429);
    assert.deepEqual(fieldValues(refused.fields, 'ratelimit'), ['"default";r=0;t=1800']);
    assert.deepEqual(fieldValues(refused.fields, 'retry-after'), ['1800']);
    assert.deepEqual((await gateway.gateway.status()).limits, {
      refused: 1,
      wouldRefuse: 0,
      evicted: 0,
      gaveUp: 0,
      askedOfStores: 0,
      storeFailures: 0,
      decidedLocally: 0,
    });
  });
});
