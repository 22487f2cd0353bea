/**
 * What is suspicious about a set of routes: each finding with a request that shows it, tried on the compiled router.
 *
 * Near-linear in the number of rules: only those are compared that some made-up request meets together, or that say the
 * same of host and path. Where very many say the same, the work is bounded; what is reported is always so, but then it may
 * not be all.
 */
import { atOnce } from '../../util/pace.ts';
import { type Candidate, compareCandidates, rankedCandidates } from './candidate.ts';
import { covers } from './coverage.ts';
import type { RouteRule } from './route-rule.ts';
import { Router } from './router.ts';
import { type Example, type Witness, findExample, keepAway, plainVariation } from './witness.ts';

export interface RouteIssue {
  /**
   * - `tied`: both match the witness, and nothing but their names decides that `other` wins.
   * - `shadowed`: `other` goes before `route` and matches every request that `route` matches.
   * - `overlapping-regex`: both have regular expressions, in which no order of paths can be seen, and `other` wins where
   *   they overlap.
   */
  readonly kind: 'tied' | 'shadowed' | 'overlapping-regex';
  /** The name of the route that loses. */
  readonly route: string;
  readonly other: string;
  /** A request that both match and `route` loses; null when two expressions could not be proved apart. */
  readonly witness: Witness | null;
  /** One sentence for the author of the configuration. */
  readonly message: string;
}

/** Steps of the router in search of shadows, beyond what every rule may take. */
const MAX_STEPS = 5_000_000;
const STEPS_OF_EACH = 100;
/** Pairs of rules for the same host and path that are compared, for each such path. */
const MAX_PAIRS = 5000;
/** Pairs of regular expressions that are compared in all. */
const MAX_REGEX_PAIRS = 5000;
/** A rule with more methods is not taken apart by them. */
const MAX_METHODS = 16;
/** How often a request for two rules is varied when a third rule takes it. */
const MAX_VARIATIONS = 6;

/**
 * The problems between rules, at most one of each kind for each rule, in the order of their names.
 * @throws {TypeError} for rules that `Router.compile` does not accept.
 */
export function analyseRoutes(rules: readonly RouteRule<unknown>[]): RouteIssue[] {
  const candidates = atOnce(rankedCandidates(rules));
  const router = Router.of(candidates);
  const shadowed = findShadowed(candidates, router);
  const isShadowed = new Set(shadowed.map(({ route }) => route));
  const others = candidates.filter(({ rule }) => !isShadowed.has(rule.name)).toSorted(compareCandidates);
  return [...shadowed, ...findTied(others, router), ...findOverlapping(others, router)].toSorted(
    (a, b) => compareNames(a.route, b.route) || compareNames(a.kind, b.kind),
  );
}

const compareNames = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

type Candidates = readonly Candidate<unknown>[];

function findShadowed(candidates: Candidates, router: Router<unknown>): RouteIssue[] {
  const issues: RouteIssue[] = [];
  const budget = { steps: MAX_STEPS + candidates.length * STEPS_OF_EACH };
  for (let start = 0; start < candidates.length && budget.steps > 0;) {
    // The candidates of a rule follow one another; all of them must be shadowed.
    let end = start;
    let shadow: Shadow | 'never' | null = 'never';
    for (; end < candidates.length && candidates[end].rule === candidates[start].rule; end++) {
      if (shadow === null) continue;
      const found: Shadow | 'never' | null = findShadow(candidates[end], router, budget);
      budget.steps -= router.steps;
      if (shadow === 'never' || found === null) shadow = found;
    }
    if (shadow !== null && shadow !== 'never') issues.push(describeShadow(candidates[start].rule.name, shadow));
    start = end;
  }
  return issues;
}

/** What is left to be spent. */
interface Budget {
  steps: number;
}

interface Shadow {
  /** At least one. */
  readonly by: readonly string[];
  readonly witness: Witness;
}

