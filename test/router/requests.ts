/** Rules and requests for the tests of the router, made from the little that a test cares about. */
import { CanonicalTarget, canonicalizeTarget } from '../../src/http/path.ts';
import { HeaderFields } from '../../src/http/header-fields.ts';
import type { RoutableRequest, RouteMatch, RouteResult, RouteRule } from '../../src/proxy/router/router.ts';

type PartialRule = Partial<RouteMatch> & Partial<Pick<RouteRule<string>, 'priority' | 'answersPreflight'>>;

/** A rule whose value is its name. */
export function rule(
  name: string,
  { priority = 0, answersPreflight = false, ...match }: PartialRule = {},
): RouteRule<string> {
  return {
    name,
    priority,
    answersPreflight,
    value: name,
    shared: null,
    match: {
      hosts: [],
      paths: [],
      methods: null,
      headers: [],
      query: [],
      listeners: null,
      encodedSlash: 'refuse',
      emptySegments: 'merge',
      ...match,
    },
  };
}

interface RequestParts {
  readonly method?: string;
  readonly listener?: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
}

/** @param url host and target: `api.example.com/a?b=1`, `api.example.com*`. */
export function request(
  url: string,
  { method = 'GET', listener = 'web', headers = [] }: RequestParts = {},
): RoutableRequest {
  const end = url.search(/[/*]/);
  const out = new CanonicalTarget();
  const target = url.slice(end);
  if (!canonicalizeTarget(target, method, out)) throw new Error(`${target}: ${out.reason}`);
  const { path, matchPath, unmergedPath, unmergedMatchPath, query } = out;
  const host = url.slice(0, end);
  return {
    listener,
    method,
    host,
    path,
    matchPath,
    unmergedPath,
    unmergedMatchPath,
    query,
    headers: HeaderFields.from(headers),
  };
}

/** What was decided, short enough to read in a table: the name of the rule, `405 GET, PUT`, or `404`. */
export function outcome(result: RouteResult<string>): string {
  if (result === null) return '404';
  return result.kind === 'route' ? result.rule.name : `405 ${result.allowed.join(', ')}`;
}
