import {
  type Consumer,
  type LimitRule,
  type LimiterSource,
  type Policy,
  type PolicyEnv,
  definePolicy,
} from '../contract.ts';
import { z } from '../util/schema.ts';
import { type Rate, duration, formatRate, rate } from '../util/units.ts';
import { CountedLimit, type Tier, unenforcedNotice } from './limits/counted-limit.ts';
import { cost, costReader } from './limits/limit-cost.ts';
import { exempt, exemption } from './limits/limit-exemptions.ts';
import { limitCounters } from './limits/limit-counters.ts';
import { LimitFields, fieldsOption, nameOption } from './limits/limit-fields.ts';
import { limitIdentity, limitName } from './limits/limit-identity.ts';
import { LimitKey, by } from './limits/limit-key.ts';
import { limiterSource, problemsOfStore, storeOptions, unenforcedOption } from './limits/limit-options.ts';

/** Beyond these, sums of intervals would not be exact any more. */
const mostPermits = 1_000_000_000;
const longestWindowMs = 366 * 86_400_000;

const options = z
  .strictObject({
    rate: rate().optional().describe('How many in which time, as in `100/1m`.'),
    limit: z.int().min(1).optional().describe('With `window`, instead of `rate`: how many.'),
    window: duration({ min: 1 }).optional().describe('With `limit`, instead of `rate`: in which time.'),
    rates: z
      .record(z.string().min(1), rate())
      .optional()
      .describe(
        'Other rates for some, by the name of the consumer or of a group: `{gold: 1000/1m, default: 100/1m}`. A consumer counts before its groups, and of several groups the first here.',
      ),
    burst: z
      .int()
      .min(0)
      .max(mostPermits)
      .optional()
      .describe(
        'How many may come at once besides the one that is due; by default the limit less one. Of `gcra` only. Within any window at most the limit and this many pass.',
      ),
    algorithm: z
      .enum(['gcra', 'sliding-window', 'fixed-window'])
      .default('gcra')
      .describe(
        '`gcra`: a bucket that is filled evenly; `sliding-window`: never more than the limit within any window; `fixed-window`: windows one after the other.',
      ),
    by,
    cost,
    exempt,
    enforce: unenforcedOption,
    headers: fieldsOption,
    name: nameOption,
    ...storeOptions,
  })
  .superRefine((given, context) => {
    for (const message of problemsOf(given)) context.addIssue({ code: 'custom', message });
  });

type Options = z.infer<typeof options>;

/** The name that stands for everybody else among `rates`. */
const everybody = 'default';

function problemsOf(given: Options): string[] {
  const { rate: whole, limit, window, rates = {}, burst, algorithm, cost: each } = given;
  const problems = [...problemsOfStore(given)];
  const isSplit = limit !== undefined || window !== undefined;
  const ways = Number(whole !== undefined) + Number(isSplit) + Number(Object.hasOwn(rates, everybody));
  if (ways !== 1) problems.push('write one of `rate`, `limit` with `window`, and `rates` with a `default`');
  if (isSplit && (limit === undefined || window === undefined)) problems.push('`limit` and `window` go together');
  if (burst !== undefined && algorithm !== 'gcra') problems.push(`\`burst\` is of gcra only, not of ${algorithm}`);
  for (const one of ratesOf(given)) {
    if (one.limit > mostPermits || one.windowMs > longestWindowMs) {
      problems.push(`${formatRate(one)} is too much: at most ${mostPermits} in at most 366d`);
    }
    if (typeof each === 'number' && each > capacityOf(one, burst)) {
      problems.push(`no request could ever pass: it costs ${each}, and at most ${capacityOf(one, burst)} come at once`);
    }
  }
  return problems;
}

function ratesOf({ rate: whole, limit, window, rates = {} }: Options): Rate[] {
  const own = whole ?? (limit === undefined || window === undefined ? undefined : { limit, windowMs: window });
  return [...(own === undefined ? [] : [own]), ...Object.values(rates)];
}

function capacityOf({ limit }: Rate, burst: number | undefined): number {
  return burst === undefined ? limit : burst + 1;
}

/** Lets pass so many requests in so much time, exactly, whichever thread they come to. */
export const rateLimit = definePolicy({
  name: 'rateLimit',
  summary: 'Limits how many requests may come in which time: by consumer, address, or whatever tells them apart.',
  options,
  create(given, env) {
    const source = limiterSource(given, env);
    if (!(source instanceof Promise)) return rateLimitIn(source, given, env);
    return source.then((made) => rateLimitIn(made, given, env));
  },
});

function rateLimitIn(source: LimiterSource, given: Options, env: PolicyEnv): Policy {
  const name = limitName({ kind: 'rateLimit', name: given.name }, env);
  return new CountedLimit({
    code: 'RATE_LIMITED',
    name,
    key: new LimitKey(given.by, env.route),
    cost: costReader(given.cost, env.route),
    tierOf: tiersFor(given, { name, env, source }),
    isExempt: exemption(given.exempt),
    enforce: given.enforce,
    limits: env.limits,
    counters: limitCounters(given.name, env),
    onUnenforced: unenforcedNotice(name, env),
  });
}

/** What the tiers of a limit are made with. */
interface Around {
  readonly name: string;
  readonly env: PolicyEnv;
  readonly source: LimiterSource;
}

function tiersFor(given: Options, around: Around): (consumer: Consumer | null) => Tier {
  const { rates = {} } = given;
  const [first] = ratesOf(given);
  const others = new Map(Object.entries(rates).map(([who, one]) => [who, tierFor(given, one, around)]));
  const usual = others.get(everybody) ?? tierFor(given, first, around);
  others.delete(everybody);
  if (others.size === 0) return () => usual;
  const known = new WeakMap<Consumer, Tier>();
  return (consumer) => {
    if (consumer === null) return usual;
    let tier = known.get(consumer);
    if (tier === undefined) {
      const group = [...others.keys()].find((who) => consumer.groups.includes(who));
      tier = others.get(consumer.name) ?? (group === undefined ? usual : others.get(group)!);
      known.set(consumer, tier);
    }
    return tier;
  };
}

function tierFor(given: Options, one: Rate, { name, env, source }: Around): Tier {
  const { limit, windowMs } = one;
  const { algorithm, by: key, burst } = given;
  const rule: LimitRule =
    algorithm === 'gcra'
      ? { algorithm, limit, windowMs, capacity: capacityOf(one, burst) }
      : { algorithm, limit, windowMs };
  const identity = limitIdentity({ kind: 'rateLimit', name: given.name, by: key }, rule, env);
  return {
    limiter: source.limiter(identity, rule),
    byAddress: source.limiter(`${identity} by address`, rule),
    fields: new LimitFields(given.headers, name, limit, windowMs),
    windowMs,
  };
}
