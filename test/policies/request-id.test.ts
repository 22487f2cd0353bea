import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { requestId } from '../../src/policies/request-id.ts';
import { FakeEnv, FakeExchange, createPolicy, runThrough } from '../support/fake-exchange.ts';

/** RFC 9562, section 5.7: 48 bits of time, version 7, variant 10. */
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function idFor(policy: ReturnType<typeof createPolicy>, headers: [string, string][] = []): Promise<string> {
  const { exchange } = await runThrough([policy], new FakeExchange({ headers }));
  return exchange.requestId;
}

suite('requestId', () => {
  test('gives the same id to the exchange, the upstream and the client', async () => {
    const { exchange, headers } = await runThrough([createPolicy(requestId)], new FakeExchange());
    assert.match(exchange.requestId, UUID_V7);
    assert.deepEqual(exchange.requestHeaders.getAll('x-request-id'), [exchange.requestId]);
    assert.deepEqual(headers.getAll('x-request-id'), [exchange.requestId]);
  });

  test('replaces what client and upstream say', async () => {
    const exchange = new FakeExchange({ headers: { 'X-Request-Id': ['theirs', 'another'] } });
    const { headers } = await runThrough([createPolicy(requestId)], exchange, { headers: { 'x-request-id': 'stale' } });
    assert.match(exchange.requestId, UUID_V7);
    assert.deepEqual(exchange.requestHeaders.getAll('x-request-id'), [exchange.requestId]);
    assert.deepEqual(headers.getAll('x-request-id'), [exchange.requestId]);
  });

  test('uses the header that it is told', async () => {
    const { exchange, headers } = await runThrough(
      [createPolicy(requestId, { header: 'X-Trace' })],
      new FakeExchange(),
    );
    assert.equal(headers.get('x-trace'), exchange.requestId);
    assert.equal(headers.get('x-request-id'), undefined);
  });

  test('keeps the id of a trusted client', async () => {
    const policy = createPolicy(requestId, { trust: true });
    for (const id of ['a', '01H8XGJWBWBAQ4Z0', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6', 'x'.repeat(128)]) {
      assert.equal(await idFor(policy, [['x-request-id', id]]), id);
    }
  });

  test('gives its own id where the one of a trusted client is not well-formed', async () => {
    const policy = createPolicy(requestId, { trust: true });
    const illFormed = [
      '',
      'x'.repeat(129),
      'a b',
      'a,b',
      '"quoted"',
      '{"a":1}',
      'a\tb',
      'caf\u00e9',
      '<script>',
      'a;b',
    ];
    for (const id of illFormed) assert.match(await idFor(policy, [['x-request-id', id]]), UUID_V7, JSON.stringify(id));
    assert.match(await idFor(policy), UUID_V7);
  });

  test('gives its own id where a trusted client sends two', async () => {
    const two: [string, string][] = [
      ['x-request-id', 'a'],
      ['X-REQUEST-ID', 'b'],
    ];
    assert.match(await idFor(createPolicy(requestId, { trust: true }), two), UUID_V7);
  });

  test('gives one id to an exchange, even where two of these policies meet', async () => {
    const policies = [createPolicy(requestId), createPolicy(requestId, { header: 'x-correlation-id' })];
    const { exchange, headers } = await runThrough(policies, new FakeExchange());
    assert.equal(headers.get('x-request-id'), exchange.requestId);
    assert.equal(headers.get('x-correlation-id'), exchange.requestId);
  });

  test('never gives an id twice, across refills of its random bytes and on several routes', () => {
    const policies = [createPolicy(requestId), createPolicy(requestId)];
    const ids = new Set<string>();
    for (let i = 0; i < 10_000; i++) {
      const exchange = new FakeExchange();
      void policies[i % 2].onRequest?.(exchange);
      assert.match(exchange.requestId, UUID_V7);
      ids.add(exchange.requestId);
    }
    assert.equal(ids.size, 10_000);
  });

  test('gives ids that sort by time and tell it', async () => {
    const env = new FakeEnv();
    const before = Date.now();
    const policy = createPolicy(requestId, {}, env);
    const after = Date.now();
    const ids: string[] = [];
    for (const ms of [0, 1, 2.5, 1000, 86_400_000]) {
      env.nowMs = ms;
      ids.push(await idFor(policy));
    }
    assert.deepEqual(ids.toSorted(), ids);
    const times = ids.map((id) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
    assert.ok(times[0] >= before && times[0] <= after);
    assert.deepEqual(
      times.map((time) => time - times[0]),
      [0, 1, 2, 1000, 86_400_000],
    );
  });

  for (const header of [
    '',
    'x request id',
    'x-id\r\n',
    'content-length',
    'Connection',
    'host',
    'X-Forwarded-For',
    'via',
  ]) {
    test(`refuses to carry the id in ${JSON.stringify(header)}`, () => {
      assert.equal(requestId.options.safeParse({ header }).success, false);
    });
  }

  test('says that it provides the request id, so that policies which need it come after', () => {
    assert.deepEqual(requestId.provides, ['requestId']);
  });
});
