/** Paths that a policy answers itself, such as where a login comes back to, and that no route brings to it. */
import { type Finding, formatPath } from '../config/problem.ts';
import type { PolicyUse, RouteConfig } from '../config/schema.ts';
import { HeaderFields } from '../http/header-fields.ts';
import { CanonicalTarget, canonicalizeTarget } from '../http/path.ts';
import { Router, type RoutableRequest, type RouteRule } from '../proxy/router/router.ts';

type Routes = Readonly<Record<string, RouteConfig>>;

const noHeaders = new HeaderFields();
const target = new CanonicalTarget();

/**
 * @param rules those that the router accepts, whatever their value.
 * @param routes the routes of the same names.
 */
export function findOwnPathsNotReached(rules: readonly RouteRule<null>[], routes: Routes): Finding[] {
  const asked = rules.flatMap(({ name }) => {
    return usesWithin(routes[name].policies).flatMap((use) =>
      (use.ownPaths ?? []).map((path) => ({ name, use, path })),
    );
  });
  if (asked.length === 0) return [];
  const router = Router.compile(rules);
  /** Many routes use one named policy; it is asked about once for each host. */
  const told = new Set<string>();
  return asked.flatMap(({ name, use, path }) => {
    const { match } = routes[name];
    const host = (match.host[0] ?? 'any.example').replace('*', 'any');
    const question = JSON.stringify([identityOf(use), host, path]);
    if (told.has(question)) return [];
    told.add(question);
    const request = toRoutable(host, match.listener[0] ?? 'any', path);
    const found = request === null ? null : router.match(request);
    const reached = found?.kind === 'route' ? usesWithin(routes[found.rule.name].policies) : [];
    return reached.some((other) => identityOf(other) === identityOf(use)) ? [] : [notReached(name, use, host, path)];
  });
}

/** Those that others combine included. */
function usesWithin(uses: readonly PolicyUse[]): PolicyUse[] {
  return uses.flatMap((use) => [use, ...(Array.isArray(use.options) ? usesWithin(use.options as PolicyUse[]) : [])]);
}

function identityOf({ name, module, options }: PolicyUse): string {
  return JSON.stringify([name, module, options]);
}

function toRoutable(host: string, listener: string, text: string): RoutableRequest | null {
  if (!canonicalizeTarget(text, 'GET', target)) return null;
  const { path, matchPath, unmergedPath, unmergedMatchPath, query } = target;
  return { method: 'GET', host, listener, path, matchPath, unmergedPath, unmergedMatchPath, query, headers: noHeaders };
}

function notReached(name: string, { label }: PolicyUse, host: string, path: string): Finding {
  const place = ['routes', name];
  const message = `${formatPath(place)}: GET http://${host}${path} does not come to ${label}, which answers it: let a route with the same policy match it`;
  return { severity: 'warning', code: 'POLICY_PATH', message, path: place, atKey: true };
}
