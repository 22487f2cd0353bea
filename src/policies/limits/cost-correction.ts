/**
 * What requests have cost in truth, which is known only once they are answered. Until then each is charged an estimate.
 *
 * The upstream tells it, and is believed within bounds: one request counts as no more than `max`, and however much is owed, it
 * is paid off within a window. Where nothing is told (an upstream that failed, a response of the gateway's own) the estimate stays.
 */
import type { Exchange, Policy } from '../../contract.ts';
import type { Charge } from './charge.ts';
import type { LateCost } from './limit-cost.ts';

/** A charge that was allowed, of a request that is on its way. */
interface Estimate {
  readonly charge: Charge;
  /** What the request counts as at most. */
  readonly most: number;
}

export class CostCorrection {
  private readonly late: LateCost;
  /** Weak, because a store may decide after the client has left, of which nobody is told any more. */
  private readonly estimates = new WeakMap<Exchange, Estimate>();

  constructor(late: LateCost) {
    this.late = late;
  }

  /** @param limit how many there are in a window. */
  note(exchange: Exchange, charge: Charge, limit: number): void {
    this.estimates.set(exchange, { charge, most: this.late.most ?? limit });
  }

  /** The limit as a policy that also looks at the response. */
  of(limit: Policy): Policy {
    const { isInHead } = this.late;
    return {
      onRequest: (exchange) => limit.onRequest?.(exchange),
      ...(isInHead && { onResponse: (exchange: Exchange) => this.correct(exchange) }),
      onFinish: (exchange) => {
        if (!isInHead) this.correct(exchange);
        this.estimates.delete(exchange);
      },
    };
  }

  private correct(exchange: Exchange): void {
    const estimate = this.estimates.get(exchange);
    if (estimate === undefined) return;
    const used = this.late.read(exchange);
    if (used !== null) estimate.charge.correct(used, estimate.most);
  }
}
