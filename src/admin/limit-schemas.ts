/** The forms of what the admin API says of limits. */
import { z } from '../util/schema.ts';
import { pageAnswer } from './api-schemas.ts';

const count = z.int().min(0);
const milliseconds = z.number().min(0).describe('Milliseconds.');

export const limitRow = z
  .strictObject({
    id: z.string().describe('Tells it from others of its name. Another one when its numbers change.'),
    name: z.string().describe('What clients see it under.'),
    kind: z.enum(['rateLimit', 'quota', 'concurrency']),
    scope: z
      .enum(['name', 'gateway', 'route'])
      .describe('For whom it is one: for all routes that use its name, for the whole gateway, or for its route alone.'),
    routes: z.strictObject({
      total: count,
      routes: z.array(z.string()).describe('The first hundred that use it, by name.'),
    }),
    by: z.array(z.string()).describe('Who is counted by himself.'),
    enforce: z.boolean(),
    store: z.string().describe('What it counts in.'),
    rules: z
      .array(
        z.strictObject({
          for: z.string().describe('A consumer, a group, or `default`: everybody else.'),
          algorithm: z.enum(['gcra', 'sliding-window', 'fixed-window', 'calendar']),
          limit: count,
          windowMs: count.nullable().describe('In which time; null by the calendar.'),
          capacity: count.nullable().describe('Of `gcra`: how many at once.'),
          per: z.enum(['day', 'month']).nullable(),
          timezone: z.string().nullable(),
          inHand: count
            .nullable()
            .describe(
              'Of `mode: lease`: how many permits of a key this machine has in hand at most, unless one request costs more than a thread has. All machines together let pass as many more than the rule says.',
            ),
        }),
      )
      .describe('How many in which time; none of `concurrency`.'),
    permits: z
      .strictObject({
        limit: count.describe('How many at once, for the moment.'),
        adaptive: z
          .strictObject({ min: count, max: count })
          .nullable()
          .describe('Bounds of a limit that adapts itself.'),
        queue: count,
      })
      .nullable()
      .describe('Of `concurrency`: how many at once, and how many more may wait.'),
    totals: z
      .strictObject({
        admitted: count.describe('Requests that it has let pass, also if another one has refused them then.'),
        refused: count,
        wouldRefuse: count.describe('Requests that it would have refused, had it been enforced.'),
      })
      .nullable()
      .describe('Since the start, over all threads; null of limits beyond the first 4096.'),
  })
  .describe('A limit of the configuration that serves.');

export type LimitRow = z.output<typeof limitRow>;

export const limitsAnswer = pageAnswer({ limits: z.array(limitRow) });

export const limitAnswer = z.strictObject({
  limit: limitRow,
  consumption: z
    .strictObject({
      rules: z.array(
        z.strictObject({
          for: z.string().describe('As in the rules of the limit.'),
          limit: count,
          remaining: count,
          resetMs: milliseconds.describe('Milliseconds until all are there again; 0 when none is missing.'),
          moreMs: milliseconds.describe('Milliseconds until there is one more than `remaining`.'),
        }),
      ),
      permits: z
        .strictObject({ held: count.describe('How many are on their way.'), waiting: count })
        .nullable()
        .describe('Of `concurrency`.'),
    })
    .nullable()
    .describe('Of the key that was asked for; null when none was.'),
  refused: z
    .array(
      z.strictObject({
        consumer: z.string().nullable().describe('null for somebody who was not known.'),
        address: z.string().nullable().describe('Of somebody who was not known; of IPv6 the /64.'),
        refused: count,
        wouldRefuse: count,
        lastAt: milliseconds.describe('When that was last so, in milliseconds since 1970.'),
      }),
    )
    .describe('Whom this machine has refused most, of those that it has refused within the last hour; twenty at most.'),
});

export const keyQuery = z.strictObject({
  key: z
    .string()
    .max(8192)
    .optional()
    .describe('What the limit counts by, such as the value of the header; of several a JSON array, in their order.'),
  consumer: z.string().min(1).max(256).optional().describe('Instead of `key`: a consumer, of limits that count by it.'),
  address: z.string().min(1).max(64).optional().describe('Instead of `key`: the address of whoever has nothing else.'),
});

export type KeyQuery = z.output<typeof keyQuery>;

export const resetAnswer = z.strictObject({ reset: z.literal(true) });
