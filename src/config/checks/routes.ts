/** What a route says must fit together, and name what exists. */
import { type Finding, type Path, formatPath } from '../problem.ts';
import type { FieldMatch, MatchConfig, RouteDeclaration, WeightedUpstream } from '../schema.ts';
import { unknownName } from '../sections.ts';

/** What exists besides the route. */
export interface RouteSurroundings {
  readonly upstreams: ReadonlySet<string>;
  /** Those that a route names are added. */
  readonly usedUpstreams: Set<string>;
  readonly listeners: ReadonlySet<string>;
  readonly findings: Finding[];
}

/** Adds the findings of one route. Returns whether there was no error. */
export function checkRoute(name: string, route: RouteDeclaration, around: RouteSurroundings): boolean {
  const { findings } = around;
  const before = findings.length;
  const path = ['routes', name];
  checkAction(route, path, findings);
  checkUpstreams(route.upstream ?? [], [...path, 'upstream'], around);
  checkMatch(route.match, [...path, 'match'], around);
  if (route.rewrite?.path !== undefined) {
    checkCaptures(route.rewrite.path, route.match, [...path, 'rewrite', 'path'], findings);
  }
  if (route.redirect !== undefined) {
    checkCaptures(route.redirect.to, route.match, [...path, 'redirect', 'to'], findings, REQUEST_PARTS);
  }
  checkTimeouts(route.timeouts, [...path, 'timeouts'], findings);
  for (let index = before; index < findings.length; index++) {
    if (findings[index]!.severity === 'error') return false;
  }
  return true;
}

/** Exactly one of the three things that can happen to a request. */
function checkAction(route: RouteDeclaration, path: Path, findings: Finding[]): void {
  const { upstream, redirect, respond, rewrite } = route;
  // Nearly all routes are of this kind, and there may be very many.
  if (upstream !== undefined && redirect === undefined && respond === undefined) return;
  const actions = ACTIONS.filter((action) => route[action] !== undefined);
  if (actions.length !== 1) {
    const found = actions.length === 0 ? 'none of them' : actions.join(' and ');
    const message = `${formatPath(path)} needs exactly one of upstream, redirect and respond; it has ${found}`;
    findings.push({ severity: 'error', code: 'ROUTE_ACTION', message, path });
  } else if (rewrite !== undefined) {
    const message = `${formatPath(path)}: rewrite changes what an upstream gets, but there is none`;
    findings.push({ severity: 'error', code: 'ROUTE_ACTION', message, path: [...path, 'rewrite'], atKey: true });
  }
}

const ACTIONS = ['upstream', 'redirect', 'respond'] as const;

function checkUpstreams(split: readonly WeightedUpstream[], path: Path, around: RouteSurroundings): void {
  for (const [index, { upstream }] of split.entries()) {
    around.usedUpstreams.add(upstream);
    if (around.upstreams.has(upstream)) continue;
    // A single name is written without the list around it; the path then leads as far as there is something.
    const place = [...path, index, 'upstream'];
    around.findings.push(unknownName('UNKNOWN_UPSTREAM', upstream, [...around.upstreams], place));
  }
  if (split.length > 0 && split.every(({ weight }) => weight === 0)) {
    const message = `${formatPath(path)}: all weights are 0, so that nothing would be sent anywhere`;
    around.findings.push({ severity: 'error', code: 'BAD_VALUE', message, path });
  }
}

function checkMatch(match: MatchConfig, path: Path, { listeners, findings }: RouteSurroundings): void {
  for (const [index, name] of match.listener.entries()) {
    if (listeners.has(name)) continue;
    findings.push(unknownName('UNKNOWN_LISTENER', name, [...listeners], [...path, 'listener', index]));
  }
  for (const [index, pattern] of match.path.entries()) {
    if (typeof pattern !== 'string') checkRegex(pattern.regex, [...path, 'path', index, 'regex'], findings);
  }
  checkFields(match.headers, [...path, 'headers'], findings);
  checkFields(match.query, [...path, 'query'], findings);
}

function checkFields(fields: readonly FieldMatch[], path: Path, findings: Finding[]): void {
  for (const field of fields) {
    if ('regex' in field) checkRegex(field.regex, [...path, field.name, 'regex'], findings);
  }
}

/** The router refuses more (what can backtrack); here it must be a regular expression at all. */
function checkRegex(source: string, path: Path, findings: Finding[]): void {
  try {
    new RegExp(source);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, '') : 'it is malformed';
    const message = `${formatPath(path)} is not a regular expression: ${reason}`;
    findings.push({ severity: 'error', code: 'BAD_PATTERN', message, path });
  }
}

/** What a redirect may take from the request besides captures. */
const REQUEST_PARTS: readonly string[] = ['host', 'path', 'query'];

/** Every `{name}` of a rewrite or redirect must be captured by each path that the route matches. */
function checkCaptures(
  template: string,
  match: MatchConfig,
  path: Path,
  findings: Finding[],
  alsoKnown: readonly string[] = [],
): void {
  const captured = match.path.map((pattern) => (typeof pattern === 'string' ? capturesOf(pattern) : []));
  const common = (captured[0] ?? []).filter((name) => captured.every((names) => names.includes(name)));
  for (const name of new Set(Array.from(template.matchAll(/\{([^{}]*)\}/g), (reference) => reference[1]!))) {
    if (common.includes(name) || alsoKnown.includes(name)) continue;
    const known = common.length === 0 ? 'captures nothing' : `captures ${common.map((each) => `{${each}}`).join(', ')}`;
    const where = match.path.length > 1 ? 'every path of the route' : 'the path of the route';
    const message = `${formatPath(path)} uses {${name}}, but ${where} ${known}`;
    findings.push({ severity: 'error', code: 'UNKNOWN_CAPTURE', message, path });
  }
}

/** The names that a path pattern captures: `/users/{id}`, `/files/{rest...}`, and `*` for `/files/*`. */
function capturesOf(pattern: string): string[] {
  return Array.from(pattern.matchAll(/(?<=\/)(?:\{([A-Za-z_][A-Za-z0-9_]*)(?:\.\.\.)?\}|(\*))(?=\/|$)/g), (capture) => {
    return capture[1] ?? '*';
  });
}

/** A time-out that is longer than the one around it never happens. Only what is written in one place is compared. */
export function checkTimeouts(timeouts: RouteDeclaration['timeouts'], path: Path, findings: Finding[]): void {
  const { total } = timeouts;
  if (total === undefined || total === null) return;
  for (const name of ['connect', 'firstByte', 'idle'] as const) {
    const inner = timeouts[name];
    if (inner === undefined || inner <= total) continue;
    const message = `${formatPath(path)}: ${name} is longer than total, so that it is never reached`;
    findings.push({ severity: 'warning', code: 'TIMEOUTS', message, path: [...path, name] });
  }
}
