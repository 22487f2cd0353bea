/**
 * Flat memory in which hosts and paths are found: one table with open addressing in one block of 32-bit words. Among a
 * hundred thousand routes what the next request needs is in no cache of the processor, and each place in memory that has
 * to be looked at costs as much as a thousand instructions. With objects, maps and strings it would be some twenty
 * places; here it is one.
 *
 * An entry is a text under a parent, and what is known of both together, its content. What the words of the content mean,
 * only those know who write and read them. An entry that fits into a slot is in the slot; of another one there is a
 * reference.
 *
 *     slot       parent | length of the text  | the text, a byte for a character, filled up to whole words | content
 *     or         parent | ~length of the text | hash | place of the text, behind which there is the content
 *     or, free   0
 */

import type { Steps } from '../../util/pace.ts';

/** Every text under every parent goes through this: 31 bits, and others for another seed. */
export type TextHash = (seed: number, parent: number, text: string, start: number, end: number) => number;

const PARENT = 0;
const LENGTH = 1;
const TEXT = 2;
const HASH = 2;
const REFERENCE = 3;

/** Words of a slot: one line of the caches of most processors. */
const SLOT = 16;

/** No content is at the places before this: 0 can stand for no content. */
const FIRST_PLACE = 4;

/** The entries of one router, to be read. */
export class PathIndex {
  /** The content of entries is read straight from here. */
  readonly words: Int32Array;
  private readonly bytes: Uint8Array;
  /** Where the first slot is. */
  private readonly slots: number;
  /** One less than the number of slots, which is a power of two. */
  private readonly mask: number;
  private readonly seed: number;
  private readonly hash: TextHash;

  constructor({ words, slots, mask, seed }: Table, hash: TextHash) {
    this.words = words;
    this.bytes = new Uint8Array(words.buffer);
    this.slots = slots;
    this.mask = mask;
    this.seed = seed;
    this.hash = hash;
  }

  /** The place of the content of an entry, or 0 when there is none of this parent with this text. */
  find(parent: number, text: string, start: number, end: number): number {
    const { words, slots, mask } = this;
    const length = end - start;
    const hash = this.hash(this.seed, parent, text, start, end);
    for (let number = hash & mask; ; number = (number + 1) & mask) {
      const slot = slots + number * SLOT;
      const found = words[slot + PARENT];
      if (found === 0) return 0;
      if (found !== parent) continue;
      const stored = words[slot + LENGTH];
      if (stored === length) {
        if (this.isText(slot + TEXT, text, start, end)) return slot + TEXT + wordsOf(length);
      } else if (stored === ~length && words[slot + HASH] === hash) {
        const place = words[slot + REFERENCE];
        if (this.isText(place, text, start, end)) return place + wordsOf(length);
      }
    }
  }

  private isText(place: number, text: string, start: number, end: number): boolean {
    const { bytes } = this;
    for (let at = place * 4, i = start; i < end; i++, at++) {
      if (text.charCodeAt(i) !== bytes[at]) return false;
    }
    return true;
  }
}

const wordsOf = (length: number): number => (length + 3) >> 2;

/** Where the words of a `PathIndex` are collected before there is one. */
export class PathIndexWriter {
  /** Content that is in no entry, to which others refer. */
  private readonly outside = new WordList(FIRST_PLACE);
  /** Content of entries, one behind the other, and behind the last of them what is being written. */
  private readonly inside = new WordList(0);
  /** Of the entries; each as many as the others. */
  private readonly parents: number[] = [];
  private readonly texts: string[] = [];
  private readonly ends: number[] = [];

  /** Writes one word of the content that is ended by one of the next two. */
  write(word: number): void {
    this.inside.add(word);
  }

  /**
   * @param parent a number of at least 1.
   * @throws {TypeError} for a text that no request can have, since it has a character that is more than a byte.
   */
  endEntry(parent: number, text: string): void {
    for (let i = 0; i < text.length; i++) {
      if (text.charCodeAt(i) > 0xff) throw new TypeError(`${text}: has characters that must be percent-encoded`);
    }
    this.parents.push(parent);
    this.texts.push(text);
    this.ends.push(this.inside.length);
  }

  /** For content that is in no entry; returns its place. */
  endContent(): number {
    const place = this.outside.length;
    const start = this.startOf(this.ends.length);
    for (const word of this.inside.all.subarray(start)) this.outside.add(word);
    this.inside.length = start;
    return place;
  }

