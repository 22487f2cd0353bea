import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { LimitRule, LimitVerdict, Limiter, StoreLease } from '../../src/contract.ts';
import { RedisConnection } from '../../src/stores/redis-connection.ts';
import { RedisStore } from '../../src/stores/redis-store.ts';
import { SharedLimits, createLimitMemory } from '../../src/stores/shared-limits.ts';
import { systemClock } from '../../src/util/clock.ts';
import { eventually } from '../support/changes.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { RedisThread, ServerTime } from '../support/redis-limits.ts';
import { RedisServer } from '../support/redis-server.ts';
import type { Scope } from '../support/scope.ts';

/** So slow that nothing comes back while a test runs. */
const perDay = (limit: number): LimitRule => ({ algorithm: 'fixed-window', limit, windowMs: 86_400_000 });

async function start(t: Scope, lease: StoreLease = { size: 50 }, threads = 1) {
  const server = await RedisServer.start(t);
  const thread = await RedisThread.open(t, server);
  const leased = thread.leased(lease, threads, 'local');
  t.after(() => leased.close());
  const exact = thread.limits();
  const leftInStore = async (rule: LimitRule, key = 'key'): Promise<number> =>
    (await exact.limiter('a', rule).charge(key, 0)).remaining;
  return { server, thread, leased, leftInStore };
}

async function chargeAll(limiter: Limiter, count: number): Promise<{ allowed: number; atOnce: number }> {
  let [allowed, atOnce] = [0, 0];
  for (let i = 0; i < count; i++) {
    const given = limiter.charge('key', 1);
    if (!(given instanceof Promise)) atOnce++;
    if ((await given).isAllowed) allowed++;
  }
  return { allowed, atOnce };
}

