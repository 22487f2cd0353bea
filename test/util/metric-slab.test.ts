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
