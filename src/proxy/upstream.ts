/** A named group of equivalent targets, with the connections of this thread to each of them. */
import type { Balancer, BalancerTarget } from '../contract.ts';
import type { UpstreamPool } from '../wire/upstream-pool.ts';

export class Target implements BalancerTarget {
  /** As configured. */
  readonly url: string;
  readonly weight: number;
  /** `host[:port]`, for `hostHeader: target`. */
  readonly authority: string;
  readonly pool: UpstreamPool;
  inFlight = 0;

  constructor(url: string, weight: number, authority: string, pool: UpstreamPool) {
    this.url = url;
    this.weight = weight;
    this.authority = authority;
    this.pool = pool;
  }
}

export interface Upstream {
  readonly name: string;
  readonly targets: readonly Target[];
  readonly balancer: Balancer;
  /** `preserve`, `target`, or the Host itself. */
  readonly hostHeader: string;
}
