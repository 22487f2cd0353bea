/** Routes that nearly match a request, each with the first of its conditions that does not hold. */
import type { PathMatch, RoutableRequest, ValueCondition } from '../../proxy/router/route-rule.ts';
import { Router } from '../../proxy/router/router.ts';
import type { NearMiss } from './explanation.ts';
import { type ExplainedRoutes, type ExplainedRule, withMatch } from './route-choice.ts';

/** How many are told. */
const MAX_NEAR_MISSES = 10;

/** @param matching the routes that match, by name. */
export function findNearMisses(
  routes: ExplainedRoutes,
  asked: RoutableRequest,
  matching: ReadonlySet<string>,
): NearMiss[] {
  const { hostAndPath, path, host } = routes.relaxed;
  const byName = new Map(routes.rules.map((rule) => [rule.name, rule]));
  const found = new Set<string>();
  // First those that only another condition keeps away, then those for another host, then those for another path.
  for (const router of [hostAndPath, path]) {
    for (const name of namesOf(router.matchAll(asked)).toSorted()) if (!matching.has(name)) found.add(name);
  }
  if (found.size < MAX_NEAR_MISSES) {
    const others = namesOf(host.matchAll(asked)).filter((name) => !matching.has(name) && !found.has(name));
    for (const name of nearest(others, byName, asked.matchPath)) found.add(name);
  }
  return [...found].slice(0, MAX_NEAR_MISSES).map((name) => describe(byName.get(name)!, asked));
}

function namesOf(candidates: readonly { readonly rule: { readonly name: string } }[]): string[] {
  return [...new Set(candidates.map(({ rule }) => rule.name))];
}

/** Those whose paths begin as the path does, and those by what they have in common with it. */
function nearest(names: readonly string[], rules: ReadonlyMap<string, ExplainedRule>, path: string): string[] {
  const likeness = (name: string): number =>
    Math.max(...rules.get(name)!.match.paths.map((pattern) => commonLength(pattern, path)));
  return names
    .map((name) => ({ name, common: likeness(name) }))
    .filter(({ common }) => common > 1)
    .toSorted((a, b) => b.common - a.common || (a.name < b.name ? -1 : 1))
    .slice(0, MAX_NEAR_MISSES)
    .map(({ name }) => name);
}

function commonLength(pattern: PathMatch, path: string): number {
  if (typeof pattern !== 'string') return 0;
  let length = 0;
  while (length < path.length && pattern[length] === path[length]) length++;
  return length;
}

/** Each part of the match is put to the router by itself. */
function describe(rule: ExplainedRule, asked: RoutableRequest): NearMiss {
  const { match, name } = rule;
  const miss = (failed: NearMiss['failed'], message: string): NearMiss => ({ name, failed, message });
  if (!holds(withMatch(rule, ['listeners']), asked)) {
    return miss('listener', `it is only for ${listOf(match.listeners ?? [], 'listener')}, not ${asked.listener}`);
  }
  if (!holds(withMatch(rule, ['hosts']), asked)) {
    return miss('host', `it is only for ${listOf(match.hosts, 'host')}, not ${asked.host}`);
  }
  if (!holds(withMatch(rule, ['paths']), asked)) {
    const path = match.emptySegments === 'keep' ? asked.unmergedMatchPath : asked.matchPath;
    return miss('path', `${path} does not match its ${listOf(match.paths.map(showPath), 'path')}`);
  }
  if (!holds(withMatch(rule, ['methods']), asked)) {
    return miss('method', `it is only for ${listOf(match.methods ?? [], 'method')}, not ${asked.method}`);
  }
  for (const condition of match.headers) {
    const alone = withMatch(rule, []);
    if (holds({ ...alone, match: { ...alone.match, headers: [condition] } }, asked)) continue;
    return miss(
      'header',
      `the header ${demand(condition)}, ${shown(condition.name, asked.headers.getAll(condition.name))}`,
    );
  }
  for (const condition of match.query) {
    const alone = withMatch(rule, []);
    if (holds({ ...alone, match: { ...alone.match, query: [condition] } }, asked)) continue;
    const values = new URLSearchParams(asked.query).getAll(condition.name).slice(0, 1);
    return miss('query', `the query parameter ${demand(condition)}, ${shown(condition.name, values)}`);
  }
  throw new Error(`route ${name} matches`);
}

function holds(rule: ExplainedRule, asked: RoutableRequest): boolean {
  return Router.compile([rule]).match(asked)?.kind === 'route';
}

/** `host a`, `hosts a, b`. */
function listOf(values: readonly string[], noun: string): string {
  return `${noun}${values.length === 1 ? '' : 's'} ${values.join(', ')}`;
}

const showPath = (path: PathMatch): string => (typeof path === 'string' ? path : `regex ${path.regex}`);

/** What is called so may be a credential, and its value is not shown, neither the one that is due nor the one that is. */
const CREDENTIAL = /key|token|secret|pass|credential|auth|cookie|session|signature/i;

function demand(condition: ValueCondition): string {
  const { name } = condition;
  if ('present' in condition) return `${name} must ${condition.present ? '' : 'not '}be there`;
  if (CREDENTIAL.test(name)) return `${name} must have the value that is configured`;
  if ('equals' in condition) return `${name} must be ${JSON.stringify(condition.equals)}`;
  return `${name} must match ${condition.regex}`;
}

function shown(name: string, values: readonly string[]): string {
  if (values.length > 0 && CREDENTIAL.test(name)) return 'and has another';
  return values.length === 0 ? 'and is not there' : `and is ${values.map((value) => JSON.stringify(value)).join(', ')}`;
}
