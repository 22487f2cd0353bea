import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { understoodBans } from '../../src/stores/handed-bans.ts';
import { SharedBans, mostOrdered } from '../../src/stores/shared-bans.ts';
import { formatNetwork, parseNetwork } from '../../src/util/ip-network.ts';
import { IpSet } from '../../src/util/ip-set.ts';

const minute = 60_000;
const epochMs = 1_700_000_000_000;

function start({ threads = 1, capacity = 1024 } = {}) {
  const clock = { nowMs: 1_000, now: () => clock.nowMs, wallNow: () => epochMs + clock.nowMs };
  const memory = SharedBans.create(threads, { capacity });
  const seats = Array.from({ length: threads + 1 }, (_, seat) => new SharedBans(memory, seat, clock));
  return { clock, memory, seats, bans: seats[0] };
}

const order = (bans: SharedBans, network: string, forMs = minute, reason = ''): boolean =>
  bans.order({ network: parseNetwork(network)!, forMs, by: 'admin API', reason }) !== null;
const lift = (bans: SharedBans, network: string): boolean => bans.lift(parseNetwork(network)!);
const networks = (bans: SharedBans): string[] => bans.list().map(({ network }) => formatNetwork(network));

suite('bans', () => {
  test('hold in all threads from the moment they are made, until they end', () => {
    const { seats, clock } = start({ threads: 2 });
    const [one, two, main] = seats;
    assert.ok(seats.every(({ isEmpty }) => isEmpty));
    assert.equal(one.add('192.0.2.1', 10 * minute, 'ban', 'x'), true);
    for (const bans of seats) {
      assert.equal(bans.isEmpty, false);
      assert.equal(bans.remainingMs('192.0.2.1'), 10 * minute);
      assert.equal(bans.remainingMs('192.0.2.2'), 0);
    }
    assert.equal(two.add('192.0.2.1', 5 * minute, 'ban', 'y'), false, 'the one that ends later stays');
    clock.nowMs += 10 * minute - 1;
    assert.equal(two.remainingMs('192.0.2.1'), 1);
    clock.nowMs += 1;
    assert.equal(two.remainingMs('192.0.2.1'), 0);
    clock.nowMs += 1_000;
    assert.equal(main.isEmpty, true);
    assert.deepEqual(main.list(), []);
    assert.equal(one.totals.made, 1);
  });

  test('are of a /64 of IPv6, however an address of it is spelled, and of an IPv4 address that is mapped', () => {
    const { bans } = start();
    bans.add('2001:db8:0:1::5', minute, 'ban', '');
    assert.ok(bans.remainingMs('2001:DB8:0:1:ffff:0:0:1') > 0);
    assert.equal(bans.remainingMs('2001:db8:0:2::5'), 0);
    bans.add('::ffff:192.0.2.7', minute, 'ban', '');
    assert.ok(bans.remainingMs('192.0.2.7') > 0);
    assert.deepEqual(networks(bans).toSorted(), ['192.0.2.7', '2001:db8:0:1::/64']);
  });

  test('are the same in a process that takes over, whose clock began at another time', () => {
    const { bans, clock } = start();
    bans.add('192.0.2.1', 10 * minute, 'ban', 'too many');
    bans.add('192.0.2.2', minute, 'ban', '');
    order(bans, '10.0.0.0/8', 31 * minute, 'all of them');
    order(bans, '2001:db8::1/128', 30 * minute);
    order(bans, '198.51.100.1');
    clock.nowMs += 2 * minute;
    order(bans, '198.51.100.2');
    const sent: unknown = JSON.parse(JSON.stringify(bans.handOver()));

    const successor = start();
    // The wall clock goes on, and the other one began with the process.
    successor.clock.wallNow = () => clock.wallNow() + successor.clock.nowMs - 1_000;
    successor.bans.takeOver(understoodBans(sent));
    successor.bans.takeOver(understoodBans(sent));
    assert.deepEqual(successor.bans.list(), bans.list());
    assert.deepEqual(networks(successor.bans).toSorted(), ['10.0.0.0/8', '192.0.2.1', '198.51.100.2', '2001:db8::1']);
    assert.equal(successor.bans.remainingMs('192.0.2.1'), 8 * minute);
    assert.equal(successor.bans.remainingMs('10.9.9.9'), 29 * minute);
    assert.equal(successor.bans.remainingMs('2001:db8::2'), 0);
    assert.equal(successor.bans.totals.made, 0, 'it has made none');
    order(successor.bans, '10.0.0.0/8', minute);
    assert.equal(successor.bans.remainingMs('10.9.9.9'), minute, 'still one of an operator');
  });

  test('of a process of another version are taken as far as they are understood', () => {
    const { bans } = start();
    const ban = { since: 1, until: 2 * epochMs, by: 'ban', reason: 'x', isOrdered: false, added: 'later' };
    const network = { family: 4, prefix: 32, words: [1] };
    const lists: unknown[] = [
      undefined,
      {},
      [
        null,
        7,
        {},
        ban,
        { ...ban, network: { ...network, prefix: 33 } },
        { ...ban, network: { ...network, words: [-1] } },
      ],
      [
        { ...ban, network: { family: 6, prefix: 64, words: [1] } },
        { ...ban, network, until: 'x' },
      ],
      [{ ...ban, network }],
    ];
    for (const sent of lists) bans.takeOver(understoodBans(sent));
    assert.deepEqual(networks(bans), ['0.0.0.1']);
  });

  test('of what is no address are of nobody', () => {
    const { bans } = start();
    for (const garbage of [
      '',
      'unknown',
      '192.0.2.1.',
      '192.0.2.0/24',
      '::1%lo',
      '\0',
      'x'.repeat(100_000),
      '٣.0.0.1',
    ]) {
      assert.equal(bans.add(garbage, minute, 'ban', ''), false);
      assert.equal(bans.remainingMs(garbage), 0);
    }
    assert.equal(bans.isEmpty, true);
    assert.deepEqual([bans.list(), bans.totals.made], [[], 0]);
  });

  test('are told of with who has made them, since and until when, and why, on one line each', () => {
    const { bans, clock } = start();
    bans.add('192.0.2.1', minute, 'ban guessing', '20 times 401 within 1m');
    clock.nowMs += 100;
    order(bans, '198.51.100.0/24', 2 * minute, 'zu viel \u{1F600}\nund\r\nmehr');
    order(bans, '203.0.113.9', 3 * minute, 'ä'.repeat(500));
    const [last, middle, first] = bans.list();
    assert.deepEqual(
      { ...first, network: formatNetwork(first.network) },
      {
        network: '192.0.2.1',
        by: 'ban guessing',
        reason: '20 times 401 within 1m',
        since: epochMs + 1_000,
        until: epochMs + 1_000 + minute,
      },
    );
    assert.deepEqual([middle.by, middle.reason], ['admin API', 'zu viel \u{1F600} und mehr']);
    assert.match(last.reason, /^ä{50,120}$/);
  });

  test('by operators take the place of the one before, and can be lifted, whoever has made them', () => {
    const { bans } = start();
    order(bans, '192.0.2.0/24', 10 * minute);
    order(bans, '192.0.2.0/24', minute, 'shorter');
    assert.equal(bans.remainingMs('192.0.2.200'), minute);
    bans.add('192.0.2.1', 5 * minute, 'ban', '');
    assert.equal(bans.remainingMs('192.0.2.1'), 5 * minute, 'the one that ends last counts');
    assert.equal(lift(bans, '192.0.2.1'), true);
    assert.equal(lift(bans, '192.0.2.1'), false);
    assert.equal(bans.remainingMs('192.0.2.1'), minute, 'as one of its network');
    assert.equal(lift(bans, '192.0.2.0/25'), false);
    assert.equal(lift(bans, '192.0.2.0/24'), true);
    assert.equal(bans.remainingMs('192.0.2.1'), 0);
  });

  test('hold for just those addresses that are in one of their networks', () => {
    const octet = fc.constantFrom(0, 1, 127, 128, 192, 255);
    const v4 = fc.tuple(octet, octet, octet, octet).map((parts) => parts.join('.'));
    const group = fc.constantFrom('0', '1', '2001', 'db8', '8000', 'ffff');
    const v6 = fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':'));
    const network = fc.oneof(
      fc.tuple(v4, fc.integer({ min: 0, max: 32 })).map(([address, prefix]) => `${address}/${prefix}`),
      fc.tuple(v6, fc.integer({ min: 0, max: 128 })).map(([address, prefix]) => `${address}/${prefix}`),
    );
    fc.assert(
      fc.property(fc.array(network, { maxLength: 8 }), fc.array(fc.oneof(v4, v6)), (banned, addresses) => {
        const { bans } = start();
        for (const one of banned) order(bans, one);
        const set = IpSet.parse(banned);
        for (const address of addresses) assert.equal(bans.remainingMs(address) > 0, set.has(address), address);
        for (const one of banned) lift(bans, one);
        for (const address of addresses) assert.equal(bans.remainingMs(address), 0);
      }),
      { numRuns: 60 },
    );
  });
});

