/** What `rateLimit` and `quota` have in common: a request is charged to a limit, or refused. */
import type {
  Consumer,
  Exchange,
  LimitCounter,
  LimitStore,
  LimitVerdict,
  Limiter,
  MaybePromise,
  Policy,
  Reply,
} from '../../contract.ts';
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

  onRequest(exchange: Exchange): MaybePromise<Reply | undefined> {
    const { key, isExempt } = this.parts;
    if (isExempt !== null && isExempt(exchange)) {
      this.parts.counters.exempt.add();
      return undefined;
    }
    const tier = this.parts.tierOf(exchange.consumer);
    const text = key.read(exchange);
    const counting = key.isByAddress ? tier.byAddress : tier.limiter;
    const cost = this.parts.cost(exchange);
    const verdict = counting.charge(text, cost);
    if (!(verdict instanceof Promise)) return this.decided(exchange, tier, counting, text, cost, verdict);
    return verdict.then((late) => this.decided(exchange, tier, counting, text, cost, late));
  }

  private decided(
    exchange: Exchange,
    { fields, windowMs, limit }: Tier,
    counting: Limiter,
    key: string,
    cost: number,
    verdict: LimitVerdict,
  ): MaybePromise<Reply | undefined> {
    const { enforce, counters, counter, correction } = this.parts;
    const { isAllowed, retryMs, source } = verdict;
    if (source === 'none') {
      if (!isAllowed && enforce) return this.failClosed(exchange);
      counters.uncounted.add();
      return undefined;
    }
    if (!isAllowed && !enforce) return this.wouldRefuse(exchange);
    const charge = new Charge(exchange.limitCharge, counting, key, enforce ? fields : null, cost, verdict);
    if (!isAllowed) return this.refuse(exchange, charge, retryMs === Infinity ? windowMs : retryMs);
    counters.allowed.add();
    charge.tellLegacy(exchange);
    exchange.limitCharge = charge;
    counter.admitted();
    if (correction !== null) correction.note(exchange, charge, limit);
    return undefined;
  }

  private wouldRefuse(exchange: Exchange): undefined {
    this.parts.limits.noteRefusal(false);
    this.parts.counters.wouldRefuse.add();
    this.parts.counter.refused(false, exchange);
    this.parts.onUnenforced();
  }

  /** The store does not answer, and nobody is to pass uncounted. */
  private failClosed(exchange: Exchange): MaybePromise<Reply> {
    this.parts.counters.unavailable.add();
    const reply: Reply = {
      status: errors.LIMIT_STORE_UNAVAILABLE.status,
      code: 'LIMIT_STORE_UNAVAILABLE',
      reason: this.reason,
      headers: [['retry-after', '1']],
    };
    return undoCharges(exchange)?.then(() => reply) ?? reply;
  }

  private refuse(exchange: Exchange, charge: Charge, waitMs: number): MaybePromise<Reply> {
    const { code, limits, counters, counter } = this.parts;
    limits.noteRefusal(true);
    counters.refused.add();
    counter.refused(true, exchange);
    const undone = undoCharges(exchange);
    const waitSeconds = Math.max(1, seconds(waitMs));
    charge.refused(waitSeconds);
    const reply: Reply = {
      status: errors[code].status,
      code,
      reason: this.reason,
      detail: this.detail,
      headers: [['retry-after', String(waitSeconds)]],
    };
    const tell = (): Reply => {
      charge.tellLegacy(exchange);
      exchange.limitCharge = charge;
      return reply;
    };
    return undone?.then(tell) ?? tell();
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
