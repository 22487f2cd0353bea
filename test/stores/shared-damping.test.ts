import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { SharedDamping } from '../../src/stores/shared-damping.ts';

const [ann, bob] = ['192.0.2.1', '192.0.2.2'];
const minute = 60_000;

function start({ threads = 1, capacity = 1024 } = {}) {
  const clock = { nowMs: 1_000 };
  const memory = SharedDamping.create(threads, { capacity });
  const seats = Array.from({ length: threads }, (_, seat) => new SharedDamping(memory, seat, () => clock.nowMs));
  return { clock, memory, seats, damping: seats[0] };
}

function fail(damping: SharedDamping, times: number, clientIp: string, account = ''): void {
  for (let n = 0; n < times; n++) damping.failed(clientIp, account);
}

suite('damping of failed attempts', () => {
  test('bears a few, slows down more and more, and then refuses for five minutes', () => {
    const { damping, clock } = start();
    const delays: number[] = [];
    while (damping.look(ann, '').refuseMs === 0) {
      delays.push(damping.look(ann, '').delayMs);
      damping.failed(ann, '');
    }
    assert.deepEqual(delays.slice(0, 12), [0, 0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 2000]);
    assert.equal(delays.length, 20);
    assert.ok(delays.slice(12).every((delay) => delay === 2000));
    assert.deepEqual(damping.look(ann, ''), { delayMs: 0, refuseMs: 5 * minute });
    clock.nowMs += 5 * minute - 1;
    assert.equal(damping.look(ann, '').refuseMs, 1);
    clock.nowMs += 1;
    assert.deepEqual(damping.look(ann, ''), { delayMs: 2000, refuseMs: 0 });
    damping.failed(ann, '');
    assert.equal(damping.look(ann, '').refuseMs, 5 * minute);
    clock.nowMs += 15 * minute;
    assert.deepEqual(damping.look(ann, ''), { delayMs: 0, refuseMs: 0 });
  });

  test('lets a client guess at one account less often than at all of them together', () => {
    const { damping } = start();
    fail(damping, 10, ann, 'root');
    assert.ok(damping.look(ann, 'root').refuseMs > 0);
    assert.equal(damping.look(ann, 'other').refuseMs, 0);
    assert.equal(damping.look(ann, '').refuseMs, 0);
    for (let n = 0; n < 10; n++) damping.failed(ann, `sprayed ${n}`);
    assert.ok(damping.look(ann, 'other').refuseMs > 0, 'one password tried at many accounts');
  });

  test('only slows down attempts on one account from everywhere, and not those of who has succeeded', () => {
    const { damping, clock } = start();
    damping.succeeded(ann, 'root');
    for (let n = 0; n < 1000; n++) damping.failed(`198.51.100.${n % 250}`, 'root');
    assert.deepEqual(damping.look(bob, 'root'), { delayMs: 2000, refuseMs: 0 });
    assert.deepEqual(damping.look(ann, 'root'), { delayMs: 0, refuseMs: 0 });
    clock.nowMs += 11 * minute;
    assert.deepEqual(damping.look(bob, 'root'), { delayMs: 0, refuseMs: 0 });
  });

  test('does not hold against who has succeeded what the same address tries elsewhere, nor what was mistyped before', () => {
    const { damping } = start();
    fail(damping, 9, ann, 'ann');
    damping.succeeded(ann, 'ann');
    assert.deepEqual(damping.look(ann, 'ann'), { delayMs: 0, refuseMs: 0 });
    fail(damping, 30, ann);
    assert.deepEqual(damping.look(ann, 'ann'), { delayMs: 0, refuseMs: 0 });
    assert.ok(damping.look(ann, 'bob').refuseMs > 0);
    damping.succeeded(ann, 'ann');
    assert.ok(damping.look(ann, 'bob').refuseMs > 0, 'an account of its own does not help who guesses at others');
    fail(damping, 10, ann, 'ann');
    assert.ok(
      damping.look(ann, 'ann').refuseMs > 0,
      'who has the address has its trust, but guesses no more than others',
    );
  });

  test('takes all addresses of an IPv6 /64 for one client, and those of a Unix socket for nobody', () => {
    const { damping } = start();
    for (let n = 0; n < 20; n++) damping.failed(`2001:db8:1:2::${n.toString(16)}`, '');
    assert.ok(damping.look('2001:db8:1:2:ffff::1', '').refuseMs > 0);
    assert.equal(damping.look('2001:db8:1:3::1', '').refuseMs, 0);
    fail(damping, 100, '', 'root');
    assert.deepEqual(damping.look('', ''), { delayMs: 0, refuseMs: 0 });
    assert.deepEqual(damping.look('', 'root'), { delayMs: 2000, refuseMs: 0 });
  });

  test('counts for all threads, and what it has done', () => {
    const { seats, memory } = start({ threads: 2 });
    for (let n = 0; n < 20; n++) seats[n % 2].failed(ann, '');
    assert.ok(seats[0].look(ann, '').refuseMs > 0);
    assert.ok(seats[1].look(ann, '').refuseMs > 0);
    fail(seats[1], 8, bob);
    assert.ok(seats[0].look(bob, '').delayMs > 0);
    assert.deepEqual(SharedDamping.totalsIn(memory), { failed: 28, slowed: 1, refused: 2 });
  });

  test('keeps who is refused while a flood of others is forgotten', () => {
    const { damping } = start({ capacity: 64 });
    fail(damping, 20, ann);
    for (let n = 0; n < 10_000; n++) {
      damping.failed(`2001:db8:${(n >> 8).toString(16)}:${(n & 255).toString(16)}::1`, `u${n}`);
    }
    assert.ok(damping.look(ann, '').refuseMs > 0);
  });

  test('never takes one client and account for another (CVE-2023-35941)', () => {
    const text = fc.string({ unit: fc.constantFrom('1', ':', ' ', 'a'), minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(text, text, text, text, (client, account, otherClient, otherAccount) => {
        fc.pre(client !== otherClient || account !== otherAccount);
        const { damping } = start({ capacity: 16 });
        damping.succeeded(client, account);
        fail(damping, 20, 'x', otherAccount);
        assert.equal(damping.look(otherClient, otherAccount).delayMs, 2000);
      }),
    );
  });
});

suite('nobody is locked out by what others do', () => {
  const attackers = Array.from({ length: 6 }, (_, n) => `203.0.113.${n + 1}`);
  const accounts = ['victim', 'other', 'their own', ''];
  const step = fc.record({
    client: fc.constantFrom(...attackers),
    account: fc.constantFrom(...accounts),
    what: fc.constantFrom('look', 'fail', 'fail', 'fail', 'succeed'),
    times: fc.integer({ min: 1, max: 40 }),
    laterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 10 * minute })),
  });

  test('whoever has not failed itself is never refused, and waits 2 s at most, or not at all where it has succeeded', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, hasSucceeded) => {
        const { damping, clock } = start();
        if (hasSucceeded) damping.succeeded(ann, 'victim');
        for (const { client, account, what, times, laterMs } of steps) {
          for (let n = 0; n < times; n++) {
            if (what === 'look') damping.look(client, account);
            else if (what === 'fail') damping.failed(client, account);
            // Nobody succeeds with the victim's account but its owner.
            else damping.succeeded(client, account === '' ? '' : 'their own');
          }
          clock.nowMs += laterMs;
          const { delayMs, refuseMs } = damping.look(ann, 'victim');
          assert.equal(refuseMs, 0);
          assert.ok(delayMs <= 2_000);
          if (hasSucceeded && clock.nowMs < 86_400_000) assert.equal(delayMs, 0);
          assert.deepEqual(damping.look(ann, ''), { delayMs: 0, refuseMs: 0 });
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a client that keeps failing gets fewer guesses with time, whatever its pace', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 * minute }), { minLength: 100, maxLength: 400 }), (pauses) => {
        const { damping, clock } = start();
        const begunAt = clock.nowMs;
        let guesses = 0;
        for (const pauseMs of pauses) {
          clock.nowMs += pauseMs;
          if (damping.look(bob, 'victim').refuseMs > 0) continue;
          damping.failed(bob, 'victim');
          guesses++;
        }
        const halfMinutes = (clock.nowMs - begunAt) / 30_000;
        assert.ok(guesses <= 10 + halfMinutes, `${guesses} guesses in ${halfMinutes} half minutes`);
      }),
    );
  });
});
