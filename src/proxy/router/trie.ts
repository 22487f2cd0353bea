/**
 * Where the candidates of one host are found by path: exact paths in a map, patterns in a trie by segment, expressions
 * and rules for any path in lists. Filled once, then only read.
 */
import type { PathPattern } from './pattern.ts';

/** What is found. */
export interface Ranked {
  /** Lower is better. */
  readonly rank: number;
}

/** Each list is sorted, best first, once the table is filled. */
export class PathTable<C extends Ranked> {
  /** The best rank in all of the table. */
  minRank = Infinity;
  readonly exact = new Map<string, C[]>();
  readonly root = new TrieNode<C>();
  readonly regexes: C[] = [];
  readonly anyPath: C[] = [];

  /** @param pattern null for a candidate that is for any path. */
  add(pattern: PathPattern | 'regex' | null, candidate: C): void {
    this.minRank = Math.min(this.minRank, candidate.rank);
    if (pattern === null) this.anyPath.push(candidate);
    else if (pattern === 'regex') this.regexes.push(candidate);
    else if (pattern.exactPath !== null) this.addExact(pattern.exactPath, candidate);
    else this.root.add(pattern, candidate);
  }

  private addExact(path: string, candidate: C): void {
    const list = this.exact.get(path);
    if (list === undefined) this.exact.set(path, [candidate]);
    else list.push(candidate);
  }

  /** Sorts all lists. */
  sort(compare: (a: C, b: C) => number): void {
    for (const list of this.exact.values()) sortList(list, compare);
    sortList(this.regexes, compare);
    sortList(this.anyPath, compare);
    this.root.sort(compare);
  }
}

/** What the segments so far have led to. */
export class TrieNode<C extends Ranked> {
  /** The best rank here and below. */
  minRank = Infinity;
  literals: Map<string, TrieNode<C>> | null = null;
  /** For any one segment that is not empty. */
  param: TrieNode<C> | null = null;
  /** Candidates whose pattern ends here. */
  ends: C[] | null = null;
  /** Candidates whose pattern leaves open what follows. */
  rests: C[] | null = null;

  add(pattern: PathPattern, candidate: C): void {
    this.addBehind(0, pattern, candidate);
  }

  /** @param depth how many segments of the pattern have led here. */
  private addBehind(depth: number, pattern: PathPattern, candidate: C): void {
    this.minRank = Math.min(this.minRank, candidate.rank);
    if (depth < pattern.segments.length) this.child(pattern.segments[depth]).addBehind(depth + 1, pattern, candidate);
    else if (pattern.rest === null) (this.ends ??= []).push(candidate);
    else (this.rests ??= []).push(candidate);
  }

  sort(compare: (a: C, b: C) => number): void {
    if (this.ends !== null) sortList(this.ends, compare);
    if (this.rests !== null) sortList(this.rests, compare);
    this.param?.sort(compare);
    if (this.literals !== null) for (const node of this.literals.values()) node.sort(compare);
  }

  private child(segment: string | null): TrieNode<C> {
    if (segment === null) return (this.param ??= new TrieNode<C>());
    this.literals ??= new Map();
    let node = this.literals.get(segment);
    if (node === undefined) {
      node = new TrieNode<C>();
      this.literals.set(segment, node);
    }
    return node;
  }
}

function sortList<C>(list: C[], compare: (a: C, b: C) => number): void {
  if (list.length > 1) list.sort(compare);
}
