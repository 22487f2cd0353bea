/** Limits that are leased from a store, and how many more than they say are let pass because of that. */
import { withInnerUses } from '../config/inner-uses.ts';
import { isMapping } from '../config/is-mapping.ts';
import type { Finding } from '../config/problem.ts';
import type { GatewayConfig, PolicyUse, RouteConfig } from '../config/schema.ts';
import { threadCount } from '../config/thread-count.ts';
import { limitFacts } from '../policies/limit-facts.ts';
import { mostInHand } from '../stores/lease-size.ts';
import type { ExplainedLease } from './explain/explanation.ts';

/** What a machine may have in hand of a leased limit. */
export interface LimitLease extends ExplainedLease {
  readonly identity: string;
  readonly name: string;
}

/** Null when the policy is no limit, or one whose requests are decided one by one. */
export function leaseOfUse(use: PolicyUse, route: string, threads: GatewayConfig['threads']): LimitLease | null {
  if (use.module !== null || !isMapping(use.options) || use.options['mode'] !== 'lease') return null;
  const facts = limitFacts(use, route);
  if (facts === null || facts.lease === null) return null;
  const { identity, name, store, lease, tiers, cost } = facts;
  const count = threadCount({ threads });
  const rules = tiers.map(({ who, rule }) => {
    return { for: who, limit: rule.limit, inHand: mostInHand(lease, rule, count, cost.known) };
  });
  return { identity, name, store, threads: count, rules, isWhole: cost.isFixed };
}

/** Four machines with a quarter in hand let pass twice as many as the limit says. */
const looseShare = 0.25;

/** @returns once for each limit, at the first route that has it. */
export function findLooseLimits(
  routes: Readonly<Record<string, RouteConfig>>,
  threads: GatewayConfig['threads'],
): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for (const route in routes) {
    for (const use of withInnerUses(routes[route].policies)) {
      const lease = leaseOfUse(use, route, threads);
      if (lease === null || seen.has(lease.identity)) continue;
      seen.add(lease.identity);
      const loose = lease.rules.filter(({ limit, inHand }) => inHand >= looseShare * limit);
      if (loose.length === 0) continue;
      const message = `the limit ${lease.name} is leased: ${loose.map((rule) => boundOf(rule, lease)).join(', ')}; write mode: exact, or give it a smaller lease`;
      findings.push({ severity: 'warning', code: 'LOOSE_LIMIT', message, path: ['routes', route], atKey: true });
    }
  }
  return findings;
}

function boundOf({ for: who, limit, inHand }: LimitLease['rules'][number], { threads }: LimitLease): string {
  const whose = who === 'default' ? '' : ` of ${JSON.stringify(who)}`;
  return `on each machine (${threads} ${threads === 1 ? 'thread' : 'threads'}) up to ${inHand} more than ${limit}${whose}`;
}
