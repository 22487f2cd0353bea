/** A named group of equivalent targets, with the connections of this thread to each of them. */
import type { Balancer, BalancerTarget } from '../contract.ts';
import type { UpstreamPool } from '../wire/upstream-pool.ts';
import type { UpstreamCredential } from './upstream-credential.ts';

export class Target implements BalancerTarget {
  /** As configured. */
  readonly url: string;
  readonly weight: number;
  /** `host[:port]`, for `hostHeader: target`. */
  readonly authority: string;
  readonly pool: UpstreamPool;
  readonly scheme: 'http' | 'https';
  inFlight = 0;

  constructor(url: string, weight: number, authority: string, pool: UpstreamPool) {
    this.url = url;
    this.weight = weight;
    this.authority = authority;
    this.pool = pool;
    this.scheme = url.startsWith('https:') ? 'https' : 'http';
  }
}

export interface Upstream {
  readonly name: string;
  readonly targets: readonly Target[];
  readonly balancer: Balancer;
  /** `preserve`, `target`, or the Host itself. */
  readonly hostHeader: string;
  /** What each request to it is sent with; null for nothing. */
  readonly credential: UpstreamCredential | null;
}
