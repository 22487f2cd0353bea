import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { policyPlan, use } from './documents.ts';

suite('the plan of limits in stores', () => {
  test('knows what machines have in common, what is leased, and what an outage means', () => {
    const stored = (before: object, after: object): string[] =>
      policyPlan(
        [use('rateLimit', { rate: '100/1m', store: 'memory', mode: 'exact', ...before })],
        [use('rateLimit', { rate: '100/1m', store: 'memory', mode: 'exact', ...after })],
      );
    const shared = { store: 'shared' };
    assert.deepEqual(stored(shared, {}), ['limit-raised | limit raised: store shared → memory (rateLimit)']);
    assert.deepEqual(stored({}, shared), ['limit-lowered | limit lowered: store memory → shared (rateLimit)']);
    assert.deepEqual(stored(shared, { store: 'other' }), [
      'limit-changed | limit changed: store shared → other (rateLimit)',
    ]);
    assert.deepEqual(stored(shared, { ...shared, mode: 'lease' }), [
      'limit-raised | limit raised: mode exact → lease (rateLimit)',
    ]);
    assert.deepEqual(stored({ ...shared, onStoreFailure: 'closed' }, shared), [
      'limit-raised | limit raised: onStoreFailure closed removed (rateLimit)',
    ]);
    assert.deepEqual(stored(shared, { ...shared, onStoreFailure: 'open' }), [
      'limit-raised | limit raised: onStoreFailure now open (rateLimit)',
    ]);
    const leased = (lease: object): object => ({ ...shared, mode: 'lease', lease });
    assert.deepEqual(stored(leased({ size: 5 }), leased({ size: 50 })), [
      'limit-raised | limit raised: lease.size 5 → 50 (rateLimit)',
    ]);
    assert.deepEqual(stored(leased({ share: 0.05 }), leased({ share: 0.01 })), [
      'limit-lowered | limit lowered: lease.share 5% → 1% (rateLimit)',
    ]);
  });
});
