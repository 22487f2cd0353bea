import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { Sealer, sealedLength } from '../../../src/policies/oidc/sealer.ts';

const one = 'a'.repeat(32);
const two = 'b'.repeat(32);

suite('what is sealed', () => {
  test('is opened with the same binding and not changed on the way', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.array(fc.string(), { maxLength: 4 }), (text, bound) => {
        const sealed = new Sealer([one]).seal(text, bound);
        assert.equal(new Sealer([one]).open(sealed, bound), text.toWellFormed());
        assert.equal(sealed.length, sealedLength(Buffer.byteLength(text)));
      }),
    );
  });

  test('is not opened with any other binding, also where the parts joined are the same text (CVE-2023-35941)', () => {
    const sealer = new Sealer([one]);
    const sealed = sealer.seal('text', ['ab', 'c']);
    for (const bound of [['a', 'bc'], ['abc'], ['ab', 'c', ''], ['', 'ab', 'c'], ['c', 'ab'], ['ab'], []]) {
      assert.equal(sealer.open(sealed, bound), null, JSON.stringify(bound));
    }
  });

  test('is not opened when any bit of it was changed, or anything was cut off or added', () => {
    const sealer = new Sealer([one]);
    const sealed = sealer.seal('some text', ['x']);
    const bytes = Buffer.from(sealed, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] ^= 1 << (bit & 7);
      assert.equal(sealer.open(changed.toString('base64url'), ['x']), null);
    }
    for (let length = 0; length < sealed.length; length++) {
      assert.equal(sealer.open(sealed.slice(0, length), ['x']), null);
    }
    for (const more of ['A', 'AAAA', '=', ' ', '\n', '.', '%']) assert.equal(sealer.open(sealed + more, ['x']), null);
    for (const before of ['A', ' ', '=']) assert.equal(sealer.open(before + sealed, ['x']), null);
  });

  test('has one spelling', () => {
    const sealer = new Sealer([one]);
    // So that the last character has bits that mean nothing.
    const sealed = sealer.seal('12', ['x']);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const opened = Array.from(alphabet).filter((last) => sealer.open(sealed.slice(0, -1) + last, ['x']) !== null);
    assert.deepEqual(opened, [sealed.at(-1)]);
    assert.equal(sealer.open(sealed.replaceAll('-', '+').replaceAll('_', '/') + '=', ['x']), null);
  });

  test('is never the same twice, and nothing of the text can be read in it', () => {
    const sealer = new Sealer([one]);
    const sealed = Array.from({ length: 100 }, () => sealer.seal('canary'.repeat(10), []));
    assert.equal(new Set(sealed.map((text) => text.slice(0, 24))).size, 100);
    for (const text of sealed) assert.ok(!Buffer.from(text, 'base64url').includes('canary'));
  });

  test('is opened after its secret was rotated, as long as that is on the list', () => {
    const sealed = new Sealer([one]).seal('text', []);
    assert.equal(new Sealer([two, one]).open(sealed, []), 'text');
    assert.equal(new Sealer([two]).open(sealed, []), null);
    assert.equal(new Sealer([one]).open(new Sealer([two, one]).seal('text', []), []), null);
  });

  test('never throws, whatever is to be opened', () => {
    const sealer = new Sealer([one]);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String()), (text) => assert.equal(sealer.open(text, []), null)),
    );
  });
});