suite('limits that lease', { skip: unlessInstalled('redis-server') }, () => {
  test('hand out what is in hand at once, and ask the store a few times only', async (t) => {
    const { thread, leased } = await start(t);
    const limiter = leased.limiter('a', perDay(10_000));
    const { allowed, atOnce } = await chargeAll(limiter, 2_000);
    assert.equal(allowed, 2_000);
    assert.ok(atOnce > 1_800, `${atOnce} at once`);
    assert.ok(thread.memory.totals.askedOfStores < 200, String(thread.memory.totals.askedOfStores));
  });

  test('admit exactly what there is, and then refuse without asking each time', async (t) => {
    const { thread, leased } = await start(t);
    const limiter = leased.limiter('a', perDay(300));
    const { allowed } = await chargeAll(limiter, 1_000);
    assert.equal(allowed, 300);
    const before = thread.memory.totals.askedOfStores;
    const refused = limiter.charge('key', 1);
    assert.ok(!(refused instanceof Promise) && !refused.isAllowed);
    assert.ok(refused.retryMs > 80_000_000 && refused.retryMs <= 86_400_000, String(refused.retryMs));
    assert.equal(refused.remaining, 0);
    assert.equal(thread.memory.totals.askedOfStores, before);
  });

  test('never have more in hand than the lease, of which each thread has its part', async (t) => {
    const { leased, leftInStore } = await start(t, { size: 40 }, 4);
    const rule = perDay(10_000);
    const limiter = leased.limiter('a', rule);
    for (let used = 1; used <= 500; used++) {
      await limiter.charge('key', 1);
      const inHand = 10_000 - used - (await leftInStore(rule));
      assert.ok(inHand >= 0 && inHand <= 10, `${inHand} in hand after ${used}`);
    }
  });

  test('take one permit of a key that is asked for once', async (t) => {
    const { leased, leftInStore } = await start(t);
    assert.ok((await leased.limiter('a', perDay(100)).charge('key', 1)).isAllowed);
    assert.equal(await leftInStore(perDay(100)), 99);
  });

  test('are one, whoever has the limit', async (t) => {
    const { leased } = await start(t);
    assert.equal(leased.limiter('a', perDay(100)), leased.limiter('a', perDay(100)));
    assert.notEqual(leased.limiter('a', perDay(100)), leased.limiter('b', perDay(100)));
  });

  test('give back what nobody has used for a while', async (t) => {
    const { leased, leftInStore } = await start(t);
    const rule = perDay(10_000);
    await chargeAll(leased.limiter('a', rule), 100);
    await eventually(async () => (await leftInStore(rule)) === 9_900, 'what is in hand to be given back');
  });

  test('give back everything when the store is let go', async (t) => {
    const server = await RedisServer.start(t);
    const settings = { url: server.url, username: undefined, password: undefined, timeoutMs: 2_000, tls: null };
    const local = new SharedLimits(
      createLimitMemory(1, { rates: 64, windows: 64, logs: 64, permits: 64 }),
      0,
      systemClock,
    );
    const env = { prefix: 'gw:', local, clock: systemClock, threads: 1 };
    const store = new RedisStore(new RedisConnection(settings, () => {}), env);
    const limits = await store.limits({ onStoreFailure: 'closed', lease: { size: 50 } });
    const rule = perDay(10_000);
    const limiter = limits.limiter('a', rule);
    await eventually(async () => (await limiter.charge('key', 1)).isAllowed, 'the store');
    await chargeAll(limiter, 100);
    // More than half of what is in hand, so that more is asked for and still on its way.
    const last = Array.from({ length: 30 }, () => {
      const verdict = limiter.charge('key', 1);
      if (verdict instanceof Promise) return verdict.then(({ isAllowed }) => isAllowed);
      return Promise.resolve(verdict.isAllowed);
    });
    await store.close();
    const allowed = (await Promise.all(last)).filter((isAllowed) => isAllowed).length;
    const thread = await RedisThread.open(t, server);
    assert.equal((await thread.limits().limiter('a', rule).charge('key', 0)).remaining, 9_899 - allowed);
  });

  test('hand out what is in hand while the store is gone, and then what the machine has by itself', async (t) => {
    const { server, thread, leased, leftInStore } = await start(t);
    const rule = perDay(300);
    const limiter = leased.limiter('a', rule);
    await chargeAll(limiter, 100);
    const inHand = 200 - (await leftInStore(rule));
    assert.ok(inHand > 0);
    await server.kill();
    await eventually(() => !thread.batches.isWell, 'the outage to be seen');
    const sources = new Map<string, number>();
    for (let i = 0; i < 400; i++) {
      const { isAllowed, source } = await limiter.charge('key', 1);
      if (isAllowed) sources.set(source, (sources.get(source) ?? 0) + 1);
    }
    assert.deepEqual(Object.fromEntries(sources), { lease: inHand, memory: 300 });
    assert.equal(thread.memory.totals.decidedLocally, 400 - inHand);
  });

  test('take back into hand what was charged for nothing', async (t) => {
    const { leased } = await start(t);
    const limiter = leased.limiter('a', perDay(200));
    let allowed = 0;
    for (let i = 0; i < 400; i++) {
      const verdict: LimitVerdict = { ...(await limiter.charge('key', 1)) };
      if (!verdict.isAllowed) break;
      allowed++;
      if (i % 2 === 0) limiter.undo('key', 1, verdict);
    }
    assert.equal(allowed, 400);
  });

  test('charge what costs more than a lease', async (t) => {
    const { leased, leftInStore } = await start(t, { size: 2 });
    const rule = perDay(100);
    const limiter = leased.limiter('a', rule);
    assert.ok((await limiter.charge('key', 60)).isAllowed);
    assert.equal(await leftInStore(rule), 40);
    assert.equal((await limiter.charge('key', 60)).isAllowed, false);
    assert.ok((await limiter.charge('key', 40)).isAllowed, 'of which nothing was lost');
    assert.equal((await limiter.charge('key', 1)).isAllowed, false);
  });

  test('take what was used beyond a charge of what is in hand, and have the store charge the rest', async (t) => {
    const { thread, leased, leftInStore } = await start(t);
    const rule = perDay(1_000);
    const limiter = leased.limiter('a', rule);
    let used = 0;
    const chargeOne = async (): Promise<LimitVerdict> => {
      used++;
      return { ...(await limiter.charge('key', 1)) };
    };
    for (let i = 0; i < 100; i++) await chargeOne();
    const inHand = 1_000 - used - (await leftInStore(rule));
    assert.ok(inHand > 2, `${inHand} in hand`);
    limiter.correct('key', 1, 3, await chargeOne());
    limiter.correct('key', 1, 201, await chargeOne());
    await thread.batches.settle();
    const after = 1_000 - used - 202 - (await leftInStore(rule));
    assert.ok(after >= 0 && after <= 50, `${after} in hand`);
    limiter.correct('key', 1, 5_000, await chargeOne());
    assert.equal(await leftInStore(rule), 0);
    for (let i = 0; i < 60; i++) await chargeOne();
    assert.equal((await chargeOne()).isAllowed, false, 'once nothing is in hand');
  });

  test('give back to the store what was charged too much, and have no more in hand by it', async (t) => {
    const { leased, leftInStore } = await start(t, { size: 10 });
    const rule = perDay(1_000);
    const limiter = leased.limiter('a', rule);
    const charged: LimitVerdict[] = [];
    for (let i = 0; i < 20; i++) charged.push({ ...(await limiter.charge('key', 20)) });
    assert.deepEqual(new Set(charged.map(({ isAllowed }) => isAllowed)), new Set([true]));
    for (const verdict of charged) limiter.correct('key', 20, 1, verdict);
    const inHand = 1_000 - 20 - (await leftInStore(rule));
    assert.ok(inHand >= 0 && inHand <= 20, `${inHand} in hand`);
  });

  test('give nothing back that time has paid off since it was leased', async (t) => {
    const server = await RedisServer.start(t);
    const time = new ServerTime(server);
    await time.set(1_000_000_000);
    const thread = await RedisThread.open(t, server, { script: ServerTime.script });
    const leased = thread.leased({ size: 20 });
    t.after(() => leased.close());
    for (const rule of [
      { algorithm: 'gcra', limit: 100, windowMs: 1_000, capacity: 100 },
      { algorithm: 'sliding-window', limit: 100, windowMs: 1_000 },
      { algorithm: 'fixed-window', limit: 100, windowMs: 1_000 },
    ] as const) {
      await time.set(1_000_000_000);
      const limiter = leased.limiter(rule.algorithm, rule);
      const [first, second] = [{ ...(await limiter.charge('key', 60)) }, { ...(await limiter.charge('key', 40)) }];
      assert.deepEqual([first.isAllowed, second.isAllowed], [true, true], rule.algorithm);
      await time.set(1_001_500_000);
      const exact = thread.limits().limiter(rule.algorithm, rule);
      assert.ok((await exact.charge('key', 100)).isAllowed, 'another machine');
      limiter.correct('key', 60, 1, first);
      limiter.correct('key', 40, 1, second);
      assert.equal((await exact.charge('key', 1)).isAllowed, false, rule.algorithm);
    }
  });

  test('give back by the time of the first lease that a charge was of', async (t) => {
    const server = await RedisServer.start(t);
    const time = new ServerTime(server);
    await time.set(1_000_000_000);
    const thread = await RedisThread.open(t, server, { script: ServerTime.script });
    const leased = thread.leased({ size: 100 });
    t.after(() => leased.close());
    const rule: LimitRule = { algorithm: 'sliding-window', limit: 100, windowMs: 50 };
    const [limiter, another] = [leased.limiter('a', rule), thread.limits().limiter('a', rule)];
    await another.charge('key', 50);
    assert.equal((await limiter.charge('key', 60)).isAllowed, false, 'of which 50 are in hand now');
    await time.set(1_000_060_000);
    let verdict: LimitVerdict | undefined;
    const isAllowed = async (): Promise<boolean> => (verdict = { ...(await limiter.charge('key', 60)) }).isAllowed;
    await eventually(isAllowed, 'the store to be asked again');
    assert.equal((await another.charge('key', 0)).remaining, 90, 'the rest of them');
    limiter.correct('key', 60, 1, verdict!);
    assert.equal((await another.charge('key', 0)).remaining, 90);
  });

  test('charge here what was used beyond a lease while the store is gone', async (t) => {
    const { server, thread, leased } = await start(t);
    const limiter = leased.limiter('a', perDay(300));
    const verdict = { ...(await limiter.charge('key', 1)) };
    await server.kill();
    await eventually(() => !thread.batches.isWell, 'the outage to be seen');
    limiter.correct('key', 1, 101, verdict);
    assert.equal((await chargeAll(limiter, 400)).allowed, 200);
  });
});
