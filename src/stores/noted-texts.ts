/** What all threads have seen and must not take twice, or again: `SharedMemory` over one table for all names. */
import type { SharedMemory } from '../contract.ts';
import { SharedTable, type TableDecision } from '../util/shared-table.ts';

/**
 * Texts that live at a time before those that end first make room: nonces of five minutes at 400 a second. Memory that
 * was never written to costs nothing.
 */
const capacity = 131_072;

export class NotedTexts {
  private readonly table: SharedTable;
  private readonly now: () => number;
  private readonly note = new Note();
  private readonly look = new Look();

  /** @param threads how many may live at a time. */
  static create(threads: number, shape: { readonly capacity: number } = { capacity }): SharedArrayBuffer {
    return SharedTable.create({ capacity: shape.capacity, words: 1, threads });
  }

  /**
   * @param seat a number that no other living thread has.
   * @param now monotonic milliseconds, the same for all threads.
   */
  constructor(buffer: SharedArrayBuffer, seat: number, now: () => number) {
    this.table = SharedTable.attach(buffer, seat);
    this.now = now;
  }

  /** The same as `evicted`, for whoever is none of the threads. */
  static evictedIn(buffer: SharedArrayBuffer): number {
    return SharedTable.evictedIn(buffer);
  }

  /** Texts that were forgotten before their time. */
  get evicted(): number {
    return this.table.evicted;
  }

  named(name: string): SharedMemory {
    // The length in front: no name and text are together those of another (CVE-2023-35941).
    const prefix = `${name.length}:${name}`;
    return {
      add: (text, untilMs) => this.add(prefix + text, untilMs),
      has: (text) => this.has(prefix + text),
    };
  }

  private add(key: string, untilMs: number): boolean {
    const { note } = this;
    note.untilMs = untilMs;
    // One that could not be noted may have been there: what is used up or ended must not be taken for new.
    return this.table.update(key, this.now(), note) && note.isFirst;
  }

  private has(key: string): boolean {
    return !this.table.update(key, this.now(), this.look) || this.look.isThere;
  }
}

class Note implements TableDecision {
  untilMs = 0;
  isFirst = false;

  decide(words: Float64Array, isNew: boolean): number {
    this.isFirst = isNew;
    if (!isNew && words[0] >= this.untilMs) return NaN;
    words[0] = this.untilMs;
    return this.untilMs;
  }
}

class Look implements TableDecision {
  isThere = false;

  decide(_words: Float64Array, isNew: boolean): number {
    this.isThere = !isNew;
    return NaN;
  }
}
