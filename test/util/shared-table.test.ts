import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { BucketCopy, SharedTable, type TableDecision } from '../../src/util/shared-table.ts';

/** Adds to the first word and keeps the entry until a time. */
class Addition implements TableDecision {
  amount = 1;
  keepUntilMs = 1000;
  total = 0;
  wasNew = false;

  decide(words: Float64Array, isNew: boolean): number {
    words[0] += this.amount;
    this.total = words[0];
    this.wasNew = isNew;
    return this.keepUntilMs;
  }
}

/** Looks at an entry and leaves it, after having scribbled on what it was shown. */
class Look implements TableDecision {
  words: number[] | null = null;

  decide(words: Float64Array, isNew: boolean): number {
    this.words = isNew ? null : Array.from(words);
    words.fill(-1);
    return Number.NaN;
  }
}

function look(table: SharedTable, key: string, nowMs: number): number[] | null {
  const decision = new Look();
  assert.ok(table.update(key, nowMs, decision));
  return decision.words;
}

function add(table: SharedTable, key: string, nowMs: number, keepUntilMs: number, amount = 1): number {
  const decision = Object.assign(new Addition(), { amount, keepUntilMs });
  assert.ok(table.update(key, nowMs, decision));
  return decision.total;
}

const create = (capacity: number, words = 1): SharedArrayBuffer => SharedTable.create({ capacity, words, threads: 2 });

