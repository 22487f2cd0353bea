/**
 * Which of several rules that match one request wins: the more specific one, and never the one declared first.
 *
 * What the order compares is known when rules are compiled, so each candidate gets a rank there: a number that is lower
 * the earlier it wins, and equal for candidates that nothing but their names tells apart.
 */
import type { Steps } from '../../util/pace.ts';
import type { PathPattern } from './pattern.ts';
import type { RouteRule } from './route-rule.ts';

/** What is ranked. */
export interface Rankable {
  readonly rule: RouteRule<unknown>;
  /** null for any. */
  readonly host: string | null;
  /** Lower first, in the order of text. */
  readonly pathSpecificity: string;
  /** Lower first; set here. */
  rank: number;
}

/** What decides between candidates, the first difference first. */
interface Specificity {
  readonly priority: number;
  readonly host: number;
  readonly path: string;
  readonly listsMethods: boolean;
  readonly headers: number;
  readonly query: number;
}

/** Sets the ranks of candidates. They can be compared among the candidates of one call. */
export function* rank(candidates: readonly Rankable[]): Steps<void> {
  const groups = new Map<string, { readonly specificity: Specificity; readonly members: Rankable[] }>();
  for (const candidate of candidates) {
    const specificity = specificityOf(candidate);
    const { priority, host, path, listsMethods, headers, query } = specificity;
    const key = `${priority} ${host} ${path} ${listsMethods} ${headers} ${query}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { specificity, members: [candidate] });
    else group.members.push(candidate);
    yield;
  }
  const sorted = [...groups.values()].toSorted((a, b) => compareSpecificity(a.specificity, b.specificity));
  for (const [index, group] of sorted.entries()) {
    for (const member of group.members) member.rank = index;
    yield;
  }
}

function specificityOf({ rule, host, pathSpecificity }: Rankable): Specificity {
  const { match, priority } = rule;
  return {
    priority,
    host: hostSpecificity(host),
    path: pathSpecificity,
    listsMethods: match.methods !== null,
    headers: match.headers.length,
    query: match.query.length,
  };
}

/** More than the labels that a host can have (RFC 1035, section 2.3.4). */
const EXACT_HOST = 1000;

/** Longer wildcards first, which for one host are those with more labels. */
function hostSpecificity(host: string | null): number {
  if (host === null) return 0;
  return host.startsWith('*.') ? host.split('.').length - 1 : EXACT_HOST;
}

/** What decides which of two candidates goes first, in the order in which it is looked at. */
const orders: readonly (readonly [reason: OrderReason, compare: (a: Specificity, b: Specificity) => number])[] = [
  ['priority', (a, b) => b.priority - a.priority],
  ['host', (a, b) => b.host - a.host],
  ['path', (a, b) => compareText(a.path, b.path)],
  ['methods', (a, b) => Number(b.listsMethods) - Number(a.listsMethods)],
  ['headers', (a, b) => b.headers - a.headers],
  ['query', (a, b) => b.query - a.query],
];

function compareSpecificity(a: Specificity, b: Specificity): number {
  for (const [, compare] of orders) {
    const order = compare(a, b);
    if (order !== 0) return order;
  }
  return 0;
}

/** `name`: they are equal in everything else. */
export type OrderReason = 'priority' | 'host' | 'path' | 'methods' | 'headers' | 'query' | 'name';

/** Why the one of two candidates that goes first does so. */
export function orderReason(a: Rankable, b: Rankable): OrderReason {
  const [one, other] = [specificityOf(a), specificityOf(b)];
  return orders.find(([, compare]) => compare(one, other) !== 0)?.[0] ?? 'name';
}

export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** In the order of text. */
const EXACT = 'A';
const LITERAL = 'a';
const PARAM = 'b';
const END = 'c';
const REST = 'd';

/**
 * Exact paths first, then patterns segment by segment, literal before captured before the end before all that follows.
 * So of two patterns for one path the one that leaves less open wins, and the longer of two prefixes.
 */
export function patternSpecificity(pattern: PathPattern): string {
  if (pattern.exactPath !== null) return EXACT + LITERAL.repeat(slashesIn(pattern.exactPath)) + END;
  let specificity = '';
  for (const segment of pattern.segments) specificity += segment === null ? PARAM : LITERAL;
  return specificity + (pattern.rest === null ? END : REST);
}

function slashesIn(path: string): number {
  let count = 0;
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) count++;
  return count;
}

/** Behind all patterns, since how much an expression leaves open cannot be seen from it. */
export const REGEX_SPECIFICITY = 'e';

/** Behind everything: a rule that says nothing of the path. */
export const ANY_PATH_SPECIFICITY = 'f';
