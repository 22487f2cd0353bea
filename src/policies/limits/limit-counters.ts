/** What limits say of their decisions in the metrics. */
import type { Counter, PolicyEnv } from '../../contract.ts';

export interface LimitCounters {
  /** It let a request pass. One of several limits may have refused it all the same. */
  readonly allowed: Counter;
  readonly refused: Counter;
  /** It would have refused a request if it were enforced. */
  readonly wouldRefuse: Counter;
  readonly exempt: Counter;
  /** Its store does not answer, and a request has passed. */
  readonly uncounted: Counter;
  /** Its store does not answer, and a request was refused for that. */
  readonly unavailable: Counter;
}

/** @param name what the limit is named in its options, if it is. */
export function limitCounters(name: string | undefined, env: Pick<PolicyEnv, 'counter' | 'label'>): LimitCounters {
  const counter = (result: string): Counter =>
    env.counter('gatewright_ratelimit_total', { policy: name ?? env.label, result });
  return {
    allowed: counter('allowed'),
    refused: counter('refused'),
    wouldRefuse: counter('would_refuse'),
    exempt: counter('exempt'),
    uncounted: counter('uncounted'),
    unavailable: counter('unavailable'),
  };
}
