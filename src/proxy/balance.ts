/** Station 6: which upstream, where a route splits its requests over several, and which of its targets. */
import type { ProxyExchange } from './exchange.ts';
import type { UpstreamSplit } from './route.ts';
import type { Upstream } from './upstream.ts';

export interface WeightedUpstream {
  readonly upstream: Upstream;
  /** 0 means never. */
  readonly weight: number;
}

/**
 * Spreads requests over upstreams in proportion to their weights, as evenly as whole requests allow (the smooth weighted
 * round robin of nginx).
 */
export function splitByWeight(parts: readonly WeightedUpstream[]): UpstreamSplit {
  const only = parts[0];
  if (parts.length === 1) return { next: () => only.upstream };
  const total = parts.reduce((sum, { weight }) => sum + weight, 0);
  const current = parts.map(() => 0);
  return {
    next() {
      let best = 0;
      for (let i = 0; i < parts.length; i++) {
        current[i] += parts[i].weight;
        if (parts[i].weight > 0 && (parts[best].weight === 0 || current[i] > current[best])) best = i;
      }
      current[best] -= total;
      return parts[best].upstream;
    },
  };
}

/** The index of the target for the next attempt; -1 when every one was tried. */
export function chooseTarget(exchange: ProxyExchange, upstream: Upstream, tried: readonly number[]): number {
  return upstream.balancer.pick(exchange, tried);
}
