/** Rules as the router tries them: one candidate for each of their hosts with each of their paths. */
import type { Steps } from '../../util/pace.ts';
import { Conditions } from './conditions.ts';
import { compileLinearRegex, type LinearRegex } from './linear-regex.ts';
import { parsePathPattern, type PathPattern } from './pattern.ts';
import type { PathMatch, RouteMatch, RouteRule } from './route-rule.ts';
import {
  ANY_PATH_SPECIFICITY,
  type Rankable,
  REGEX_SPECIFICITY,
  compareText,
  patternSpecificity,
  rank,
} from './specificity.ts';

/** One way to match a rule. */
export interface Candidate<T, S = unknown> extends Rankable {
  readonly rule: RouteRule<T, S>;
  /** Lower-case; null for any. */
  readonly host: string | null;
  /** As it was written; empty for any. */
  readonly pathSource: string;
  readonly pathSpecificity: string;
  /** At most one of these two is not null; both are null for any path. */
  readonly pattern: PathPattern | null;
  readonly regex: LinearRegex | null;
  /** null when it has none. */
  readonly conditions: Conditions | null;
  rank: number;
}

type CompiledPath = Pick<Candidate<unknown>, 'pathSource' | 'pathSpecificity' | 'pattern' | 'regex'>;

/**
 * The candidates of all rules, ranked.
 * @throws {TypeError} naming the rule, when a path or a regular expression is not valid.
 */
export function* rankedCandidates<T, S>(rules: readonly RouteRule<T, S>[]): Steps<Candidate<T, S>[]> {
  const candidates: Candidate<T, S>[] = [];
  for (const rule of rules) {
    addCandidates(rule, candidates);
    yield;
  }
  yield* rank(candidates);
  return candidates;
}

function addCandidates<T, S>(rule: RouteRule<T, S>, candidates: Candidate<T, S>[]): void {
  const { match } = rule;
  try {
    const hosts = match.hosts.length === 0 ? anyHost : new Set(match.hosts.map((host) => host.toLowerCase()));
    const paths = match.paths.length === 0 ? anyPath : match.paths.map((path) => compilePath(path, match));
    const conditions = Conditions.of(match);
    for (const host of hosts) {
      for (const { pathSource, pathSpecificity, pattern, regex } of paths) {
        candidates.push({ rule, host, pathSource, pathSpecificity, pattern, regex, conditions, rank: 0 });
      }
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new TypeError(`route ${rule.name}: ${error.message}`, { cause: error });
  }
}

/** The order of candidates: by rank and, where that is equal, by name; never by where they were declared. */
export function compareCandidates<T>(a: Candidate<T>, b: Candidate<T>): number {
  return a.rank - b.rank || compareText(a.rule.name, b.rule.name) || compareText(a.pathSource, b.pathSource);
}

const anyHost = [null];
const anyPath: readonly CompiledPath[] = [
  { pathSource: '', pathSpecificity: ANY_PATH_SPECIFICITY, pattern: null, regex: null },
];

function compilePath(path: PathMatch, { emptySegments }: RouteMatch): CompiledPath {
  if (typeof path === 'string') {
    const pattern = parsePathPattern(path, emptySegments);
    if ('error' in pattern) throw new TypeError(`${path}: ${pattern.error}`);
    return { pathSource: path, pathSpecificity: patternSpecificity(pattern), pattern, regex: null };
  }
  const regex = compileLinearRegex(path.regex);
  if ('error' in regex) throw new TypeError(`${path.regex}: ${regex.error}`);
  return { pathSource: path.regex, pathSpecificity: REGEX_SPECIFICITY, pattern: null, regex };
}
