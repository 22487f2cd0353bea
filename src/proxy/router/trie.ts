/**
 * The candidates of one host, sorted by path: exact paths in a map, patterns in a trie by segment, expressions and rules
 * for any path in lists. Only there while a router is made; it is written to a `PathIndex`, where requests find it.
 */
import type { PathPattern } from './pattern.ts';

/** A candidate, by its number. */
export type Id = number;

/** What no rank is above: that of a table or a node without candidates. */
export const NO_RANK = 0x7f_ff_ff_ff;

export class PathTable {
  /** The best rank in all of the table. */
  bestRank = NO_RANK;
  readonly exact = new Map<string, Id[]>();
  readonly root = new TrieNode();
  readonly regexes: Id[] = [];
  readonly anyPath: Id[] = [];

  /** @param pattern null for a candidate that is for any path. */
  add(pattern: PathPattern | 'regex' | null, id: Id, rank: number): void {
    this.bestRank = Math.min(this.bestRank, rank);
    if (pattern === null) this.anyPath.push(id);
    else if (pattern === 'regex') this.regexes.push(id);
    else if (pattern.exactPath !== null) this.addExact(pattern.exactPath, id);
    else this.addPattern(pattern, id, rank);
  }

  private addPattern({ segments, rest }: PathPattern, id: Id, rank: number): void {
    let node = this.root;
    node.bestRank = Math.min(node.bestRank, rank);
    for (const segment of segments) {
      node = node.child(segment);
      node.bestRank = Math.min(node.bestRank, rank);
    }
    if (rest === null) (node.ends ??= []).push(id);
    else (node.rests ??= []).push(id);
  }

  private addExact(path: string, id: Id): void {
    const list = this.exact.get(path);
    if (list === undefined) this.exact.set(path, [id]);
    else list.push(id);
  }
}

/** What the segments so far have led to. */
export class TrieNode {
  /** The best rank here and below. */
  bestRank = NO_RANK;
  literals: Map<string, TrieNode> | null = null;
  /** For any one segment that is not empty. */
  param: TrieNode | null = null;
  /** Candidates whose pattern ends here. */
  ends: Id[] | null = null;
  /** Candidates whose pattern leaves open what follows. */
  rests: Id[] | null = null;

  /** The node behind a segment, null for any; made when it is not there. */
  child(segment: string | null): TrieNode {
    if (segment === null) return (this.param ??= new TrieNode());
    this.literals ??= new Map();
    let node = this.literals.get(segment);
    if (node === undefined) {
      node = new TrieNode();
      this.literals.set(segment, node);
    }
    return node;
  }
}
