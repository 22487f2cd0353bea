import { Conditions } from './conditions.ts';
import { compileLinearRegex, type LinearRegex } from './linear-regex.ts';
import { parsePathPattern, type PathPattern } from './pattern.ts';
import { QueryValues } from './query-values.ts';
import type { RoutableRequest, RouteFound, RouteMatch, RouteResult, RouteRule } from './route-rule.ts';

export type {
  MethodNotAllowed,
  PathMatch,
  RoutableRequest,
  RouteFound,
  RouteMatch,
  RouteResult,
  RouteRule,
  ValueCondition,
} from './route-rule.ts';

interface Candidate<T> {
  readonly rule: RouteRule<T>;
  readonly host: string | null;
  readonly pattern: PathPattern | null;
  readonly regex: LinearRegex | null;
  readonly order: string;
  readonly conditions: Conditions | null;
  readonly found: RouteFound<T>;
}

/** The compiled routes of one snapshot. Immutable. */
export class Router<T> {
  private readonly candidates: readonly Candidate<T>[];
  private readonly query = new QueryValues();

  private constructor(candidates: readonly Candidate<T>[]) {
    this.candidates = candidates;
  }

  /** @throws {TypeError} when a path or a regular expression is not valid. */
  static compile<T>(rules: readonly RouteRule<T>[]): Router<T> {
    return new Router(rules.flatMap(expand).toSorted(compare));
  }

  match(request: RoutableRequest): RouteResult<T> {
    this.query.reset(request.query);
    const allowed = new Set<string>();
    for (const candidate of this.candidates) {
      const { rule, pattern } = candidate;
      const keep = rule.match.emptySegments === 'keep';
      const matchPath = keep ? request.unmergedMatchPath : request.matchPath;
      if (candidate.host !== null && !hostMatches(candidate.host, request.host)) continue;
      if (pattern !== null && !pathMatches(pattern, matchPath)) continue;
      if (candidate.regex !== null && !candidate.regex.test(matchPath)) continue;
      if (candidate.conditions !== null && !candidate.conditions.hold(request, this.query)) continue;
      if (!methodMatches(rule, request)) {
        for (const method of rule.match.methods ?? []) allowed.add(method);
        continue;
      }
      if (pattern === null || (pattern.names.length === 0 && pattern.rest === null)) return candidate.found;
      return { kind: 'route', rule, params: capture(pattern, keep ? request.unmergedPath : request.path) };
    }
    return allowed.size === 0 ? null : { kind: 'method', allowed: [...allowed].sort() };
  }
}

function expand<T>(rule: RouteRule<T>): Candidate<T>[] {
  const { match } = rule;
  const hosts = match.hosts.length === 0 ? [null] : match.hosts.map((host) => host.toLowerCase());
  const paths = match.paths.length === 0 ? [null] : match.paths;
  const conditions = Conditions.of(match);
  const found: RouteFound<T> = { kind: 'route', rule, params: {} };
  return hosts.flatMap((host) =>
    paths.map((path) => {
      const pattern = typeof path === 'string' ? parsePathPattern(path, match.emptySegments) : null;
      const regex = path !== null && typeof path === 'object' ? compileLinearRegex(path.regex) : null;
      if (pattern !== null && 'error' in pattern) throw new TypeError(`route ${rule.name}: ${pattern.error}`);
      if (regex !== null && 'error' in regex) throw new TypeError(`route ${rule.name}: ${regex.error}`);
      return { rule, host, pattern, regex, order: pathOrder(pattern, regex), conditions, found };
    }),
  );
}

function pathOrder(pattern: PathPattern | null, regex: LinearRegex | null): string {
  if (pattern === null) return regex === null ? 'f' : 'e';
  if (pattern.rest === null && pattern.names.length === 0) return '';
  return pattern.segments.map((segment) => (segment === null ? 'b' : 'a')).join('') + (pattern.rest === null ? 'c' : 'd');
}

function hostOrder(host: string | null): number {
  if (host === null) return 0;
  return host.startsWith('*.') ? host.length : Number.MAX_SAFE_INTEGER;
}

const methodOrder = ({ methods }: RouteMatch): number => (methods === null ? 1 : 0);

function compare<T>(a: Candidate<T>, b: Candidate<T>): number {
  const x = a.rule.match;
  const y = b.rule.match;
  return (
    b.rule.priority - a.rule.priority ||
    hostOrder(b.host) - hostOrder(a.host) ||
    compareText(a.order, b.order) ||
    methodOrder(x) - methodOrder(y) ||
    y.headers.length - x.headers.length ||
    y.query.length - x.query.length ||
    compareText(a.rule.name, b.rule.name)
  );
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === host;
  return host.length >= pattern.length && host.endsWith(pattern.slice(1));
}

function pathMatches({ segments, rest }: PathPattern, path: string): boolean {
  if (!path.startsWith('/')) return false;
  const parts = path.slice(1).split('/');
  if (parts.length < segments.length || (rest === null && parts.length > segments.length)) return false;
  return segments.every((segment, i) => (segment === null ? parts[i] !== '' : parts[i] === segment));
}

function capture(pattern: PathPattern, path: string): Record<string, string> {
  const params: Record<string, string> = {};
  const parts = path.slice(1).split('/');
  let next = 0;
  for (const [i, segment] of pattern.segments.entries()) {
    if (segment === null) params[pattern.names[next++]!] = parts[i]!;
  }
  if (pattern.rest !== null) params[pattern.rest] = parts.slice(pattern.segments.length).join('/');
  return params;
}

function methodMatches<T>(rule: RouteRule<T>, { method, headers }: RoutableRequest): boolean {
  const { methods } = rule.match;
  if (methods === null || methods.includes(method)) return true;
  if (method !== 'OPTIONS' || !rule.answersPreflight || !headers.has('origin')) return false;
  const asked = headers.get('access-control-request-method');
  return asked !== undefined && methods.includes(asked);
}
