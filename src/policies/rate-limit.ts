import { type LimitRule, definePolicy } from '../contract.ts';
import { z } from '../util/schema.ts';
import { type Rate, duration, formatRate, rate } from '../util/units.ts';
import { countedPolicy } from './limits/counted-policy.ts';
import { cost, knownCost } from './limits/limit-cost.ts';
import { exempt } from './limits/limit-exemptions.ts';
import { fieldsOption, nameOption } from './limits/limit-fields.ts';
import { by } from './limits/limit-key.ts';
import { problemsOfStore, storeOptions, unenforcedOption } from './limits/limit-options.ts';
import { type TierRule, everybody } from './limits/limit-tiers.ts';

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

export type RateLimitOptions = z.infer<typeof options>;

function problemsOf(given: RateLimitOptions): string[] {
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
    if (knownCost(each) > capacityOf(one, burst)) {
      problems.push(
        `no request could ever pass: it costs ${knownCost(each)}, and at most ${capacityOf(one, burst)} come at once`,
      );
    }
  }
  return problems;
}

function ratesOf(given: RateLimitOptions): Rate[] {
  const whole = wholeRate(given);
  return [...(whole === undefined ? [] : [whole]), ...Object.values(given.rates ?? {})];
}

function wholeRate({ rate: whole, limit, window }: RateLimitOptions): Rate | undefined {
  return whole ?? (limit === undefined || window === undefined ? undefined : { limit, windowMs: window });
}

function capacityOf({ limit }: Rate, burst: number | undefined): number {
  return burst === undefined ? limit : burst + 1;
}

/** Lets pass so many requests in so much time, exactly, whichever thread they come to. */
export const rateLimit = definePolicy({
  name: 'rateLimit',
  summary: 'Limits how many requests may come in which time: by consumer, address, or whatever tells them apart.',
  options,
  create: (given, env) =>
    countedPolicy({ kind: 'rateLimit', code: 'RATE_LIMITED', given, tiers: rateTiers(given) }, env),
});

/** What the options come to. */
export function rateTiers(given: RateLimitOptions): readonly TierRule[] {
  const { rates = {} } = given;
  const whole = wholeRate(given);
  const named = Object.entries(rates).map(([who, one]) => ({ who, rule: ruleOf(given, one) }));
  return whole === undefined ? named : [{ who: everybody, rule: ruleOf(given, whole) }, ...named];
}

function ruleOf({ algorithm, burst }: RateLimitOptions, one: Rate): LimitRule {
  const { limit, windowMs } = one;
  return algorithm === 'gcra'
    ? { algorithm, limit, windowMs, capacity: capacityOf(one, burst) }
    : { algorithm, limit, windowMs };
}
