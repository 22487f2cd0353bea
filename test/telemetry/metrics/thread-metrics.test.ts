import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CountedSeries } from '../../../src/telemetry/metrics/counted-series.ts';
import { recordedFamilies } from '../../../src/telemetry/metrics/recorded-families.ts';
import { ThreadMetrics, mostSeries } from '../../../src/telemetry/metrics/thread-metrics.ts';

const anything = { routes: { has: () => true }, upstreams: { has: () => true } };
const named = (routes: string[], upstreams: string[] = []) => {
  return { routes: new Set(routes), upstreams: new Set(upstreams) };
};

/** Some threads, and all that they have counted: what is not 0, by name and labels. */
function threads(count: number) {
  const series = new CountedSeries();
  const clock = { nowMs: 0 };
  const all = Array.from({ length: count }, () => {
    const memory = ThreadMetrics.create();
    series.add(memory);
    return { memory, metrics: new ThreadMetrics(memory) };
  });
  const read = (maxSeries = mostSeries): Record<string, number> => {
    const counted = series.read(maxSeries, clock.nowMs).series.map(({ family, labels, value, buckets }) => {
      const number = family.bounds === undefined ? value : buckets.reduce((sum, one) => sum + one, 0);
      return [`${family.name.replace('gatewright_', '')} ${labels.join(' ')}`, number] as const;
    });
    return Object.fromEntries(counted.filter(([, number]) => number !== 0));
  };
  return { all, series, read, clock };
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
    assert.equal(series.read(mostSeries, 0).series.length, 0);
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
    const [, { labels }] = series.read(mostSeries, 0).series;
    assert.deepEqual(labels, ['shop', `${'x'.repeat(127)}\ufffd`, 'y'.repeat(128)]);
  });

  it('has no more series than it may, and says how many found no room', () => {
    const { all, read, series } = threads(2);
    const maxSeries = 20;
    for (const { metrics } of all) {
      metrics.begin(maxSeries, anything);
      for (let i = 0; i < 100; i++) metrics.ended(`route-${i}`, 'GET', 200, 1);
    }
    const counted = read(maxSeries);
    assert.ok(Object.keys(counted).length <= maxSeries + recordedFamilies.length);
    assert.equal(counted['requests_total route-0 GET 200'], 2);
    assert.ok(counted['requests_total other other other'] > 100);
    const sum = (name: string): number =>
      Object.entries(counted).reduce((total, [key, value]) => (key.startsWith(name) ? total + value : total), 0);
    assert.deepEqual([sum('requests_total'), sum('request_duration_seconds')], [200, 200]);
    assert.ok(series.read(maxSeries, 0).droppedSeries >= 2 * (200 - maxSeries));
  });

  it('leaves room for what clients cannot make many of, whatever they do with methods', () => {
    const { all, read } = threads(2);
    const maxSeries = 100;
    for (const [index, { metrics }] of all.entries()) {
      metrics.begin(maxSeries, anything);
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
    metrics.begin(10, anything);
    for (let i = 0; i < 10; i++) metrics.ended(`route-${i}`, 'GET', 200, 1);
    assert.equal(read(10)['requests_total route-9 GET 200'], undefined);
    metrics.begin(100, anything);
    metrics.ended('route-9', 'GET', 200, 1);
    assert.equal(read(100)['requests_total route-9 GET 200'], 1);
    metrics.begin(1, anything);
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

describe('series of what is gone', () => {
  const minuteMs = 60_000;

  it('stay for five minutes, and then their places are free for others', () => {
    const { all, read, clock } = threads(2);
    const pass = (minutes: number): void => {
      for (let i = 0; i < minutes; i++) {
        clock.nowMs += minuteMs;
        for (const { metrics } of all) metrics.tidy(clock.nowMs);
      }
    };
    const maxSeries = 24;
    const live: string[] = [];
    for (const { metrics } of all) metrics.begin(maxSeries, named(live));
    // Many times as many as there may be.
    for (let generation = 0; generation < 40; generation++) {
      const routes = [0, 1, 2].map((i) => `route-${generation}-${i}`);
      const before = read(maxSeries);
      for (const { metrics } of all) {
        metrics.begin(maxSeries, named(routes, [`upstream-${generation}`]));
        for (const route of routes) metrics.ended(route, 'GET', 200, 1);
        metrics.answered(`upstream-${generation}`, 1);
      }
      const now = read(maxSeries);
      for (const [key, value] of Object.entries(before)) assert.equal(now[key], value, key);
      for (const route of routes) assert.equal(now[`requests_total ${route} GET 200`], 2, route);
      assert.equal(now[`upstream_duration_seconds upstream-${generation}`], 2);
      pass(4);
      assert.equal(read(maxSeries)[`requests_total ${routes[0]} GET 200`], 2);
      pass(4);
    }
    assert.equal(read(maxSeries)['requests_total other other other'], undefined);
  });

  it('are those of policies as well, of routes that stay', () => {
    const { all, read, clock } = threads(1);
    const [{ metrics }] = all;
    const counter = (policy: string) =>
      metrics.counter('shop', 'gatewright_ratelimit_total', { policy, result: 'allowed' });
    metrics.prepare();
    const [goes, stays] = [counter('goes'), counter('stays')];
    metrics.begin(100, named(['shop']));
    goes.add();
    stays.add();
    metrics.prepare();
    const silent = counter('stays');
    const late = counter('late');
    metrics.begin(100, named(['shop']));
    // Was made ready, and never served.
    metrics.prepare();
    counter('goes');
    metrics.abandon();
    for (; clock.nowMs < 10 * minuteMs; clock.nowMs += minuteMs) metrics.tidy(clock.nowMs);
    assert.deepEqual(read(), { 'ratelimit_total shop stays allowed': 1 });
    late.add();
    silent.add(2);
    // A request of the configuration before is still there: it counts anew, and in no place of somebody else.
    goes.add(5);
    assert.deepEqual(read(), {
      'ratelimit_total shop stays allowed': 3,
      'ratelimit_total shop late allowed': 1,
      'ratelimit_total shop goes allowed': 5,
    });
  });

  it('begin anew when they come back', () => {
    const { all, read, clock } = threads(1);
    const [{ metrics }] = all;
    const tidy = (minutes: number): void => {
      for (let i = 0; i < minutes; i++) metrics.tidy((clock.nowMs += minuteMs));
    };
    metrics.begin(100, named(['shop']));
    metrics.ended('shop', 'GET', 200, 1);
    metrics.begin(100, named([]));
    tidy(4);
    metrics.begin(100, named(['shop']));
    tidy(10);
    metrics.ended('shop', 'GET', 200, 1);
    assert.equal(read()['requests_total shop GET 200'], 2, 'it was not gone for long enough');
    metrics.begin(100, named([]));
    tidy(8);
    assert.deepEqual(read(), {});
    metrics.begin(100, named(['shop']));
    metrics.ended('shop', 'GET', 200, 1);
    assert.deepEqual(read(), { 'requests_total shop GET 200': 1, 'request_duration_seconds shop': 1 });
  });

  it('leave with what a thread has counted that has ended, once they were read so late', () => {
    const { all, series, read, clock } = threads(2);
    const [{ metrics: ended }, { metrics }] = all;
    for (const one of [ended, metrics]) {
      one.begin(100, named(['shop', 'stays'], ['catalog']));
      one.ended('shop', 'GET', 200, 1);
      one.ended('stays', 'GET', 200, 1);
      one.answered('catalog', 1);
    }
    const names = named(['stays']);
    series.begin(names);
    metrics.begin(100, names);
    assert.equal(read()['requests_total shop GET 200'], 2);
    clock.nowMs += 5 * minuteMs - 1;
    assert.equal(read()['requests_total shop GET 200'], 2);
    clock.nowMs += 1;
    series.begin(named(['shop', 'stays'], ['catalog']));
    assert.equal(read()['requests_total shop GET 200'], 2, 'it is there again');
    series.begin(names);
    assert.equal(read()['requests_total shop GET 200'], 2, 'gone anew');
    clock.nowMs += 5 * minuteMs;
    assert.deepEqual(read(), { 'requests_total stays GET 200': 2, 'request_duration_seconds stays': 2 });
  });
});
