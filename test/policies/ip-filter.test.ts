import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ipFilter } from '../../src/policies/ip-filter.ts';
import { FakeExchange, createPolicy } from '../support/fake-exchange.ts';

function isLetPass(options: unknown, clientIp: string): boolean {
  const reply = createPolicy(ipFilter, options).onRequest?.(new FakeExchange({ clientIp }));
  if (reply === undefined) return true;
  assert.deepEqual(reply, { status: 403, code: 'IP_DENIED' });
  return false;
}

suite('ipFilter', () => {
  const cases: readonly (readonly [options: unknown, pass: readonly string[], refused: readonly string[]])[] = [
    [{ allow: ['10.0.0.0/8'] }, ['10.0.0.0', '10.255.255.255'], ['9.255.255.255', '11.0.0.0', '::1', '2001:db8::1']],
    [{ deny: ['10.0.0.0/8'] }, ['11.0.0.1', '2001:db8::1'], ['10.1.2.3']],
    [{ allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'] }, ['10.2.0.1'], ['10.1.0.1', '192.0.2.1']],
    [{ allow: ['10.1.2.3'], deny: ['10.0.0.0/8'] }, [], ['10.1.2.3']],
    [{ allow: ['2001:db8::/32'] }, ['2001:db8::1', '2001:0DB8:0:0::1'], ['2001:db9::1', '192.0.2.1']],
    [{ deny: ['0.0.0.0/0'] }, ['2001:db8::1'], ['192.0.2.1', '0.0.0.0', '255.255.255.255']],
    [{ allow: ['127.0.0.1', 'unix:'] }, ['127.0.0.1', ''], ['127.0.0.2']],
    [{ deny: ['unix:'] }, ['127.0.0.1'], ['']],
    [{ deny: ['192.0.2.1'] }, [''], ['192.0.2.1']],
  ];
  for (const [options, pass, refused] of cases) {
    test(`${JSON.stringify(options)} lets pass and refuses whom it says`, () => {
      for (const address of pass) assert.ok(isLetPass(options, address), `"${address}" must pass`);
      for (const address of refused) assert.ok(!isLetPass(options, address), `"${address}" must be refused`);
    });
  }

  test('cannot be walked around by an IPv4-mapped IPv6 address', () => {
    for (const spelling of ['::ffff:10.0.0.1', '::FFFF:0a00:0001', '0:0:0:0:0:ffff:10.0.0.1']) {
      assert.ok(!isLetPass({ deny: ['10.0.0.1'] }, spelling), spelling);
      assert.ok(isLetPass({ allow: ['10.0.0.1'] }, spelling), spelling);
      assert.ok(!isLetPass({ deny: [spelling] }, '10.0.0.1'), spelling);
    }
  });

  test('refuses what is no address, even where it only denies others (fail closed)', () => {
    for (const nobody of [
      'unknown',
      '_hidden',
      '010.0.0.1',
      '10.0.0.1 ',
      '10.0.0.1:80',
      '[::1]',
      '::1%eth0',
      '1.2.3',
    ]) {
      assert.ok(!isLetPass({ deny: ['192.0.2.1'] }, nobody), nobody);
    }
  });

  test('looks at the address of the client, not at headers that say who it is', () => {
    const policy = createPolicy(ipFilter, { allow: ['10.0.0.0/8'] });
    const headers = { 'x-forwarded-for': '10.0.0.1', forwarded: 'for=10.0.0.1', 'x-real-ip': '10.0.0.1' };
    const exchange = new FakeExchange({ clientIp: '192.0.2.1', headers });
    assert.deepEqual(policy.onRequest?.(exchange), { status: 403, code: 'IP_DENIED' });
  });

  test('believes the address that a trusted proxy reported', () => {
    const policy = createPolicy(ipFilter, { deny: ['203.0.113.0/24'] });
    const exchange = new FakeExchange({ peer: { address: '10.0.0.1' }, clientIp: '203.0.113.7' });
    assert.deepEqual(policy.onRequest?.(exchange), { status: 403, code: 'IP_DENIED' });
  });

  for (const entry of [
    '',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0',
    '010.0.0.1',
    '::/129',
    'localhost',
    '10.0.0.0/8/8',
    '1.2.3.4 ',
  ]) {
    test(`refuses ${JSON.stringify(entry)} in its lists, and says where it is`, () => {
      const result = ipFilter.options.safeParse({ deny: ['10.0.0.1', entry] });
      assert.equal(result.success, false);
      assert.deepEqual(result.error.issues[0].path, ['deny', 1]);
      assert.ok(result.error.issues[0].message.includes(JSON.stringify(entry)));
    });
  }

  test('refuses to filter nothing', () => {
    for (const options of [{}, { deny: [] }, { allow: [] }]) {
      assert.equal(ipFilter.options.safeParse(options).success, false);
    }
  });
});
