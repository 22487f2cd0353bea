/** What a plan says of bans, and of files of networks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyPlan, use } from './documents.ts';

test('the plan of policies knows those that turn clients away', () => {
  const list = { file: './list.txt' };
  assert.deepEqual(policyPlan([use('ipFilter', { deny: ['::1', list] })], [use('ipFilter', { deny: ['::1'] })]), [
    'ip-filter-widened | IP filter widened: deny - {file: ./list.txt} (ipFilter)',
  ]);
  assert.deepEqual(policyPlan([use('ban', { after: 5 })], []), ['protection-removed | protection removed (ban)']);
  const ban = { after: 5, within: 60_000, for: 600_000, statuses: [401, 403], enforce: true };
  const weaker = {
    after: 6,
    within: 30_000,
    for: 60_000,
    statuses: [401],
    enforce: false,
    exempt: { addresses: ['::1'] },
  };
  assert.deepEqual(policyPlan([use('ban', ban)], [use('ban', weaker)]), [
    'protection-removed | protection removed: after 5 → 6 (ban)',
    'protection-removed | protection removed: enforce true → false (ban)',
    'protection-removed | protection removed: exempt now {addresses: [::1]} (ban)',
    'protection-removed | protection removed: for 10m → 1m (ban)',
    'protection-removed | protection removed: statuses - 403 (ban)',
    'protection-removed | protection removed: within 1m → 30s (ban)',
  ]);
  assert.ok(policyPlan([use('ban', weaker)], [use('ban', ban)]).every((line) => line.startsWith('protection-added')));
});
