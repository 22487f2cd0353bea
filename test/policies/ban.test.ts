/** Whom `ban` counts, and when it has had enough. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ban } from '../../src/policies/ban.ts';
import { FakeEnv, FakeExchange, type FakeRequest, createPolicy, runThrough } from '../support/fake-exchange.ts';

const minute = 60_000;

async function answer(policy: ReturnType<typeof createPolicy>, status: number, request: FakeRequest = {}) {
  await runThrough([policy], new FakeExchange(request), { status });
}

/** Answers with that status until the client is banned; how many it took, at most 100. */
async function patience(env: FakeEnv, policy: ReturnType<typeof createPolicy>, status: number, clientIp: string) {
  for (let count = 1; count <= 100; count++) {
    await answer(policy, status, { clientIp });
    if (env.bans.remainingMs(clientIp) > 0) return count;
  }
  return Infinity;
}

suite('ban', () => {
  test('comes with the last of so many bad responses, for as long as it says', async () => {
    const env = new FakeEnv();
    const policy = createPolicy(ban, { after: 5, within: '1m', for: '10m' }, env);
    assert.equal(await patience(env, policy, 401, '192.0.2.1'), 5);
    assert.equal(env.bans.remainingMs('192.0.2.1'), 10 * minute);
    assert.deepEqual(env.warnings, ['192.0.2.1 is banned for 10m: 5 times 401, 403 within 1m']);
    const [{ by, reason }] = env.bans.list();
    assert.deepEqual([by, reason], ['a ban on route test-route', '5 times 401, 403 within 1m']);
    assert.equal(await patience(env, createPolicy(ban, { after: 1 }, env), 403, '192.0.2.2'), 1);
  });

  test('counts nothing but the statuses that it names', async () => {
    const env = new FakeEnv();
    for (const status of [200, 302, 404, 429, 500]) {
      assert.equal(await patience(env, createPolicy(ban, { after: 2 }, env), status, '192.0.2.1'), Infinity);
    }
    assert.equal(await patience(env, createPolicy(ban, { after: 2, statuses: [404] }, env), 404, '192.0.2.1'), 2);
  });

  test('lets those alone who come to it now and then', async () => {
    const env = new FakeEnv();
    const policy = createPolicy(ban, { after: 6, within: '1m' }, env);
    for (let n = 0; n < 100; n++) {
      env.nowMs += 10_000;
      await answer(policy, 401);
    }
    assert.equal(env.bans.isEmpty, true);
    assert.equal(await patience(env, policy, 401, '192.0.2.10'), 5, 'one of six has not drained away yet');
  });

  test('counts a client on all routes together, and those apart who count otherwise', async () => {
    const env = new FakeEnv();
    const one = createPolicy(ban, { after: 3 }, env);
    const two = createPolicy(
      ban,
      { after: 3, statuses: [403, 401] },
      Object.assign(new FakeEnv(), { limitMemory: env.limitMemory, route: 'other' }),
    );
    await answer(two, 401);
    await answer(two, 403);
    assert.equal(await patience(env, createPolicy(ban, { after: 3, within: '2m' }, env), 401, '192.0.2.10'), 3);
    env.bans.lift(env.bans.list()[0].network);
    assert.equal(await patience(env, one, 401, '192.0.2.10'), 1);
  });

  test('takes a /64 of IPv6 for one client', async () => {
    const env = new FakeEnv();
    const policy = createPolicy(ban, { after: 20 }, env);
    for (let n = 0; n < 20; n++) await answer(policy, 401, { clientIp: `2001:db8::${n + 1}` });
    assert.ok(env.bans.remainingMs('2001:db8::ffff:1') > 0);
  });

  test('counts nobody who cannot be told apart from others, nor who is exempt', async () => {
    const env = new FakeEnv();
    env.trustedProxies = ['10.0.0.1'];
    const policy = createPolicy(ban, { after: 1, exempt: { addresses: ['192.0.2.0/24', '::1'] } }, env);
    for (const clientIp of ['10.0.0.1', '192.0.2.7', '::1', '', 'unknown']) await answer(policy, 401, { clientIp });
    assert.equal(env.bans.isEmpty, true);
    await answer(policy, 401, { clientIp: '10.0.0.2' });
    assert.equal(env.bans.isEmpty, false);
  });

  test('bans nobody if it is not enforced, and tells whom it would have, a line a second at most', async () => {
    const env = new FakeEnv();
    const policy = createPolicy(ban, { after: 1, enforce: false }, env);
    for (let n = 0; n < 50; n++) await answer(policy, 401, { clientIp: `192.0.2.${n}` });
    env.nowMs += 1_000;
    await answer(policy, 401, { clientIp: '198.51.100.1' });
    assert.equal(env.bans.isEmpty, true);
    assert.deepEqual(env.warnings, [
      '192.0.2.0 would be banned for 10m: 1 times 401, 403 within 1m',
      '198.51.100.1 would be banned for 10m: 1 times 401, 403 within 1m; and 49 more before',
    ]);
  });

  test('takes no options that make no sense', () => {
    const wrong: readonly object[] = [
      {},
      { after: 0 },
      { after: 1.5 },
      { after: 5, within: '0s' },
      { after: 5, for: '10ms' },
      { after: 5, within: '2d' },
      { after: 5, statuses: [] },
      { after: 5, statuses: [200] },
      { after: 5, exempt: { addresses: ['nobody'] } },
    ];
    for (const given of wrong) assert.equal(ban.options.safeParse(given).success, false, JSON.stringify(given));
  });
});