  /** @param nextSeed each time a number that nobody outside can know. */
  *finish(hash: TextHash, nextSeed: () => number): Steps<PathIndex> {
    for (let tries = 1; ; tries++) {
      const table = yield* this.fill(hash, nextSeed(), tries === MAX_SEEDS ? Infinity : MAX_PROBES);
      if (table !== null) return new PathIndex(table, hash);
    }
  }

  /** null where an entry would come to stand too far from its own slot. */
  private *fill(hash: TextHash, seed: number, maxProbes: number): Steps<Table | null> {
    const { texts, parents, ends } = this;
    const mask = 2 ** Math.ceil(Math.log2(texts.length * 2 + 1)) - 1;
    const slots = firstSlotBehind(this.outside.length + this.wordsOutside());
    const words = new Int32Array(slots + (mask + 1) * SLOT);
    words.set(this.outside.all);
    const filler = new SlotFiller(words, this.outside.length, this.inside.all);
    for (let entry = 0; entry < texts.length; entry++) {
      const text = texts[entry];
      const own = hash(seed, parents[entry], text, 0, text.length);
      let number = own & mask;
      for (let probes = 1; words[slots + number * SLOT] !== 0; probes++) {
        if (probes > maxProbes) return null;
        number = (number + 1) & mask;
      }
      const slot = slots + number * SLOT;
      words[slot + PARENT] = parents[entry];
      filler.fill(slot, own, text, this.startOf(entry), ends[entry]);
      yield;
    }
    return { words, slots, mask, seed };
  }

  private startOf(entry: number): number {
    return entry === 0 ? 0 : this.ends[entry - 1];
  }

  /** How many words of entries are in no slot. */
  private wordsOutside(): number {
    let count = 0;
    for (const [entry, text] of this.texts.entries()) {
      const size = wordsOf(text.length) + this.ends[entry] - this.startOf(entry);
      if (size > SLOT - TEXT) count += size;
    }
    return count;
  }
}

/** Words, as many as come. */
class WordList {
  length: number;
  private words = new Int32Array(1024);

  constructor(length: number) {
    this.length = length;
  }

  get all(): Int32Array {
    return this.words.subarray(0, this.length);
  }

  add(word: number): void {
    if (this.length === this.words.length) {
      const larger = new Int32Array(this.length * 2);
      larger.set(this.words);
      this.words = larger;
    }
    this.words[this.length++] = word;
  }
}

interface Table {
  readonly words: Int32Array;
  readonly slots: number;
  readonly mask: number;
  readonly seed: number;
}

/** At most half of the slots are used, so with an even hash hardly any entry is further than this from its own slot. */
const MAX_PROBES = 64;
/** A hash that is uneven under every seed is slow, not wrong. */
const MAX_SEEDS = 4;

/**
 * Large blocks of memory begin four words behind the start of a page where glibc hands them out, and slots should not
 * lie across two lines. Elsewhere they may; that costs a little time and nothing else.
 */
function firstSlotBehind(end: number): number {
  return Math.ceil((end + 4) / SLOT) * SLOT - 4;
}

class SlotFiller {
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;
  /** Behind all content that is in no slot. */
  private end: number;
  private readonly content: Int32Array;

  constructor(words: Int32Array, end: number, content: Int32Array) {
    this.words = words;
    this.bytes = new Uint8Array(words.buffer);
    this.end = end;
    this.content = content;
  }

  /** @param from where the content of the entry begins, and `to` where it ends. */
  fill(slot: number, hash: number, text: string, from: number, to: number): void {
    const { words } = this;
    if (wordsOf(text.length) + to - from <= SLOT - TEXT) {
      words[slot + LENGTH] = text.length;
      this.write(slot + TEXT, text, from, to);
    } else {
      words[slot + LENGTH] = ~text.length;
      words[slot + HASH] = hash;
      words[slot + REFERENCE] = this.end;
      this.end = this.write(this.end, text, from, to);
    }
  }

  private write(place: number, text: string, from: number, to: number): number {
    const { words, bytes, content } = this;
    for (let i = 0; i < text.length; i++) bytes[place * 4 + i] = text.charCodeAt(i);
    let end = place + wordsOf(text.length);
    for (let at = from; at < to; at++) words[end++] = content[at];
    return end;
  }
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
