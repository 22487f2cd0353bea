/** What a route says must fit together, and name what exists. */
import { type Finding, type Path, formatPath } from '../problem.ts';
import type { FieldMatch, ListenerConfig, MatchConfig, RouteDeclaration, WeightedUpstream } from '../schema.ts';
import type { BrokenRoute } from '../sections.ts';
import { suggest } from '../suggest.ts';
import { formatDuration } from '../../util/units.ts';
import { checkReach } from './reach.ts';

/** What exists besides the route. */
export interface RouteSurroundings {
  readonly upstreams: ReadonlySet<string>;
  /** Those that a route names are added. */
  readonly usedUpstreams: Set<string>;
  readonly listeners: ReadonlySet<string>;
  /** Those without errors. */
  readonly acceptedListeners: Readonly<Record<string, ListenerConfig>>;
  /** `defaults.timeouts.total` as it is written: milliseconds, null for `none`. */
  readonly defaultTotal: number | null | undefined;
  readonly findings: Finding[];
}

/** Adds the findings of one route. Returns whether there was no error. */
export function checkRoute(name: string, route: RouteDeclaration, around: RouteSurroundings): boolean {
  const { findings } = around;
  const before = findings.length;
  const path = ['routes', name];
  const { upstream, redirect, respond } = route;
  // Nearly all routes are of this kind, and there may be very many.
  if (upstream === undefined || redirect !== undefined || respond !== undefined) {
    const keys = KEYS_OF_CONCERN.filter((key) => route[key] !== undefined);
    checkAction(keys, path, findings);
    if (upstream === undefined) checkIdleTimeouts(route, path, findings);
  }
  checkParts(route, path, around);
  checkReach(route, path, around);
  for (let index = before; index < findings.length; index++) {
    if (findings[index].severity === 'error') return false;
  }
  return true;
}

/** Adds the findings that can be had of a route whose schema has refused it. */
export function checkBrokenRoute(name: string, { parts, keys }: BrokenRoute, around: RouteSurroundings): void {
  const path = ['routes', name];
  checkAction(keys, path, around.findings);
  checkParts(parts, path, around);
}

function checkParts(route: Partial<RouteDeclaration>, path: Path, around: RouteSurroundings): void {
  const { match, upstream, rewrite, redirect, timeouts } = route;
  const { findings } = around;
  if (upstream !== undefined) checkUpstreams(upstream, [...path, 'upstream'], around);
  if (timeouts !== undefined) checkTimeouts(timeouts, [...path, 'timeouts'], findings, around.defaultTotal);
  if (match === undefined) return;
  checkMatch(match, [...path, 'match'], around);
  if (rewrite?.path !== undefined) checkCaptures(rewrite.path, match, [...path, 'rewrite', 'path'], findings);
  if (redirect !== undefined) checkCaptures(redirect.to, match, [...path, 'redirect', 'to'], findings, REQUEST_PARTS);
}

const ACTIONS: readonly string[] = ['upstream', 'redirect', 'respond'];
const KEYS_OF_CONCERN = ['upstream', 'redirect', 'respond', 'rewrite'] as const;

/** Of the time-outs, only `total` is about anything but an upstream. */
function checkIdleTimeouts({ timeouts }: RouteDeclaration, path: Path, findings: Finding[]): void {
  for (const name of ['connect', 'firstByte', 'idle'] as const) {
    if (timeouts[name] === undefined) continue;
    const place = [...path, 'timeouts', name];
    const message = `${formatPath(place)} has no effect: the route sends nothing to an upstream`;
    findings.push({ severity: 'warning', code: 'NO_EFFECT', message, path: place, atKey: true });
  }
}

/** Exactly one of the three things that can happen to a request. */
function checkAction(keys: readonly string[], path: Path, findings: Finding[]): void {
  const actions = ACTIONS.filter((action) => keys.includes(action));
  if (actions.length !== 1) {
    const found = actions.length === 0 ? 'none of them' : actions.join(' and ');
    const message = `${formatPath(path)} needs exactly one of upstream, redirect and respond; it has ${found}`;
    findings.push({ severity: 'error', code: 'ROUTE_ACTION', message, path });
  } else if (keys.includes('rewrite') && actions[0] !== 'upstream') {
    const message = `${formatPath(path)}: rewrite changes what an upstream gets, but there is none`;
    findings.push({ severity: 'error', code: 'ROUTE_ACTION', message, path: [...path, 'rewrite'], atKey: true });
  }
}

function checkUpstreams(split: readonly WeightedUpstream[], path: Path, around: RouteSurroundings): void {
  for (const [index, { upstream }] of split.entries()) {
    around.usedUpstreams.add(upstream);
    if (around.upstreams.has(upstream)) continue;
    // A single name is written without the list around it; the path then leads as far as there is something.
    const place = [...path, index, 'upstream'];
    const finding = unknownName('UNKNOWN_UPSTREAM', upstream, [...around.upstreams], place);
    around.findings.push(finding);
    // What was probably meant is not also to be told unused.
    if (finding.suggestion !== undefined) around.usedUpstreams.add(finding.suggestion);
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
    RegExp(source);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, '') : 'it is malformed';
    const message = `${formatPath(path)} is not a regular expression: ${reason}`;
    findings.push({ severity: 'error', code: 'BAD_PATTERN', message, path });
  }
}

/** What a redirect may take from the request besides captures. */
const REQUEST_PARTS: readonly string[] = ['host', 'path', 'query'];

/** Every `{name}` of a rewrite, a redirect or a rule must be captured by each path that the route matches. */
export function checkCaptures(
  template: string,
  match: MatchConfig,
  path: Path,
  findings: Finding[],
  alsoKnown: readonly string[] = [],
): void {
  const captured = match.path.map((pattern) => (typeof pattern === 'string' ? capturesOf(pattern) : []));
  const common = (captured[0] ?? []).filter((name) => captured.every((names) => names.includes(name)));
  for (const name of new Set(Array.from(template.matchAll(/\{([^{}]*)\}/g), (reference) => reference[1]))) {
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

/**
 * A time-out that is longer than the one around it never happens. What is compared is what somebody has written: that a
 * route has less time in all than the defaults have for a part is what such a route is for.
 * @param inheritedTotal what holds where there is no `total`.
 */
export function checkTimeouts(
  timeouts: RouteDeclaration['timeouts'],
  path: Path,
  findings: Finding[],
  inheritedTotal?: number | null,
): void {
  const isInherited = timeouts.total === undefined;
  const total = isInherited ? inheritedTotal : timeouts.total;
  if (total === undefined || total === null) return;
  for (const name of ['connect', 'firstByte', 'idle'] as const) {
    const inner = timeouts[name];
    if (inner === undefined || inner <= total) continue;
    const around = isInherited ? `the total of the defaults (${formatDuration(total)})` : 'total';
    const message = `${formatPath(path)}: ${name} is longer than ${around}, so that it is never reached`;
    findings.push({ severity: 'warning', code: 'TIMEOUTS', message, path: [...path, name] });
  }
}

/** The finding for a name that nothing has. */
function unknownName(
  code: 'UNKNOWN_UPSTREAM' | 'UNKNOWN_LISTENER',
  name: string,
  known: readonly string[],
  path: Path,
): Finding {
  const kind = code === 'UNKNOWN_UPSTREAM' ? 'upstream' : 'listener';
  const suggestion = suggest(name, known);
  const message = `there is no ${kind} ${JSON.stringify(name)}`;
  return { severity: 'error', code, message, path, ...(suggestion !== undefined && { suggestion }) };
}
