/**
 * Flat memory in which hosts and paths are found: entries, one behind the other in one block of 32-bit words, and one
 * table with open addressing that leads to them. Among a hundred thousand routes what the next request needs is in no
 * cache of the processor. With objects, maps and strings it would be some twenty places in memory; here it is two, one
 * in the table and one for the entry.
 *
 * An entry is a text under a parent, and what is known of both together:
 *
 *     parent | length of the text | the text, a byte for a character, filled up to whole words | its content …
 *
 * An entry is known by the place of its content, and so is it a parent of others: a host of its tables, a node of the
 * nodes behind it. What the content means, only those know who write and read it.
 */

/** Every text under every parent goes through this. Not negative, and another one for another seed. */
export type TextHash = (seed: number, parent: number, text: string, start: number, end: number) => number;

const PARENT = 0;
const LENGTH = 1;
const TEXT = 2;

/** Words of a slot: the hash, and the place of the content; the second is 0 in a slot that is free. */
const SLOT = 2;

/** No content is at the places before this: they may stand for what has no place, such as nothing at all. */
export const FIRST_PLACE = 8;

/** The entries of one router, to be read. */
export class PathIndex {
  /** The content of entries is read straight from here. */
  readonly words: Int32Array;
  private readonly bytes: Uint8Array;
  private readonly slots: Int32Array;
  private readonly mask: number;
  private readonly seed: number;
  private readonly hash: TextHash;

  constructor(words: Int32Array, { slots, seed }: HashTable, hash: TextHash) {
    this.words = words;
    this.bytes = new Uint8Array(words.buffer);
    this.slots = slots;
    this.mask = slots.length / SLOT - 1;
    this.seed = seed;
    this.hash = hash;
  }

  /** The place of the content of an entry, or 0 when there is none of this parent with this text. */
  find(parent: number, text: string, start: number, end: number): number {
    const { slots, mask } = this;
    const hash = this.hash(this.seed, parent, text, start, end);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const content = slots[slot * SLOT + 1];
      if (content === 0) return 0;
      if (slots[slot * SLOT] === hash && this.isEntry(content, parent, text, start, end)) return content;
    }
  }

  private isEntry(content: number, parent: number, text: string, start: number, end: number): boolean {
    const { words, bytes } = this;
    const length = end - start;
    const entry = content - wordsOf(length) - TEXT;
    if (entry < FIRST_PLACE || words[entry + PARENT] !== parent || words[entry + LENGTH] !== length) return false;
    let at = (entry + TEXT) * 4;
    for (let i = start; i < end; i++) {
      if (text.charCodeAt(i) !== bytes[at++]) return false;
    }
    return true;
  }
}

const wordsOf = (length: number): number => (length + 3) >> 2;

/** Writes the entries of a `PathIndex`, from the first to the last. */
export class PathIndexWriter {
  private words = new Int32Array(1024);
  private bytes = new Uint8Array(this.words.buffer);
  private end = FIRST_PLACE;
  private readonly texts: string[] = [];
  private readonly contents: number[] = [];
  private readonly parents: number[] = [];

  /**
   * Begins an entry; its content is what is written next.
   * @returns the place of its content.
   * @throws {TypeError} for a text that no request can have, since it has a character that is more than a byte.
   */
  begin(parent: number, text: string): number {
    this.write(parent, text.length);
    this.reserve(wordsOf(text.length));
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0xff) throw new TypeError(`${text}: has characters that must be percent-encoded`);
      this.bytes[this.end * 4 + i] = code;
    }
    this.end += wordsOf(text.length);
    this.texts.push(text);
    this.contents.push(this.end);
    this.parents.push(parent);
    return this.end;
  }

  /** @returns the place of the first of the words. */
  write(...words: readonly number[]): number {
    this.reserve(words.length);
    this.words.set(words, this.end);
    this.end += words.length;
    return this.end - words.length;
  }

  /** Changes a word that was written before what it says was known. */
  patch(place: number, word: number): void {
    this.words[place] = word;
  }

  /** @param seeds as many as are asked for: numbers that nobody outside can know. */
  finish(hash: TextHash, seeds: () => number): PathIndex {
    const { texts, contents, parents } = this;
    const words = this.words.slice(0, this.end);
    return new PathIndex(words, buildTable({ texts, contents, parents }, hash, seeds), hash);
  }

  private reserve(count: number): void {
    if (this.end + count <= this.words.length) return;
    const larger = new Int32Array(Math.max(this.words.length * 2, this.end + count));
    larger.set(this.words);
    this.words = larger;
    this.bytes = new Uint8Array(larger.buffer);
  }
}

interface Entries {
  readonly texts: readonly string[];
  readonly contents: readonly number[];
  readonly parents: readonly number[];
}

interface HashTable {
  readonly slots: Int32Array;
  readonly seed: number;
}

/** At most half of the slots are used, so with an even hash hardly any entry is further than this from its own slot. */
const MAX_PROBES = 64;
/** A hash that is uneven under every seed is slow, not wrong. */
const MAX_SEEDS = 4;

function buildTable(entries: Entries, hash: TextHash, seeds: () => number): HashTable {
  for (let tries = 1; ; tries++) {
    const seed = seeds();
    const slots = fillSlots(entries, hash, seed, tries === MAX_SEEDS ? Infinity : MAX_PROBES);
    if (slots !== null) return { slots, seed };
  }
}

/** null where an entry would come to stand too far from its own slot. */
function fillSlots(
  { texts, contents, parents }: Entries,
  hash: TextHash,
  seed: number,
  maxProbes: number,
): Int32Array | null {
  const count = 2 ** Math.ceil(Math.log2(texts.length * 2 + 1));
  const slots = new Int32Array(count * SLOT);
  for (const [index, text] of texts.entries()) {
    const own = hash(seed, parents[index], text, 0, text.length);
    let slot = own & (count - 1);
    for (let probes = 1; slots[slot * SLOT + 1] !== 0; probes++) {
      if (probes > maxProbes) return null;
      slot = (slot + 1) & (count - 1);
    }
    slots[slot * SLOT] = own;
    slots[slot * SLOT + 1] = contents[index];
  }
  return slots;
}

/**
 * Mixes as MurmurHash3 does. Which texts collide depends on the seed, which no client knows; what a client sends is only
 * looked up and makes no chain longer, so all that it could find is the longest that there is.
 */
export const mixedHash: TextHash = (seed, parent, text, start, end) => {
  let hash = seed ^ Math.imul(parent, 0x9e_37_79_b1);
  for (let i = start; i < end; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x85_eb_ca_6b);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2_b2_ae_35);
  return (hash ^ (hash >>> 13)) & 0x7f_ff_ff_ff;
};
