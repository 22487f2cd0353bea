/**
 * Limits that several machines have in common, of whose permits each thread leases a few from the store at a time. They are charged
 * there when they are leased, and handed out here without asking anybody; new ones are asked for before the last are gone. So
 * no more is ever leased than the rule has, and what all machines let pass within a window is at most that and what they
 * had in hand when it began: the number of machines times the size of a lease.
 */
import type {
  LimitRule,
  LimitVerdict,
  Limiter,
  LimiterSource,
  MaybePromise,
  StoreFailure,
  StoreLease,
} from '../contract.ts';
import type { Decided, DecisionBatches } from './decision-batches.ts';
import { type ScriptAnswer, type StoreVerdict, type StoredRule, storedRule } from './limit-operations.ts';
import { leaseOfThread } from './lease-size.ts';
import { type RedisLimitsEnv, Substitute } from './redis-limits.ts';
import { StoreKeys } from './store-keys.ts';

/** A lease is to last for so long, by how fast the last one was used up; of a key that is asked for rarely it is one permit. */
const horizonMs = 200;
/** By how much one lease may be larger than the last. */
const mostGrowth = 4;
/** What nobody has touched for between one and two of these is given back, so that other machines have it. */
const idleMs = 500;
/** Keys of a limit of which something is in hand, or known; beyond these the ones that came first are given back. */
const mostHoldings = 65_536;
/** Where there is nothing, the store is not asked again sooner than after a hundredth of the window, or so long. */
const longestPaceMs = 10;

export class LeasedLimits implements LimiterSource {
  private readonly env: RedisLimitsEnv;
  private readonly onStoreFailure: StoreFailure;
  private readonly lease: StoreLease;
  private readonly threads: number;
  /** One for each limit, whichever routes and configurations have it: its lease is one. */
  private readonly known = new Map<string, WeakRef<LeasedLimiter>>();
  /** Those that have something in hand, which is returned even if nobody has them any more. */
  private readonly active = new Set<LeasedLimiter>();
  private readonly timer: NodeJS.Timeout;

  /** @param threads of this machine, which have a share of its lease each. */
  constructor(env: RedisLimitsEnv, onStoreFailure: StoreFailure, lease: StoreLease, threads: number) {
    this.env = env;
    this.onStoreFailure = onStoreFailure;
    this.lease = lease;
    this.threads = threads;
    this.timer = setInterval(() => this.returnIdle(), idleMs);
    this.timer.unref();
  }

  limiter(identity: string, rule: LimitRule): Limiter {
    const known = this.known.get(identity)?.deref();
    if (known !== undefined) return known;
    const made = this.make(identity, rule);
    this.known.set(identity, new WeakRef(made));
    return made;
  }

  private make(identity: string, rule: LimitRule): LeasedLimiter {
    const { env, onStoreFailure, lease, threads, active } = this;
    return new LeasedLimiter({
      batches: env.batches,
      rule: storedRule(rule, () => env.wallNow()),
      keys: new StoreKeys(env.prefix, identity),
      substitute: new Substitute(onStoreFailure, env, identity, rule),
      now: () => env.now(),
      most: leaseOfThread(lease, rule, threads),
      paceMs: paceOf(rule),
      onActive: (limiter) => active.add(limiter),
    });
  }

  /** Gives back all that is in hand, without waiting for it. */
  close(): void {
    clearInterval(this.timer);
    for (const limiter of this.active) limiter.returnAll();
  }

  private returnIdle(): void {
    for (const limiter of this.active) if (!limiter.returnIdle()) this.active.delete(limiter);
    for (const [identity, limiter] of this.known) if (limiter.deref() === undefined) this.known.delete(identity);
  }
}

function paceOf(rule: LimitRule): number {
  if (rule.algorithm === 'calendar') return longestPaceMs;
  const fillMs = rule.algorithm === 'gcra' ? (rule.capacity * rule.windowMs) / rule.limit / 4 : Infinity;
  return Math.min(longestPaceMs, rule.windowMs / 100, fillMs);
}

interface Parts {
  readonly batches: DecisionBatches;
  readonly rule: StoredRule;
  readonly keys: StoreKeys;
  readonly substitute: Substitute;
  readonly now: () => number;
  /** Permits that this thread has of a key at a time. */
  readonly most: number;
  readonly paceMs: number;
  readonly onActive: (limiter: LeasedLimiter) => void;
}

/** When permits were taken from the store, as its script wants to know it. */
type Lease = Pick<LimitVerdict, 'chargedAtMs' | 'mark'>;

interface Waiting {
  readonly cost: number;
  readonly resolve: (verdict: LimitVerdict) => void;
}

