/** The guide has every kind of change, with what it means. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { changeKinds } from '../../../src/config/plan/change.ts';

test('the guide lists the kinds of changes as they are', () => {
  const guide = readFileSync(new URL('../../../docs/guide/plan.md', import.meta.url), 'utf8');
  const listed = Array.from(guide.matchAll(/^\| `([a-z-]+)` \| (.*) \|$/gm), ([, kind, meaning]) => [kind, meaning]);
  assert.deepEqual(
    listed,
    Object.entries(changeKinds).map(([kind, { meaning }]) => [kind, meaning]),
  );
});
