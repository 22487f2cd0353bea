/**
 * The candidates of a router in flat memory: for each host its tables, for each table a trie by segment. What the words
 * of an entry mean is said here; who reads them is the search.
 */
import type { Steps } from '../../util/pace.ts';
import { type Candidate, compareCandidates } from './candidate.ts';
import { type CandidateKind, CandidateKinds } from './candidate-kind.ts';
import { type PathIndex, PathIndexWriter, type TextHash } from './path-index.ts';
import { type Id, PathTable, type TrieNode } from './trie.ts';

/** Parents of the entries of hosts; a wildcard is entered by what follows its `*.`. */
export const EXACT_HOSTS = 1;
export const WILDCARD_HOSTS = 2;
const FIRST_PARENT = 3;

/**
 * Words of a host: the places of its two tables, or 0. One for the path in which empty segments were merged, one for the
 * path as it was before, of rules with `emptySegments: keep`.
 */
export const MERGED = 0;
export const UNMERGED = 1;

/** Words of a table, before the ways of its expressions and then those for any path. */
export const TABLE_RANK = 0;
/** The place of the node where the trie begins. */
export const ROOT = 1;
/** The parent of the entries of its exact paths, or 0 when it has none. */
export const EXACT_PATHS = 2;
export const REGEX_COUNT = 3;
export const ANY_COUNT = 4;
export const TABLE_WAYS = 5;

/** Words of an exact path, before its ways. */
export const EXACT_COUNT = 0;
export const EXACT_WAYS = 1;

/** Words of a node, before the ways that end here and then those that leave open what follows. */
export const NODE_RANK = 0;
/** The place of the node for any one segment that is not empty, or 0. */
export const PARAM = 1;
/** The parent of the entries of the nodes behind it, or 0 when there are none. */
export const LITERALS = 2;
export const END_COUNT = 3;
export const REST_COUNT = 4;
export const NODE_WAYS = 5;

/** Words of a way, which is all that has to be known of a candidate whose host and path match. The best is first. */
export const WAY_ID = 0;
export const WAY_RANK = 1;
export const WAY_KIND = 2;
export const WAY_WORDS = 3;

export interface RouterIndex {
  readonly index: PathIndex;
  readonly kinds: readonly CandidateKind[];
  readonly hasHosts: boolean;
  readonly hasWildcards: boolean;
  /** The place of the content of the host that stands for any. */
  readonly anyHost: number;
}

/** The candidates of one host, or of one wildcard. */
class HostTables {
  merged: PathTable | null = null;
  unmerged: PathTable | null = null;

  add({ rule, pattern, regex, rank }: Candidate<unknown>, id: Id): void {
    const keepsEmptySegments = rule.match.emptySegments === 'keep';
    const table = keepsEmptySegments ? (this.unmerged ??= new PathTable()) : (this.merged ??= new PathTable());
    table.add(regex === null ? pattern : 'regex', id, rank);
  }
}

/** @param candidates are known by their place in this list. */
export function* buildIndex(
  candidates: readonly Candidate<unknown>[],
  hash: TextHash,
  nextSeed: () => number,
): Steps<RouterIndex> {
  const hosts = new Map<string, HostTables>();
  const wildcards = new Map<string, HostTables>();
  const anyHost = new HostTables();
  for (const [id, candidate] of candidates.entries()) {
    const { host } = candidate;
    if (host === null) anyHost.add(candidate, id);
    else if (host.startsWith('*.')) tablesOf(wildcards, host.slice(2)).add(candidate, id);
    else tablesOf(hosts, host).add(candidate, id);
    yield;
  }
  const writer = new RouterWriter(candidates);
  for (const [host, tables] of hosts) yield* writer.addHost(EXACT_HOSTS, host, tables);
  for (const [host, tables] of wildcards) yield* writer.addHost(WILDCARD_HOSTS, host, tables);
  return {
    anyHost: yield* writer.addAnyHost(anyHost),
    index: yield* writer.index.finish(hash, nextSeed),
    kinds: writer.kinds.all,
    hasHosts: hosts.size > 0,
    hasWildcards: wildcards.size > 0,
  };
}

function tablesOf(hosts: Map<string, HostTables>, host: string): HostTables {
  let tables = hosts.get(host);
  if (tables === undefined) {
    tables = new HostTables();
    hosts.set(host, tables);
  }
  return tables;
}

class RouterWriter {
  readonly index = new PathIndexWriter();
  readonly kinds = new CandidateKinds();
  private readonly candidates: readonly Candidate<unknown>[];
  private nextParent = FIRST_PARENT;

  constructor(candidates: readonly Candidate<unknown>[]) {
    this.candidates = candidates;
  }

  *addHost(parent: number, host: string, tables: HostTables): Steps<void> {
    yield* this.writeHost(tables);
    this.index.endEntry(parent, host);
  }

  /** Returns the place of its content. */
  *addAnyHost(tables: HostTables): Steps<number> {
    yield* this.writeHost(tables);
    return this.index.endContent();
  }

  private *writeHost({ merged, unmerged }: HostTables): Steps<void> {
    const mergedPlace = merged === null ? 0 : yield* this.addTable(merged);
    const unmergedPlace = unmerged === null ? 0 : yield* this.addTable(unmerged);
    this.index.write(mergedPlace);
    this.index.write(unmergedPlace);
  }

  private *addTable({ bestRank, root, exact, regexes, anyPath }: PathTable): Steps<number> {
    const { index } = this;
    const parent = exact.size === 0 ? 0 : this.nextParent++;
    for (const [path, ids] of exact) {
      index.write(ids.length);
      this.writeWays(ids);
      index.endEntry(parent, path);
      yield;
    }
    yield* this.writeNode(root);
    const place = index.endContent();
    index.write(bestRank);
    index.write(place);
    index.write(parent);
    index.write(regexes.length);
    index.write(anyPath.length);
    this.writeWays(regexes);
    this.writeWays(anyPath);
    return index.endContent();
  }

  /** Adds all nodes below a node, and then writes its content. */
  private *writeNode({ bestRank, literals, param, ends, rests }: TrieNode): Steps<void> {
    const { index } = this;
    const parent = literals === null ? 0 : this.nextParent++;
    if (literals !== null) {
      for (const [segment, node] of literals) {
        yield* this.writeNode(node);
        index.endEntry(parent, segment);
        yield;
      }
    }
    if (param !== null) yield* this.writeNode(param);
    const paramPlace = param === null ? 0 : index.endContent();
    index.write(bestRank);
    index.write(paramPlace);
    index.write(parent);
    index.write(ends?.length ?? 0);
    index.write(rests?.length ?? 0);
    if (ends !== null) this.writeWays(ends);
    if (rests !== null) this.writeWays(rests);
  }

  private writeWays(ids: readonly Id[]): void {
    const { candidates, index } = this;
    const sorted = ids.length > 1 ? ids.toSorted((a, b) => compareCandidates(candidates[a], candidates[b])) : ids;
    for (const id of sorted) {
      index.write(id);
      index.write(candidates[id].rank);
      index.write(this.kinds.numberOf(candidates[id]));
    }
  }
}
