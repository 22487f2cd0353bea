import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { LimitRule, MemoryLimiter } from '../../src/contract.ts';
import { SharedLimits, createLimitMemory } from '../../src/stores/shared-limits.ts';
import { FakeClock } from '../support/fake-clock.ts';

const small = { rates: 1024, windows: 1024, logs: 64, permits: 64 };
const perMinute = (limit: number): LimitRule => ({ algorithm: 'gcra', limit, windowMs: 60_000, capacity: limit });

/** Threads that have memory and time in common. */
function threads(count: number, capacity = small) {
  const clock = new FakeClock();
  const memory = createLimitMemory(count, capacity);
  return { clock, memory, all: Array.from({ length: count }, (_, seat) => new SharedLimits(memory, seat, clock)) };
}

function useUp(limiter: MemoryLimiter, key: string): number {
  let count = 0;
  while (limiter.charge(key, 1).isAllowed) count++;
  return count;
}

suite('limits in memory', () => {
  test('are there for as many threads as machines with many cores have', () => {
    // What a gateway of 256 threads asks for; see `ThreadedGateway`.
    const count = 32 + 8 * 256;
    const clock = new FakeClock();
    const memory = createLimitMemory(count, small);
    const [first, last] = [0, count - 1].map((seat) => new SharedLimits(memory, seat, clock));
    const [ofFirst, ofLast] = [first, last].map((limits) => limits.permits('a', 2, 0));
    assert.ok(ofFirst.tryAcquire('key'));
    assert.ok(ofLast.tryAcquire('key'));
    assert.ok(!ofFirst.tryAcquire('key'));
    assert.ok(first.forget(count - 1));
    assert.ok(ofFirst.tryAcquire('key'));
    assert.ok(!ofFirst.tryAcquire('key'));
  });

  test('are one for all threads, and for whoever asks for the same identity later', () => {
    const { all } = threads(2);
    const limiters = all.map((limits) => limits.limiter('a', perMinute(10)));
    for (let i = 0; i < 10; i++) assert.ok(limiters[i % 2].charge('key', 1).isAllowed);
    assert.equal(limiters[0].charge('key', 1).isAllowed, false);
    assert.equal(all[1].limiter('a', perMinute(10)).charge('key', 1).isAllowed, false);
    assert.equal(limiters[1].charge('other', 1).remaining, 9);
    assert.equal(all[0].limiter('b', perMinute(10)).charge('key', 1).remaining, 9, 'another limit');
  });

  test('by each algorithm admit as many as they are for', () => {
    const { all, clock } = threads(1);
    const rules: LimitRule[] = [
      perMinute(7),
      { algorithm: 'gcra', limit: 7, windowMs: 3_600_000, capacity: 7 },
      { algorithm: 'sliding-window', limit: 7, windowMs: 1000 },
      { algorithm: 'fixed-window', limit: 7, windowMs: 1000 },
      { algorithm: 'calendar', limit: 7, per: 'day', timeZone: 'UTC' },
    ];
    for (const rule of rules) {
      const limiter = all[0].limiter(JSON.stringify(rule), rule);
      assert.equal(useUp(limiter, 'a'), 7, rule.algorithm);
      const verdict = { ...limiter.charge('b', 3) };
      limiter.undo('b', 3, verdict);
      assert.equal(limiter.charge('b', 0).remaining, 7, rule.algorithm);
    }
    clock.advance(86_400_000);
    for (const rule of rules) assert.equal(useUp(all[0].limiter(JSON.stringify(rule), rule), 'a'), 7);
  });

  test('a key of a megabyte is as good as any other', () => {
    const limiter = threads(1).all[0].limiter('a', perMinute(2));
    const long = 'k'.repeat(2 ** 20);
    assert.equal(useUp(limiter, long), 2);
    assert.equal(useUp(limiter, `${long}.`), 2);
    assert.equal(useUp(limiter, ''), 2);
  });

  test('a million keys live at once in less than 64 MiB', () => {
    const memory = createLimitMemory(2);
    assert.ok(memory.rates.byteLength < 64 * 2 ** 20);
    const clock = { now: () => 1000, wallNow: () => 0 };
    const limiter = new SharedLimits(memory, 0, clock).limiter('a', perMinute(100));
    for (let i = 0; i < 1_000_000; i++) limiter.charge(`client ${i}`, 1);
    let kept = 0;
    for (let i = 0; i < 1_000_000; i++) if (limiter.charge(`client ${i}`, 0).remaining === 99) kept++;
    assert.ok(kept > 999_000, `${kept} of a million were kept`);
  });

  test('a flood of new keys displaces its own kind, and nobody who is being limited', () => {
    const { all } = threads(1);
    const [limits] = all;
    const limiter = limits.limiter('a', perMinute(100));
    const honest = Array.from({ length: 50 }, (_, i) => `honest ${i}`);
    for (const key of honest) useUp(limiter, key);
    for (let i = 0; i < 100_000; i++) limiter.charge(`attacker ${i}`, 1);
    assert.ok(limits.totals.evicted > 90_000, 'it is counted');
    for (const key of honest) assert.equal(limiter.charge(key, 1).isAllowed, false, key);
  });

  test('likewise where all windows end at the same time, or are days long', () => {
    for (const rule of [
      { algorithm: 'fixed-window', limit: 100, windowMs: 60_000 },
      { algorithm: 'calendar', limit: 100, per: 'month', timeZone: 'UTC' },
      { algorithm: 'sliding-window', limit: 100, windowMs: 60_000 },
    ] satisfies LimitRule[]) {
      const [limits] = threads(1).all;
      const limiter = limits.limiter('a', rule);
      const second = limits.limiter('b', perMinute(100));
      useUp(limiter, 'honest');
      useUp(second, 'honest');
      for (let i = 0; i < 20_000; i++) limiter.charge(`attacker ${i}`, 1);
      assert.ok(limits.totals.evicted > 10_000);
      assert.equal(limiter.charge('honest', 1).isAllowed, false, rule.algorithm);
      assert.equal(second.charge('honest', 1).isAllowed, false, 'of another limit');
    }
  });

  test('what takes up a whole day does not displace what counts for a minute', () => {
    const [limits] = threads(1).all;
    const short = limits.limiter('short', perMinute(100));
    const long = limits.limiter('long', { algorithm: 'gcra', limit: 100, windowMs: 86_400_000, capacity: 100 });
    useUp(short, 'honest');
    for (let i = 0; i < 20_000; i++) long.charge(`attacker ${i}`, 50);
    assert.equal(short.charge('honest', 1).isAllowed, false);
  });
});

