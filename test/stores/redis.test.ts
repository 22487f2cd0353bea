import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { type TestContext, suite, test } from 'node:test';
import { RedisConnection, type RedisSettings, StoreUnavailable } from '../../src/stores/redis-connection.ts';
import { RedisValues } from '../../src/stores/redis-values.ts';
import { eventually } from '../support/changes.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { RedisServer } from '../support/redis-server.ts';

const timeoutMs = 200;
/** A busy machine may be late, but not by an order of magnitude. */
const lateMs = 1_500;

async function openStore(t: TestContext, url: string, more: Partial<RedisSettings> = {}) {
  const problems: string[] = [];
  const settings: RedisSettings = {
    url,
    username: undefined,
    password: undefined,
    timeoutMs,
    tls: null,
    ...more,
  };
  const connection = new RedisConnection(settings, (message) => problems.push(message));
  t.after(() => connection.close());
  await connection.ready;
  const values = new RedisValues(connection, 'gw:');
  const isUp = (): Promise<boolean> =>
    values.get('any').then(
      () => true,
      () => false,
    );
  return { connection, values, problems, isUp };
}

/** What it takes for the promise to be rejected, which it must be. */
async function timeToRefuse(promise: Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await assert.rejects(promise, StoreUnavailable);
  return performance.now() - begun;
}

suite('values in redis', { skip: unlessInstalled('redis-server') }, () => {
  test('are set, got and deleted under the prefix, and forgotten in time', async (t) => {
    const server = await RedisServer.start(t);
    const { values, isUp } = await openStore(t, server.url);
    await eventually(isUp, 'the store');
    assert.equal(await values.get('a'), null);
    assert.equal(await values.set('a', 'héllo\r\n$3', 60_000, 'always'), true);
    assert.equal(await values.get('a'), 'héllo\r\n$3');
    assert.match(await server.ask('GET', 'gw:a'), /^\$/);
    assert.match(await server.ask('PTTL', 'gw:a'), /^:(?:60000|5\d{4})\r\n$/);
    await values.delete('a');
    assert.equal(await values.get('a'), null);
    await values.set('b', 'x', 1.7, 'always');
    await eventually(async () => (await values.get('b')) === null, 'the value to be forgotten');
  });

  test('are set by one of many who do it only if there is none, and not at all where there must be one', async (t) => {
    const server = await RedisServer.start(t);
    const first = await openStore(t, server.url);
    const second = await openStore(t, server.url);
    await eventually(first.isUp, 'the store');
    await eventually(second.isUp, 'the store');
    const attempts = Array.from({ length: 20 }, (_, i) => {
      return (i % 2 === 0 ? first : second).values.set('once', String(i), 60_000, 'absent');
    });
    assert.equal((await Promise.all(attempts)).filter((isSet) => isSet).length, 1);
    assert.equal(await first.values.set('never', 'x', 60_000, 'present'), false);
    assert.equal(await first.values.get('never'), null);
    assert.equal(await first.values.set('once', 'other', 60_000, 'present'), true);
    assert.equal(await second.values.get('once'), 'other');
  });

  test('are refused at once while the server is gone, and there again soon after it is back', async (t) => {
    const server = await RedisServer.start(t);
    const { values, problems, isUp } = await openStore(t, server.url);
    await eventually(isUp, 'the store');
    await server.kill();
    await eventually(async () => !(await isUp()), 'the store to be gone');
    for (let i = 0; i < 20; i++) assert.ok((await timeToRefuse(values.get('a'))) < lateMs);
    await server.restart();
    await eventually(isUp, 'the store to be back');
    assert.equal(problems.length, 2, problems.join('\n'));
    assert.match(problems[0], /cannot be reached/);
    assert.match(problems[1], /answers again/);
  });

  test('are refused within the time-out while the server hangs, and what was asked then bothers nobody later', async (t) => {
    const server = await RedisServer.start(t);
    const { values, isUp } = await openStore(t, server.url);
    await eventually(isUp, 'the store');
    await values.set('a', '1', 60_000, 'always');
    server.hang();
    const times = await Promise.all(Array.from({ length: 50 }, () => timeToRefuse(values.get('a'))));
    assert.ok(Math.max(...times) < lateMs, String(Math.max(...times)));
    server.goOn();
    await eventually(isUp, 'the store to answer again');
    assert.equal(await values.get('a'), '1');
  });

  test('need the right password', async (t) => {
    const server = await RedisServer.start(t, ['--requirepass', 'pässword']);
    const good = await openStore(t, server.url, { password: 'pässword' });
    await eventually(good.isUp, 'the store');
    const bad = await openStore(t, server.url, { password: 'canary' });
    await eventually(() => bad.problems.length > 0, 'the store to be refused');
    await assert.rejects(bad.values.get('a'), StoreUnavailable);
    assert.ok(!bad.problems.join('\n').includes('canary'));
  });
});

suite('a store that never was', () => {
  test('is no reason not to be ready, and refuses at once', async (t) => {
    const { values, problems } = await openStore(t, 'redis://127.0.0.1:1');
    await eventually(() => problems.length > 0, 'the problem to be told');
    assert.ok((await timeToRefuse(values.get('a'))) < lateMs);
    assert.match(problems[0], /ECONNREFUSED/);
  });

  test('and that accepts connections without a word is none either', async (t) => {
    const server = createServer(() => {}).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const { values, connection } = await openStore(t, `redis://127.0.0.1:${address.port}`);
    assert.ok((await timeToRefuse(values.get('a'))) < lateMs);
    connection.close();
    await assert.rejects(values.set('a', 'b', 1, 'always'), StoreUnavailable);
  });
});
