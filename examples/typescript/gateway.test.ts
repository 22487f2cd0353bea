/**
 * The same as a `gateway.test.yaml` could say, and whatever else a program can: loops, helpers, answers that depend on
 * the request. `gatewright test examples/typescript` runs it with `node --test`.
 */
import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { testGateway } from 'gatewright/testing';
import config from './gateway.config.ts';

const gw = await testGateway(config, {
  upstreams: {
    catalog: ({ path }) =>
      path === '/catalog/7' ? { body: { id: 7 } } : { status: 404, body: { error: 'no such product' } },
  },
});
after(() => gw.close());

it('serves products from the catalog', async () => {
  const { route, status, headers, json } = await gw.request('GET', 'http://127.0.0.1:8080/catalog/7');
  assert.equal(route, 'catalog');
  assert.equal(status, 200);
  assert.ok(headers['x-request-id']);
  assert.deepEqual(json(), { id: 7 });
});

it('passes on what the catalog does not have', async () => {
  assert.equal((await gw.request('GET', 'http://127.0.0.1:8080/catalog/8')).status, 404);
});

for (const method of ['POST', 'PUT', 'DELETE']) {
  it(`does not ${method} products`, async () => {
    const { status, code, upstreamRequest } = await gw.request(method, 'http://127.0.0.1:8080/catalog/7');
    assert.deepEqual(
      { status, code, upstreamRequest },
      { status: 405, code: 'METHOD_NOT_ALLOWED', upstreamRequest: null },
    );
  });
}

it('refuses orders of more than 64 KiB before the service sees them', async () => {
  const order = 'x'.repeat(64 * 1024 + 1);
  const { code, upstreamRequest } = await gw.request('POST', 'http://127.0.0.1:8080/orders', { body: order });
  assert.equal(code, 'BODY_TOO_LARGE');
  assert.equal(upstreamRequest, null);
});

it('gives up on an orders service that has not begun to answer after half a minute', async () => {
  gw.answerWith('orders', 'hang');
  const pending = gw.request('POST', 'http://127.0.0.1:8080/orders', { body: '{"product": 7}' });
  await gw.clock.advance('31s');
  const { status, code } = await pending;
  assert.deepEqual({ status, code }, { status: 504, code: 'UPSTREAM_TIMEOUT' });
});
