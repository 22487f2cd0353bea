/**
 * Remembers what was expensive to find out: a bounded number of results, each until its time is over. Two generations
 * instead of a list in order of use: what is asked for moves to the young one, and when that is full the old one goes. So
 * a hit costs one look into a map, and what is used stays.
 */
export class ExpiringCache<T> {
  private readonly maxPerGeneration: number;
  private young = new Map<string, Entry<T>>();
  private old = new Map<string, Entry<T>>();

  /** @param maxEntries the most that are ever remembered. */
  constructor(maxEntries: number) {
    this.maxPerGeneration = Math.max(1, Math.floor(maxEntries / 2));
  }

  /** @param now in the time that `set` was given; entries of that time are over. */
  get(key: string, now: number): T | undefined {
    let entry = this.young.get(key);
    if (entry === undefined) {
      entry = this.old.get(key);
      if (entry === undefined) return undefined;
      this.old.delete(key);
      if (now < entry.until) this.put(key, entry);
    }
    if (now < entry.until) return entry.value;
    this.young.delete(key);
    return undefined;
  }

  /** @param key must not be cut out of a larger text, which it would keep alive. */
  set(key: string, value: T, until: number): void {
    this.old.delete(key);
    this.put(key, { value, until });
  }

  delete(key: string): void {
    this.young.delete(key);
    this.old.delete(key);
  }

  clear(): void {
    this.young.clear();
    this.old.clear();
  }

  get size(): number {
    return this.young.size + this.old.size;
  }

  private put(key: string, entry: Entry<T>): void {
    if (this.young.size >= this.maxPerGeneration && !this.young.has(key)) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(key, entry);
  }
}

interface Entry<T> {
  readonly value: T;
  readonly until: number;
}
