/** What in a match no router can be made of, for the author of the configuration: all of it, and where. */
import { isFieldValue } from '../../http/grammar.ts';
import { compileLinearRegex } from './linear-regex.ts';
import { parsePathPattern } from './pattern.ts';
import { findText } from './regex-search.ts';
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
  if (typeof path !== 'string') return pathRegexProblems(path.regex, ['path', index, 'regex'], emptySegments);
  const pattern = parsePathPattern(path, emptySegments);
  if ('error' in pattern) return [{ path: ['path', index], error: pattern.error }];
  if (encodedSlash === 'keep' || !pattern.segments.some((segment) => segment?.includes('%2F'))) return [];
  return [{ path: ['path', index], error: 'requests with %2F are refused, unless `encodedSlash: keep` is set' }];
}

function conditionProblems(kind: 'headers' | 'query', conditions: readonly ValueCondition[]): MatchProblem[] {
  return conditions.flatMap((condition) => {
    const { name } = condition;
    if ('regex' in condition) return regexProblems(condition.regex, [kind, name, 'regex']);
    return 'equals' in condition && kind === 'headers' ? headerValueProblems(condition.equals, [kind, name]) : [];
  });
}

function pathRegexProblems(
  source: string,
  path: readonly (string | number)[],
  emptySegments: 'merge' | 'keep',
): MatchProblem[] {
  const regex = compileLinearRegex(source);
  if ('error' in regex) return [{ path, error: regex.error }];
  if (findText([regex], [], emptySegments === 'keep' ? 'pathWithEmptySegments' : 'path') !== 'none') return [];
  return [
    { path, error: 'no path matches it: a canonical path begins with / and has no //, dot segment or parameter' },
  ];
}

function headerValueProblems(value: string, path: readonly (string | number)[]): MatchProblem[] {
  if (isFieldValue(value) && value.trim() === value) return [];
  return [{ path, error: 'no header has this value: neither control characters nor white space around it arrive' }];
}

function regexProblems(source: string, path: readonly (string | number)[]): MatchProblem[] {
  const regex = compileLinearRegex(source);
  return 'error' in regex ? [{ path, error: regex.error }] : [];
}
