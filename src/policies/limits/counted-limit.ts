/** What `rateLimit` and `quota` have in common: a request is charged to a limit, or refused. */
import type { Consumer, Exchange, LimitCounter, LimitStore, Limiter, Policy, Reply } from '../../contract.ts';
import { type ErrorCode, errors } from '../../errors.ts';
import { Charge, undoCharges } from './charge.ts';
import type { CostCorrection } from './cost-correction.ts';
import type { CostReader } from './limit-cost.ts';
import { type LimitFields, seconds } from './limit-fields.ts';
import type { LimitCounters } from './limit-counters.ts';
import type { LimitKey } from './limit-key.ts';

/** One limit as it applies to some. */
export interface Tier {
  readonly limiter: Limiter;
  /** For those who have nothing of what they are to be counted by. */
  readonly byAddress: Limiter;
  readonly fields: LimitFields;
  /** What `Retry-After` says where no time is enough. */
  readonly windowMs: number;
  /** How many there are in a window. */
  readonly limit: number;
}

interface Parts {
  readonly code: ErrorCode;
  readonly name: string;
  readonly key: LimitKey;
  readonly cost: CostReader;
  /** Null where what is charged stays. */
  readonly correction: CostCorrection | null;
  readonly tierOf: (consumer: Consumer | null) => Tier;
  readonly isExempt: ((exchange: Exchange) => boolean) | null;
  readonly enforce: boolean;
  readonly limits: LimitStore;
  readonly counters: LimitCounters;
  readonly counter: LimitCounter;
  /** Told of requests that would have been refused. */
  readonly onUnenforced: () => void;
}

export class CountedLimit implements Policy {
  private readonly parts: Parts;
  private readonly reason: string;
  private readonly detail: string;

  constructor(parts: Parts) {
    this.parts = parts;
    this.reason = `limit ${parts.name}`;
    this.detail = `The limit "${parts.name}" is reached.`;
  }

  onRequest(exchange: Exchange): Reply | undefined {
    const { key, isExempt, enforce, correction, counter } = this.parts;
    if (isExempt !== null && isExempt(exchange)) {
      this.parts.counters.exempt.add();
      return undefined;
    }
    const { limiter, byAddress, fields, windowMs, limit } = this.parts.tierOf(exchange.consumer);
    const text = key.read(exchange);
    const counting = key.isByAddress ? byAddress : limiter;
    const cost = this.parts.cost(exchange);
    const verdict = counting.charge(text, cost);
    const { isAllowed, retryMs } = verdict;
    if (!isAllowed && !enforce) return this.wouldRefuse();
    const charge = new Charge(exchange.limitCharge, counting, text, enforce ? fields : null, cost, verdict);
    if (!isAllowed) return this.refuse(exchange, charge, retryMs === Infinity ? windowMs : retryMs);
    this.parts.counters.allowed.add();
    charge.tellLegacy(exchange);
    exchange.limitCharge = charge;
    counter.admitted();
    if (correction !== null) correction.note(exchange, charge, limit);
    return undefined;
  }

  private wouldRefuse(): undefined {
    this.parts.limits.noteRefusal(false);
    this.parts.counters.wouldRefuse.add();
    this.parts.counter.refused(false);
    this.parts.onUnenforced();
  }

  private refuse(exchange: Exchange, charge: Charge, waitMs: number): Reply {
    const { code, limits, counters, counter } = this.parts;
    limits.noteRefusal(true);
    counters.refused.add();
    counter.refused(true);
    undoCharges(exchange);
    const waitSeconds = Math.max(1, seconds(waitMs));
    charge.refused(waitSeconds);
    charge.tellLegacy(exchange);
    exchange.limitCharge = charge;
    return {
      status: errors[code].status,
      code,
      reason: this.reason,
      detail: this.detail,
      headers: [['retry-after', String(waitSeconds)]],
    };
  }
}

/** Tells the log at most once a minute. */
export function unenforcedNotice(name: string, env: { now(): number; warn(message: string): void }): () => void {
  let [count, toldAtMs] = [0, -Infinity];
  return () => {
    count++;
    const nowMs = env.now();
    if (nowMs - toldAtMs < 60_000) return;
    env.warn(`the limit "${name}" is not enforced; it would have refused ${count} more`);
    [count, toldAtMs] = [0, nowMs];
  };
}
