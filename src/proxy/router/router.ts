/**
 * Station 3: from a request to the one rule that wins (CONFIG.md, section 2: the order of specificity.ts). What it costs
 * depends on the request and on the rules that could match it, not on how many others there are.
 */
import { type Candidate, compareCandidates, rankedCandidates } from './candidate.ts';
import { captureParams } from './pattern.ts';
import type { RoutableRequest, RouteResult, RouteRule } from './route-rule.ts';
import { Search } from './search.ts';
import { PathTable } from './trie.ts';

export type { RoutableRequest, RouteMatch, RouteResult, RouteRule, ValueCondition } from './route-rule.ts';

/** The candidates of one host, or of one wildcard. */
class HostTable<T> {
  /** For the path in which empty segments were merged. */
  merged: PathTable<Candidate<T>> | null = null;
  /** For the path as it was before, of rules with `emptySegments: keep`. */
  unmerged: PathTable<Candidate<T>> | null = null;

  add(candidate: Candidate<T>): void {
    const keepsEmptySegments = candidate.rule.match.emptySegments === 'keep';
    const table = keepsEmptySegments ? (this.unmerged ??= new PathTable()) : (this.merged ??= new PathTable());
    table.add(candidate.regex === null ? candidate.pattern : 'regex', candidate);
  }

  sort(): void {
    this.merged?.sort(compareCandidates);
    this.unmerged?.sort(compareCandidates);
  }
}

/** The rules of one snapshot, compiled; immutable. */
export class Router<T> {
  private readonly hosts = new Map<string, HostTable<T>>();
  /** By what follows the `*.`. */
  private readonly wildcards = new Map<string, HostTable<T>>();
  private readonly anyHost = new HostTable<T>();
  private readonly search = new Search<T>();

  private constructor(candidates: readonly Candidate<T>[]) {
    for (const candidate of candidates) this.tableFor(candidate.host).add(candidate);
    for (const table of this.hosts.values()) table.sort();
    for (const table of this.wildcards.values()) table.sort();
    this.anyHost.sort();
  }

  /** @throws {TypeError} naming a rule with a path or a regular expression that is not valid. */
  static compile<T>(rules: readonly RouteRule<T>[]): Router<T> {
    return Router.of(rankedCandidates(rules));
  }

  /** @param candidates of all rules, ranked together. */
  static of<T>(candidates: readonly Candidate<T>[]): Router<T> {
    return new Router(candidates);
  }

  /** How many tables, nodes and candidates the last match looked at. */
  get steps(): number {
    return this.search.steps;
  }

  match(request: RoutableRequest): RouteResult<T> {
    const { search } = this;
    this.run(request);
    const { best } = search;
    if (best === null) return methodNotAllowed(search.methodRefused);
    if (best.found !== null) return best.found;
    const { rule, pattern } = best;
    const path = rule.match.emptySegments === 'keep' ? request.unmergedPath : request.path;
    return { kind: 'route', rule, params: captureParams(pattern!, path) };
  }

  /** All candidates that match, also those that do not win, in no order; for analyses. */
  matchAll(request: RoutableRequest): readonly Candidate<T>[] {
    const all: Candidate<T>[] = [];
    this.search.all = all;
    this.run(request);
    this.search.all = null;
    return all;
  }

  private run(request: RoutableRequest): void {
    this.search.begin(request);
    const { host } = request;
    this.visit(this.hosts.get(host), request);
    if (this.wildcards.size > 0) {
      // From the longest; a wildcard stands for at least one character (`.example.com` is no name).
      for (let dot = host.indexOf('.', 1); dot !== -1; dot = host.indexOf('.', dot + 1)) {
        this.visit(this.wildcards.get(host.substring(dot + 1)), request);
      }
    }
    this.visit(this.anyHost, request);
  }

  private visit(table: HostTable<T> | undefined, request: RoutableRequest): void {
    if (table === undefined) return;
    if (table.merged !== null) this.search.visit(table.merged, request.matchPath);
    if (table.unmerged !== null) this.search.visit(table.unmerged, request.unmergedMatchPath);
  }

  private tableFor(host: string | null): HostTable<T> {
    if (host === null) return this.anyHost;
    const isWildcard = host.startsWith('*.');
    const tables = isWildcard ? this.wildcards : this.hosts;
    const key = isWildcard ? host.slice(2) : host;
    let table = tables.get(key);
    if (table === undefined) {
      table = new HostTable<T>();
      tables.set(key, table);
    }
    return table;
  }
}

function methodNotAllowed<T>(refused: readonly Candidate<T>[]): RouteResult<T> {
  if (refused.length === 0) return null;
  const allowed = new Set(refused.flatMap((candidate) => candidate.rule.match.methods ?? []));
  return { kind: 'method', allowed: [...allowed].toSorted() };
}
