import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { loadText } from './load-text.ts';

const rest = 'routes: {all: {respond: {}}}';

suite('telemetry.metrics', () => {
  test('has a default, and takes what there is room for', async () => {
    for (const [text, maxSeries] of [
      ['', 2000],
      ['telemetry: {metrics: {}}', 2000],
      ['telemetry: {metrics: {maxSeries: 1}}', 1],
      ['telemetry: {metrics: {maxSeries: 10000}}', 10_000],
    ] as const) {
      const { config, problems } = await loadText(`${text}\n${rest}`);
      assert.deepEqual(problems, []);
      assert.deepEqual(config?.telemetry.metrics, { maxSeries });
    }
  });

  test('refuses what there is no room for, or has no meaning', async () => {
    for (const value of ['0', '10001', '-1', '1.5', 'many', 'false']) {
      const { config, problems } = await loadText(`telemetry: {metrics: {maxSeries: ${value}}}\n${rest}`);
      assert.equal(config, null, value);
      assert.deepEqual(
        problems.map(({ severity, path }) => [severity, path.join('.')]),
        [['error', 'telemetry.metrics.maxSeries']],
        value,
      );
    }
  });
});