/** null when the candidate wins something, as far as can be told; `never` when it matches nothing at all. */
function findShadow(candidate: Candidate<unknown>, router: Router<unknown>, budget: Budget): Shadow | 'never' | null {
  // Whoever matches all that the candidate matches also matches this request, whatever it looks like.
  const example = findExample([candidate], plainVariation);
  if (example === 'impossible') return 'never';
  if (example === 'unknown' || wins(candidate.rule, router, example)) return null;
  const by = findCover(candidate, router, example);
  if (by !== null) return { by: [by], witness: example.witness };
  const together = findCovers(candidate, router, budget);
  return together === null ? null : { by: together, witness: example.witness };
}

/** The rule that goes before the candidate and matches all of its requests. @param example one of them. */
function findCover(candidate: Candidate<unknown>, router: Router<unknown>, { request }: Example): string | null {
  const by = router
    .matchAll(request)
    .filter((other) => other.rank < candidate.rank && other.rule.name !== candidate.rule.name)
    .toSorted(compareCandidates)
    .find((other) => covers(other, candidate));
  return by?.rule.name ?? null;
}

/** Rules that each match all of its requests of some of its methods, and all of them together; null if there are none. */
function findCovers(candidate: Candidate<unknown>, router: Router<unknown>, budget: Budget): readonly string[] | null {
  const { rule } = candidate;
  const { methods } = rule.match;
  if (methods === null || methods.length < 2 || methods.length > MAX_METHODS) return null;
  const names = new Set<string>();
  for (const method of methods) {
    const part = { ...candidate, rule: { ...rule, match: { ...rule.match, methods: [method] } } };
    const example = findExample([part], plainVariation);
    budget.steps -= router.steps;
    const by = typeof example === 'string' ? null : findCover(part, router, example);
    if (by === null) return null;
    names.add(by);
  }
  return [...names];
}

function describeShadow(route: string, { by, witness }: Shadow): RouteIssue {
  const [goes, matches] = by.length === 1 ? ['goes', 'matches'] : ['go', 'together match'];
  const message = `route ${route} never gets a request: ${by.join(' and ')} ${goes} before it and ${matches} all of its requests, such as ${show(witness)}`;
  return { kind: 'shadowed', route, other: by[0], witness, message };
}

/** @param candidates in the order in which they win. */
function findTied(candidates: Candidates, router: Router<unknown>): RouteIssue[] {
  const issues = new Map<string, RouteIssue>();
  for (const rivals of Map.groupBy(candidates, placeOf).values()) {
    if (rivals.length === 1) continue;
    let pairs = 0;
    const bySignature = new Map<string, Candidate<unknown>>();
    for (const loser of rivals) {
      const signature = signatureOf(loser);
      const same = bySignature.get(signature);
      const before = same === undefined ? bySignature.values() : [same];
      for (const other of before) {
        if (issues.has(loser.rule.name) || (same === undefined && ++pairs > MAX_PAIRS)) break;
        const issue = other.rule === loser.rule ? null : tieOf(other, loser, router);
        if (issue !== null) issues.set(loser.rule.name, issue);
      }
      if (same === undefined) bySignature.set(signature, loser);
    }
  }
  return [...issues.values()];
}

/**
 * Equal for candidates of one rank that say the same of host and path. Others of one rank do not meet, but for those with
 * expressions, and for patterns where one rule keeps empty segments and the other merges them.
 */
function placeOf({ rank, host, pattern, regex, pathSource }: Candidate<unknown>): string {
  const segments = pattern?.segments.map((segment) => segment ?? '{}').join('/') ?? '';
  return `${rank} ${host ?? ''} ${regex === null ? segments : `~${pathSource}`}`;
}

/** Equal for candidates of one place that say the same of everything else. */
function signatureOf({ rule: { match } }: Candidate<unknown>): string {
  const { methods, listeners, headers, query, emptySegments } = match;
  const sorted = (values: readonly unknown[] | null): string[] | null =>
    values === null ? null : values.map((value) => JSON.stringify(value)).toSorted();
  return JSON.stringify([sorted(methods), sorted(listeners), sorted(headers), sorted(query), emptySegments]);
}

