/**
 * Several limits on one route: all apply, and a request that one of them refuses is charged to none.
 *
 * Each limit decides at its own place, so that one before a login protects the login. It charges at once, which is the only way
 * in which nobody else can have the same permit; and when a limit further down refuses, what those before it have charged is
 * taken back. At no moment has anybody more than the limit allows: a charge that is taken back later only made others wait.
 */
import type { Exchange, LimitCharge, LimitVerdict, Limiter, MaybePromise } from '../../contract.ts';
import { type LimitFields, secondsUntilMore } from './limit-fields.ts';

/** What one limit has made of a request. It reads of the verdict what it needs: the verdict is the limiter's own. */
export class Charge implements LimitCharge {
  readonly previous: LimitCharge | null;
  readonly policyLine: string;
  private readonly limiter: Limiter;
  private readonly key: string;
  /** Null where clients are not told of it. */
  private readonly fields: LimitFields | null;
  /** What was charged and not taken back. */
  private cost: number;
  /** See `LimitVerdict`. */
  readonly chargedAtMs: number;
  readonly mark: number;
  readonly source: LimitVerdict['source'];
  private remaining: number;
  private inSeconds: number;

  constructor(
    previous: LimitCharge | null,
    limiter: Limiter,
    key: string,
    fields: LimitFields | null,
    cost: number,
    verdict: LimitVerdict,
  ) {
    this.previous = previous;
    this.limiter = limiter;
    this.key = key;
    this.fields = fields;
    const before = previous === null ? '' : previous.policyLine;
    this.policyLine = fields === null ? before : fields.policyLineAfter(before);
    this.cost = verdict.isAllowed ? cost : 0;
    this.chargedAtMs = verdict.chargedAtMs;
    this.mark = verdict.mark;
    this.source = verdict.source;
    this.remaining = verdict.remaining;
    this.inSeconds = secondsUntilMore(verdict);
  }

  get state(): string {
    return this.fields === null ? '' : this.fields.stateOf(this.remaining, this.inSeconds);
  }

  /** It has refused: the client is told to come back after as many seconds as in `Retry-After`. */
  refused(waitSeconds: number): void {
    this.inSeconds = waitSeconds;
  }

  /** Puts what is told of it into the older fields, if those are wanted. */
  tellLegacy(exchange: Exchange): void {
    this.fields?.tellLegacy(exchange, this.remaining, this.inSeconds);
  }

  /**
   * What the request has cost in truth is known. Clients have been told of the charge by then.
   * @param most what it counts as at most; never less than what was charged.
   */
  correct(used: number, most: number): void {
    const { limiter, key, cost } = this;
    // Of what was taken back, or corrected already, nothing is left to be.
    if (cost === 0) return;
    this.cost = 0;
    limiter.correct(key, cost, Math.min(used, Math.max(most, cost)), this);
  }

  /** A promise where somebody else has to be asked how it stands then. */
  undo(exchange: Exchange): MaybePromise<void> {
    const { limiter, key, cost } = this;
    if (cost === 0) return;
    this.cost = 0;
    limiter.undo(key, cost, this);
    const verdict = limiter.charge(key, 0);
    if (verdict instanceof Promise) return verdict.then((late) => this.tellAnew(exchange, late));
    this.tellAnew(exchange, verdict);
  }

  private tellAnew(exchange: Exchange, verdict: LimitVerdict): void {
    // What is known of it is what was told before.
    if (verdict.source === 'none') return;
    this.remaining = verdict.remaining;
    this.inSeconds = secondsUntilMore(verdict);
    this.tellLegacy(exchange);
  }
}

/** A limit has refused: takes back what those before it have charged. Null where that is done at once. */
export function undoCharges(exchange: Exchange): Promise<unknown> | null {
  let pending: Promise<void>[] | null = null;
  for (let charge = exchange.limitCharge; charge !== null; charge = charge.previous) {
    const undone = charge instanceof Charge ? charge.undo(exchange) : undefined;
    if (undone instanceof Promise) (pending ??= []).push(undone);
  }
  return pending === null ? null : Promise.all(pending);
}
