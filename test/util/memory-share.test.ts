import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitOf, memoryShare } from '../../src/util/memory-share.ts';

test('the memory of the process is that of the control group where one limits it', () => {
  const total = 32 * 2 ** 30;
  assert.equal(limitOf(total, 2 ** 30), 2 ** 30);
  for (const unlimited of [0, 2 ** 63 - 4096, 2 ** 64, total]) assert.equal(limitOf(total, unlimited), total);
});

test('the share of memory in use follows what the thread keeps', () => {
  const before = memoryShare();
  assert.ok(before > 0 && before < 1, String(before));
  const kept = Array.from({ length: 2_000_000 }, (_, index) => ({ index }));
  assert.ok(memoryShare() > before);
  assert.equal(kept.length, 2_000_000);
});
