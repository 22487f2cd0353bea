/** Looks for the best candidate for one request, table by table, and leaves out whatever cannot be better any more. */
import type { CandidateKind } from './candidate-kind.ts';
import { compareText } from './specificity.ts';
import type { PathIndex } from './path-index.ts';
import { QueryValues } from './query-values.ts';
import type { RoutableRequest, RouteRule } from './route-rule.ts';
import {
  ANY_COUNT,
  END_COUNT,
  EXACT_COUNT,
  EXACT_PATHS,
  EXACT_WAYS,
  LITERALS,
  NODE_RANK,
  NODE_WAYS,
  PARAM,
  REGEX_COUNT,
  REST_COUNT,
  ROOT,
  TABLE_RANK,
  TABLE_WAYS,
  WAY_ID,
  WAY_KIND,
  WAY_RANK,
  WAY_WORDS,
} from './router-index.ts';
import { type Id, NO_RANK } from './trie.ts';

const SLASH = 0x2f;

/** Scratch for one request at a time; one is kept and used again and again. */
export class Search {
  /** The best candidate so far that matches the request, or -1; and its kind. */
  best: Id = -1;
  bestKind: CandidateKind | null = null;
  /** Where all candidates that match are put, instead of the best one into `best`; usually null. */
  all: Id[] | null = null;
  /** While there is no best one: candidates that would match if the method were another. */
  readonly methodRefused: CandidateKind[] = [];
  /** How many tables, nodes and candidates were looked at. */
  steps = 0;

  private readonly index: PathIndex;
  private readonly words: Int32Array;
  private readonly kinds: readonly CandidateKind[];
  /** The rules of the candidates. */
  private readonly rules: readonly RouteRule<unknown>[];
  private bestRank = NO_RANK;
  private request: RoutableRequest | null = null;
  private path = '';
  /** The method that a CORS preflight asks for; empty for every other request. */
  private requestedMethod = '';
  private readonly query = new QueryValues();

  constructor(index: PathIndex, kinds: readonly CandidateKind[], rules: readonly RouteRule<unknown>[]) {
    this.index = index;
    this.words = index.words;
    this.kinds = kinds;
    this.rules = rules;
  }

  begin(request: RoutableRequest): void {
    this.best = -1;
    this.bestKind = null;
    this.bestRank = NO_RANK;
    // To set the length costs more than to look at it.
    if (this.methodRefused.length > 0) this.methodRefused.length = 0;
    this.steps = 0;
    this.request = request;
    this.requestedMethod = request.method === 'OPTIONS' ? preflightMethod(request) : '';
    this.query.reset(request.query);
  }

  /** Tries the candidates of the table at a place on a path. */
  visit(table: number, path: string): void {
    const { words } = this;
    this.steps++;
    if (words[table + TABLE_RANK] > this.bestRank) return;
    this.path = path;
    const regexCount = words[table + REGEX_COUNT];
    // `OPTIONS *` has no path, so nothing that is said of paths matches it, not even what leaves everything open.
    if (path.charCodeAt(0) === SLASH) {
      const exactPaths = words[table + EXACT_PATHS];
      const exact = exactPaths === 0 ? 0 : this.index.find(exactPaths, path, 0, path.length);
      if (exact !== 0) this.tryAll(exact + EXACT_WAYS, words[exact + EXACT_COUNT]);
      this.walk(words[table + ROOT], 0);
      this.tryAll(table + TABLE_WAYS, regexCount);
    }
    this.tryAll(table + TABLE_WAYS + regexCount * WAY_WORDS, words[table + ANY_COUNT]);
  }

  /** @param slash where the next segment begins, with its slash; the length of the path when there is none. */
  private walk(node: number, slash: number): void {
    const { words, path } = this;
    if (words[node + NODE_RANK] > this.bestRank) return;
    this.steps++;
    const ends = words[node + END_COUNT];
    if (slash < path.length) {
      const next = path.indexOf('/', slash + 1);
      const end = next === -1 ? path.length : next;
      const literals = words[node + LITERALS];
      const literal = literals === 0 ? 0 : this.index.find(literals, path, slash + 1, end);
      if (literal !== 0) this.walk(literal, end);
      const param = words[node + PARAM];
      if (param !== 0 && end > slash + 1) this.walk(param, end);
    } else {
      this.tryAll(node + NODE_WAYS, ends);
    }
    this.tryAll(node + NODE_WAYS + ends * WAY_WORDS, words[node + REST_COUNT]);
  }

  /** Tries candidates whose path patterns match; the best goes first. */
  private tryAll(first: number, count: number): void {
    const { words } = this;
    for (let way = first; way < first + count * WAY_WORDS; way += WAY_WORDS) {
      const rank = words[way + WAY_RANK];
      if (rank > this.bestRank) return;
      this.steps++;
      const id = words[way + WAY_ID];
      const kind = this.kinds[words[way + WAY_KIND]];
      if (rank === this.bestRank && !this.isBeforeBest(id, kind)) continue;
      if (this.acceptsMethod(kind)) {
        if (!this.isMatch(kind)) continue;
        if (this.all !== null) {
          this.all.push(id);
          continue;
        }
        this.best = id;
        this.bestKind = kind;
        this.bestRank = rank;
        // What follows in the list is not better, but for a preflight.
        if (this.requestedMethod === '') return;
      } else if (this.best === -1 && this.isMatch(kind)) {
        this.methodRefused.push(kind);
      }
    }
  }

  /**
   * Whether a candidate that nothing but names tells from the best one goes before it. Among those for one preflight, one
   * that lists OPTIONS itself goes first. Two of one rule stand in one list, in their order.
   */
  private isBeforeBest(id: Id, kind: CandidateKind): boolean {
    if (this.requestedMethod !== '') {
      const first = listsOptions(kind);
      if (first !== listsOptions(this.bestKind!)) return first;
    }
    return compareText(this.rules[id].name, this.rules[this.best].name) < 0;
  }

  private acceptsMethod({ methods, answersPreflight }: CandidateKind): boolean {
    if (methods === null || methods.includes(this.request!.method)) return true;
    return this.requestedMethod !== '' && answersPreflight && methods.includes(this.requestedMethod);
  }

  /** Whether all holds but for host, pattern and method, which were looked at before. */
  private isMatch({ conditions, regex }: CandidateKind): boolean {
    if (conditions !== null && !conditions.hold(this.request!, this.query)) return false;
    return regex === null || regex.test(this.path);
  }
}

const listsOptions = ({ methods }: CandidateKind): boolean => methods !== null && methods.includes('OPTIONS');

/** The method that a CORS preflight asks for (Fetch standard, section 3.3.2: CORS-preflight request), or empty. */
function preflightMethod({ headers }: RoutableRequest): string {
  const method = headers.get('access-control-request-method');
  return method === undefined || !headers.has('origin') ? '' : method;
}
