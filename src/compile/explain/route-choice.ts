/**
 * Which route a request gets, and which others there were. It is the station of the data path and the router itself that
 * are asked, with the request or with a part of it, and nothing here matches by itself.
 */
import type { GatewayConfig, RouteConfig } from '../../config/schema.ts';
import type { RouteInfo } from '../../contract.ts';
import type { ErrorCode } from '../../errors.ts';
import { chooseRoute, type RouteTable } from '../../proxy/choose-route.ts';
import { type Candidate, compareCandidates } from '../../proxy/router/candidate.ts';
import { Router, type RoutableRequest, type RouteRule } from '../../proxy/router/router.ts';
import { toRule } from '../rule.ts';
import { AskedExchange, type AskedRequest } from './asked-exchange.ts';

/** What the router gives back with a route: what it was made from; null for what no route matches. */
export interface Handling {
  readonly config: RouteConfig | null;
}

export type ExplainedRule = RouteRule<RouteInfo, Handling>;
export type ExplainedCandidate = Candidate<RouteInfo, Handling>;

export interface RouteChoice {
  readonly exchange: AskedExchange<Handling>;
  readonly refusal: ErrorCode | null;
  /** What the router was asked; null when the request was refused before. */
  readonly asked: RoutableRequest | null;
  /** The best candidate of each route that matches, in their order; the first is chosen. Empty when none matches. */
  readonly matching: readonly ExplainedCandidate[];
}

/** The routes of a configuration, compiled as the data path has them. */
export class ExplainedRoutes {
  readonly rules: readonly ExplainedRule[];
  private readonly router: Router<RouteInfo, Handling>;
  private relaxedRouters: RelaxedRouters | null = null;

  constructor({ routes }: GatewayConfig) {
    this.rules = Object.entries(routes).map(([name, config]) =>
      toRule(config, { name, methods: config.match.methods ?? null }, { config }),
    );
    this.router = Router.compile(this.rules);
  }

  choose(request: AskedRequest): RouteChoice {
    let asked: RoutableRequest | null = null;
    const { router } = this;
    const listening: RouteTable<Handling>['router'] = {
      match(routable) {
        asked = { ...routable };
        return router.match(routable);
      },
      valueOf: (number) => router.valueOf(number),
    };
    const notFound = { info: { name: '', methods: null }, config: null };
    const exchange = new AskedExchange<Handling>(request, notFound);
    const refusal = chooseRoute(exchange, { router: listening, notFound });
    return { exchange, refusal, asked, matching: asked === null ? [] : this.matching(asked) };
  }

  /** Routers that look at a part of each match alone, made when somebody asks. */
  get relaxed(): RelaxedRouters {
    this.relaxedRouters ??= {
      hostAndPath: Router.compile(this.rules.map((rule) => withMatch(rule, ['hosts', 'paths']))),
      path: Router.compile(this.rules.map((rule) => withMatch(rule, ['paths']))),
      host: Router.compile(this.rules.map((rule) => withMatch(rule, ['hosts']))),
    };
    return this.relaxedRouters;
  }

  private matching(asked: RoutableRequest): ExplainedCandidate[] {
    const found = this.router.match(asked);
    if (found?.kind !== 'route') return [];
    const winner = found.rule;
    const all = this.router.matchAll(asked).toSorted(compareCandidates);
    // A preflight may go to another one than the first of them.
    const first = all.find(({ rule }) => rule === winner)!;
    const best = new Map<unknown, ExplainedCandidate>([[winner, first]]);
    for (const candidate of all) if (!best.has(candidate.rule)) best.set(candidate.rule, candidate);
    return [...best.values()];
  }
}

export interface RelaxedRouters {
  readonly hostAndPath: Router<RouteInfo, Handling>;
  readonly path: Router<RouteInfo, Handling>;
  readonly host: Router<RouteInfo, Handling>;
}

const open = { hosts: [], paths: [], methods: null, headers: [], query: [], listeners: null } as const;

/** The rule with some parts of its match and without the others. */
export function withMatch(rule: ExplainedRule, parts: readonly (keyof ExplainedRule['match'])[]): ExplainedRule {
  const { match } = rule;
  const kept = Object.fromEntries(parts.map((part) => [part, match[part]]));
  return { ...rule, match: { ...match, ...open, ...kept } };
}