function tieOf(other: Candidate<unknown>, loser: Candidate<unknown>, router: Router<unknown>): RouteIssue | null {
  const meeting = findMeeting(other, loser, router, (winner) => winner.rank === loser.rank);
  if (typeof meeting === 'string') return null;
  const { witness, name } = meeting;
  const route = loser.rule.name;
  const message = `routes ${name} and ${route} are equally specific and both match ${show(witness)}; ${name} gets it, only because of its name. Give one of them a priority or another condition`;
  return { kind: 'tied', route, other: name, witness, message };
}

interface Meeting {
  readonly witness: Witness;
  /** The route that wins. */
  readonly name: string;
}

/**
 * A request that both candidates match and that the first one wins, or a third that is as much a rival of the second.
 * Where a third that is none takes it, the request is varied.
 */
function findMeeting(
  other: Candidate<unknown>,
  loser: Candidate<unknown>,
  router: Router<unknown>,
  isRival: (winner: Candidate<unknown>) => boolean,
): Meeting | 'impossible' | 'unknown' {
  let variation = plainVariation;
  for (let i = 0; i < MAX_VARIATIONS; i++) {
    const example = findExample([other, loser], variation);
    if (typeof example === 'string') return example;
    const { witness, request } = example;
    const [winner] = router.matchAll(request).toSorted(compareCandidates);
    if (winner.rule !== loser.rule && isRival(winner) && wins(loser.rule, Router.of([loser]), example)) {
      return wins(winner.rule, router, example) ? { witness, name: winner.rule.name } : 'unknown';
    }
    variation = keepAway(winner, variation);
  }
  return 'unknown';
}

/** @param candidates in the order in which they win. */
function findOverlapping(candidates: Candidates, router: Router<unknown>): RouteIssue[] {
  const issues = new Map<string, RouteIssue>();
  const withRegex = candidates.filter(({ regex }) => regex !== null);
  let pairs = 0;
  for (const rivals of Map.groupBy(withRegex, ({ rule, host }) => `${rule.priority} ${host ?? ''}`).values()) {
    for (const [index, loser] of rivals.entries()) {
      for (const other of rivals.slice(0, index)) {
        if (issues.has(loser.rule.name) || ++pairs > MAX_REGEX_PAIRS) break;
        if (other.rule === loser.rule || other.pathSource === loser.pathSource) continue;
        const issue = overlapOf(other, loser, router);
        if (issue !== null) issues.set(loser.rule.name, issue);
      }
    }
  }
  return [...issues.values()];
}

function overlapOf(other: Candidate<unknown>, loser: Candidate<unknown>, router: Router<unknown>): RouteIssue | null {
  const meeting = findMeeting(other, loser, router, ({ regex, pathSource, host, rule }) => {
    const isRegex = regex !== null && pathSource !== loser.pathSource;
    return isRegex && host === loser.host && rule.priority === loser.rule.priority;
  });
  if (meeting === 'impossible') return null;
  const route = loser.rule.name;
  const name = meeting === 'unknown' ? other.rule.name : meeting.name;
  const issue = { kind: 'overlapping-regex', route, other: name } as const;
  const both = `the regular expressions of routes ${name} and ${route}`;
  if (meeting === 'unknown') {
    const message = `${both} may overlap: neither a request that shows it nor a proof that there is none was found; ${name} would get it`;
    return { ...issue, witness: null, message };
  }
  const message = `${both} overlap: both match ${show(meeting.witness)}; ${name} gets it`;
  return { ...issue, witness: meeting.witness, message };
}

function wins(rule: RouteRule<unknown>, router: Router<unknown>, { request }: Example): boolean {
  const result = router.match(request);
  return result?.kind === 'route' && result.rule === rule;
}

/** `GET http://a.example/b with x-version: 2`. */
function show({ method, url, headers, listener }: Witness): string {
  const fields = headers.map(([name, value]) => `${name}: ${value}`).join(', ');
  const place = listener === null ? '' : ` on listener ${listener}`;
  return `${method} ${url}${fields === '' ? '' : ` with ${fields}`}${place}`;
}
