/** Looks for the best candidate for one request, table by table, and leaves out whatever cannot be better any more. */
import { type Candidate, compareCandidates } from './candidate.ts';
import { QueryValues } from './query-values.ts';
import type { RoutableRequest, RouteMatch } from './route-rule.ts';
import type { PathTable, TrieNode } from './trie.ts';

/** Scratch for one request at a time; one is kept and used again and again. */
export class Search<T> {
  /** The best candidate so far that matches the request, or null. */
  best: Candidate<T> | null = null;
  /** Where all candidates that match are put, instead of the best one into `best`; usually null. */
  all: Candidate<T>[] | null = null;
  /** While there is no best one: candidates that would match if the method were another. */
  readonly methodRefused: Candidate<T>[] = [];
  /** How many tables, nodes and candidates were looked at. */
  steps = 0;

  private request: RoutableRequest | null = null;
  private path = '';
  /** The method that a CORS preflight asks for; empty for every other request. */
  private requestedMethod = '';
  private readonly query = new QueryValues();

  begin(request: RoutableRequest): void {
    this.best = null;
    this.methodRefused.length = 0;
    this.steps = 0;
    this.request = request;
    this.requestedMethod = request.method === 'OPTIONS' ? preflightMethod(request) : '';
    this.query.reset(request.query);
  }

  /** Tries the candidates of a table on a path. */
  visit(table: PathTable<Candidate<T>>, path: string): void {
    this.steps++;
    if (this.isBeaten(table.minRank)) return;
    this.path = path;
    // `OPTIONS *` has no path, so nothing that is said of paths matches it, not even what leaves everything open.
    if (path.startsWith('/')) {
      const exact = table.exact.get(path);
      if (exact !== undefined) this.tryAll(exact);
      this.walk(table.root, 0);
      this.tryAll(table.regexes);
    }
    this.tryAll(table.anyPath);
  }

  /** @param slash where the next segment begins, with its slash; the length of the path when there is none. */
  private walk(node: TrieNode<Candidate<T>>, slash: number): void {
    if (this.isBeaten(node.minRank)) return;
    this.steps++;
    const { path } = this;
    if (slash < path.length) {
      const next = path.indexOf('/', slash + 1);
      const end = next === -1 ? path.length : next;
      const literal = node.literals?.get(path.substring(slash + 1, end));
      if (literal !== undefined) this.walk(literal, end);
      if (node.param !== null && end > slash + 1) this.walk(node.param, end);
    } else if (node.ends !== null) {
      this.tryAll(node.ends);
    }
    if (node.rests !== null) this.tryAll(node.rests);
  }

  /** @param candidates whose path patterns match, sorted. */
  private tryAll(candidates: readonly Candidate<T>[]): void {
    for (const candidate of candidates) {
      if (this.isBeaten(candidate.rank)) return;
      this.steps++;
      if (this.best !== null && !this.isBefore(candidate, this.best)) continue;
      if (this.acceptsMethod(candidate.rule.match, candidate.rule.answersPreflight)) {
        if (!this.isMatch(candidate)) continue;
        if (this.all !== null) {
          this.all.push(candidate);
          continue;
        }
        this.best = candidate;
        // What follows in the list is not better, but for a preflight.
        if (this.requestedMethod === '') return;
      } else if (this.best === null && this.isMatch(candidate)) {
        this.methodRefused.push(candidate);
      }
    }
  }

  private isBeaten(rank: number): boolean {
    return this.best !== null && this.best.rank < rank;
  }

  /** Among candidates for one preflight that only their names tell apart, one that lists OPTIONS itself goes first. */
  private isBefore(a: Candidate<T>, b: Candidate<T>): boolean {
    if (this.requestedMethod !== '' && a.rank === b.rank) {
      const first = lists(a.rule.match, 'OPTIONS');
      if (first !== lists(b.rule.match, 'OPTIONS')) return first;
    }
    return compareCandidates(a, b) < 0;
  }

  private acceptsMethod(match: RouteMatch, answersPreflight: boolean): boolean {
    if (match.methods === null || match.methods.includes(this.request!.method)) return true;
    return this.requestedMethod !== '' && answersPreflight && match.methods.includes(this.requestedMethod);
  }

  /** Whether all holds but for host, pattern and method, which were looked at before. */
  private isMatch({ conditions, regex }: Candidate<T>): boolean {
    if (conditions !== null && !conditions.hold(this.request!, this.query)) return false;
    return regex === null || regex.test(this.path);
  }
}

const lists = ({ methods }: RouteMatch, method: string): boolean => methods !== null && methods.includes(method);

/** The method that a CORS preflight asks for (Fetch standard, section 3.3.2: CORS-preflight request), or empty. */
function preflightMethod({ headers }: RoutableRequest): string {
  const method = headers.get('access-control-request-method');
  return method === undefined || !headers.has('origin') ? '' : method;
}
