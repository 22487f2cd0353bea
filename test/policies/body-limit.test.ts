import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { bodyLimit } from '../../src/policies/body-limit.ts';
import { FakeExchange, type FakeRequest, createPolicy } from '../support/fake-exchange.ts';

const TOO_LARGE = { status: 413, code: 'BODY_TOO_LARGE' };

function run(request: FakeRequest, max = '1KiB') {
  const exchange = new FakeExchange({ method: 'POST', ...request });
  return { reply: createPolicy(bodyLimit, { max }).onRequest?.(exchange), limit: exchange.requestBodyLimit };
}

suite('bodyLimit', () => {
  test('refuses at once a body whose announced length is too large', () => {
    assert.deepEqual(run({ headers: { 'content-length': '1025' } }).reply, TOO_LARGE);
    assert.deepEqual(run({ headers: { 'content-length': '99999999999999999999' } }).reply, TOO_LARGE);
  });

  test('lets a body pass that is exactly as large as the limit', () => {
    assert.equal(run({ headers: { 'content-length': '1024' } }).reply, undefined);
    assert.equal(run({ headers: { 'content-length': '0' } }).reply, undefined);
  });

  test('lets a request without a body pass', () => assert.equal(run({ method: 'GET' }).reply, undefined));

  test('has the length of a streamed body watched as it arrives', () => {
    const { reply, limit } = run({ headers: { 'transfer-encoding': 'chunked' } });
    assert.equal(reply, undefined);
    assert.equal(limit, 1024);
  });

  test('does not take the announced length for the real one', () => {
    assert.equal(run({ headers: { 'content-length': '10' } }).limit, 1024);
  });

  test('refuses a length that is no number rather than let it pass (fail closed)', () => {
    for (const length of ['abc', '1,1', 'NaN', '1e9']) {
      assert.deepEqual(run({ headers: { 'content-length': length } }).reply, TOO_LARGE, length);
    }
  });

  test('refuses a body that another policy had buffered already', () => {
    assert.deepEqual(run({ body: 'x'.repeat(1025) }).reply, TOO_LARGE);
    assert.equal(run({ body: 'x'.repeat(1024) }).reply, undefined);
  });

  test('never raises a smaller limit', async () => {
    const exchange = new FakeExchange({ method: 'POST' });
    await createPolicy(bodyLimit, { max: '1KiB' }).onRequest?.(exchange);
    await createPolicy(bodyLimit, { max: '1MiB' }).onRequest?.(exchange);
    assert.equal(exchange.requestBodyLimit, 1024);
  });

  test('can forbid bodies altogether', () => {
    assert.deepEqual(run({ headers: { 'content-length': '1' } }, '0B').reply, TOO_LARGE);
    assert.equal(run({ headers: { 'content-length': '0' } }, '0B').reply, undefined);
  });

  for (const max of [undefined, 1024, '1024', '1KB', '-1KiB', 'big']) {
    test(`refuses ${JSON.stringify(max)} as a limit`, () => {
      assert.equal(bodyLimit.options.safeParse({ max }).success, false);
    });
  }
});
