/** `GET /metrics`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { typeOf } from '../../src/gateway/metrics-text.ts';
import { statusFamilies } from '../../src/gateway/status-families.ts';
import { recordedFamilies } from '../../src/telemetry/metrics/recorded-families.ts';
import { allSamples, parseMetrics } from '../support/metrics-parser.ts';
import { AdminApi, withToken } from './admin-api.ts';

const openmetrics = { ...withToken, accept: 'application/openmetrics-text; version=1.0.0' };

describe('GET /metrics', () => {
  it('has all families, in the Prometheus text format', async (t) => {
    const api = await AdminApi.start(t);
    api.control.metrics.ended('catalog', 'GET', 200, 12);
    const { status, headers, text } = await api.ask('/metrics');
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(headers['vary'], 'accept');
    assert.equal(headers['cache-control'], 'no-store');
    const families = parseMetrics(text, 'prometheus');
    assert.deepEqual(
      [...families.keys()],
      [...recordedFamilies, ...statusFamilies].map(({ name }) => name),
    );
    const all = allSamples(families);
    for (const [name, value] of Object.entries({
      'gatewright_requests_total{route="catalog",method="GET",status="200"}': 1,
      gatewright_requests_in_flight: 2,
      'gatewright_connections{listener="web"}': 3,
      'gatewright_upstream_requests_in_flight{upstream="catalog"}': 4,
      'gatewright_upstream_connections{upstream="catalog"}': 6,
      'gatewright_limit_refusals_total{result="refused"}': 7,
      'gatewright_limit_refusals_total{result="would_refuse"}': 3,
      gatewright_limit_undecided_total: 0,
      'gatewright_limit_store_decisions_total{result="asked"}': 40,
      'gatewright_limit_store_decisions_total{result="failed"}': 5,
      'gatewright_limit_store_decisions_total{result="local"}': 4,
      'gatewright_auth_attempts_total{result="failed"}': 12,
      'gatewright_auth_attempts_total{result="slowed"}': 4,
      'gatewright_auth_attempts_total{result="refused"}': 1,
      'gatewright_shared_evictions_total{table="limits"}': 2,
      'gatewright_shared_evictions_total{table="connections"}': 0,
      'gatewright_shared_evictions_total{table="bans"}': 0,
      'gatewright_shared_evictions_total{table="damping"}': 5,
      'gatewright_shared_evictions_total{table="noted"}': 6,
      'gatewright_connections_refused_total{reason="banned"}': 8,
      'gatewright_connections_refused_total{reason="limit"}': 5,
      gatewright_bans_total: 2,
      gatewright_banned_requests_total: 6,
      'gatewright_thread_up{thread="0"}': 1,
      'gatewright_thread_restarts_total{thread="0"}': 0,
      'gatewright_thread_stall_seconds{thread="0"}': 0.0015,
      'gatewright_thread_heap_bytes{thread="0"}': 12_345_678,
      'gatewright_thread_lag_seconds{thread="0"}': 0.26,
      'gatewright_thread_memory_ratio{thread="0"}': 0.42,
      'gatewright_thread_refused_ratio{thread="0",importance="low"}': 1,
      'gatewright_thread_refused_ratio{thread="0",importance="normal"}': 0.25,
      'gatewright_thread_refused_ratio{thread="0",importance="high"}': 0,
      'gatewright_overload_refused_total{importance="low",reason="lag"}': 31,
      gatewright_ready: 1,
      'gatewright_build_info{version="1.2.3"}': 1,
      'gatewright_config_revision_info{revision="1",digest="d-1"}': 1,
      gatewright_config_applied_timestamp_seconds: Date.UTC(2026, 0, 1) / 1000,
      'gatewright_config_reloads_total{result="applied"}': 2,
      'gatewright_config_reloads_total{result="refused"}': 1,
      gatewright_metrics_series_limit: 2000,
      gatewright_metrics_series_dropped_total: 0,
    })) {
      assert.equal(all.get(name), value, name);
    }
    assert.ok(Math.abs(all.get('process_start_time_seconds')! - Date.now() / 1000) < 3600);
    assert.ok(all.get('process_resident_memory_bytes')! > 1e6);
    assert.ok(all.get('process_cpu_seconds_total')! > 0);
  });

  it('is OpenMetrics for who asks for it', async (t) => {
    const api = await AdminApi.start(t);
    const { headers, text } = await api.ask('/metrics', { headers: openmetrics });
    assert.equal(headers['content-type'], 'application/openmetrics-text; version=1.0.0; charset=utf-8');
    const families = parseMetrics(text, 'openmetrics');
    assert.equal(families.get('gatewright_config_revision')?.type, 'info');
    assert.equal(families.get('gatewright_thread_stall_seconds')?.unit, 'seconds');
  });

  it('has what limits that adapt themselves are, of a tenth as many as there may be series', async (t) => {
    const own = (i: number): string =>
      `  r${10 + i}: {match: {path: /${i}}, policies: [{concurrency: {limit: adaptive, min: 30}}], respond: {}}`;
    const api = await AdminApi.start(
      t,
      [
        'admin: {token: "${env:GATEWRIGHT_ADMIN_TOKEN}"}',
        'telemetry: {metrics: {maxSeries: 100}}',
        'policies: {backend: {concurrency: {limit: adaptive, max: 15}}}',
        'routes:',
        '  a: {match: {path: /a}, policies: [backend, {concurrency: {limit: 7, name: fixed}}], respond: {}}',
        '  b: {match: {path: /b}, policies: [backend], respond: {}}',
        ...Array.from({ length: 12 }, (_, i) => own(i)),
      ].join('\n'),
    );
    const { samples } = parseMetrics((await api.ask('/metrics')).text, 'prometheus').get('gatewright_adaptive_limit')!;
    assert.deepEqual([...samples].slice(0, 3), [
      ['gatewright_adaptive_limit{route="",policy="backend"}', 15],
      ['gatewright_adaptive_limit{route="r10",policy="concurrency"}', 30],
      ['gatewright_adaptive_limit{route="r11",policy="concurrency"}', 30],
    ]);
    assert.equal(samples.size, 10);
  });

  it('answers HEAD as GET, without the text, and no other method', async (t) => {
    const api = await AdminApi.start(t);
    const { status, headers, text } = await api.ask('/metrics', { method: 'HEAD', headers: openmetrics });
    assert.deepEqual([status, text], [200, '']);
    assert.equal(headers['content-type'], 'application/openmetrics-text; version=1.0.0; charset=utf-8');
    assert.ok(Number(headers['content-length']) > 1000);
    const post = await api.ask('/metrics', { method: 'POST' });
    assert.deepEqual([post.status, post.headers.allow], [405, 'GET, HEAD']);
    assert.equal(await api.outcome('/metrics?x=1'), '400 ADMIN_BAD_INPUT');
  });

  it('is for whoever has the token, and nobody else', async (t) => {
    const api = await AdminApi.start(t);
    for (const headers of [{}, { authorization: 'Bearer x' }]) {
      assert.equal(await api.outcome('/metrics', { headers }), '401 ADMIN_UNAUTHORIZED');
      assert.equal(await api.outcome('/metrics', { method: 'POST', headers }), '401 ADMIN_UNAUTHORIZED');
    }
    assert.equal((await api.ask('/metrics', { method: 'HEAD', headers: {} })).status, 401);
    assert.equal(await api.outcome('/livez', { method: 'POST', headers: {} }), '405 METHOD_NOT_ALLOWED');
  });

  it('is for callers on this machine where there is no token', async (t) => {
    const api = await AdminApi.start(t, 'routes: {all: {respond: {}}}\n');
    const local = { host: `127.0.0.1:${api.port}` };
    assert.equal(await api.outcome('/metrics', { headers: local }), '200');
    assert.equal(await api.outcome('/metrics', { headers: { host: 'evil.example' } }), '403 ADMIN_FORBIDDEN');
    const proxied = { ...local, 'x-forwarded-for': '192.0.2.1' };
    assert.equal(await api.outcome('/metrics', { headers: proxied }), '403 ADMIN_FORBIDDEN');
  });

  it('waits for something that serves', async (t) => {
    const api = await AdminApi.start(t, undefined, { control: null });
    assert.equal(await api.outcome('/metrics'), '503 ADMIN_NOT_READY');
  });

  it('is described in the guide, every family of it', () => {
    const guide = readFileSync(new URL('../../docs/guide/metrics.md', import.meta.url), 'utf8');
    const described = Array.from(
      guide.matchAll(/^\| `((?:gatewright|process)_\w+)` \| (\w+) \| ([^|]*) \|/gm),
      (row) => {
        return [row[1], row[2], row[3].trim()];
      },
    );
    const shown = (labels: readonly string[]): string => labels.map((label) => `\`${label}\``).join(', ');
    assert.deepEqual(described, [
      ...recordedFamilies.map((family) => [family.name, typeOf(family), shown(family.labels)]),
      ...statusFamilies.map(({ name, type, labels }) => [name, type, shown(labels)]),
    ]);
  });
});
