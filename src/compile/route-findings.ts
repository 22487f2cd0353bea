/**
 * What the router and the rewrites have to say about routes that are right by their form: what they refuse, and what is
 * suspicious about several routes together.
 */
import { type Finding, type Path, formatPath } from '../config/problem.ts';
import type { GatewayConfig, RouteConfig } from '../config/schema.ts';
import { compileHost, compileRedirect, compileTemplate, type TemplateError } from '../proxy/rewrite.ts';
import { type RouteIssue, analyseRoutes } from '../proxy/router/analysis.ts';
import { findMatchProblems } from '../proxy/router/match-problems.ts';
import type { RouteRule } from '../proxy/router/route-rule.ts';
import { findOwnPathsNotReached } from './own-paths.ts';
import { findLooseLimits } from './loose-limits.ts';
import { findRedirectLoops } from './redirect-loops.ts';
import { captureNames, toRule } from './rule.ts';

/** @param routes those that are well-formed, by name. */
export function findRouteProblems(
  routes: Readonly<Record<string, RouteConfig>>,
  threads: GatewayConfig['threads'] = 'auto',
): Finding[] {
  const findings: Finding[] = [];
  const rules: RouteRule<null>[] = [];
  for (const name in routes) {
    rules.push(toRule(routes[name], null, null));
    findTemplateErrors(routes[name], findings);
  }
  const { issues, sound } = findIssues(rules, findings);
  for (const { kind, route, message } of issues) {
    findings.push({ severity: 'warning', code: codes[kind], message, path: ['routes', route], atKey: true });
  }
  return [
    ...findings,
    ...findRedirectLoops(sound, routes),
    ...findOwnPathsNotReached(sound, routes),
    ...findLooseLimits(routes, threads),
  ];
}

const codes = {
  tied: 'ROUTE_TIED',
  shadowed: 'ROUTE_SHADOWED',
  'overlapping-regex': 'REGEX_OVERLAP',
} as const satisfies Record<RouteIssue['kind'], Finding['code']>;

/** Nearly always the router accepts all rules, so each by itself is only asked about when it does not. */
function findIssues(rules: readonly RouteRule<null>[], findings: Finding[]): Analysed {
  try {
    return { issues: analyseRoutes(rules), sound: rules };
  } catch (error) {
    const sound = rules.filter((rule) => isSound(rule, findings));
    if (sound.length === rules.length) throw error;
    return { issues: analyseRoutes(sound), sound };
  }
}

interface Analysed {
  readonly issues: readonly RouteIssue[];
  /** The rules that the router accepts. */
  readonly sound: readonly RouteRule<null>[];
}

function isSound({ name, match }: RouteRule<null>, findings: Finding[]): boolean {
  const problems = findMatchProblems(match);
  for (const { path, error } of problems) findings.push(badPattern(['routes', name, 'match', ...path], error));
  return problems.length === 0;
}

function findTemplateErrors({ name, match, rewrite, redirect }: RouteConfig, findings: Finding[]): void {
  if (rewrite === null && redirect === null) return;
  const captures = captureNames(match.path);
  const refuse = (compiled: object | string, key: string, part: string): void => {
    if (isError(compiled)) findings.push(badPattern(['routes', name, key, part], compiled.error));
  };
  if (rewrite?.path !== undefined) refuse(compileTemplate(rewrite.path, captures), 'rewrite', 'path');
  if (rewrite?.host !== undefined) refuse(compileHost(rewrite.host), 'rewrite', 'host');
  if (redirect !== null) refuse(compileRedirect(redirect.to, captures), 'redirect', 'to');
}

const isError = (compiled: object | string): compiled is TemplateError =>
  typeof compiled === 'object' && 'error' in compiled;

function badPattern(path: Path, error: string): Finding {
  return { severity: 'error', code: 'BAD_PATTERN', message: `${formatPath(path)}: ${error}`, path };
}
