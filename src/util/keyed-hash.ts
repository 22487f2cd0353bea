/**
 * A keyed 128-bit hash of a text: Chaskey with 8 rounds (Mouha et al., "Chaskey: An Efficient MAC Algorithm for 32-bit
 * Microcontrollers", SAC 2014). It is a message authentication code made of 32-bit additions, rotations and exclusive
 * ors, which are what JavaScript is fast at. Who does not know the key cannot make two texts collide, nor fill one
 * bucket of a hash table (the weakness that CVE-2011-4815 and its kin are about); no hash ever leaves the process.
 *
 * A text is hashed as its UTF-16 code units, little-endian, eight to a block, so that no text has to be encoded first
 * and two texts have one message only when they are equal (lone surrogates included).
 */
const unitsPerBlock = 8;
const rounds = 8;

export class KeyedHash {
  private readonly key: Int32Array;
  /** What the last block is masked with when it is full, and when it was padded. */
  private readonly maskOfFull: Int32Array;
  private readonly maskOfPadded: Int32Array;

  /** @param key four 32-bit words, random and secret. */
  constructor(key: Int32Array) {
    this.key = key.slice(0, 4);
    this.maskOfFull = double(this.key);
    this.maskOfPadded = double(this.maskOfFull);
  }

  /** Leaves the four words of the hash in `into`. Allocates nothing. */
  hash(text: string, into: Int32Array): void {
    const { length } = text;
    const { key } = this;
    let v0 = key[0];
    let v1 = key[1];
    let v2 = key[2];
    let v3 = key[3];
    for (let i = 0; ; i += unitsPerBlock) {
      const rest = length - i;
      if (rest > unitsPerBlock) {
        v0 ^= text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16);
        v1 ^= text.charCodeAt(i + 2) | (text.charCodeAt(i + 3) << 16);
        v2 ^= text.charCodeAt(i + 4) | (text.charCodeAt(i + 5) << 16);
        v3 ^= text.charCodeAt(i + 6) | (text.charCodeAt(i + 7) << 16);
      } else {
        const mask = rest === unitsPerBlock ? this.maskOfFull : this.maskOfPadded;
        v0 ^= unitsAt(text, i) ^ mask[0];
        v1 ^= unitsAt(text, i + 2) ^ mask[1];
        v2 ^= unitsAt(text, i + 4) ^ mask[2];
        v3 ^= unitsAt(text, i + 6) ^ mask[3];
      }
      for (let round = 0; round < rounds; round++) {
        v0 = (v0 + v1) | 0;
        v2 = (v2 + v3) | 0;
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
        v0 = (((v0 << 16) | (v0 >>> 16)) + v3) | 0;
        v2 = (v2 + v1) | 0;
        v1 = ((v1 << 7) | (v1 >>> 25)) ^ v2;
        v3 = ((v3 << 13) | (v3 >>> 19)) ^ v0;
        v2 = (v2 << 16) | (v2 >>> 16);
      }
      if (rest > unitsPerBlock) continue;

      const mask = rest === unitsPerBlock ? this.maskOfFull : this.maskOfPadded;
      into[0] = v0 ^ mask[0];
      into[1] = v1 ^ mask[1];
      into[2] = v2 ^ mask[2];
      into[3] = v3 ^ mask[3];
      return;
    }
  }
}

/** Two code units as one word; behind the end of the text a one and zeros, which is how a short block is padded. */
function unitsAt(text: string, index: number): number {
  return unitAt(text, index) | (unitAt(text, index + 1) << 16);
}

function unitAt(text: string, index: number): number {
  if (index < text.length) return text.charCodeAt(index);
  return index === text.length ? 1 : 0;
}

/** Multiplies by x in GF(2¹²⁸), least significant word first. */
function double(words: Int32Array): Int32Array {
  return Int32Array.of(
    (words[0] << 1) ^ (words[3] < 0 ? 0x87 : 0),
    (words[1] << 1) | (words[0] >>> 31),
    (words[2] << 1) | (words[1] >>> 31),
    (words[3] << 1) | (words[2] >>> 31),
  );
}
