import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { SecretTable } from '../../src/util/secret-table.ts';

suite('SecretTable', () => {
  test('finds what was set under exactly this text', () => {
    const table = new SecretTable<{ readonly n: number }>(64);
    table.set('secret', { n: 1 });
    assert.deepEqual(table.get('secret'), { n: 1 });
    for (const other of ['', 'secre', 'secret ', 'Secret', 'secret\0', 'ѕecret']) {
      assert.equal(table.get(other), undefined);
    }
    table.set('secret', { n: 2 });
    assert.deepEqual(table.get('secret'), { n: 2 });
    table.clear();
    assert.equal(table.get('secret'), undefined);
  });

  test('never gives one the value of another, however full it is', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 3 }), { maxLength: 200 }), (texts) => {
        const table = new SecretTable<{ readonly text: string }>(16);
        for (const text of texts) {
          assert.ok([text, undefined].includes(table.get(text)?.text));
          table.set(text, { text });
          assert.equal(table.get(text)?.text, text);
        }
      }),
    );
  });

  test('keeps as many as it was made for', () => {
    const table = new SecretTable<{ readonly n: number }>(1024);
    const count = 10_000;
    for (let n = 0; n < count; n++) table.set(`key ${n}`, { n });
    const found = Array.from({ length: count }, (_, n) => table.get(`key ${n}`)).filter((one) => one !== undefined);
    assert.ok(found.length <= 1024 && found.length > 900, String(found.length));
  });
});
