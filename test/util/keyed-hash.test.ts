import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { KeyedHash } from '../../src/util/keyed-hash.ts';

function hashOf(hash: KeyedHash, text: string): string {
  const words = new Int32Array(4);
  hash.hash(text, words);
  return Array.from(words, (word) => (word >>> 0).toString(16).padStart(8, '0')).join(' ');
}

/** Published with the reference implementation: the hash of the bytes 0, 1, 2, …, of which there are `length`. */
const publishedKey = Int32Array.of(0x833d_3433, 0x009f_389f, 0x2398_e64f, 0x417a_cf39);
const published: readonly (readonly [length: number, hash: string])[] = [
  [0, '792e8fe5 75ce87aa 2d1450b5 1191970b'],
  [2, '55df8922 2c7ff577 73809ef4 4e5084c0'],
  [8, '09330f69 62b5dce0 a4fba462 f20d3c12'],
  [14, 'bf668497 275217a1 40c17ad4 2ed877c0'],
  [16, '79271ca9 d66a1c71 81ca474e 49831cad'],
  [18, '0c45d380 2fd09996 31f42f3b 8f7fd0bf'],
  [30, '5ceceeac a174084c 95c3a400 98bee220'],
  [32, '60b3f7af 37eee7c8 836cfd98 782ca060'],
  [34, 'c7e31175 6db4e34d dad60ca1 e95aba60'],
  [48, '127c6e21 6c07a459 ad851388 22e8bf5b'],
  [62, '89a0d454 9201a282 ea1b1e50 1771bedc'],
];

describe('KeyedHash', () => {
  for (const [length, expected] of published) {
    it(`hashes ${length} bytes like the reference implementation`, () => {
      const units = Array.from({ length: length / 2 }, (_, i) => 2 * i + ((2 * i + 1) << 8));
      assert.equal(hashOf(new KeyedHash(publishedKey), String.fromCharCode(...units)), expected);
    });
  }

  it('hashes equal texts alike, whatever they are made of, and others differently', () => {
    const hash = new KeyedHash(crypto.getRandomValues(new Int32Array(4)));
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    fc.assert(
      fc.property(text, text, (one, other) => {
        assert.equal(hashOf(hash, one), hashOf(hash, [...one].join('')));
        assert.equal(hashOf(hash, one) === hashOf(hash, other), one === other);
      }),
    );
  });

  it('tells texts apart that differ in the padding, in a high byte or in a lone surrogate', () => {
    const hash = new KeyedHash(publishedKey);
    const texts = ['', '\0', '\u0001', '\u0001\0', 'a', 'a\0', 'a\u0001', '1234567', '1234567\u0001', '12345678'];
    const others = ['š', 'a\u0100', '\ud800', '\udc00', '\ufffd', '12345678\0', '12345678\u0001'];
    assert.equal(new Set([...texts, ...others].map((text) => hashOf(hash, text))).size, texts.length + others.length);
  });

  it('depends on every bit of the key', () => {
    const hashes = new Set<string>();
    for (let bit = 0; bit < 128; bit++) {
      const key = publishedKey.slice();
      key[bit >> 5] ^= 1 << (bit & 31);
      hashes.add(hashOf(new KeyedHash(key), '192.0.2.1'));
    }
    assert.equal(hashes.size, 128);
  });
});
