/** What operators are told of a limit that a configuration has. It is found by the same identity that its policy counts by. */
import type { Consumer, StoreLease } from '../contract.ts';
import { type ConcurrencyOptions, concurrency, concurrencyShape } from './concurrency.ts';
import { addressOf } from './limits/key-part.ts';
import { isFixedCost, knownCost } from './limits/limit-cost.ts';
import { type LimitScope, limitIdentity, limitName, limitScope } from './limits/limit-identity.ts';
import { keyOfParts, namesOf } from './limits/limit-key.ts';
import { leaseOf } from './limits/limit-options.ts';
import { type TierRule, tierFinder } from './limits/limit-tiers.ts';
import { type QuotaOptions, quota, quotaTiers } from './quota.ts';
import { type RateLimitOptions, rateLimit, rateTiers } from './rate-limit.ts';

/** What it counts for some, and by what it counts that. */
export interface LimitTier extends TierRule {
  readonly identity: string;
}

export interface PermitFacts {
  /** Null where it adapts itself. */
  readonly limit: number | null;
  /** What it is then never below, and never above. */
  readonly adaptive: { readonly min: number; readonly max: number } | null;
  readonly queue: number;
}

export interface LimitFacts {
  /** See `LimitStore.counter`. */
  readonly identity: string;
  readonly kind: 'rateLimit' | 'quota' | 'concurrency';
  readonly name: string;
  readonly scope: LimitScope;
  readonly by: readonly string[];
  readonly enforce: boolean;
  /** What it counts in. */
  readonly store: string;
  /** How much each machine takes of it at a time; null where each request is decided by itself. */
  readonly lease: StoreLease | null;
  /** What each request is charged when it comes, as far as that is known beforehand; not fixed where requests differ. */
  readonly cost: { readonly known: number; readonly isFixed: boolean };
  /** Of a `concurrency` there are none. */
  readonly tiers: readonly LimitTier[];
  /** Of a `concurrency`, how many at once, and how many more may wait. */
  readonly permits: PermitFacts | null;
}

/** A use of a policy that comes with the gateway, its options as its schema has made them. */
interface Use {
  readonly name: string;
  readonly label: string;
  readonly options: unknown;
}

/** Null when the policy is no limit. */
export function limitFacts({ name: kind, label, options }: Use, route: string): LimitFacts | null {
  const env = { label, route };
  if (kind === rateLimit.name) {
    const given = options as RateLimitOptions;
    return countedFacts('rateLimit', given, rateTiers(given), env);
  }
  if (kind === quota.name) {
    const given = options as QuotaOptions;
    return countedFacts('quota', given, quotaTiers(given), env);
  }
  if (kind !== concurrency.name) return null;
  const given = options as ConcurrencyOptions;
  const { by, fixed, bounds, numbers } = concurrencyShape(given);
  const permits = { limit: fixed, adaptive: bounds, queue: given.queue };
  return {
    ...commonFacts('concurrency', { ...given, by }, numbers, env),
    store: 'memory',
    lease: null,
    cost: { known: 1, isFixed: true },
    tiers: [],
    permits,
  };
}

type Given = Pick<RateLimitOptions, 'name' | 'by' | 'enforce'>;
type CountedGiven = Given & Pick<RateLimitOptions, 'store' | 'mode' | 'lease' | 'cost'>;

function countedFacts(
  kind: LimitFacts['kind'],
  given: CountedGiven,
  rules: readonly TierRule[],
  env: Pick<Use, 'label'> & { readonly route: string },
): LimitFacts {
  const { name, by } = given;
  const tiers = rules.map(({ who, rule }) => ({ who, rule, identity: limitIdentity({ kind, name, by }, rule, env) }));
  const cost = { known: knownCost(given.cost), isFixed: isFixedCost(given.cost) };
  return {
    ...commonFacts(kind, given, rules, env),
    store: given.store,
    lease: leaseOf(given),
    cost,
    tiers,
    permits: null,
  };
}

function commonFacts(
  kind: LimitFacts['kind'],
  { name, by, enforce }: Given,
  numbers: unknown,
  env: Pick<Use, 'label'> & { readonly route: string },
): Omit<LimitFacts, 'store' | 'lease' | 'cost' | 'tiers' | 'permits'> {
  const named = { kind, name, by };
  return {
    identity: limitIdentity(named, numbers, env),
    kind,
    name: limitName(named, env),
    scope: limitScope(named, env),
    by: namesOf(by),
    enforce,
  };
}

/** A key of a limit, and whether an address stands there for what the request has not. */
export interface NamedKey {
  readonly text: string;
  readonly isByAddress: boolean;
}

/** The key of whoever comes from an address and has nothing else that a limit counts by. */
export function keyOfAddress({ by }: Pick<LimitFacts, 'by'>, address: string): NamedKey {
  return { text: addressOf({ clientIp: address }), isByAddress: !(by.length === 1 && by[0] === 'ip') };
}

/** The key of a request that has all parts that a limit counts by, in their order. */
export function keyOf({ by }: Pick<LimitFacts, 'by'>, parts: readonly string[]): NamedKey {
  const texts = parts.map((part, index) => (by[index] === 'ip' ? addressOf({ clientIp: part }) : part));
  return { text: keyOfParts(texts), isByAddress: false };
}

export function identityFor(identity: string, { isByAddress }: NamedKey): string {
  return isByAddress ? `${identity} by address` : identity;
}

/** Which of its tiers a consumer has; null is somebody unknown. */
export function tierOf({ tiers }: Pick<LimitFacts, 'tiers'>, consumer: Consumer | null): LimitTier {
  return tierFinder(new Map(tiers.map((tier) => [tier.who, tier])))(consumer);
}