describe('SharedTable', () => {
  it('keeps a number for each key, for everybody who attaches', () => {
    const buffer = create(100, 2);
    const [one, other] = [SharedTable.attach(buffer, 0), SharedTable.attach(buffer, 1)];
    assert.equal(look(one, 'a', 0), null);
    assert.equal(add(one, 'a', 0, 1000), 1);
    assert.equal(add(other, 'a', 0, 1000), 2);
    assert.equal(add(other, 'b', 0, 1000, 0.25), 0.25);
    assert.deepEqual(look(one, 'a', 0), [2, 0]);
    assert.deepEqual(look(one, 'b', 0), [0.25, 0]);
    assert.equal(look(one, 'A', 0), null);
  });

  it('begins anew when the time of an entry is over', () => {
    const table = SharedTable.attach(create(1), 0);
    add(table, 'a', 0, 10, 5);
    assert.deepEqual(look(table, 'a', 9.999), [5]);
    assert.equal(look(table, 'a', 10), null);
    assert.equal(add(table, 'a', 10, 20), 1);
  });

  it('forgets an entry at once that is not to be kept, and stores none that never was', () => {
    const table = SharedTable.attach(create(1), 0);
    for (let i = 0; i < table.slots; i++) add(table, `key ${i}`, 0, 1000);
    const { evicted } = table;
    add(table, 'key 0', 5, 5);
    assert.equal(look(table, 'key 0', 5), null);
    for (let i = 0; i < 100; i++) add(table, `passing ${i}`, 5, 5);
    assert.equal(table.evicted, evicted);
  });

  it('evicts in a full bucket the entry that would expire first, and counts it', () => {
    const table = SharedTable.attach(create(1), 0);
    assert.equal(table.slots, 12);
    for (let i = 0; i < 12; i++) add(table, `key ${i}`, 0, 1000 - i);
    assert.equal(table.evicted, 0);
    add(table, 'late', 0, 2000);
    assert.equal(table.evicted, 1);
    assert.equal(look(table, 'key 11', 0), null);
    assert.deepEqual(look(table, 'key 10', 0), [1]);
    assert.deepEqual(look(table, 'late', 0), [1]);
    // Once time has passed there is room again without an eviction.
    add(table, 'later', 999, 2000);
    assert.equal(table.evicted, 1);
  });

  it('keeps what it is made for with few evictions', () => {
    const table = SharedTable.attach(create(4096), 0);
    for (let i = 0; i < 4096; i++) add(table, `10.0.${i >> 8}.${i & 255}`, 0, 1000);
    assert.ok(table.evicted < 4096 * 0.02, `${table.evicted} of 4096 were evicted`);
  });

  it('without words keeps only when its entries expire', () => {
    const table = SharedTable.attach(create(1, 0), 0);
    const seen: number[] = [];
    const later: TableDecision = {
      decide(words, isNew, nowMs, expiresAtMs) {
        assert.equal(words.length, 0);
        seen.push(isNew ? -1 : expiresAtMs);
        return Math.max(expiresAtMs, nowMs) + 10;
      },
    };
    for (const nowMs of [0, 4, 25]) assert.ok(table.update('a', nowMs, later));
    assert.deepEqual(seen, [-1, 10, -1]);
  });

  it('sweeps over every living entry once', () => {
    const table = SharedTable.attach(create(100), 0);
    for (let i = 0; i < 50; i++) add(table, `key ${i}`, 0, i < 10 ? 5 : 1000, i);
    const seen: number[] = [];
    const decision: TableDecision = {
      decide(words, isNew) {
        assert.equal(isNew, false);
        seen.push(words[0]);
        words[0] = 0;
        return 1000;
      },
    };
    assert.ok(table.sweep(5, decision));
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      Array.from({ length: 40 }, (_, i) => i + 10),
    );
    assert.deepEqual(look(table, 'key 30', 5), [0]);
  });

  it('asks again when another came first, and gives up in the end without having changed anything', () => {
    const buffer = create(1);
    const [one, other] = [SharedTable.attach(buffer, 0), SharedTable.attach(buffer, 1)];
    let disturbances = 3;
    let calls = 0;
    const disturbed: TableDecision = {
      decide(words) {
        calls++;
        if (disturbances-- > 0) add(other, 'a', 0, 1000);
        words[0] += 100;
        return 1000;
      },
    };
    assert.ok(one.update('a', 0, disturbed));
    assert.equal(calls, 4);
    assert.deepEqual(look(one, 'a', 0), [103]);

    disturbances = Number.POSITIVE_INFINITY;
    calls = 0;
    assert.equal(one.update('a', 0, disturbed), false);
    assert.equal(one.gaveUp, 1);
    assert.deepEqual(look(one, 'a', 0), [103 + calls]);
  });

  it('notices in the middle of a decision that its entry was evicted', () => {
    const buffer = create(1);
    const [one, other] = [SharedTable.attach(buffer, 0), SharedTable.attach(buffer, 1)];
    add(one, 'a', 0, 10, 50);
    let isFirst = true;
    const decision: TableDecision = {
      decide(words, isNew) {
        if (isFirst) for (let i = 0; i < 12; i++) add(other, `key ${i}`, 0, 1000);
        assert.equal(isNew, !isFirst);
        isFirst = false;
        words[0] += 1;
        return 1000;
      },
    };
    assert.ok(one.update('a', 0, decision));
    assert.deepEqual(look(one, 'a', 0), [1]);
    assert.equal(one.evicted, 2);
  });

  it('refuses what is no table, and shapes that cannot be', () => {
    assert.throws(() => SharedTable.attach(new SharedArrayBuffer(4096), 0), TypeError);
    assert.throws(() => create(0), RangeError);
    assert.throws(() => create(1.5), RangeError);
    assert.throws(() => create(2 ** 25), RangeError);
    assert.throws(() => create(1, -1), RangeError);
  });

  it('tells which buckets have changed, and what is in them', () => {
    const buffer = create(1, 2);
    const [writer, reader] = [SharedTable.attach(buffer, 0), SharedTable.attach(buffer, 1)];
    const copy = new BucketCopy(2);
    assert.equal(reader.buckets, 1);
    assert.equal(reader.versionOf(0), 0);
    add(writer, 'a', 0, 1000, 7);
    const version = reader.versionOf(0);
    assert.notEqual(version, 0);
    look(writer, 'a', 0);
    assert.equal(reader.versionOf(0), version, 'who only looks changes nothing');
    assert.equal(reader.peekVersion(0), version);
    assert.ok(reader.copyBucket(0, copy));
    const way = copy.expiresAtMs.indexOf(1000);
    assert.deepEqual([...copy.words.subarray(way * 2, way * 2 + 2)], [7, 0]);
    assert.equal(copy.expiresAtMs.filter((ms) => ms > 0).length, 1);

    const digest = copy.hashes.slice(way * 4, way * 4 + 4);
    assert.equal(reader.bucketOf(digest), 0);
    assert.ok(reader.updateDigest(digest, 0, Object.assign(new Addition(), { amount: 3 })));
    assert.deepEqual(look(writer, 'a', 0), [10, 0]);
  });

  it('knows keys by the same digests as a table of the same seed', () => {
    const [first, second] = [create(1), create(1)];
    SharedTable.reseed(second, SharedTable.attach(first, 0).seed);
    const digests = [first, second].map((buffer) => {
      const table = SharedTable.attach(buffer, 0);
      add(table, 'a', 0, 1000);
      const copy = new BucketCopy(1);
      assert.ok(table.copyBucket(0, copy));
      return Array.from(copy.hashes);
    });
    assert.deepEqual(digests[0], digests[1]);
    assert.ok(digests[0].some((word) => word !== 0));
  });

  it('draws a seed for every table', () => {
    const seedOf = (buffer: SharedArrayBuffer): string => new Int32Array(buffer, 16, 4).join(' ');
    assert.notEqual(seedOf(create(1)), seedOf(create(1)));
    const seed = Int32Array.of(1, 2, 3, 4);
    assert.equal(seedOf(SharedTable.create({ capacity: 1, words: 1, threads: 1, seed })), '1 2 3 4');
  });

  it('does what a Map would do, as long as nothing is evicted', () => {
    const keys = fc.integer({ min: 0, max: 30 }).map((i) => 'k'.repeat(i));
    const step = fc.record({
      key: keys,
      afterMs: fc.integer({ min: 0, max: 5 }),
      keepMs: fc.integer({ min: -1, max: 20 }),
      amount: fc.integer({ min: -5, max: 5 }),
      isLook: fc.boolean(),
      thread: fc.nat(1),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const buffer = create(1000);
        const tables = [SharedTable.attach(buffer, 0), SharedTable.attach(buffer, 1)];
        const model = new Map<string, { value: number; untilMs: number }>();
        let nowMs = 0;
        for (const { key, afterMs, keepMs, amount, isLook, thread } of steps) {
          nowMs += afterMs;
          const entry = model.get(key);
          const value = entry !== undefined && entry.untilMs > nowMs ? entry.value : null;
          if (isLook) {
            assert.deepEqual(look(tables[thread], key, nowMs), value === null ? null : [value]);
            continue;
          }
          assert.equal(add(tables[thread], key, nowMs, nowMs + keepMs, amount), (value ?? 0) + amount);
          model.set(key, { value: (value ?? 0) + amount, untilMs: nowMs + keepMs });
        }
        assert.equal(tables[0].evicted, 0);
      }),
    );
  });

  it('evicts as a model of one bucket would', () => {
    const step = fc.record({ key: fc.nat(19), afterMs: fc.nat(3), keepMs: fc.integer({ min: 1, max: 40 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const table = SharedTable.attach(create(1), 0);
        const model = new Map<string, { value: number; untilMs: number }>();
        let [nowMs, evicted] = [0, 0];
        for (const [i, { key: number, afterMs, keepMs }] of steps.entries()) {
          nowMs += afterMs;
          for (const [key, { untilMs }] of model) if (untilMs <= nowMs) model.delete(key);
          const key = String(number);
          // No two entries expire at one time, so that there is one choice only.
          const untilMs = nowMs + keepMs + i / 1000;
          const value = (model.get(key)?.value ?? 0) + 1;
          if (!model.has(key) && model.size === table.slots) {
            const [first] = [...model].toSorted(([, a], [, b]) => a.untilMs - b.untilMs);
            model.delete(first[0]);
            evicted++;
          }
          model.set(key, { value, untilMs });
          assert.equal(add(table, key, nowMs, untilMs), value);
        }
        assert.equal(table.evicted, evicted);
        for (let i = 0; i < 20; i++) {
          const entry = model.get(String(i));
          assert.deepEqual(look(table, String(i), nowMs), entry === undefined ? null : [entry.value]);
        }
      }),
    );
  });
});
