/** The metrics of a gateway that runs, as Prometheus has them. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually } from '../support/changes.ts';
import { Command, folderWith, withPorts } from '../support/command.ts';
import { allSamples, parseMetrics } from '../support/metrics-parser.ts';

const config = (body: string): object => ({
  threads: 2,
  telemetry: { accessLog: false },
  overload: {},
  routes: { all: { policies: [{ concurrency: { limit: 'adaptive' } }], respond: { body } } },
});

async function read(gateway: Command): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`${gateway.admin}/metrics`, { headers: { accept: 'application/openmetrics-text' } });
  assert.equal(response.status, 200);
  return allSamples(parseMetrics(await response.text(), 'openmetrics'));
}

describe('the metrics of a gateway that runs', () => {
  it('count requests and reloads, through reloads', async (t) => {
    const cwd = await folderWith(t);
    const gateway = await Command.serve(t, config('one'), { cwd });
    const counted = 'gatewright_requests_total{route="all",method="GET",status="200"}';
    const ask = async (total: number): Promise<void> => {
      await fetch(gateway.url());
      await eventually(async () => (await read(gateway)).get(counted) === total, `${total} requests to be counted`);
    };
    await ask(1);
    const first = await read(gateway);
    assert.equal(first.get('gatewright_ready'), 1);
    assert.equal(first.get('gatewright_config_reloads_total{result="applied"}'), 0);
    assert.deepEqual(
      [...first.keys()].filter((key) => key.startsWith('gatewright_config_revision_info{revision="1",digest="')).length,
      1,
    );

    await writeFile(join(cwd, 'gateway.json'), JSON.stringify(withPorts(config('two'))));
    await gateway.logged('the configuration was changed');
    await ask(2);
    await writeFile(join(cwd, 'gateway.json'), '{"routes": 7}');
    await gateway.logged('the configuration was refused; what served before serves on');
    await ask(3);
    const last = await read(gateway);
    assert.equal(last.get('gatewright_config_reloads_total{result="applied"}'), 1);
    assert.equal(last.get('gatewright_config_reloads_total{result="refused"}'), 1);
    assert.equal(last.get('gatewright_thread_up{thread="1"}'), 1);
    assert.ok(last.has('gatewright_thread_stall_seconds{thread="1"}'));
    assert.equal(last.get('gatewright_thread_refused_ratio{thread="1",importance="low"}'), 0);
    assert.ok(last.has('gatewright_thread_lag_seconds{thread="1"}'));
    assert.equal(last.get('gatewright_adaptive_limit{route="all",policy="concurrency"}'), 20);
    assert.equal(last.get('gatewright_ratelimit_total{route="all",policy="concurrency",result="allowed"}'), 3);
  });
});
