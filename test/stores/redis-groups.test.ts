/** Limits in several servers of Redis that belong together. */
import assert from 'node:assert/strict';
import { type TestContext, suite, test } from 'node:test';
import type { LimitRule, Limiter } from '../../src/contract.ts';
import { eventually } from '../support/changes.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { startCluster, startWatched } from '../support/redis-group.ts';
import { RedisConnection, type RedisSettings } from '../../src/stores/redis-connection.ts';
import { systemClock } from '../../src/util/clock.ts';
import { UpstreamTls } from '../../src/wire/tls/upstream-tls.ts';
import { RedisThread } from '../support/redis-limits.ts';
import { type TlsFolder, tlsFolder } from '../support/redis-tls.ts';

const rule: LimitRule = { algorithm: 'fixed-window', limit: 1_000, windowMs: 86_400_000 };

function tlsOf({ ca }: TlsFolder, serverName: string | undefined) {
  const report = ({ message }: { readonly message: string }): never => assert.fail(message);
  return { verified: new UpstreamTls({ ca }, { baseDir: '/', clock: systemClock, report }), serverName };
}

/** Why there is no connection. */
async function problemsOf(
  t: TestContext,
  settings: Partial<RedisSettings> & { readonly url: string },
): Promise<string> {
  const problems: string[] = [];
  const connection = new RedisConnection(
    { username: undefined, password: undefined, timeoutMs: 500, tls: null, ...settings },
    (message) => problems.push(message),
  );
  t.after(() => connection.close());
  await connection.attempted;
  assert.equal(connection.isReady, false);
  return problems.join('\n');
}

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

suite('a sentinel', { skip: unlessInstalled('redis-server') }, () => {
  const canary = 'canary-of-the-sentinels';
  const settings = (sentinel: string) => ({ url: 'redis://mymaster', sentinels: [sentinel] });
  const times = 60_000;

  test('that asks for a password is told it', { timeout: 2 * times }, async (t) => {
    const { servers, sentinel } = await startWatched(t, { login: { username: 'default', password: canary } });
    const more = { ...settings(sentinel), sentinelPassword: canary };
    const thread = await RedisThread.open(t, servers[0], { more });
    const limiter = thread.limits('local').limiter('a', rule);
    assert.equal(await decidedByStore(limiter, ['k', 'k']), 2);
    assert.notEqual(await servers[0].ask('DBSIZE'), ':0\r\n');
  });

  test('that asks for a user as well is told both, and nobody else is', { timeout: 2 * times }, async (t) => {
    const { servers, sentinel } = await startWatched(t, { login: { username: 'gateway', password: canary } });
    const login = { sentinelUsername: 'gateway', sentinelPassword: canary };
    const thread = await RedisThread.open(t, servers[0], { more: { ...settings(sentinel), ...login } });
    assert.equal(await decidedByStore(thread.limits('local').limiter('a', rule), ['k']), 1);
    assert.match(await servers[0].ask('ACL', 'LOG'), /^\*0/, 'the server itself has seen no login');
    for (const wrong of [{}, { ...login, sentinelPassword: `${canary}-wrong` }]) {
      const problems = await problemsOf(t, { ...settings(sentinel), ...wrong });
      assert.match(problems, /^the store cannot be reached: (?:NOAUTH|WRONGPASS) /);
      assert.ok(!problems.includes(canary));
    }
  });

  test('and its servers may be reached by TLS', { timeout: 2 * times }, async (t) => {
    const files = await tlsFolder(t, ['DNS:redis.internal']);
    const { servers, sentinel } = await startWatched(t, { tls: files });
    const open = (serverName: string | undefined): Promise<RedisThread> => {
      const more = { ...settings(sentinel), url: 'rediss://mymaster', tls: tlsOf(files, serverName) };
      return RedisThread.open(t, servers[0], { more });
    };
    const thread = await open('redis.internal');
    assert.equal(await decidedByStore(thread.limits('local').limiter('a', rule), ['k', 'k']), 2);
    const problems = await problemsOf(t, {
      url: 'rediss://mymaster',
      sentinels: [sentinel],
      tls: tlsOf(files, undefined),
    });
    assert.match(problems, /its certificate is for another name/);
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

  test('are reached by TLS', { timeout: 120_000 }, async (t) => {
    const files = await tlsFolder(t, ['DNS:redis.internal']);
    const ports: number[] = [];
    const servers = await startCluster(t, { files, ports });
    const url = `rediss://127.0.0.1:${ports[0]}`;
    const more = { cluster: [], tls: tlsOf(files, 'redis.internal') };
    const thread = await RedisThread.open(t, { url }, { more });
    const limiter = thread.limits('local').limiter('a', rule);
    const keys = Array.from({ length: 30 }, (_, i) => `key ${i}`);
    assert.equal(await decidedByStore(limiter, keys), 30);
    const sizes = await Promise.all(servers.map(async (server) => Number((await server.ask('DBSIZE')).slice(1))));
    assert.ok(Math.min(...sizes) > 0, sizes.join());
    const problems = await problemsOf(t, { url, cluster: [], tls: tlsOf(files, undefined) });
    assert.match(problems, /its certificate is for another name/);
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