/** What a thread has of one key. */
class Holding {
  permits = 0;
  /** Of the last lease, with what was there. */
  size = 1;
  /** How many there are when the next ones are asked for. */
  low = 0;
  isAsking = false;
  /** What was in hand has been given back, and what is still asked for goes the same way. */
  isGivenBack = false;
  /** Since the last look for idle ones. */
  isUsed = true;
  waiting: Waiting[] = [];
  /** Of those in hand, how many are of leases before the last; they are handed out first. */
  older = 0;
  /** The lease of the first of them. */
  olderLease: Lease | null = null;
  /** Before this the store has nothing more. */
  emptyUntilMs = -Infinity;
  /** What the store has said last, and when. */
  last: StoreVerdict | null = null;
  lastAtMs = 0;
  /** Handed out since then. */
  used = 0;
}

class LeasedLimiter implements Limiter {
  private readonly parts: Parts;
  private readonly holdings = new Map<string, Holding>();
  private readonly verdict: { -readonly [K in keyof LimitVerdict]: LimitVerdict[K] } = {
    source: 'lease',
    isAllowed: false,
    remaining: 0,
    resetMs: 0,
    moreMs: 0,
    retryMs: 0,
    chargedAtMs: 0,
    mark: 0,
  };

  constructor(parts: Parts) {
    this.parts = parts;
  }

  charge(key: string, cost: number): MaybePromise<LimitVerdict> {
    const holding = this.holdings.get(key);
    if (holding !== undefined && holding.permits >= cost && holding.waiting.length === 0) {
      holding.isUsed = true;
      const verdict = this.handOut(holding, cost);
      if (holding.permits <= holding.low && !holding.isAsking) this.refill(key, holding);
      return verdict;
    }
    return this.chargeSlowly(key, cost, holding ?? this.newHolding(key));
  }

  undo(key: string, cost: number, charge: Pick<LimitVerdict, 'chargedAtMs' | 'mark' | 'source'>): void {
    if (charge.source === 'memory') this.parts.substitute.undo(key, cost, charge);
    if (charge.source !== 'lease') return;
    const holding = this.holdings.get(key);
    // What was returned meanwhile is known no more; nobody gets too much by it.
    if (holding === undefined) return;
    holding.permits += cost;
    holding.used -= cost;
    const { chargedAtMs, mark } = charge;
    if (holding.last?.chargedAtMs === chargedAtMs) return;
    const { older, olderLease } = holding;
    if (older === 0 || olderLease === null || chargedAtMs < olderLease.chargedAtMs) {
      holding.olderLease = { chargedAtMs, mark };
    }
    holding.older = older + cost;
  }

  /**
   * What was used beyond the charge is taken of what is in hand, and charged to the store where that is not enough. What is given back goes to
   * the store, by the time of the lease that it was of: so no more is ever in hand than may be, and nothing comes back that time has paid off.
   */
  correct(
    key: string,
    charged: number,
    used: number,
    charge: Pick<LimitVerdict, 'chargedAtMs' | 'mark' | 'source'>,
  ): void {
    const { batches, rule, keys, substitute } = this.parts;
    if (charge.source === 'memory') substitute.correct(key, charged, used, charge);
    if (charge.source !== 'lease' || used === charged) return;
    if (used > charged) {
      const more = used - charged - this.takeOfHand(key, used - charged);
      if (more === 0) return;
      if (batches.isWell) batches.ask(keys.of(key), rule.debit(more), nobody);
      else substitute.owe(key, more);
      return;
    }
    const { chargedAtMs, mark } = charge;
    const undo = rule.undo(charged - used, { cost: charged, chargedAtMs, mark });
    if (batches.isWell) batches.ask(keys.of(key), undo, nobody);
  }

  /** @returns how many there were, up to so many. */
  private takeOfHand(key: string, wanted: number): number {
    const holding = this.holdings.get(key);
    // Those who wait come first for what is still to be had.
    if (holding === undefined || holding.waiting.length > 0) return 0;
    const taken = Math.min(wanted, holding.permits);
    if (taken === 0) return 0;
    this.handOut(holding, taken);
    if (holding.permits <= holding.low && !holding.isAsking) this.refill(key, holding);
    return taken;
  }

  private handOut(holding: Holding, cost: number): LimitVerdict {
    const { verdict } = this;
    const lease = holding.older > 0 ? holding.olderLease : holding.last;
    verdict.chargedAtMs = lease === null ? 0 : lease.chargedAtMs;
    verdict.mark = lease === null ? 0 : lease.mark;
    holding.permits -= cost;
    holding.used += cost;
    holding.older = Math.max(0, holding.older - cost);
    return this.told(holding, true, 0);
  }

  /** @returns whether there is something in hand yet. */
  returnIdle(): boolean {
    for (const [key, holding] of this.holdings) {
      if (holding.isUsed) holding.isUsed = false;
      else if (!holding.isAsking) this.giveBack(key, holding);
    }
    return this.holdings.size > 0;
  }

  returnAll(): void {
    for (const [key, holding] of this.holdings) this.giveBack(key, holding);
  }

