/**
 * Several limits on one route: all apply, and a request that one of them refuses is charged to none.
 *
 * Each limit decides at its own place, so that one before a login protects the login. It charges at once, which is the only way
 * in which nobody else can have the same permit; and when a limit further down refuses, what those before it have charged is
 * taken back. At no moment has anybody more than the limit allows: a charge that is taken back later only made others wait.
 */
import type { Exchange, LimitVerdict, Limiter } from '../../contract.ts';
import type { LimitFields } from './limit-fields.ts';

interface Charge {
  /** Null where clients are not told of it. */
  readonly fields: LimitFields | null;
  readonly limiter: Limiter;
  readonly key: string;
  readonly cost: number;
  readonly chargedAtMs: number;
  readonly mark: number;
}

const ofChains = new WeakMap<object, RouteCharges>();

export class RouteCharges {
  private members = 0;
  private readonly pending = new Map<Exchange, Charge[]>();

  /** @param chain see `PolicyEnv.chain`. */
  static of(chain: object): RouteCharges {
    let charges = ofChains.get(chain);
    if (charges === undefined) ofChains.set(chain, (charges = new RouteCharges()));
    return charges;
  }

  /** The place of one more limit among those of the route, which are made in their order. */
  join(): number {
    return this.members++;
  }

  /** Whether no limit comes after it. Certain once all policies of the route are made. */
  isLast(place: number): boolean {
    return place === this.members - 1;
  }

  note(exchange: Exchange, made: Pick<Charge, 'limiter' | 'key' | 'cost' | 'fields'>, verdict: LimitVerdict): void {
    const { limiter, key, cost, fields } = made;
    const charge = { limiter, key, cost, fields, chargedAtMs: verdict.chargedAtMs, mark: verdict.mark };
    const earlier = this.pending.get(exchange);
    if (earlier === undefined) this.pending.set(exchange, [charge]);
    else earlier.push(charge);
  }

  /** A limit has refused: takes back what those before it have charged, and what the response was to say of it. */
  undo(exchange: Exchange): void {
    const charges = this.pending.get(exchange);
    if (charges === undefined) return;
    this.pending.delete(exchange);
    const members: string[] = [];
    for (const { limiter, key, cost, fields, ...charge } of charges) {
      limiter.undo(key, cost, charge);
      const member = fields?.member(limiter.charge(key, 0)) ?? null;
      if (member !== null) members.push(member);
    }
    if (members.length > 0) exchange.setInResponse('ratelimit', members.join(', '));
  }

  /** The request has passed, or ended otherwise than by a limit: what was charged stays so. */
  settle(exchange: Exchange): void {
    if (this.pending.size > 0) this.pending.delete(exchange);
  }
}
