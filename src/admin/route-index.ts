/** What the admin API tells of routes, put together once for each configuration: there may be very many. */
import type { FieldMatch, GatewayConfig, RouteConfig } from '../config/schema.ts';
import { hideIn, shownMatch } from './hide-secrets.ts';

export interface RouteRow {
  readonly name: string;
  /** Which requests it gets, in words, without secrets. */
  readonly match: string;
  readonly priority: number;
  readonly policies: readonly string[];
  readonly action: Readonly<Record<string, unknown>>;
}

export interface RouteIndex {
  /** By name. */
  readonly rows: readonly RouteRow[];
  /** The names of the routes that use each upstream. */
  readonly usersOf: ReadonlyMap<string, readonly string[]>;
}

const indices = new WeakMap<GatewayConfig, RouteIndex>();

/** @param hide what is secret in a text; nobody may find out by searching what a hidden value is. */
export function routeIndexOf(config: GatewayConfig, hide: (text: string) => string): RouteIndex {
  let index = indices.get(config);
  if (index === undefined) indices.set(config, (index = makeIndex(config, hide)));
  return index;
}

function makeIndex({ routes }: GatewayConfig, hide: (text: string) => string): RouteIndex {
  const usersOf = new Map<string, string[]>();
  const names = Object.keys(routes).toSorted();
  const matches = hideIn(
    names.map((name) => inWords(shownMatch(routes[name].match))),
    hide,
  ) as readonly string[];
  const rows = names.map((name, index) => {
    const route = routes[name];
    for (const { upstream } of route.upstream ?? []) {
      const users = usersOf.get(upstream);
      if (users === undefined) usersOf.set(upstream, [name]);
      // A split may name an upstream twice.
      else if (users.at(-1) !== name) users.push(name);
    }
    const { priority, policies } = route;
    return {
      name,
      match: matches[index],
      priority,
      policies: policies.map(({ label }) => label),
      action: actionOf(route),
    };
  });
  return { rows, usersOf };
}

function actionOf({ upstream, redirect, respond }: RouteConfig): Readonly<Record<string, unknown>> {
  if (upstream !== null) return { upstream };
  return redirect === null ? { respond: { status: respond?.status } } : { redirect };
}

/** `GET, HEAD on api.example.com at /catalog/*, header x-version is "2"`; `every request`. */
function inWords(match: RouteConfig['match']): string {
  const where = [
    match.methods === undefined ? 'every method' : match.methods.join(', '),
    ...(match.host.length === 0 ? [] : [`on ${match.host.join(', ')}`]),
    ...(match.path.length === 0 ? [] : [`at ${match.path.map(pathInWords).join(', ')}`]),
  ].join(' ');
  const conditions = [
    ...match.headers.map((field) => `header ${fieldInWords(field)}`),
    ...match.query.map((field) => `query ${fieldInWords(field)}`),
    ...(match.listener.length === 0 ? [] : [`listener ${match.listener.join(' or ')}`]),
  ];
  const words = [where, ...conditions].join(', ');
  return words === 'every method' ? 'every request' : words;
}

function pathInWords(path: RouteConfig['match']['path'][number]): string {
  return typeof path === 'string' ? path : `regex ${path.regex}`;
}

function fieldInWords(field: FieldMatch): string {
  if ('present' in field) return `${field.name} is ${field.present ? 'present' : 'absent'}`;
  return 'equals' in field ? `${field.name} is "${field.equals}"` : `${field.name} matches ${field.regex}`;
}
