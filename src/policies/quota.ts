import { definePolicy } from '../contract.ts';
import { z } from '../util/schema.ts';
import { countedPolicy } from './limits/counted-policy.ts';
import { cost, knownCost } from './limits/limit-cost.ts';
import { exempt } from './limits/limit-exemptions.ts';
import { fieldsOption, nameOption } from './limits/limit-fields.ts';
import { by } from './limits/limit-key.ts';
import { problemsOfStore, storeOptions, unenforcedOption } from './limits/limit-options.ts';
import { type TierRule, everybody } from './limits/limit-tiers.ts';

interface HowMany {
  readonly limit?: number | undefined;
  readonly limits?: Readonly<Record<string, number>> | undefined;
}

const howMany = z.int().min(1).max(1_000_000_000_000);

const options = z
  .strictObject({
    limit: howMany.optional().describe('How many in a day or a month.'),
    limits: z
      .record(z.string().min(1), howMany)
      .optional()
      .describe(
        'Instead of `limit`, or others for some, by the name of the consumer or of a group: `{gold: 100000, default: 1000}`. A consumer counts before its groups, and of several groups the first here.',
      ),
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
    for (const message of problemsOfStore(given)) context.addIssue({ code: 'custom', message });
  })
  .refine(({ limit, limits = {} }) => (limit === undefined) === Object.hasOwn(limits, everybody), {
    error: 'write one of `limit` and `limits` with a `default`',
  })
  .refine((given) => limitsOf(given).every(([, limit]) => knownCost(given.cost) <= limit), {
    error: 'no request could ever pass: it costs more than the limit',
  });

export type QuotaOptions = z.infer<typeof options>;

/** By consumer or group. */
function limitsOf({ limit, limits = {} }: HowMany): (readonly [who: string, limit: number])[] {
  return [...(limit === undefined ? [] : [[everybody, limit] as const]), ...Object.entries(limits)];
}

function isTimeZone(name: string): boolean {
  try {
    return Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/**
 * Lets pass so many requests in a day or a month of the calendar. Counted in memory, a start of the gateway begins anew unless
 * there is a database of quotas; in a store, it does not.
 */
export const quota = definePolicy({
  name: 'quota',
  summary: 'Limits how many requests may come in a day or a month of the calendar.',
  options,
  create: (given, env) =>
    countedPolicy({ kind: 'quota', code: 'QUOTA_EXCEEDED', given, tiers: quotaTiers(given) }, env),
});

/** What the options come to. */
export function quotaTiers(given: QuotaOptions): readonly TierRule[] {
  const { per, timezone: timeZone } = given;
  return limitsOf(given).map(([who, limit]) => ({ who, rule: { algorithm: 'calendar', limit, per, timeZone } }));
}
