import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { RefusedCallers } from '../../src/stores/refused-callers.ts';

const epochMs = 1_700_000_000_000;
const [limit, other] = [Int32Array.of(1, 2, 3, 4), Int32Array.of(1, 3, 3, 4)];

function start(capacity = 1_000, threads = 2) {
  const clock = { nowMs: 5_000, now: () => clock.nowMs, wallNow: () => epochMs + clock.nowMs };
  const buffer = RefusedCallers.create(threads, { capacity });
  const seats = Array.from({ length: threads }, (_, seat) => new RefusedCallers(buffer, seat, clock));
  const refuse = (name: string | null, clientIp: string, times = 1, seat = 0): void => {
    const consumer = name === null ? null : { name };
    for (let i = 0; i < times; i++) seats[seat].add(limit, { consumer, clientIp }, true);
  };
  return { clock, seats, callers: seats[0], refuse };
}

suite('those whom a limit refuses', () => {
  test('are told by name or address, those of all threads, the one that was refused most first', () => {
    const { seats, callers, refuse, clock } = start();
    refuse('ann', '192.0.2.1', 2, 0);
    refuse('ann', '192.0.2.2', 3, 1);
    refuse(null, '192.0.2.3', 4);
    clock.nowMs += 1_000;
    callers.add(limit, { consumer: { name: 'ben' }, clientIp: '' }, false);
    callers.add(other, { consumer: { name: 'eve' }, clientIp: '' }, true);
    assert.deepEqual(seats[1].most(limit, 10), [
      { consumer: 'ann', address: null, refused: 5, wouldRefuse: 0, lastAt: epochMs + 5_000 },
      { consumer: null, address: '192.0.2.3', refused: 4, wouldRefuse: 0, lastAt: epochMs + 5_000 },
      { consumer: 'ben', address: null, refused: 0, wouldRefuse: 1, lastAt: epochMs + 6_000 },
    ]);
    assert.deepEqual(
      callers.most(limit, 1).map(({ consumer }) => consumer),
      ['ann'],
    );
  });

  test('are never mixed up: a consumer whose name is an address, and names as long as they may be', () => {
    const { callers, refuse } = start();
    refuse('192.0.2.1', '192.0.2.9', 5);
    refuse(null, '192.0.2.1', 4);
    refuse('ä'.repeat(200), '', 3);
    refuse(`${'ä'.repeat(200)}b`, '', 2);
    refuse('', '', 1);
    assert.deepEqual(
      callers.most(limit, 10).map(({ consumer, address, refused }) => [consumer, address, refused]),
      [
        ['192.0.2.1', null, 5],
        [null, '192.0.2.1', 4],
        ['ä'.repeat(72), null, 3],
        ['ä'.repeat(72), null, 2],
        ['', null, 1],
      ],
    );
  });

  test('are forgotten an hour after they were last refused', () => {
    const { callers, refuse, clock } = start();
    refuse('ann', '');
    clock.nowMs += 3_599_000;
    refuse('ben', '');
    assert.equal(callers.most(limit, 10).length, 2);
    clock.nowMs += 1_000;
    assert.deepEqual(
      callers.most(limit, 10).map(({ consumer }) => consumer),
      ['ben'],
    );
  });

  test('stay through a flood of addresses that come once, as long as they are refused', () => {
    const { callers, refuse, clock } = start(500);
    for (let i = 0; i < 20_000; i++) {
      clock.nowMs += 1;
      refuse(null, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
      if (i % 10 === 0) refuse('ann', '');
    }
    const [most, next] = callers.most(limit, 2);
    assert.deepEqual([most.consumer, most.refused, next.refused], ['ann', 2_000, 1]);
    assert.ok(callers.most(limit, 100_000).length <= 2_000, 'bounded');
  });
});
