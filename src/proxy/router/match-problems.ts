/** What in a match no router can be made of, for the author of the configuration: all of it, and where. */
import { compileLinearRegex } from './linear-regex.ts';
import { parsePathPattern } from './pattern.ts';
import type { PathMatch, RouteMatch, ValueCondition } from './route-rule.ts';

export interface MatchProblem {
  /** From `match` of the route, in the words of the configuration: `['path', 0]`, `['headers', 'x-id', 'regex']`. */
  readonly path: readonly (string | number)[];
  /** Continues a sentence that names the place. */
  readonly error: string;
}

/** Whatever it does not find, `Router.compile` accepts. */
export function findMatchProblems(match: RouteMatch): MatchProblem[] {
  return [
    ...match.paths.flatMap((path, index) => pathProblems(path, index, match)),
    ...conditionProblems('headers', match.headers),
    ...conditionProblems('query', match.query),
  ];
}

function pathProblems(path: PathMatch, index: number, { emptySegments, encodedSlash }: RouteMatch): MatchProblem[] {
  if (typeof path !== 'string') return regexProblems(path.regex, ['path', index, 'regex']);
  const pattern = parsePathPattern(path, emptySegments);
  if ('error' in pattern) return [{ path: ['path', index], error: pattern.error }];
  if (encodedSlash === 'keep' || !pattern.segments.some((segment) => segment?.includes('%2F'))) return [];
  return [{ path: ['path', index], error: 'requests with %2F are refused, unless `encodedSlash: keep` is set' }];
}

function conditionProblems(kind: 'headers' | 'query', conditions: readonly ValueCondition[]): MatchProblem[] {
  return conditions.flatMap((condition) =>
    'regex' in condition ? regexProblems(condition.regex, [kind, condition.name, 'regex']) : [],
  );
}

function regexProblems(source: string, path: readonly (string | number)[]): MatchProblem[] {
  const regex = compileLinearRegex(source);
  return 'error' in regex ? [{ path, error: regex.error }] : [];
}
