/** Makes `rateLimit` and `quota` of their options. */
import type { LimitRule, LimiterSource, MaybePromise, Policy, PolicyEnv } from '../../contract.ts';
import type { ErrorCode } from '../../errors.ts';
import type { z } from '../../util/schema.ts';
import { CostCorrection } from './cost-correction.ts';
import { CountedLimit, type Tier, unenforcedNotice } from './counted-limit.ts';
import { type cost, costReader, lateCost } from './limit-cost.ts';
import { type exempt, exemption } from './limit-exemptions.ts';
import { limitCounters } from './limit-counters.ts';
import { type FieldStyle, LimitFields } from './limit-fields.ts';
import { limitIdentity, limitName } from './limit-identity.ts';
import { type By, LimitKey } from './limit-key.ts';
import { type StoreOptions, limiterSource } from './limit-options.ts';
import { type TierRule, tierFinder } from './limit-tiers.ts';

const dayMs = 86_400_000;

/** What both have among their options. */
interface Given extends StoreOptions {
  readonly name?: string | undefined;
  readonly by: By;
  readonly cost: z.infer<typeof cost>;
  readonly exempt?: z.infer<typeof exempt>;
  readonly enforce: boolean;
  readonly headers: FieldStyle;
}

interface Counted {
  /** The name of the policy. */
  readonly kind: string;
  readonly code: ErrorCode;
  readonly given: Given;
  readonly tiers: readonly TierRule[];
}

/** A promise only where it counts in a store. */
export function countedPolicy(counted: Counted, env: PolicyEnv): MaybePromise<Policy> {
  const source = limiterSource(counted.given, env);
  if (!(source instanceof Promise)) return countedIn(source, counted, env);
  return source.then((made) => countedIn(made, counted, env));
}

function countedIn(source: LimiterSource, { kind, code, given, tiers }: Counted, env: PolicyEnv): Policy {
  const name = limitName({ kind, name: given.name }, env);
  const late = lateCost(given.cost);
  const correction = late === null ? null : new CostCorrection(late);
  const limit = new CountedLimit({
    code,
    name,
    key: new LimitKey(given.by, env),
    cost: costReader(given.cost, env.route),
    correction,
    tierOf: tierFinder(new Map(tiers.map(({ who, rule }) => [who, tierFor(kind, given, rule, { source, env })]))),
    isExempt: exemption(given.exempt),
    enforce: given.enforce,
    limits: env.limits,
    counters: limitCounters(given.name, env),
    counter: env.limits.counter(limitIdentity({ kind, name: given.name, by: given.by }, tiers, env)),
    onUnenforced: unenforcedNotice(name, env),
  });
  return correction === null ? limit : correction.of(limit);
}

interface Around {
  readonly source: LimiterSource;
  readonly env: PolicyEnv;
}

function tierFor(kind: string, { name, by, headers }: Given, rule: LimitRule, { source, env }: Around): Tier {
  const identity = limitIdentity({ kind, name, by }, rule, env);
  const [toldMs, longestMs] = windowsOf(rule);
  return {
    limiter: source.limiter(identity, rule),
    byAddress: source.limiter(`${identity} by address`, rule),
    fields: new LimitFields(headers, limitName({ kind, name }, env), rule.limit, toldMs),
    windowMs: longestMs,
    limit: rule.limit,
  };
}

/** How long a day or a month is differs, so clients are only told of a day what it usually is. */
function windowsOf(rule: LimitRule): readonly [toldMs: number, longestMs: number] {
  if (rule.algorithm !== 'calendar') return [rule.windowMs, rule.windowMs];
  return rule.per === 'day' ? [dayMs, dayMs] : [NaN, 31 * dayMs];
}