  private chargeSlowly(key: string, cost: number, holding: Holding): MaybePromise<LimitVerdict> {
    const { batches, substitute, now } = this.parts;
    holding.isUsed = true;
    if (!batches.isWell) return substitute.charge(key, cost);
    const emptyForMs = holding.emptyUntilMs - now();
    if (emptyForMs > 0 && !holding.isAsking) return this.told(holding, false, emptyForMs);
    return new Promise((resolve) => {
      holding.waiting.push({ cost, resolve });
      if (!holding.isAsking) this.ask(key, holding, Math.max(this.sizeFor(holding), cost - holding.permits));
    });
  }

  /** As many as are used up within the horizon. */
  private sizeFor(holding: Holding): number {
    const { most, now } = this.parts;
    if (holding.last === null) return 1;
    const elapsedMs = Math.max(1, now() - holding.lastAtMs);
    const due = Math.ceil((holding.used * horizonMs) / elapsedMs);
    return Math.max(1, Math.min(most, mostGrowth * holding.size, due));
  }

  private refill(key: string, holding: Holding): void {
    const { batches, now } = this.parts;
    const wanted = this.sizeFor(holding) - holding.permits;
    if (wanted <= 0 || holding.emptyUntilMs > now() || !batches.isWell) return;
    this.ask(key, holding, wanted);
  }

  private ask(key: string, holding: Holding, count: number): void {
    const { batches, rule, keys } = this.parts;
    holding.isAsking = true;
    const asked: Decided = {
      onAnswer: (answer) => this.take(key, holding, count, answer),
      onFailure: () => this.fail(key, holding),
    };
    batches.ask(keys.of(key), rule.take(count), asked);
  }

  private take(key: string, holding: Holding, wanted: number, answer: ScriptAnswer): void {
    const { rule, now, paceMs } = this.parts;
    const granted = answer.numbers[answer.at];
    const verdict = rule.read(answer, wanted);
    holding.isAsking = false;
    if (holding.older === 0) holding.olderLease = holding.last;
    holding.older = holding.permits;
    holding.last = verdict;
    holding.lastAtMs = now();
    holding.used = 0;
    holding.permits += granted;
    holding.size = Math.max(1, holding.permits);
    holding.low = Math.floor(holding.permits / 2);
    holding.emptyUntilMs = granted < wanted ? holding.lastAtMs + Math.max(verdict.moreMs, paceMs) : -Infinity;
    this.serve(key, holding);
    if (holding.isGivenBack) this.giveBack(key, holding);
  }

  /** Those who wait, in their order. Who is refused has asked for more than there is. */
  private serve(key: string, holding: Holding): void {
    const { waiting } = holding;
    if (waiting.length === 0) return;
    holding.waiting = [];
    const left: Waiting[] = [];
    for (const one of waiting) {
      if (holding.permits < one.cost) {
        left.push(one);
        continue;
      }
      one.resolve({ ...this.handOut(holding, one.cost) });
    }
    if (left.length === 0) return;
    const emptyForMs = holding.emptyUntilMs - holding.lastAtMs;
    if (emptyForMs > 0 || !this.parts.batches.isWell) {
      for (const { resolve } of left) resolve({ ...this.told(holding, false, emptyForMs) });
      return;
    }
    holding.waiting = left;
    const due = left.reduce((sum, { cost }) => sum + cost, 0);
    this.ask(key, holding, Math.max(this.sizeFor(holding), due) - holding.permits);
  }

  private fail(key: string, holding: Holding): void {
    holding.isAsking = false;
    const { waiting } = holding;
    holding.waiting = [];
    for (const { cost, resolve } of waiting) resolve({ ...this.parts.substitute.charge(key, cost) });
  }

  /** How it stands, as far as it is known here. */
  private told(holding: Holding, isAllowed: boolean, retryMs: number): LimitVerdict {
    const { verdict } = this;
    const { last, permits } = holding;
    verdict.isAllowed = isAllowed;
    verdict.remaining = permits + (last === null ? 0 : last.remaining);
    verdict.resetMs = last === null ? 0 : last.resetMs;
    verdict.moreMs = last === null ? 0 : last.moreMs;
    verdict.retryMs = retryMs;
    return verdict;
  }

  private newHolding(key: string): Holding {
    const { holdings } = this;
    if (holdings.size >= mostHoldings) {
      for (const [first, holding] of holdings) {
        if (holding.isAsking) continue;
        this.giveBack(first, holding);
        break;
      }
    }
    const holding = new Holding();
    holdings.set(key, holding);
    this.parts.onActive(this);
    return holding;
  }

  private giveBack(key: string, holding: Holding): void {
    const { batches, rule, keys } = this.parts;
    if (!holding.isGivenBack) this.holdings.delete(key);
    holding.isGivenBack = true;
    const { permits, last } = holding;
    holding.permits = 0;
    if (permits <= 0 || last === null || !batches.isWell) return;
    batches.ask(
      keys.of(key),
      rule.undo(permits, { cost: permits, chargedAtMs: last.chargedAtMs, mark: last.mark }),
      nobody,
    );
  }
}

const nobody: Decided = { onAnswer() {}, onFailure() {} };
