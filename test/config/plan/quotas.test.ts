import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planOf } from './documents.ts';

const routes = 'routes: {r: {policies: [{quota: {limit: 5, per: day}}], respond: {}}}\n';
const kept = (file: string): string => `quotas: {database: ${file}}\n${routes}`;

test('the plan tells what becomes of what was counted', async () => {
  assert.deepEqual(await planOf(kept('a.db'), routes), [
    'limit-raised | quotas: limit raised: database a.db → none, a restart forgets what was counted',
  ]);
  assert.deepEqual(await planOf(routes, kept('a.db')), [
    'limit-lowered | quotas: limit lowered: database none → a.db, a restart forgets nothing',
  ]);
  assert.deepEqual(await planOf(kept('a.db'), kept('b.db')), [
    'limit-changed | quotas: limit changed: database a.db → b.db, a start finds the counts of the new one',
  ]);
  assert.deepEqual(await planOf(kept('a.db'), kept('./x/../a.db')), []);
});
