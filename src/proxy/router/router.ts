/**
 * Station 3: from a request to the one rule that wins (CONFIG.md, section 2: the order of specificity.ts). What it costs
 * depends on the request and on the rules that could match it, not on how many others there are.
 */
import { randomInt } from 'node:crypto';
import { atOnce, type Steps } from '../../util/pace.ts';
import { type Candidate, rankedCandidates } from './candidate.ts';
import type { CandidateKind } from './candidate-kind.ts';
import { type TextHash, mixedHash } from './path-index.ts';
import { captureParams } from './pattern.ts';
import type { RoutableRequest, RouteFound, RouteResult, RouteRule } from './route-rule.ts';
import { EXACT_HOSTS, MERGED, type RouterIndex, UNMERGED, WILDCARD_HOSTS, buildIndex } from './router-index.ts';
import { Search } from './search.ts';

export type { RoutableRequest, RouteMatch, RouteResult, RouteRule, ValueCondition } from './route-rule.ts';

/** The rules of one snapshot, compiled; immutable. */
export class Router<T, S = unknown> {
  private readonly tables: RouterIndex;
  private readonly search: Search;
  /** Of all candidates. */
  private readonly rules: readonly RouteRule<T, S>[];
  private readonly values: readonly T[];
  /** Not kept by itself: only analyses want to know what else there was. */
  private candidates: readonly Candidate<T, S>[] | null = null;

  private found: Found<T, S> | null = null;

  private constructor(candidates: readonly Candidate<T, S>[], tables: RouterIndex) {
    this.tables = tables;
    this.rules = candidates.map(({ rule }) => rule);
    this.values = candidates.map(({ rule }) => rule.value);
    this.search = new Search(this.tables.index, this.tables.kinds, this.rules);
  }

  /**
   * @param hash by which hosts and segments are found; another one than the usual is for tests.
   * @throws {TypeError} naming a rule with a path or a regular expression that is not valid.
   */
  static compile<T, S>(rules: readonly RouteRule<T, S>[], hash: TextHash = mixedHash): Router<T, S> {
    return atOnce(Router.compileInSteps(rules, hash));
  }

  /** As `compile`, for a thread that serves meanwhile. */
  static *compileInSteps<T, S>(rules: readonly RouteRule<T, S>[], hash: TextHash = mixedHash): Steps<Router<T, S>> {
    const candidates = yield* rankedCandidates(rules);
    return new Router(candidates, yield* buildIndex(candidates, hash, randomSeed));
  }

  /** @param candidates of all rules, ranked together. */
  static of<T, S>(candidates: readonly Candidate<T, S>[]): Router<T, S> {
    const router = new Router(candidates, atOnce(buildIndex(candidates, mixedHash, randomSeed)));
    router.candidates = candidates;
    return router;
  }

  /** How many tables, nodes and candidates the last match looked at. */
  get steps(): number {
    return this.search.steps;
  }

  /** @returns what is good until the next match. */
  match(request: RoutableRequest): RouteResult<T, S> {
    const { search } = this;
    this.run(request);
    const { best, bestKind } = search;
    if (bestKind === null) return methodNotAllowed(search.methodRefused);
    const { captures, emptySegments } = bestKind;
    const path = emptySegments === 'keep' ? request.unmergedPath : request.path;
    const found = (this.found ??= new Found(this.rules, this.values));
    found.set(best, bestKind, captures === null ? noParams : captureParams(captures, path));
    return found;
  }

  /** The value of the rule with the number that an answer gave. */
  valueOf(number: number): T {
    return this.values[number];
  }

  /** All candidates that match, also those that do not win, in no order; for analyses. */
  matchAll(request: RoutableRequest): readonly Candidate<T, S>[] {
    const all: number[] = [];
    this.search.all = all;
    this.run(request);
    this.search.all = null;
    const candidates = (this.candidates ??= atOnce(rankedCandidates([...new Set(this.rules)])));
    return all.map((id) => candidates[id]);
  }

  private run(request: RoutableRequest): void {
    const { index, hasHosts, hasWildcards, anyHost } = this.tables;
    this.search.begin(request);
    const { host } = request;
    if (hasHosts) this.visit(index.find(EXACT_HOSTS, host, 0, host.length), request);
    if (hasWildcards) {
      // From the longest; a wildcard stands for at least one character (`.example.com` is no name).
      for (let dot = host.indexOf('.', 1); dot !== -1; dot = host.indexOf('.', dot + 1)) {
        this.visit(index.find(WILDCARD_HOSTS, host, dot + 1, host.length), request);
      }
    }
    this.visit(anyHost, request);
  }

  /** @param host the place of its content, or 0. */
  private visit(host: number, request: RoutableRequest): void {
    if (host === 0) return;
    const { words } = this.tables.index;
    const merged = words[host + MERGED];
    if (merged !== 0) this.search.visit(merged, request.matchPath);
    const unmerged = words[host + UNMERGED];
    if (unmerged !== 0) this.search.visit(unmerged, request.unmergedMatchPath);
  }
}

const noParams: RouteFound<unknown>['params'] = Object.freeze({});

const randomSeed = (): number => randomInt(2 ** 31);

/**
 * One for each router, filled again by each match. What it says of the rule is known without it; the rule itself is only
 * looked up for whoever asks.
 */
class Found<T, S> implements RouteFound<T, S> {
  readonly kind = 'route';
  shared: S;
  params = noParams;
  encodedSlash: RouteFound<T>['encodedSlash'] = 'refuse';
  emptySegments: RouteFound<T>['emptySegments'] = 'merge';
  // Not compared by who compares answers: two routers number their rules in different ways.
  readonly #rules: readonly RouteRule<T, S>[];
  readonly #values: readonly T[];
  #id = 0;

  constructor(rules: readonly RouteRule<T, S>[], values: readonly T[]) {
    this.#rules = rules;
    this.#values = values;
    this.shared = rules[0].shared;
  }

  get rule(): RouteRule<T, S> {
    return this.#rules[this.#id];
  }

  get value(): T {
    return this.#values[this.#id];
  }

  get number(): number {
    return this.#id;
  }

  /** @param params what the candidate of this number captured. */
  set(id: number, kind: CandidateKind, params: RouteFound<T>['params']): void {
    const { shared, encodedSlash, emptySegments } = kind;
    this.#id = id;
    // It came with one of the rules.
    this.shared = shared as S;
    this.encodedSlash = encodedSlash;
    this.emptySegments = emptySegments;
    this.params = params;
  }
}

function methodNotAllowed(refused: readonly CandidateKind[]): RouteResult<never, never> {
  if (refused.length === 0) return null;
  const allowed = new Set(refused.flatMap(({ methods }) => methods ?? []));
  return { kind: 'method', allowed: [...allowed].toSorted() };
}
