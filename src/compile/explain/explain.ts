/**
 * What would become of a request, and why. Pure functions over a configuration: the route comes from station 3 of the data
 * path, the rewritten path and the Host from station 7, so that what is said here is what is done there.
 */
import { innerUses } from '../../config/inner-uses.ts';
import type { GatewayConfig, PolicyUse, RouteConfig } from '../../config/schema.ts';
import type { PolicyDefinition } from '../../contract.ts';
import { type ErrorCode, errors } from '../../errors.ts';
import { compareText, orderReason } from '../../proxy/router/specificity.ts';
import { explainAction, replyAction } from './action.ts';
import { leaseOfUse } from '../loose-limits.ts';
import { type AskedRequest, type ExplainRequest, readRequest } from './asked-exchange.ts';
import type { BeatenRoute, ExplainedOutcome, ExplainedPolicy, ExplainedRequest, Explanation } from './explanation.ts';
import { hideIn } from './hide-secrets.ts';
import { findNearMisses } from './near-misses.ts';
import { type ExplainedCandidate, ExplainedRoutes, type RouteChoice } from './route-choice.ts';

export { ExplainError, type ExplainRequest } from './asked-exchange.ts';

/** What is known besides the configuration. */
export interface ExplainEnv {
  /** The definition of a policy, where it is at hand: it says what the policy needs and provides. */
  readonly definitionOf?: (use: PolicyUse) => PolicyDefinition | undefined;
  /** The text with every secret in it replaced. */
  readonly hide?: (text: string) => string;
}

/** How many of the routes that match are told. */
const MAX_ALSO_MATCHED = 10;

/** Compiling many routes takes a while, and who asks once asks again. */
const known = new WeakMap<GatewayConfig, ExplainedRoutes>();

/** @throws {ExplainError} for a request that no client can send; the message is for whoever asked. */
export function explain(config: GatewayConfig, request: ExplainRequest, env: ExplainEnv = {}): Explanation {
  return explainAsked(config, readRequest(config, request), env);
}

/** The same for a request that has come, or could have. */
export function explainAsked(config: GatewayConfig, request: AskedRequest, env: ExplainEnv = {}): Explanation {
  let routes = known.get(config);
  if (routes === undefined) {
    routes = new ExplainedRoutes(config);
    known.set(config, routes);
  }
  const choice = routes.choose(request);
  const { exchange, refusal, asked, matching } = choice;
  const route = exchange.chosen.config;
  const [winner, ...others] = matching;
  const explanation: Explanation = {
    request: describeRequest(choice),
    outcome: describeOutcome(choice, config),
    route:
      route === null
        ? null
        : {
            name: route.name,
            priority: route.priority,
            host: winner.host,
            path: winner.pathSource === '' ? null : winner.pathSource,
            captures: exchange.params,
          },
    alsoMatched: others.slice(0, MAX_ALSO_MATCHED).map((other) => describeBeaten(winner, other)),
    alsoMatchedTotal: others.length,
    nearMisses: asked === null ? [] : findNearMisses(routes, asked, new Set(matching.map(({ rule }) => rule.name))),
    policies: refusal === null ? explainPolicies(config, route, env) : [],
    cache: 'none',
    action: refusal === null ? actionOf(choice, config) : null,
    timeouts: route === null || route.upstream === null ? null : route.timeouts,
  };
  return env.hide === undefined ? explanation : hideIn(explanation, env.hide);
}

function describeRequest({ exchange }: RouteChoice): ExplainedRequest {
  const { method, stream, listener, host, port, path, query, droppedHeaders } = exchange;
  return {
    method,
    target: stream.target,
    listener,
    host,
    port,
    path: path === '' ? null : path,
    query,
    droppedHeaders: droppedHeaders.toSorted(compareText),
  };
}

function describeOutcome({ exchange, refusal, matching }: RouteChoice, { notFound }: GatewayConfig): ExplainedOutcome {
  const { route, methodRefused, reason, method, chosen } = exchange;
  if (refusal !== null) {
    const by = matching.length === 0 ? '' : `; it would be for route ${matching[0].rule.name}, which refuses it`;
    return failed('refused', refusal, `${errors[refusal].title}: ${reason}${by}`);
  }
  if (methodRefused) {
    const allow = route.methods ?? [];
    const message = `routes match it, but none of them accepts ${method}`;
    return { ...failed('method-not-allowed', 'METHOD_NOT_ALLOWED', message), allow };
  }
  if (chosen.config === null) {
    const status = notFound.respond?.status ?? errors.NO_ROUTE.status;
    return { ...failed('no-route', 'NO_ROUTE', 'no route matches it'), status };
  }
  const { name, respond, redirect } = chosen.config;
  const status = respond?.status ?? redirect?.status ?? null;
  return { kind: 'route', code: null, status, message: `it is for route ${name}`, allow: [] };
}

