import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.ts';
import { builtinPolicies } from '../../src/policies/index.ts';
import { Pace } from '../../src/util/pace.ts';
import { packConfig, unpackConfig } from '../../src/workers/config-parcel.ts';

const text = `
upstreams: {u: {targets: ["http://127.0.0.1:9000"]}}
policies: {tight: {bodyLimit: {max: 1KiB}}}
defaults: {policies: [requestId]}
routes:
  plain: {match: {path: /a/*}, upstream: u}
  guarded: {match: {path: /b, methods: [GET], headers: {x-a: {present: true}}}, policies: [tight], upstream: u, timeouts: {total: 5s}}
  gone: {match: {path: /c}, redirect: {to: /d}}
`;

test('a configuration comes out of a message to a thread as it went in', async () => {
  const { config, problems } = await parseConfig(text, { fileName: 'gateway.yaml', registry: builtinPolicies });
  assert.deepEqual(
    problems.filter(({ severity }) => severity === 'error'),
    [],
  );
  assert.ok(config !== null);
  const received = await unpackConfig(structuredClone(packConfig(config)), new Pace(() => 0));
  assert.deepEqual(JSON.parse(JSON.stringify(received)), JSON.parse(JSON.stringify(config)));
  assert.deepEqual(Object.keys(received.routes), Object.keys(config.routes));
  assert.equal(
    received.routes['plain'].policies,
    received.routes['gone'].policies,
    'lists that are shared stay shared',
  );
});
