/** Limits that several machines have in common, counted in Redis or Valkey: each decision is the store's. */
import type {
  LimitRule,
  LimitVerdict,
  Limiter,
  LimiterSource,
  MemoryLimiter,
  MemoryLimiterSource,
  StoreFailure,
} from '../contract.ts';
import type { Decided, DecisionBatches } from './decision-batches.ts';
import { type ScriptAnswer, type StoredRule, storedRule } from './limit-operations.ts';
import { StoreKeys } from './store-keys.ts';

export interface RedisLimitsEnv {
  readonly batches: DecisionBatches;
  /** Put before every key. */
  readonly prefix: string;
  /** What this machine counts in while the store does not answer. */
  readonly local: MemoryLimiterSource;
  /** Monotonic milliseconds. */
  now(): number;
  wallNow(): number;
  /** A decision was not made by the store; `isLocal`: but in the memory of this machine. */
  onFailed(isLocal: boolean): void;
}

export class RedisLimits implements LimiterSource {
  private readonly env: RedisLimitsEnv;
  private readonly onStoreFailure: StoreFailure;

  constructor(env: RedisLimitsEnv, onStoreFailure: StoreFailure) {
    this.env = env;
    this.onStoreFailure = onStoreFailure;
  }

  limiter(identity: string, rule: LimitRule): Limiter {
    const { env, onStoreFailure } = this;
    return new RedisLimiter({
      batches: env.batches,
      rule: storedRule(rule, () => env.wallNow()),
      keys: new StoreKeys(env.prefix, identity),
      substitute: new Substitute(onStoreFailure, env, identity, rule),
    });
  }
}

interface Parts {
  readonly batches: DecisionBatches;
  readonly rule: StoredRule;
  readonly keys: StoreKeys;
  readonly substitute: Substitute;
}

class RedisLimiter implements Limiter {
  private readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  charge(key: string, cost: number): LimitVerdict | Promise<LimitVerdict> {
    const { batches, rule, keys, substitute } = this.parts;
    if (!batches.isWell) return substitute.charge(key, cost);
    return new Promise((resolve) => {
      batches.ask(keys.of(key), rule.charge(cost), new PendingCharge(this.parts, key, cost, resolve));
    });
  }

  undo(key: string, cost: number, charge: Pick<LimitVerdict, 'chargedAtMs' | 'mark' | 'source'>): void {
    const { batches, substitute } = this.parts;
    if (charge.source === 'memory') substitute.undo(key, cost, charge);
    // What cannot be taken back stays charged: nobody gets too much by it.
    else if (charge.source === 'store' && batches.isWell) this.giveBack(key, cost, cost, charge);
  }

  correct(
    key: string,
    charged: number,
    used: number,
    charge: Pick<LimitVerdict, 'chargedAtMs' | 'mark' | 'source'>,
  ): void {
    const { batches, rule, keys, substitute } = this.parts;
    if (charge.source === 'memory') substitute.correct(key, charged, used, charge);
    if (charge.source !== 'store') return;
    if (!batches.isWell) substitute.owe(key, used - charged);
    else if (used < charged) this.giveBack(key, charged, charged - used, charge);
    else if (used > charged) batches.ask(keys.of(key), rule.debit(used - charged), nobody);
  }

  private giveBack(
    key: string,
    cost: number,
    back: number,
    { chargedAtMs, mark }: Pick<LimitVerdict, 'chargedAtMs' | 'mark'>,
  ): void {
    const { batches, rule, keys } = this.parts;
    batches.ask(keys.of(key), rule.undo(back, { cost, chargedAtMs, mark }), nobody);
  }
}

const nobody: Decided = { onAnswer() {}, onFailure() {} };

class PendingCharge implements Decided {
  private readonly parts: Parts;
  private readonly key: string;
  private readonly cost: number;
  private readonly resolve: (verdict: LimitVerdict) => void;

  constructor(parts: Parts, key: string, cost: number, resolve: (verdict: LimitVerdict) => void) {
    this.parts = parts;
    this.key = key;
    this.cost = cost;
    this.resolve = resolve;
  }

  onAnswer(answer: ScriptAnswer): void {
    this.resolve(this.parts.rule.read(answer, this.cost));
  }

  onFailure(): void {
    // The verdict is used again for the next one, and this one is read later.
    this.resolve({ ...this.parts.substitute.charge(this.key, this.cost) });
  }
}

/** What decides instead of a store that does not answer. */
export class Substitute {
  private readonly local: MemoryLimiter | null;
  private readonly verdict: LimitVerdict;
  private readonly env: Pick<RedisLimitsEnv, 'onFailed'>;

  constructor(
    onStoreFailure: StoreFailure,
    env: Pick<RedisLimitsEnv, 'local' | 'onFailed'>,
    identity: string,
    rule: LimitRule,
  ) {
    this.local = onStoreFailure === 'local' ? env.local.limiter(identity, rule) : null;
    this.verdict = Object.freeze({ ...undecided, isAllowed: onStoreFailure === 'open' });
    this.env = env;
  }

  charge(key: string, cost: number): LimitVerdict {
    const { local } = this;
    this.env.onFailed(local !== null);
    return local === null ? this.verdict : local.charge(key, cost);
  }

  undo(key: string, cost: number, charge: Pick<LimitVerdict, 'chargedAtMs' | 'mark' | 'source'>): void {
    this.local?.undo(key, cost, charge);
  }

  /** Of a charge that was made here. */
  correct(
    key: string,
    charged: number,
    used: number,
    charge: Pick<LimitVerdict, 'chargedAtMs' | 'mark' | 'source'>,
  ): void {
    this.local?.correct(key, charged, used, charge);
  }

  /** What was used beyond a charge that the store has made, which cannot be told of it now. */
  owe(key: string, more: number): void {
    if (more > 0) this.local?.correct(key, 0, more, undecided);
  }
}

const undecided: LimitVerdict = {
  source: 'none',
  isAllowed: false,
  remaining: 0,
  resetMs: 0,
  moreMs: 0,
  retryMs: 0,
  chargedAtMs: 0,
  mark: 0,
};