suite('permits in memory', () => {
  test('are never more than the limit over all threads, each given back once', () => {
    const [one, other] = threads(2).all.map((limits) => limits.permits('a', 3, 1));
    assert.ok(one.tryAcquire('k') && other.tryAcquire('k') && other.tryAcquire('k'));
    assert.equal(one.tryAcquire('k'), false);
    assert.ok(one.tryAcquire('another'));
    other.release('k');
    assert.ok(one.tryAcquire('k'));
    assert.equal(other.tryAcquire('k'), false);
  });

  test('can be waited for by as many as the queue has room for, over all threads', () => {
    const [one, other] = threads(2).all.map((limits) => limits.permits('a', 1, 2));
    assert.ok(one.tryAcquire('k'));
    assert.ok(one.tryQueue('k') && other.tryQueue('k'));
    assert.equal(other.tryQueue('k'), false);
    assert.equal(other.tryAdvance('k'), false);
    one.release('k');
    assert.ok(other.tryAdvance('k'));
    assert.ok(other.tryQueue('k'), 'who has a permit does not wait any longer');
    one.leaveQueue('k');
    other.leaveQueue('k');
    other.release('k');
    assert.ok(one.tryAcquire('k'));
  });

  test('of a thread that has ended are free again, and those of others are not', () => {
    const { all, memory, clock } = threads(2);
    const [dead, living] = all.map((limits) => limits.permits('a', 4, 4));
    for (const key of ['k', 'l', 'm']) {
      assert.ok(dead.tryAcquire(key) && dead.tryAcquire(key) && dead.tryAcquire(key) && living.tryAcquire(key));
      assert.ok(dead.tryQueue(key));
      assert.equal(living.tryAcquire(key), false);
    }
    const main = new SharedLimits(memory, 2, clock);
    assert.ok(main.forget(0));
    for (const key of ['k', 'l', 'm']) {
      for (let i = 0; i < 3; i++) assert.ok(living.tryAcquire(key));
      assert.equal(living.tryAcquire(key), false);
    }
  });

  test('a permit that was not taken cannot be given back', () => {
    const [pool] = threads(1).all.map((limits) => limits.permits('a', 1, 0));
    pool.release('k');
    pool.release('k');
    assert.ok(pool.tryAcquire('k'));
    assert.equal(pool.tryAcquire('k'), false);
  });
});
