/** Redirects that lead back to a redirect, and on and on: followed with a request, as a browser would. */
import { type Finding, formatPath } from '../config/problem.ts';
import type { RouteConfig } from '../config/schema.ts';
import { HeaderFields } from '../http/header-fields.ts';
import { CanonicalTarget, canonicalizeTarget } from '../http/path.ts';
import { type RedirectTemplate, compileRedirect, redirectLocation } from '../proxy/rewrite.ts';
import { Router, type RoutableRequest, type RouteRule } from '../proxy/router/router.ts';
import { captureNames } from './rule.ts';

/** Browsers give up after some twenty. */
const MAX_HOPS = 20;

/** Of more hosts or listeners not all are tried. */
const MAX_TRIED = 50;

/** What a browser asks for. */
interface Request {
  readonly method: string;
  readonly host: string;
  readonly listener: string;
  /** Path and query. */
  readonly target: string;
}

const noHeaders = new HeaderFields();
const target = new CanonicalTarget();

/**
 * @param rules those that the router accepts, whatever their value.
 * @param routes the routes of the same names.
 */
export function findRedirectLoops(
  rules: readonly RouteRule<null>[],
  routes: Readonly<Record<string, RouteConfig>>,
): Finding[] {
  const redirects = new Map<string, Redirect>();
  for (const { name } of rules) {
    const redirect = readRedirect(routes[name]);
    if (redirect !== null) redirects.set(name, redirect);
  }
  if (redirects.size === 0) return [];
  const router = Router.compile(rules);
  const listeners = mentioned(
    rules.flatMap(({ match }) => match.listeners ?? []),
    'any',
  );
  const hosts = mentioned(rules.flatMap(({ match }) => match.hosts));
  return [...redirects.keys()].flatMap((name) => {
    const { match } = routes[name];
    const loops = (request: Request): readonly string[] | null => follow(request, name, router, redirects);
    for (const listener of match.listener.length > 0 ? match.listener : listeners) {
      const request = requestFor(match, listener);
      const visited = request === null ? null : loops(request);
      if (request === null || visited === null) continue;
      // A route for any host may give way to others for every host that there is.
      const isSure = match.host.length > 0 || hosts.every((host) => loops({ ...request, host }) !== null);
      if (isSure) return [loopFinding(name, request, visited)];
    }
    return [];
  });
}

/** The names that rules mention, as far as there is time to try them; without any, one that stands for all. */
function mentioned(names: readonly string[], otherwise?: string): string[] {
  const known = [...new Set(names.map((name) => name.replace('*', 'any')))].slice(0, MAX_TRIED);
  return known.length === 0 && otherwise !== undefined ? [otherwise] : known;
}

interface Redirect {
  readonly to: RedirectTemplate;
  readonly keepsMethod: boolean;
}

/** Only what stays on scheme, host and port comes back for certain. */
function readRedirect({ redirect, match }: RouteConfig): Redirect | null {
  if (redirect === null || !redirect.to.startsWith('/') || redirect.to.startsWith('//')) return null;
  const to = compileRedirect(redirect.to, captureNames(match.path));
  return 'error' in to ? null : { to, keepsMethod: redirect.status === 307 || redirect.status === 308 };
}

/** A plain request that the route matches; null where that would take more than host, path and method. */
function requestFor(match: RouteConfig['match'], listener: string): Request | null {
  const [path = '/any'] = match.path;
  if (typeof path !== 'string' || match.headers.length > 0 || match.query.length > 0) return null;
  const { methods = ['GET'] } = match;
  return {
    method: methods.includes('GET') ? 'GET' : methods[0],
    host: (match.host[0] ?? 'any.example').replace('*', 'any'),
    listener,
    target: path.replaceAll(/\{[^}]*\}|\*$/g, 'any'),
  };
}

/** Follows redirects from a route's own request. @returns the places on the way when there is no end, otherwise null. */
function follow(
  first: Request,
  name: string,
  router: Router<null>,
  redirects: ReadonlyMap<string, Redirect>,
): readonly string[] | null {
  const visited: string[] = [];
  let request = first;
  for (let hop = 0; hop < MAX_HOPS; hop++) {
    const routable = toRoutable(request);
    const found = routable === null ? null : router.match(routable);
    if (found?.kind !== 'route' || (hop === 0 && found.rule.name !== name)) return null;
    const redirect = redirects.get(found.rule.name);
    if (redirect === undefined) return null;
    const { host, path, query } = routable!;
    const location = redirectLocation(redirect.to, found.params, query, { host, path });
    if (location === null) return null;
    const isSafe = redirect.keepsMethod || request.method === 'HEAD';
    const method = isSafe ? request.method : 'GET';
    request = { method, host, listener: first.listener, target: location.replace(/#.*/, '') };
    visited.push(request.target);
  }
  return visited;
}

function toRoutable({ method, host, listener, target: text }: Request): RoutableRequest | null {
  if (!canonicalizeTarget(text, method, target)) return null;
  const { path, matchPath, unmergedPath, unmergedMatchPath, query } = target;
  return { method, host, listener, path, matchPath, unmergedPath, unmergedMatchPath, query, headers: noHeaders };
}

function loopFinding(name: string, { method, host, target: text }: Request, visited: readonly string[]): Finding {
  const path = ['routes', name, 'redirect', 'to'];
  const way = visited.slice(0, 2).join(', then ');
  const message = `${formatPath(path)} never comes to an end: ${method} http://${host}${text} is redirected to ${way} and so on`;
  return { severity: 'warning', code: 'REDIRECT_LOOP', message, path };
}
