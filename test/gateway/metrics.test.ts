/** What a gateway counts of real requests. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { createGateway } from '../../src/index.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { metricsText } from '../../src/gateway/metrics-text.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { eventually } from '../support/changes.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { type ParsedFamily, parseMetrics } from '../support/metrics-parser.ts';
import { RawClient, request } from '../support/raw-client.ts';
import { RawUpstream, ok } from '../support/raw-upstream.ts';

const listeners = { web: { host: '127.0.0.1', port: 0 } };
const web = { telemetry: { accessLog: false as const }, listeners };
const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n${fields}\r\n`;

async function read({ gateway }: TestGateway, maxSeries = 2000): Promise<ReadonlyMap<string, ParsedFamily>> {
  const reading = { status: await gateway.status(), counts: gateway.counted(maxSeries), control: null };
  return parseMetrics(metricsText(reading, 'prometheus'), 'prometheus');
}

/** The samples of a family. */
async function samples(gateway: TestGateway, name: string): Promise<Record<string, number>> {
  const family = (await read(gateway)).get(name)!;
  return Object.fromEntries(Array.from(family.samples, ([key, value]) => [key.replace(name, ''), value] as const));
}

describe('the metrics of a gateway', () => {
  it('count requests by route, method and status: replies, refusals, what no route matches and what is malformed', async (t) => {
    const gateway = await TestGateway.start(t, {
      ...web,
      routes: { shop: { match: { path: '/shop/*' }, respond: { status: 418 } } },
    });
    await request(t, gateway.address(), get('/shop/1'));
    await request(t, gateway.address(), get('/shop/2'));
    await request(t, gateway.address(), 'BREW /shop/1 HTTP/1.1\r\nhost: x\r\n\r\n');
    await request(t, gateway.address(), get('/nothing'));
    await request(t, gateway.address(), get('/shop/%00'));
    await request(t, gateway.address(), 'GET / HTTP/1.1\r\nhost : x\r\n\r\n');
    await gateway.observation(5);
    assert.deepEqual(await samples(gateway, 'gatewright_requests_total'), {
      '{route="shop",method="GET",status="418"}': 2,
      '{route="shop",method="other",status="418"}': 1,
      '{route="notFound",method="GET",status="404"}': 1,
      '{route="notFound",method="GET",status="400"}': 2,
    });
    const durations = await samples(gateway, 'gatewright_request_duration_seconds');
    assert.equal(durations['_count{route="shop"}'], 3);
    assert.equal(durations['_count{route="notFound"}'], 3);
  });

  it('say how long upstreams took, how many requests and connections there are, and what failed', async (t) => {
    const upstream = await RawUpstream.start(t, {});
    const gateway = await TestGateway.start(t, proxyTo(upstream.url));
    const client = await RawClient.connect(t, gateway.address());
    client.write(get('/'));
    await upstream.request(0);
    assert.deepEqual(await samples(gateway, 'gatewright_requests_in_flight'), { '': 1 });
    assert.deepEqual(await samples(gateway, 'gatewright_connections'), { '{listener="web"}': 1 });
    assert.deepEqual(await samples(gateway, 'gatewright_upstream_requests_in_flight'), {
      '{upstream="service"}': 1,
    });
    upstream.connections[0].write(ok('hello'));
    await client.response();
    assert.deepEqual(await samples(gateway, 'gatewright_requests_in_flight'), { '': 0 });
    const answered = await samples(gateway, 'gatewright_upstream_duration_seconds');
    assert.equal(answered['_count{upstream="service"}'], 1);

    client.write(get('/'));
    await upstream.request(1);
    client.destroy();
    await gateway.observation(1);
    const counted = Object.entries(await samples(gateway, 'gatewright_requests_total'));
    assert.deepEqual(
      counted.map(([key, value]) => [/status="(\d+)"/.exec(key)![1], value]),
      [
        ['200', 1],
        ['499', 1],
      ],
    );
    const after = await samples(gateway, 'gatewright_upstream_duration_seconds');
    assert.equal(after['_count{upstream="service"}'], 1, 'one that never answered took no time');
  });

  it('say what limits and policies that authenticate have decided', async (t) => {
    const gateway = await TestGateway.start(t, {
      ...web,
      consumers: { me: { apiKeys: [{ hash: `sha256:${hash('sha256', 'secret-key')}` }] } },
      policies: { gold: { rateLimit: { rate: '2/1h', by: 'consumer' } } },
      routes: {
        shop: {
          policies: [
            'apiKey',
            { authorize: { consumers: ['me'] } },
            'gold',
            { rateLimit: { rate: '1/1h', enforce: false } },
          ],
          respond: {},
        },
        all: { match: { path: '/all' }, policies: [{ anyOf: ['apiKey', 'basicAuth'] }], respond: {} },
        closed: {
          match: { path: '/closed' },
          policies: ['apiKey', { authorize: { deny: { consumers: ['me'] } } }],
          respond: {},
        },
      },
    });
    const key = 'x-api-key: secret-key\r\n';
    for (const fields of ['', 'x-api-key: wrong\r\n', key, key, key]) {
      await request(t, gateway.address(), get('/', fields));
    }
    for (const fields of ['', key]) await request(t, gateway.address(), get('/all', fields));
    await request(t, gateway.address(), get('/closed', key));
    assert.deepEqual(await samples(gateway, 'gatewright_auth_total'), {
      '{route="shop",policy="apiKey",result="missing"}': 1,
      '{route="shop",policy="apiKey",result="invalid"}': 1,
      '{route="shop",policy="apiKey",result="accepted"}': 3,
      '{route="shop",policy="authorize",result="accepted"}': 3,
      '{route="all",policy="anyOf",result="missing"}': 1,
      '{route="all",policy="anyOf",result="accepted"}': 1,
      '{route="closed",policy="apiKey",result="accepted"}': 1,
      '{route="closed",policy="authorize",result="forbidden"}': 1,
    });
    assert.deepEqual(await samples(gateway, 'gatewright_ratelimit_total'), {
      '{route="shop",policy="gold",result="allowed"}': 2,
      '{route="shop",policy="gold",result="refused"}': 1,
      '{route="shop",policy="rateLimit",result="allowed"}': 1,
      '{route="shop",policy="rateLimit",result="would_refuse"}': 1,
    });
    assert.deepEqual(await samples(gateway, 'gatewright_limit_refusals_total'), {
      '{result="refused"}': 1,
      '{result="would_refuse"}': 1,
    });
    assert.deepEqual(await samples(gateway, 'gatewright_auth_attempts_total'), {
      '{result="failed"}': 1,
      '{result="slowed"}': 0,
      '{result="refused"}': 0,
    });
  });

  it('keep what they have counted when the configuration changes, of routes that are gone as well', async (t) => {
    const routes = (...names: string[]): ConfigInput => ({
      ...web,
      routes: Object.fromEntries(
        names.map((name) => [
          name,
          { match: { path: `/${name}` }, policies: [{ rateLimit: { rate: '100/1h' } }], respond: {} },
        ]),
      ),
    });
    const gateway = await TestGateway.start(t, routes('one', 'two'));
    for (const path of ['/one', '/two', '/two']) await request(t, gateway.address(), get(path));
    await gateway.apply(routes('two', 'three'));
    for (const path of ['/one', '/two', '/three']) await request(t, gateway.address(), get(path));
    assert.deepEqual(await samples(gateway, 'gatewright_requests_total'), {
      '{route="one",method="GET",status="200"}': 1,
      '{route="two",method="GET",status="200"}': 3,
      '{route="notFound",method="GET",status="404"}': 1,
      '{route="three",method="GET",status="200"}': 1,
    });
    assert.deepEqual(await samples(gateway, 'gatewright_ratelimit_total'), {
      '{route="one",policy="rateLimit",result="allowed"}': 1,
      '{route="two",policy="rateLimit",result="allowed"}': 3,
      '{route="three",policy="rateLimit",result="allowed"}': 1,
    });
  });

  it('have room again for other routes, a while after routes, upstreams and policies are gone', async (t) => {
    const clock = new FakeClock();
    clock.advance(1_000);
    const maxSeries = 30;
    const upstream = await RawUpstream.start(t);
    const generation = (n: number): ConfigInput => ({
      ...web,
      telemetry: { accessLog: false, metrics: { maxSeries } },
      upstreams: { [`u${n}`]: { targets: [upstream.url] } },
      routes: {
        [`r${n}`]: { match: { path: '/gone' }, upstream: `u${n}` },
        stays: {
          match: { path: '/stays' },
          policies: [{ rateLimit: { rate: '100/1h', name: `limit${n}` } }],
          respond: {},
        },
      },
    });
    const gateway = await TestGateway.start(t, generation(0), { clock });
    for (let n = 0; n < 20; n++) {
      if (n > 0) await gateway.apply(generation(n));
      await request(t, gateway.address(), get('/gone'));
      await request(t, gateway.address(), get('/stays'));
      await gateway.observation(2 * n + 1);
      assert.equal(
        (await samples(gateway, 'gatewright_requests_total'))[`{route="r${n}",method="GET",status="200"}`],
        1,
      );
      const answered = await samples(gateway, 'gatewright_upstream_duration_seconds');
      assert.equal(answered[`_count{upstream="u${n}"}`], 1);
      const decided = await samples(gateway, 'gatewright_ratelimit_total');
      assert.equal(decided[`{route="stays",policy="limit${n}",result="allowed"}`], 1);
      // Of the one before they are still there.
      if (n > 0) assert.equal(decided[`{route="stays",policy="limit${n - 1}",result="allowed"}`], 1);
      clock.advance(180_000);
    }
    const requests = await samples(gateway, 'gatewright_requests_total');
    assert.equal(requests['{route="stays",method="GET",status="200"}'], 20);
    assert.equal(requests['{route="r0",method="GET",status="200"}'], undefined);
    const families = await read(gateway, maxSeries);
    assert.equal(families.get('gatewright_metrics_series_dropped_total')!.samples.values().next().value, 0);
  });

  it('have no more series than `telemetry.metrics.maxSeries`, also when that changes', async (t) => {
    const config = (maxSeries: number): ConfigInput => ({
      ...web,
      telemetry: { accessLog: false, metrics: { maxSeries } },
      routes: Object.fromEntries(
        Array.from({ length: 30 }, (_, i) => [`r${i}`, { match: { path: `/r${i}` }, respond: {} }]),
      ),
    });
    const gateway = await TestGateway.start(t, config(12));
    const client = await RawClient.connect(t, gateway.address());
    const askAll = async (): Promise<void> => {
      for (let i = 0; i < 30; i++) await client.write(get(`/r${i}`)).response();
    };
    await askAll();
    const counted = await samples(gateway, 'gatewright_requests_total');
    assert.ok(Object.keys(counted).length < 12, JSON.stringify(counted));
    assert.ok(counted['{route="other",method="other",status="other"}'] > 15);
    assert.equal(
      Object.values(counted).reduce((sum, value) => sum + value, 0),
      30,
    );
    const families = await read(gateway, 12);
    const valueOf = (name: string): number => families.get(name)!.samples.get(name)!;
    assert.equal(valueOf('gatewright_metrics_series_limit'), 12);
    assert.ok(valueOf('gatewright_metrics_series') <= 12 + 5);
    assert.ok(valueOf('gatewright_metrics_series_dropped_total') >= 30);

    await gateway.apply(config(100));
    await askAll();
    const more = await samples(gateway, 'gatewright_requests_total');
    assert.equal(more['{route="r29",method="GET",status="200"}'], 1);
    assert.equal(
      more['{route="other",method="other",status="other"}'],
      counted['{route="other",method="other",status="other"}'],
    );
  });
});

describe('a gateway inside another program', () => {
  it('tells its metrics in either format, without what it does not know', async (t) => {
    const gateway = await createGateway({ ...web, routes: { all: { respond: { body: 'hello' } } } });
    const [{ url }] = await gateway.start();
    t.after(() => gateway.stop(0));
    assert.equal(await (await fetch(url)).text(), 'hello');
    const key = 'gatewright_requests_total{route="all",method="GET",status="200"}';
    await eventually(async () => {
      const plain = parseMetrics(await gateway.metrics(), 'prometheus');
      return plain.get('gatewright_requests_total')!.samples.get(key) === 1;
    }, 'the request to be counted');
    const open = parseMetrics(await gateway.metrics('openmetrics'), 'openmetrics');
    assert.equal(open.get('gatewright_requests')!.samples.get(key), 1);
    assert.equal(open.get('gatewright_config_reloads')!.samples.size, 0);
    assert.equal(open.get('gatewright_thread_stall_seconds')!.samples.size, 0);
  });
});
