import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { digestOfApiKey, isApiKey, newApiKey } from '../../src/consumers/new-api-key.ts';

suite('a new API key', () => {
  test('is another one each time, of one form, with a checksum that tells it from what looks like it', () => {
    const keys = Array.from({ length: 500 }, newApiKey);
    assert.equal(new Set(keys).size, keys.length);
    const used = new Set(keys.flatMap((key) => key.slice(4, 34).split('')));
    assert.equal(used.size, 62, 'all digits come up');
    for (const key of keys) {
      assert.match(key, /^gwk_[0-9A-Za-z]{36}$/);
      assert.ok(isApiKey(key));
      const at = 4 + (key.charCodeAt(5) % 36);
      const other = key[at] === 'x' ? 'y' : 'x';
      assert.ok(!isApiKey(key.slice(0, at) + other + key.slice(at + 1)), 'a digit is another');
    }
    for (const text of ['', 'gwk_', 'x'.repeat(40), `${keys[0]} `, `${keys[0]}\n`, keys[0].toLowerCase()]) {
      assert.ok(!isApiKey(text), text);
    }
  });

  test('is kept as a hash that anybody can make', () => {
    assert.equal(digestOfApiKey('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });

  test('is found by the expression of the guide', () => {
    const guide = readFileSync(new URL('../../docs/guide/consumers.md', import.meta.url), 'utf8');
    const [, written] = /^(\\b\S+\\b)$/m.exec(guide) ?? [];
    const scanner = new RegExp(written, 'g');
    const [first, second] = [newApiKey(), newApiKey()];
    assert.deepEqual(`curl -H "x-api-key: ${first}" KEY=${second}\ngwk_short x${first}`.match(scanner), [
      first,
      second,
    ]);
  });
});
