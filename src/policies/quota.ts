import { type LimitRule, type LimiterSource, type Policy, type PolicyEnv, definePolicy } from '../contract.ts';
import { z } from '../util/schema.ts';
import { CountedLimit, unenforcedNotice } from './limits/counted-limit.ts';
import { cost, costReader } from './limits/limit-cost.ts';
import { exempt, exemption } from './limits/limit-exemptions.ts';
import { limitCounters } from './limits/limit-counters.ts';
import { LimitFields, fieldsOption, nameOption } from './limits/limit-fields.ts';
import { limitIdentity, limitName } from './limits/limit-identity.ts';
import { LimitKey, by } from './limits/limit-key.ts';
import { limiterSource, problemsOfStore, storeOptions, unenforcedOption } from './limits/limit-options.ts';

const dayMs = 86_400_000;

const options = z
  .strictObject({
    limit: z.int().min(1).max(1_000_000_000_000).describe('How many in a day or a month.'),
    per: z.enum(['day', 'month']).describe('The period, by the calendar.'),
    timezone: z
      .string()
      .refine(isTimeZone, { error: 'is no time zone: write one such as Europe/Berlin or UTC' })
      .default('UTC')
      .describe('In which time zone days and months begin.'),
    by,
    cost,
    exempt,
    enforce: unenforcedOption,
    headers: fieldsOption,
    name: nameOption,
    ...storeOptions,
  })
  .superRefine((given, context) => {
    const { limit, cost: each } = given;
    const problems = [...problemsOfStore(given)];
    if (typeof each === 'number' && each > limit) {
      problems.push('no request could ever pass: it costs more than the limit');
    }
    for (const message of problems) context.addIssue({ code: 'custom', message });
  });

type Options = z.infer<typeof options>;

function isTimeZone(name: string): boolean {
  try {
    return Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/**
 * Lets pass so many requests in a day or a month of the calendar. Counted in memory, a start of the gateway begins anew; in a
 * store, it does not.
 */
export const quota = definePolicy({
  name: 'quota',
  summary: 'Limits how many requests may come in a day or a month of the calendar.',
  options,
  create(given, env) {
    const source = limiterSource(given, env);
    if (!(source instanceof Promise)) return quotaIn(source, given, env);
    return source.then((made) => quotaIn(made, given, env));
  },
});

function quotaIn(source: LimiterSource, given: Options, env: PolicyEnv): Policy {
  const { limit, per, timezone: timeZone } = given;
  const name = limitName({ kind: 'quota', name: given.name }, env);
  const rule: LimitRule = { algorithm: 'calendar', limit, per, timeZone };
  const identity = limitIdentity({ kind: 'quota', name: given.name, by: given.by }, rule, env);
  // How long a day or a month is differs, so clients are only told of a day what it usually is.
  const windowMs = per === 'day' ? dayMs : NaN;
  const tier = {
    limiter: source.limiter(identity, rule),
    byAddress: source.limiter(`${identity} by address`, rule),
    fields: new LimitFields(given.headers, name, limit, windowMs),
    windowMs: per === 'day' ? dayMs : 31 * dayMs,
  };
  return new CountedLimit({
    code: 'QUOTA_EXCEEDED',
    name,
    key: new LimitKey(given.by, env.route),
    cost: costReader(given.cost, env.route),
    tierOf: () => tier,
    isExempt: exemption(given.exempt),
    enforce: given.enforce,
    limits: env.limits,
    counters: limitCounters(given.name, env),
    onUnenforced: unenforcedNotice(name, env),
  });
}
