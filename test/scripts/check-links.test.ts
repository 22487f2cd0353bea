import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anchorsOf, linksOf } from '../../scripts/check-links.ts';

test('links to files and headings are found, those to other sites are not', () => {
  const text = '[a](guide/x.md#the-y), [b](#z) and [c](https://example.com/), [d](../src/)';
  assert.deepEqual(linksOf(text), ['guide/x.md#the-y', '#z', '../src/']);
});

test('what stands in code is neither a link nor a heading', () => {
  const text = '```md\n# not this\n[x](y.md)\n```\n`[x](z.md)` and [w](w.md)\n# This: `one` (yes)\n';
  assert.deepEqual(linksOf(text), ['w.md']);
  assert.deepEqual([...anchorsOf(text)], ['this-one-yes']);
});

test('the anchor of a heading has no punctuation and dashes for spaces', () => {
  assert.deepEqual(
    [...anchorsOf('# The `headers` policy, and why\n## HTTP/1.1_x\n')],
    ['the-headers-policy-and-why', 'http11_x'],
  );
});
