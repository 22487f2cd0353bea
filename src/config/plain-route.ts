/**
 * The short way for the routes that large configurations are full of: a path, maybe a host and methods, and the name of
 * an upstream. Going through the schema costs ten times as much, and a hundred thousand routes are to load in a moment.
 * Whatever is not entirely plain, or wrong in any way, is left to the schema; what is read here is what the schema would
 * have read (`test/config/plain-route.test.ts` holds the two against each other).
 */
import { isMapping } from './is-mapping.ts';
import type { RouteDeclaration } from './schema.ts';

type Match = RouteDeclaration['match'];

const PLAIN_HOST = /^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

/** Exactly these are common; other methods go the long way. */
const METHODS: readonly unknown[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Shared by all routes; nothing ever changes a configuration. */
const NONE: never[] = [];
const NO_TIMEOUTS: RouteDeclaration['timeouts'] = {};

/** The route as the schema would parse it, or null when it is not plain. */
export function readPlainRoute(route: unknown): RouteDeclaration | null {
  if (!isMapping(route)) return null;
  let match: Match | null = null;
  let upstream = '';
  let policies: RouteDeclaration['policies'] = NONE;
  for (const key in route) {
    const value = route[key];
    if (key === 'match') match = readPlainMatch(value);
    else if (key === 'upstream' && typeof value === 'string') upstream = value;
    else if (key === 'policies' && Array.isArray(value)) policies = value as RouteDeclaration['policies'];
    else return null;
  }
  if (match === null || upstream === '') return null;
  return {
    match,
    priority: 0,
    importance: 'normal',
    policies,
    upstream: [{ upstream, weight: 1 }],
    timeouts: NO_TIMEOUTS,
  };
}

function readPlainMatch(match: unknown): Match | null {
  if (!isMapping(match)) return null;
  let path: string | null = null;
  let host: string[] = NONE;
  let methods: string[] | undefined;
  for (const key in match) {
    const value = match[key];
    if (key === 'path' && typeof value === 'string' && value.startsWith('/')) path = value;
    else if (key === 'host' && typeof value === 'string' && PLAIN_HOST.test(value)) host = [value];
    else if (key === 'methods' && isListOfMethods(value)) methods = value;
    else return null;
  }
  if (path === null) return null;
  const plain: Match = {
    host,
    path: [path],
    headers: NONE,
    query: NONE,
    listener: NONE,
    emptySegments: 'merge',
    encodedSlash: 'refuse',
  };
  if (methods !== undefined) plain.methods = methods;
  return plain;
}

function isListOfMethods(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((method) => METHODS.includes(method));
}