function failed(kind: ExplainedOutcome['kind'], code: ErrorCode, message: string): ExplainedOutcome {
  return { kind, code, status: errors[code].status, message, allow: [] };
}

function actionOf({ exchange }: RouteChoice, config: GatewayConfig): Explanation['action'] {
  const route = exchange.chosen.config;
  if (route !== null) return explainAction(exchange, route, config);
  if (exchange.methodRefused || config.notFound.respond === null) return null;
  return replyAction(config.notFound.respond);
}

// ---- why the others lost -------------------------------------------------------------------------------------------

function describeBeaten(winner: ExplainedCandidate, other: ExplainedCandidate): BeatenRoute {
  const { rule, host, pathSource } = other;
  const reason = orderReason(winner, other);
  // Where nothing but names tells them apart, a route that lists OPTIONS gets a preflight before that.
  const isPreflight = reason === 'name' && compareText(winner.rule.name, rule.name) > 0;
  const decidedBy = isPreflight ? 'preflight' : reason;
  const place = { host, path: pathSource === '' ? null : pathSource };
  return { name: rule.name, ...place, decidedBy, message: sentence(decidedBy, winner, other) };
}

function sentence(decidedBy: BeatenRoute['decidedBy'], winner: ExplainedCandidate, other: ExplainedCandidate): string {
  const [first, second] = [winner.rule, other.rule];
  switch (decidedBy) {
    case 'priority':
      return `priority ${first.priority} goes before ${second.priority}`;
    case 'host':
      return `${hostOf(winner)} goes before ${hostOf(other)}`;
    case 'path':
      return `${pathOf(winner)} goes before ${pathOf(other)}`;
    case 'methods':
      return 'a route that lists its methods goes before one that does not';
    case 'headers':
      return `more conditions on headers go first: ${first.match.headers.length} before ${second.match.headers.length}`;
    case 'query':
      return `more conditions on the query go first: ${first.match.query.length} before ${second.match.query.length}`;
    case 'preflight':
      return 'a route that lists OPTIONS itself gets a CORS preflight first';
    case 'name':
      return `they are equally specific; only the name ${first.name} goes before ${second.name}`;
  }
}

function hostOf({ host }: ExplainedCandidate): string {
  if (host === null) return 'any host';
  return host.startsWith('*.') ? `the wildcard ${host}` : `the exact host ${host}`;
}

function pathOf({ pattern, regex, pathSource }: ExplainedCandidate): string {
  if (regex !== null) return `the regex ${pathSource}`;
  if (pattern === null) return 'any path';
  return `${pattern.exactPath === null ? 'the pattern' : 'the exact path'} ${pathSource}`;
}

// ---- policies ------------------------------------------------------------------------------------------------------

function explainPolicies(config: GatewayConfig, route: RouteConfig | null, env: ExplainEnv): ExplainedPolicy[] {
  const { notFound, defaultPolicies } = config;
  const own = route === null ? 'notFound' : 'route';
  return (route ?? notFound).policies.map((use, index) => {
    const from = index < defaultPolicies ? 'defaults' : own;
    return explainPolicy(use, { from, route: route?.name ?? own, threads: config.threads }, env);
  });
}

interface PolicyPlace {
  readonly from: ExplainedPolicy['from'];
  readonly route: string;
  readonly threads: GatewayConfig['threads'];
}

function explainPolicy(use: PolicyUse, place: PolicyPlace, env: ExplainEnv): ExplainedPolicy {
  const definition = env.definitionOf?.(use);
  const inner = innerUses(use);
  return {
    label: use.label,
    name: use.name,
    module: use.module,
    from: place.from,
    needs: definition === undefined ? null : (definition.needs ?? []),
    provides: definition === undefined ? null : (definition.provides ?? []),
    ...explainLease(use, place),
    ...(inner.length > 0 && { of: inner.map((one) => explainPolicy(one, place, env)) }),
  };
}

function explainLease(use: PolicyUse, { route, threads }: PolicyPlace): Pick<ExplainedPolicy, 'lease'> {
  const lease = leaseOfUse(use, route, threads);
  if (lease === null) return {};
  const { store, threads: count, rules, isWhole } = lease;
  return { lease: { store, threads: count, rules, isWhole } };
}
