/**
 * What routing means, written for the reader and not for speed: every rule is looked at, in a loop, with the tools of the
 * platform. It shares no code with the router. An index that disagrees with such a loop, for some number of hosts or on
 * some branch, is how routers have lost their access rules (CVE-2026-27587, CVE-2026-27588).
 */
import type {
  RoutableRequest,
  RouteMatch,
  RouteResult,
  RouteRule,
  ValueCondition,
} from '../../src/proxy/router/router.ts';

interface Way<T> {
  readonly rule: RouteRule<T>;
  readonly host: string | null;
  readonly path: string | { readonly regex: string } | null;
}

export function linearMatch<T>(rules: readonly RouteRule<T>[], request: RoutableRequest): RouteResult<T> {
  const ways = rules.flatMap((rule) => waysInto(rule)).filter((way) => isOpen(way, request));
  const isAccepted = ({ rule }: Way<T>): boolean => acceptsMethod(rule, request);
  const [best] = ways.filter(isAccepted).toSorted((a, b) => compare(a, b, request));
  if (best !== undefined) {
    const { value, shared, match } = best.rule;
    return { ...match, kind: 'route', number: 0, rule: best.rule, value, shared, params: captures(best, request) };
  }
  if (ways.length === 0) return null;
  return { kind: 'method', allowed: [...new Set(ways.flatMap(({ rule }) => rule.match.methods ?? []))].toSorted() };
}

function waysInto<T>(rule: RouteRule<T>): Way<T>[] {
  const hosts = rule.match.hosts.length === 0 ? [null] : rule.match.hosts;
  const paths = rule.match.paths.length === 0 ? [null] : rule.match.paths;
  return hosts.flatMap((host) => paths.map((path) => ({ rule, host, path })));
}

/** Everything but the method. */
function isOpen<T>({ rule, host, path }: Way<T>, request: RoutableRequest): boolean {
  const { match } = rule;
  const matchPath = match.emptySegments === 'keep' ? request.unmergedMatchPath : request.matchPath;
  const query = new URLSearchParams(request.query);
  return (
    (match.listeners === null || match.listeners.includes(request.listener)) &&
    (host === null || hostMatches(host.toLowerCase(), request.host)) &&
    (path === null || pathMatches(path, matchPath)) &&
    match.headers.every((condition) => holds(condition, request.headers.getAll(condition.name))) &&
    match.query.every((condition) => holds(condition, query.getAll(condition.name).slice(0, 1)))
  );
}

function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return host === pattern;
  return host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1;
}

function pathMatches(path: string | { readonly regex: string }, matchPath: string): boolean {
  if (!matchPath.startsWith('/')) return false;
  if (typeof path !== 'string') return new RegExp(path.regex).test(matchPath);
  const wanted = path.split('/');
  const segments = matchPath.split('/');
  const rest = wanted.findIndex(isRest);
  if (rest === -1 ? segments.length !== wanted.length : segments.length < rest) return false;
  return wanted.every((part, i) => isRest(part) || (isParam(part) ? segments[i] !== '' : segments[i] === part));
}

const isRest = (part: string): boolean => part === '*' || part.endsWith('...}');
const isParam = (part: string): boolean => part.startsWith('{') && !isRest(part);

function holds(condition: ValueCondition, values: readonly string[]): boolean {
  if ('present' in condition) return values.length > 0 === condition.present;
  if ('equals' in condition) return values.includes(condition.equals);
  return values.some((value) => new RegExp(condition.regex).test(value));
}

function isPreflight({ method, headers }: RoutableRequest): boolean {
  return method === 'OPTIONS' && headers.has('origin') && headers.has('access-control-request-method');
}

function acceptsMethod<T>({ match, answersPreflight }: RouteRule<T>, request: RoutableRequest): boolean {
  if (match.methods === null || match.methods.includes(request.method)) return true;
  if (!answersPreflight || !isPreflight(request)) return false;
  return match.methods.includes(request.headers.get('access-control-request-method')!);
}

/** Negative when `a` goes before `b`. */
function compare<T>(a: Way<T>, b: Way<T>, request: RoutableRequest): number {
  const x = a.rule.match;
  const y = b.rule.match;
  return (
    b.rule.priority - a.rule.priority ||
    hostWeight(b.host) - hostWeight(a.host) ||
    comparePaths(a.path, b.path) ||
    Number(y.methods !== null) - Number(x.methods !== null) ||
    y.headers.length - x.headers.length ||
    y.query.length - x.query.length ||
    (isPreflight(request) ? Number(listsOptions(y)) - Number(listsOptions(x)) : 0) ||
    compareText(a.rule.name, b.rule.name) ||
    compareText(JSON.stringify(a.path), JSON.stringify(b.path))
  );
}

const listsOptions = ({ methods }: RouteMatch): boolean => methods?.includes('OPTIONS') ?? false;
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function hostWeight(host: string | null): number {
  if (host === null) return 0;
  return host.startsWith('*.') ? host.split('.').length : 1000;
}

function comparePaths(a: Way<unknown>['path'], b: Way<unknown>['path']): number {
  const difference = pathClass(a) - pathClass(b);
  if (difference !== 0 || typeof a !== 'string' || typeof b !== 'string') return difference;
  const x = a.split('/').slice(1).map(segmentClass);
  const y = b.split('/').slice(1).map(segmentClass);
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    // Where the one ends and the other has a literal, both cannot match; a rest is less than an end.
    const here = (x[i] ?? END) - (y[i] ?? END);
    if (here !== 0) return here;
  }
  return 0;
}

function pathClass(path: Way<unknown>['path']): number {
  if (path === null) return 3;
  if (typeof path !== 'string') return 2;
  return path.includes('{') || path.includes('*') ? 1 : 0;
}

const END = 2;
const segmentClass = (part: string): number => (isRest(part) ? 3 : isParam(part) ? 1 : 0);

function captures<T>({ path, rule }: Way<T>, request: RoutableRequest): Record<string, string> {
  const params: Record<string, string> = {};
  if (typeof path !== 'string') return params;
  const segments = (rule.match.emptySegments === 'keep' ? request.unmergedPath : request.path).split('/');
  for (const [i, part] of path.split('/').entries()) {
    if (isRest(part)) params[part === '*' ? '*' : part.slice(1, -4)] = segments.slice(i).join('/');
    else if (isParam(part)) params[part.slice(1, -1)] = segments[i]!;
  }
  return params;
}
