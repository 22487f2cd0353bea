import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { MetricMerge } from '../../src/util/metric-merge.ts';
import { MetricSlab, type MetricFamily } from '../../src/util/metric-slab.ts';

const families: readonly MetricFamily[] = [
  { name: 'requests_total', labels: ['route', 'status'] },
  { name: 'duration_seconds', labels: ['route'], bounds: [0.1, 1, 10] },
  { name: 'starts_total', labels: [] },
];
const [requests, durations, starts] = [0, 1, 2];

const create = (maxSeries: number): MetricSlab =>
  MetricSlab.attach(MetricSlab.create({ families, maxSeries }), families);

/** Merged series as `name{labels}`: the value of a counter, or the sum and the buckets. */
function merged(merge: MetricMerge): Record<string, number | number[]> {
  const entries = merge.merge().map(({ family, labels, value, buckets }) => {
    const all = buckets.length === 0 ? value : [value, ...buckets];
    return [`${family.name}{${labels.join()}}`, all] as const;
  });
  return Object.fromEntries(entries.filter(([, value]) => JSON.stringify(value) !== '0'));
}

describe('MetricSlab and MetricMerge', () => {
  it('adds up the counters and histograms of all threads by family and labels', () => {
    const [one, two] = [create(20), create(20)];
    // In another order, so that the numbers of the series differ.
    const twoDuration = two.series(durations, ['a']);
    const twoOk = two.series(requests, ['a', '200']);
    one.add(one.series(requests, ['a', '200']), 1);
    one.add(one.series(requests, ['a', '404']), 2);
    two.add(twoOk, 3);
    one.observe(one.series(durations, ['a']), 0.5);
    two.observe(twoDuration, 0.1);
    two.observe(twoDuration, 11);
    one.add(one.series(starts, []), 1);
    assert.deepEqual(merged(new MetricMerge([one, two], 100)), {
      'requests_total{a,200}': 4,
      'requests_total{a,404}': 2,
      'duration_seconds{a}': [11.6, 1, 1, 0, 1],
      'duration_seconds{other}': [0, 0, 0, 0, 0],
      'starts_total{}': 1,
    });
  });

  it('puts a value into the first bucket whose bound it does not exceed, and counts nonsense as 0', () => {
    const slab = create(20);
    const series = slab.series(durations, ['a']);
    for (const value of [0, 0.1, 0.100_001, 1, 10, 10.5, Number.NaN, -5]) slab.observe(series, value);
    const buckets = merged(new MetricMerge([slab], 100))['duration_seconds{a}'] as number[];
    assert.deepEqual(buckets.slice(1), [4, 2, 1, 1]);
    assert.ok(Math.abs(buckets[0] - 21.700_001) < 1e-9);
  });

  it('hands out one number for the same labels, whatever is in them', () => {
    const slab = create(100);
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 10 }),
        fc.string({ unit: 'binary', maxLength: 10 }),
        (a, b) => {
          const series = slab.series(requests, [a, b]);
          assert.equal(slab.series(requests, [a, b]), series);
          const { labels } = slab.describe(series);
          assert.ok(labels.every((label) => label === 'other') || (labels[0] === a && labels[1] === b));
        },
      ),
    );
  });

  it('records what is beyond the cap as other, and says how much that is', () => {
    const slab = create(5);
    for (let i = 0; i < 10; i++) slab.add(slab.series(requests, [`r${i}`, '200']), 1);
    for (let i = 0; i < 3; i++) slab.add(slab.series(requests, ['r9', '200']), 1);
    slab.observe(slab.series(durations, ['a']), 5);
    slab.add(slab.series(starts, []), 1);
    assert.equal(slab.seriesCount, 5);
    const merge = new MetricMerge([slab], 100);
    assert.deepEqual(merged(merge), {
      'requests_total{r0,200}': 1,
      'requests_total{r1,200}': 1,
      'requests_total{other,other}': 11,
      'duration_seconds{other}': [5, 0, 0, 1, 0],
      'starts_total{}': 1,
    });
    assert.equal(merge.droppedSeries, 9);
  });

  it('lets neither one long label nor many take the room of other families', () => {
    const slab = create(50);
    slab.add(slab.series(requests, ['x'.repeat(5000), '200']), 1);
    assert.equal(slab.droppedSeries, 1);
    for (let i = 0; i < 60; i++) slab.series(requests, ['y'.repeat(1000), String(i)]);
    slab.observe(slab.series(durations, ['z'.repeat(2000)]), 1);
    slab.add(slab.series(starts, []), 7);
    const values = merged(new MetricMerge([slab], 100));
    assert.equal(values['requests_total{other,other}'], 1);
    assert.deepEqual(values['duration_seconds{other}'], [1, 0, 1, 0, 0]);
    assert.equal(values['starts_total{}'], 7);
  });

  it('caps the merged series too, first come first served, and lets none go back', () => {
    const [one, two] = [create(20), create(20)];
    const merge = new MetricMerge([one, two], 3);
    two.add(two.series(requests, ['b', '200']), 1);
    assert.deepEqual(merged(merge), { 'requests_total{b,200}': 1 });
    one.add(one.series(requests, ['a', '200']), 1);
    one.add(one.series(requests, ['b', '200']), 1);
    one.add(one.series(requests, ['c', '200']), 1);
    two.add(two.series(requests, ['d', '200']), 1);
    one.add(one.series(starts, []), 1);
    const values = merged(merge);
    assert.deepEqual(values, {
      'requests_total{b,200}': 2,
      'requests_total{a,200}': 1,
      'requests_total{other,other}': 2,
      'starts_total{}': 1,
    });
    assert.deepEqual(merged(merge), values);
    assert.equal(merge.droppedSeries, 2);
  });

  it('is carried on by the successor of a thread', () => {
    const buffer = MetricSlab.create({ families, maxSeries: 20 });
    const predecessor = MetricSlab.attach(buffer, families);
    predecessor.add(predecessor.series(requests, ['a', '200']), 5);
    predecessor.observe(predecessor.series(durations, ['ä\ud800"']), 2);
    const merge = new MetricMerge([MetricSlab.attach(buffer, families)], 100);
    merge.merge();
    const successor = MetricSlab.attach(buffer, families);
    successor.add(successor.series(requests, ['a', '200']), 1);
    successor.observe(successor.series(durations, ['ä\ud800"']), 2);
    assert.deepEqual(merged(merge), {
      'requests_total{a,200}': 6,
      'duration_seconds{other}': [0, 0, 0, 0, 0],
      'duration_seconds{ä\ud800"}': [4, 0, 0, 2, 0],
    });
  });

  it('refuses what does not fit together', () => {
    const buffer = MetricSlab.create({ families, maxSeries: 3 });
    assert.throws(() => MetricSlab.attach(buffer, families.slice(1)), TypeError);
    assert.throws(() => MetricSlab.attach(new SharedArrayBuffer(1024), families), TypeError);
    assert.throws(() => MetricSlab.create({ families, maxSeries: 2 }), RangeError);
    const slab = MetricSlab.attach(buffer, families);
    assert.throws(() => slab.series(requests, ['a']), TypeError);
    assert.throws(() => slab.observe(slab.series(starts, []), 1), TypeError);
  });
});

