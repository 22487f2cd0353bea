/**
 * The candidates of a router in flat memory: for each host its tables, for each table a trie by segment. What the words
 * of an entry mean is said here; who reads them is the search.
 */
import { type Candidate, compareCandidates } from './candidate.ts';
import { type CandidateKind, CandidateKinds } from './candidate-kind.ts';
import { type PathIndex, PathIndexWriter, type TextHash } from './path-index.ts';
import { type Id, PathTable, type TrieNode } from './trie.ts';

/** Parents of the entries of hosts; a wildcard is entered by what follows its `*.`. */
export const EXACT_HOSTS = 1;
export const WILDCARD_HOSTS = 2;
const ANY_HOST = 3;

/**
 * Words of a host: the places of its two tables, or 0. One for the path in which empty segments were merged, one for the
 * path as it was before, of rules with `emptySegments: keep`.
 */
export const MERGED = 0;
export const UNMERGED = 1;

/**
 * Words of a table, before the ways of its expressions and then those for any path. An exact path is an entry behind the
 * table with the content of a node.
 */
export const TABLE_RANK = 0;
export const ROOT = 1;
export const HAS_EXACT = 2;
export const REGEX_COUNT = 3;
export const ANY_COUNT = 4;
export const TABLE_WAYS = 5;

/** Words of a node, before the ways that end here and then those that leave open what follows. */
export const NODE_RANK = 0;
/** The place of the node for any one segment that is not empty, or 0. */
export const PARAM = 1;
export const HAS_LITERALS = 2;
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
export function buildIndex(
  candidates: readonly Candidate<unknown>[],
  hash: TextHash,
  seeds: () => number,
): RouterIndex {
  const hosts = new Map<string, HostTables>();
  const wildcards = new Map<string, HostTables>();
  const anyHost = new HostTables();
  for (const [id, candidate] of candidates.entries()) {
    const { host } = candidate;
    if (host === null) anyHost.add(candidate, id);
    else if (host.startsWith('*.')) tablesOf(wildcards, host.slice(2)).add(candidate, id);
    else tablesOf(hosts, host).add(candidate, id);
  }
  const writer = new RouterWriter(candidates);
  const anyPlace = writer.writeHost(ANY_HOST, '', anyHost);
  for (const [host, tables] of hosts) writer.writeHost(EXACT_HOSTS, host, tables);
  for (const [host, tables] of wildcards) writer.writeHost(WILDCARD_HOSTS, host, tables);
  return {
    index: writer.index.finish(hash, seeds),
    kinds: writer.kinds.all,
    hasHosts: hosts.size > 0,
    hasWildcards: wildcards.size > 0,
    anyHost: anyPlace,
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

const none: readonly Id[] = [];

class RouterWriter {
  readonly index = new PathIndexWriter();
  readonly kinds = new CandidateKinds();
  private readonly candidates: readonly Candidate<unknown>[];

  constructor(candidates: readonly Candidate<unknown>[]) {
    this.candidates = candidates;
  }

  writeHost(kind: number, host: string, { merged, unmerged }: HostTables): number {
    const place = this.index.begin(kind, host);
    this.index.write(0, 0);
    if (merged !== null) this.index.patch(place + MERGED, this.writeTable(merged));
    if (unmerged !== null) this.index.patch(place + UNMERGED, this.writeTable(unmerged));
    return place;
  }

  private writeTable({ bestRank, root, exact, regexes, anyPath }: PathTable): number {
    const place = this.index.write(bestRank, 0, exact.size === 0 ? 0 : 1, regexes.length, anyPath.length);
    this.writeWays(regexes);
    this.writeWays(anyPath);
    // Only what is looked up by a text is an entry; the root is just behind its table.
    this.index.patch(place + ROOT, this.writeNodes(root));
    for (const [path, ends] of exact) {
      const best = Math.min(...ends.map((id) => this.candidates[id].rank));
      this.index.begin(place, path);
      this.index.write(best, 0, 0, ends.length, 0);
      this.writeWays(ends);
    }
    return place;
  }

  /** Writes a node and all nodes below it, each before those below it, without recursion: a path may be long. */
  private writeNodes(root: TrieNode): number {
    const first = this.writeOne(root);
    const open: { readonly node: TrieNode; readonly place: number }[] = [{ node: root, place: first }];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { node, place } = next;
      if (node.param !== null) {
        const below = this.writeOne(node.param);
        this.index.patch(place + PARAM, below);
        open.push({ node: node.param, place: below });
      }
      if (node.literals === null) continue;
      for (const [segment, child] of node.literals) {
        this.index.begin(place, segment);
        open.push({ node: child, place: this.writeOne(child) });
      }
    }
    return first;
  }

  private writeOne({ bestRank, literals, ends, rests }: TrieNode): number {
    const [endIds, restIds] = [ends ?? none, rests ?? none];
    const place = this.index.write(bestRank, 0, literals === null ? 0 : 1, endIds.length, restIds.length);
    this.writeWays(endIds);
    this.writeWays(restIds);
    return place;
  }

  private writeWays(ids: readonly Id[]): void {
    const { candidates } = this;
    const sorted = ids.length > 1 ? ids.toSorted((a, b) => compareCandidates(candidates[a], candidates[b])) : ids;
    for (const id of sorted) this.index.write(id, candidates[id].rank, this.kinds.numberOf(candidates[id]));
  }
}
