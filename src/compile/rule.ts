/** How a route of the configuration is put to the router. */
import type { RouteConfig } from '../config/schema.ts';
import { parsePathPattern } from '../proxy/router/pattern.ts';
import type { RouteRule } from '../proxy/router/route-rule.ts';

/** @param value and `shared` are what the router gives back when the route wins. */
export function toRule<T, S>({ name, match, priority, policies }: RouteConfig, value: T, shared: S): RouteRule<T, S> {
  return {
    name,
    priority,
    match: {
      hosts: match.host,
      paths: match.path,
      methods: match.methods ?? null,
      headers: match.headers,
      query: match.query,
      listeners: match.listener.length === 0 ? null : match.listener,
      encodedSlash: match.encodedSlash,
      emptySegments: match.emptySegments,
    },
    answersPreflight: policies.some((use) => use.name === 'cors'),
    value,
    shared,
  };
}

/** What any of the paths captures; the configuration was checked to use only what all of them do. */
export function captureNames(paths: RouteConfig['match']['path']): string[] {
  return paths.flatMap((path) => {
    const pattern = typeof path === 'string' ? parsePathPattern(path, 'keep') : null;
    if (pattern === null || 'error' in pattern) return [];
    return pattern.rest === null ? [...pattern.names] : [...pattern.names, pattern.rest];
  });
}
