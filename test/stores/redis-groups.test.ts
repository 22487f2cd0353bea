/** Limits in several servers of Redis that belong together. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { LimitRule, Limiter } from '../../src/contract.ts';
import { eventually } from '../support/changes.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { startCluster, startWatched } from '../support/redis-group.ts';
import { RedisThread } from '../support/redis-limits.ts';

const rule: LimitRule = { algorithm: 'fixed-window', limit: 1_000, windowMs: 86_400_000 };

/** How many of these a store has decided, and all in time. */
async function decidedByStore(limiter: Limiter, keys: readonly string[]): Promise<number> {
  const begun = performance.now();
  const verdicts = await Promise.all(keys.map((key) => Promise.resolve(limiter.charge(key, 1))));
  assert.ok(performance.now() - begun < 3_000, 'nobody waits');
  assert.ok(verdicts.every(({ isAllowed }) => isAllowed));
  return verdicts.filter(({ source }) => source === 'store').length;
}

suite('limits in redis behind a sentinel', { skip: unlessInstalled('redis-server') }, () => {
  test('are counted by whoever is the master', { timeout: 120_000 }, async (t) => {
    const { servers, sentinel } = await startWatched(t);
    const [master, copy] = servers;
    const more = { url: 'redis://mymaster', sentinels: [sentinel] };
    const thread = await RedisThread.open(t, master, { timeoutMs: 500, more });
    const limiter = thread.limits('local').limiter('a', rule);
    assert.equal(await decidedByStore(limiter, ['k', 'k', 'k']), 3);
    await eventually(async () => (await copy.ask('DBSIZE')).startsWith(':1'), 'the copy to have it');
    await master.kill();
    const isDecided = async (): Promise<boolean> => (await decidedByStore(limiter, ['k'])) === 1;
    await eventually(isDecided, 'the copy to take over', 60_000);
    assert.match(await copy.ask('ROLE'), /master/);
    assert.ok((await limiter.charge('k', 0)).remaining <= 996, 'with what was counted before');
  });
});

suite('limits in a cluster of redis', { skip: unlessInstalled('redis-server') }, () => {
  test('are spread over all nodes', { timeout: 120_000 }, async (t) => {
    const servers = await startCluster(t);
    const thread = await RedisThread.open(t, servers[0], { more: { cluster: [`127.0.0.1:${servers[1].port}`] } });
    const limiter = thread.limits('local').limiter('a', rule);
    const keys = Array.from({ length: 60 }, (_, i) => `key ${i}`);
    assert.equal(await decidedByStore(limiter, keys), 60);
    assert.equal(await decidedByStore(limiter, keys), 60);
    const sizes = await Promise.all(servers.map(async (server) => Number((await server.ask('DBSIZE')).slice(1))));
    // The one more is what the store was tried with.
    assert.ok([60, 61].includes(sizes.reduce((sum, size) => sum + size, 0)), sizes.join());
    assert.ok(
      sizes.every((size) => size > 5),
      sizes.join(),
    );
    const verdict = { ...(await limiter.charge('key 1', 5)) };
    limiter.undo('key 1', 5, verdict);
    assert.equal((await limiter.charge('key 1', 0)).remaining, 998);
  });

  test(
    'are counted by the machine while the cluster is down, and there again when it is back',
    { timeout: 120_000 },
    async (t) => {
      const servers = await startCluster(t);
      const thread = await RedisThread.open(t, servers[0], { timeoutMs: 500, more: { cluster: [] } });
      const limiter = thread.limits('local').limiter('a', rule);
      const keys = Array.from({ length: 20 }, (_, i) => `key ${i}`);
      assert.equal(await decidedByStore(limiter, keys), 20);
      for (const server of servers) server.hang();
      assert.equal(await decidedByStore(limiter, keys), 0);
      for (const server of servers) server.goOn();
      await eventually(
        async () => (await decidedByStore(limiter, keys)) === 20,
        'the cluster to be asked again',
        30_000,
      );
    },
  );
});
