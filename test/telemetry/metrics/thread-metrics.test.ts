import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CountedSeries } from '../../../src/telemetry/metrics/counted-series.ts';
import { recordedFamilies } from '../../../src/telemetry/metrics/recorded-families.ts';
import { ThreadMetrics, mostSeries } from '../../../src/telemetry/metrics/thread-metrics.ts';

/** Some threads, and all that they have counted: what is not 0, by name and labels. */
function threads(count: number) {
  const series = new CountedSeries();
  const all = Array.from({ length: count }, () => {
    const memory = ThreadMetrics.create();
    series.add(memory);
    return { memory, metrics: new ThreadMetrics(memory) };
  });
  const read = (maxSeries = mostSeries): Record<string, number> => {
    const counted = series.read(maxSeries).series.map(({ family, labels, value, buckets }) => {
      const number = family.bounds === undefined ? value : buckets.reduce((sum, one) => sum + one, 0);
      return [`${family.name.replace('gatewright_', '')} ${labels.join(' ')}`, number] as const;
    });
    return Object.fromEntries(counted.filter(([, number]) => number !== 0));
  };
  return { all, series, read };
}

describe('what a thread counts', () => {
  it('counts requests by route, method and status, and how long they took', () => {
    const { all, read } = threads(1);
    const [{ metrics }] = all;
    for (const status of [200, 200, 404]) metrics.ended('shop', 'GET', status, 20);
    metrics.ended('shop', 'POST', 200, 5000);
    metrics.ended('', 'GET', 400, 1);
    metrics.answered('catalog', 7);
    assert.deepEqual(read(), {
      'requests_total shop GET 200': 2,
      'requests_total shop GET 404': 1,
      'requests_total shop POST 200': 1,
      'requests_total notFound GET 400': 1,
      'request_duration_seconds shop': 4,
      'request_duration_seconds notFound': 1,
      'upstream_duration_seconds catalog': 1,
    });
  });

  it('takes no label from a client: methods and statuses beyond those that are known are one', () => {
    const { all, read } = threads(1);
    const [{ metrics }] = all;
    for (let i = 0; i < 1000; i++) metrics.ended('shop', `METHOD-${i}`, i < 100 ? i : 600 + i, 1);
    metrics.ended('shop', 'get', 200, 1);
    assert.deepEqual(read(), {
      'requests_total shop other other': 1000,
      'requests_total shop other 200': 1,
      'request_duration_seconds shop': 1001,
    });
  });

  it('does not count how long a tunnel was open', () => {
    const { all, read } = threads(1);
    all[0].metrics.ended('chat', 'GET', 101, 3_600_000);
    assert.deepEqual(read(), { 'requests_total chat GET 101': 1 });
  });

  it('has a series for a counter of a policy once it has counted something', () => {
    const { all, read, series } = threads(1);
    const refused = all[0].metrics.counter('shop', 'gatewright_ratelimit_total', { policy: 'gold', result: 'refused' });
    assert.equal(series.read(mostSeries).series.length, 0);
    refused.add();
    refused.add(2);
    assert.deepEqual(read(), { 'ratelimit_total shop gold refused': 3 });
  });

  it('refuses counters that there are not, and bounds labels', () => {
    const { all, series } = threads(1);
    const [{ metrics }] = all;
    assert.throws(() => metrics.counter('shop', 'nothing' as never, {}), /there are no metrics "nothing"/);
    metrics
      .counter('shop', 'gatewright_auth_total', { policy: `${'x'.repeat(127)}😀`, result: 'y'.repeat(5000) })
      .add();
    const [, { labels }] = series.read(mostSeries).series;
    assert.deepEqual(labels, ['shop', `${'x'.repeat(127)}\ufffd`, 'y'.repeat(128)]);
  });

  it('has no more series than it may, and says how many found no room', () => {
    const { all, read, series } = threads(2);
    const maxSeries = 20;
    for (const { metrics } of all) {
      metrics.begin(maxSeries);
      for (let i = 0; i < 100; i++) metrics.ended(`route-${i}`, 'GET', 200, 1);
    }
    const counted = read(maxSeries);
    assert.ok(Object.keys(counted).length <= maxSeries + recordedFamilies.length);
    assert.equal(counted['requests_total route-0 GET 200'], 2);
    assert.ok(counted['requests_total other other other'] > 100);
    const sum = (name: string): number =>
      Object.entries(counted).reduce((total, [key, value]) => (key.startsWith(name) ? total + value : total), 0);
    assert.deepEqual([sum('requests_total'), sum('request_duration_seconds')], [200, 200]);
    assert.ok(series.read(maxSeries).droppedSeries >= 2 * (200 - maxSeries));
  });

  it('leaves room for what clients cannot make many of, whatever they do with methods', () => {
    const { all, read } = threads(2);
    const maxSeries = 100;
    for (const [index, { metrics }] of all.entries()) {
      metrics.begin(maxSeries);
      for (let status = 100; status < 600; status++) metrics.ended('shop', index === 0 ? 'GET' : 'PUT', status, 1);
      for (let i = 0; i < 10; i++) {
        metrics.counter('shop', 'gatewright_ratelimit_total', { policy: `limit-${i}`, result: 'refused' }).add();
      }
    }
    const counted = Object.entries(read(maxSeries));
    assert.equal(
      counted.filter(([key, value]) => key.startsWith('ratelimit_total shop limit-') && value === 2).length,
      10,
    );
    assert.ok(counted.filter(([key]) => key.startsWith('requests_total')).length <= 75);
  });

  it('may have more once it is allowed to, and keeps what it has when it may have less', () => {
    const { all, read } = threads(1);
    const [{ metrics }] = all;
    metrics.begin(10);
    for (let i = 0; i < 10; i++) metrics.ended(`route-${i}`, 'GET', 200, 1);
    assert.equal(read(10)['requests_total route-9 GET 200'], undefined);
    metrics.begin(100);
    metrics.ended('route-9', 'GET', 200, 1);
    assert.equal(read(100)['requests_total route-9 GET 200'], 1);
    metrics.begin(1);
    metrics.ended('route-9', 'GET', 200, 1);
    metrics.ended('route-10', 'GET', 200, 1);
    const counted = read(1);
    assert.equal(counted['requests_total route-9 GET 200'], 2);
    assert.equal(counted['requests_total route-10 GET 200'], undefined);
  });

  it('goes on where the thread before it has ended', () => {
    const { all, read } = threads(1);
    const [{ memory, metrics }] = all;
    metrics.ended('shop', 'GET', 200, 1);
    const successor = new ThreadMetrics(memory);
    successor.ended('shop', 'GET', 200, 1);
    successor.ended('shop', 'GET', 500, 1);
    assert.deepEqual(read(), {
      'requests_total shop GET 200': 2,
      'requests_total shop GET 500': 1,
      'request_duration_seconds shop': 3,
    });
  });
});
