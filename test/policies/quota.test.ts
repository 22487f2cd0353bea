import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { quota } from '../../src/policies/quota.ts';
import { FakeEnv, FakeExchange, createPolicy, runThrough } from '../support/fake-exchange.ts';
import { field, passing } from '../support/limited.ts';

suite('quota', () => {
  test('lets so many pass in a day, whenever they come', async () => {
    const env = new FakeEnv();
    env.epochMs = Date.UTC(2026, 10, 26, 20);
    const policy = createPolicy(quota, { limit: 3, per: 'day', timezone: 'Europe/Berlin' }, env);
    assert.equal(await passing([policy]), 3);
    const refused = await runThrough([policy], new FakeExchange());
    assert.equal(refused.reply?.code, 'QUOTA_EXCEEDED');
    assert.equal(field(refused, 'retry-after'), String(3 * 3600));
    assert.equal(field(refused, 'ratelimit-policy'), '"default";q=3;w=86400');
    env.nowMs += 3 * 3_600_000;
    assert.equal(await passing([policy]), 3);
  });

  test('refuses what it does not know', () => {
    for (const options of [
      { limit: 1, per: 'week' },
      { limit: 0, per: 'day' },
      { limit: 5, per: 'day', timezone: 'Mars/Olympus' },
      { limit: 5, per: 'day', cost: 6 },
      { limit: 5, per: 'day', onStoreFailure: 'open' },
    ]) {
      assert.equal(quota.options.safeParse(options).success, false, JSON.stringify(options));
    }
  });
});