describe('places of a slab that were given up', () => {
  const leave = (slab: MetricSlab, labels: readonly string[]): void => {
    slab.giveUp([slab.series(requests, labels)]);
    slab.settle();
  };

  it('are reused, at 0, by series of any family and whatever length', () => {
    const slab = create(6);
    const merge = new MetricMerge([slab], 100);
    slab.add(slab.series(requests, ['a', '200']), 5);
    slab.add(slab.series(requests, ['b', '200']), 7);
    slab.observe(slab.series(durations, ['c']), 2);
    assert.equal(slab.seriesCount, 5);
    for (const [i, route] of ['d', 'ee', 'x'.repeat(900), 'f', 'y'.repeat(1000)].entries()) {
      leave(slab, [i === 0 ? 'a' : ['a', 'd', 'ee', 'x'.repeat(900), 'f'][i], '200']);
      assert.equal(merged(merge)['requests_total{b,200}'], 7);
      slab.add(slab.series(requests, [route, '200']), i + 1);
      assert.equal(merged(merge)[`requests_total{${route},200}`], i + 1);
      assert.equal(slab.seriesCount, 5);
    }
    leave(slab, ['y'.repeat(1000), '200']);
    slab.observe(slab.series(durations, ['g']), 0.5);
    assert.deepEqual(merged(merge), {
      'requests_total{b,200}': 7,
      'duration_seconds{other}': [0, 0, 0, 0, 0],
      'duration_seconds{c}': [2, 0, 0, 1, 0],
      'duration_seconds{g}': [0.5, 0, 1, 0, 0],
    });
    assert.equal(slab.droppedSeries, 0);
  });

  it('are not reused before they have settled, and tell by the epoch that numbers are others', () => {
    const slab = create(20);
    const [a, epoch] = [slab.series(requests, ['a', '200']), slab.epoch];
    slab.giveUp([a]);
    assert.notEqual(slab.epoch, epoch);
    assert.notEqual(slab.series(requests, ['b', '200']), a);
    slab.settle();
    assert.equal(slab.series(requests, ['c', '200']), a);
  });

  it('never leave a family without its other, nor use up the room for texts', () => {
    const slab = create(5);
    const merge = new MetricMerge([slab], 100);
    for (let i = 0; i < 5_000; i++) {
      const labels = [`${i}`.repeat(1 + (i % 7)), '200'];
      slab.add(slab.series(requests, labels), 1);
      slab.giveUp([slab.series(requests, ['other', 'other'])]);
      leave(slab, labels);
    }
    slab.observe(slab.series(durations, ['a']), 1);
    slab.add(slab.series(starts, []), 1);
    assert.equal(slab.droppedSeries, 0);
    assert.deepEqual(merged(merge), {
      'duration_seconds{other}': [0, 0, 0, 0, 0],
      'duration_seconds{a}': [1, 0, 1, 0, 0],
      'starts_total{}': 1,
    });
  });

  it('are known to the successor of a thread', () => {
    const buffer = MetricSlab.create({ families, maxSeries: 20 });
    const predecessor = MetricSlab.attach(buffer, families);
    predecessor.add(predecessor.series(requests, ['a', '200']), 5);
    predecessor.add(predecessor.series(requests, ['b', '200']), 6);
    predecessor.giveUp([predecessor.series(requests, ['a', '200'])]);
    const merge = new MetricMerge([MetricSlab.attach(buffer, families)], 100);
    const successor = MetricSlab.attach(buffer, families);
    const { seriesCount } = successor;
    successor.add(successor.series(requests, ['c', '200']), 1);
    assert.equal(successor.seriesCount, seriesCount);
    assert.deepEqual(merged(merge), { 'requests_total{b,200}': 6, 'requests_total{c,200}': 1 });
  });

  it('take nothing from what is part of other for want of room', () => {
    const [one, two] = [create(20), create(20)];
    const merge = new MetricMerge([one, two], 2);
    one.add(one.series(requests, ['a', '200']), 1);
    merge.merge();
    two.add(two.series(requests, ['b', '200']), 3);
    assert.equal(merged(merge)['requests_total{other,other}'], 3);
    leave(two, ['b', '200']);
    two.add(two.series(requests, ['c', '200']), 4);
    assert.equal(merged(merge)['requests_total{other,other}'], 7);
    leave(one, ['a', '200']);
    two.add(two.series(requests, ['d', '200']), 5);
    assert.deepEqual(merged(merge), { 'requests_total{other,other}': 7, 'requests_total{d,200}': 5 });
  });

  it('never have anything counted twice by whoever takes a counter that goes back for one that begins anew', () => {
    const threads = 2;
    const key = fc.nat({ max: 2 }).map((n) => `r${n}`);
    const thread = fc.nat({ max: threads - 1 });
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ what: fc.constant('count' as const), thread, key }) },
      { weight: 2, arbitrary: fc.record({ what: fc.constant('leave' as const), thread, key }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('forget' as const), thread, key }) },
      { weight: 3, arbitrary: fc.record({ what: fc.constant('read' as const), thread, key }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), fc.integer({ min: 2, max: 9 }), (steps, most) => {
        const slabs = Array.from({ length: threads }, () => create(20));
        const merge = new MetricMerge(slabs, most);
        const truth = new Map<string, number>();
        const scraped = new Map<string, { last: number; increase: number }>();
        let all = 0;
        const read = (): void => {
          for (const { labels, value } of merge.merge()) {
            const before = scraped.get(labels[0]) ?? { last: 0, increase: 0 };
            const more = value < before.last ? value : value - before.last;
            scraped.set(labels[0], { last: value, increase: before.increase + more });
          }
          let sum = 0;
          for (const [route, { increase }] of scraped) {
            sum += increase;
            if (route !== 'other') assert.ok(increase <= (truth.get(route) ?? 0), route);
          }
          assert.ok(sum <= all, `${sum} of ${all}`);
        };
        for (const { what, thread: number, key: route } of steps) {
          const slab = slabs[number];
          if (what === 'count') {
            slab.add(slab.series(requests, [route, '200']), 1);
            truth.set(route, (truth.get(route) ?? 0) + 1);
            all++;
          } else if (what === 'leave') leave(slab, [route, '200']);
          else if (what === 'forget') merge.forget((_, labels) => labels[0] === route);
          else read();
        }
        read();
        const isPlain = steps.every(({ what }) => what === 'count' || what === 'read');
        if (!isPlain) return;
        let increase = 0;
        for (const one of scraped.values()) increase += one.increase;
        assert.equal(increase, all);
      }),
      { numRuns: 500 },
    );
  });
});
