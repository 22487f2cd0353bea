/** What `rateLimit` and `quota` have in common: a request is charged to a limit, or refused. */
import type { Consumer, Exchange, LimitStore, LimitVerdict, Limiter, Policy, Reply } from '../../contract.ts';
import { type ErrorCode, errors } from '../../errors.ts';
import type { CostReader } from './limit-cost.ts';
import { type LimitFields, seconds } from './limit-fields.ts';
import type { LimitKey } from './limit-key.ts';
import type { RouteCharges } from './route-charges.ts';

/** One limit as it applies to some. */
export interface Tier {
  readonly limiter: Limiter;
  /** For those who have nothing of what they are to be counted by. */
  readonly byAddress: Limiter;
  readonly fields: LimitFields;
  /** What `Retry-After` says where no time is enough. */
  readonly windowMs: number;
}

interface Parts {
  readonly code: ErrorCode;
  readonly name: string;
  readonly key: LimitKey;
  readonly cost: CostReader;
  readonly tierOf: (consumer: Consumer | null) => Tier;
  readonly isExempt: ((exchange: Exchange) => boolean) | null;
  readonly enforce: boolean;
  readonly charges: RouteCharges;
  readonly limits: LimitStore;
  /** Told of requests that would have been refused. */
  readonly onUnenforced: () => void;
}

export class CountedLimit implements Policy {
  private readonly parts: Parts;
  private readonly place: number;
  private readonly reason: string;
  private readonly detail: string;

  constructor(parts: Parts) {
    this.parts = parts;
    this.place = parts.charges.join();
    this.reason = `limit ${parts.name}`;
    this.detail = `The limit "${parts.name}" is reached.`;
  }

  onRequest(exchange: Exchange): Reply | undefined {
    const { key, isExempt, enforce, charges } = this.parts;
    if (isExempt !== null && isExempt(exchange)) return undefined;
    const tier = this.parts.tierOf(exchange.consumer);
    const text = key.read(exchange);
    const limiter = key.isByAddress ? tier.byAddress : tier.limiter;
    const cost = this.parts.cost(exchange);
    const verdict = limiter.charge(text, cost);
    if (!verdict.isAllowed) return this.refuse(exchange, tier, verdict);
    if (enforce) tier.fields.tell(exchange, verdict, 0);
    if (charges.isLast(this.place)) charges.settle(exchange);
    else charges.note(exchange, { limiter, key: text, cost, fields: enforce ? tier.fields : null }, verdict);
    return undefined;
  }

  onFinish(exchange: Exchange): void {
    this.parts.charges.settle(exchange);
  }

  private refuse(exchange: Exchange, { fields, windowMs }: Tier, verdict: LimitVerdict): Reply | undefined {
    const { enforce, code, charges, limits } = this.parts;
    limits.noteRefusal(enforce);
    if (!enforce) {
      this.parts.onUnenforced();
      return undefined;
    }
    const waitSeconds = Math.max(1, seconds(verdict.retryMs === Infinity ? windowMs : verdict.retryMs));
    // The verdict is the limiter's own, and limits before this one may be of the same.
    const told = { ...verdict };
    charges.undo(exchange);
    fields.tell(exchange, told, waitSeconds);
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