suite('very many bans', () => {
  const address = (n: number): string => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;

  test('push out those that end first, and none that an operator has ordered', () => {
    const { bans } = start({ capacity: 1024 });
    for (let n = 0; n < 200; n++) order(bans, `198.51.${n}.0/24`, minute / 2);
    for (let n = 0; n < 200; n++) bans.add(`192.0.2.${n}`, 10 * minute, 'ban', '');
    // A flood of clients that are banned as well, for less long.
    for (let n = 0; n < 100_000; n++) bans.add(address(n), minute, 'ban', '');
    for (let n = 0; n < 200; n++) {
      assert.ok(bans.remainingMs(`192.0.2.${n}`) > 0, `192.0.2.${n}`);
      assert.ok(bans.remainingMs(`198.51.${n}.7`) > 0);
    }
    const { length } = bans.list();
    assert.ok(length > 1_500 && length < 5_000, `${length} are left`);
    assert.ok(bans.totals.evicted > 90_000);
  });

  test('are not made, and none is forgotten, by a million clients that nobody has banned', () => {
    const { bans } = start();
    bans.add('192.0.2.1', minute, 'ban', '');
    for (let n = 0; n < 1_000_000; n++) if (bans.remainingMs(address(n)) !== 0) assert.fail(address(n));
    assert.deepEqual(networks(bans), ['192.0.2.1']);
    assert.equal(bans.totals.evicted, 0);
  });

  test('by operators are as many as may be', () => {
    const { bans, clock } = start();
    for (let n = 0; n < mostOrdered; n += 1) {
      // Counting them for each would take this test a minute.
      if (n % 1024 === 0) assert.equal(order(bans, address(n), 2 * minute), true);
      else put(bans, address(n));
    }
    assert.equal(order(bans, '192.0.2.1'), false);
    assert.equal(order(bans, address(0), minute), true, 'another one of the same');
    assert.equal(bans.totals.evicted, 0);
    clock.nowMs += minute;
    assert.equal(order(bans, '192.0.2.1'), true);
  });

  /** As `order` does once it knows that there is room. */
  function put(bans: SharedBans, network: string): void {
    const { countOrdered } = Object.getPrototypeOf(bans) as { countOrdered: () => number };
    Object.assign(bans, { countOrdered: () => 0 });
    order(bans, network, 2 * minute);
    Object.assign(bans, { countOrdered });
  }
});
