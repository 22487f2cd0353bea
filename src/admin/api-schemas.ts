/** The forms of what the admin API answers with. The OpenAPI document is made of them, and tests hold answers to them. */
import { z } from '../util/schema.ts';

const count = z.int().min(0);
const share = z.number().min(0).max(1);
const wallTime = z.int().describe('Milliseconds since the epoch.');

const revision = z
  .strictObject({
    number: count.describe('Counts up from 1 within one process.'),
    digest: z.string().describe('What `ETag` and `If-Match` carry.'),
    appliedAt: wallTime,
    cause: z.enum(['start', 'file', 'signal', 'api', 'last-good']).describe('What it came by.'),
  })
  .describe('A configuration that serves.');

const problem = z
  .strictObject({
    file: z.string(),
    line: z.int().describe('From 1.'),
    column: z.int().describe('From 1.'),
    severity: z.enum(['error', 'warning']),
    code: z.string(),
    message: z.string(),
    path: z.array(z.union([z.string(), z.int()])),
    suggestion: z.string().optional().describe('What was probably meant.'),
  })
  .describe('Something that is wrong with a configuration, and where.');

const page = {
  total: count.describe('How many there are, or match `q`.'),
  offset: count,
  limit: count,
};

/** An answer that tells of a part of many things. */
export function pageAnswer<T extends z.ZodRawShape>(items: T) {
  return z.strictObject({ ...page, ...items });
}

export const statusSchema = z.strictObject({
  version: z.string(),
  startedAt: wallTime,
  uptimeMs: count,
  ready: z.boolean().describe('Whether every thread serves.'),
  revision,
  threads: z.array(
    z.strictObject({
      thread: count,
      state: z.enum(['starting', 'serving', 'draining', 'silent']),
      revision: count.describe('What it serves; 0 before it does.'),
      startedAt: wallTime,
      restarts: count,
      connections: count,
      inFlight: count,
      served: count,
      heapBytes: count.describe('Of its heap, what is in use.'),
      stallMs: z.number().min(0).describe('The longest that its event loop stood still lately, in milliseconds.'),
      overload: z
        .strictObject({
          lagMs: z.number().min(0).describe('By how much its event loop is late all the time.'),
          memory: share.describe('Which share of its memory is in use; 0 where that is not looked at.'),
          refused: z
            .strictObject({ low: share, normal: share, high: share })
            .describe('Which share of the requests is refused, by importance.'),
        })
        .nullable()
        .describe('How much there is to do; null without `overload` in the configuration.'),
    }),
  ),
  listeners: z.array(z.strictObject({ name: z.string(), url: z.string(), connections: count })),
  authentication: z
    .strictObject({
      failed: count.describe('Credentials that did not hold.'),
      slowed: count.describe('Attempts that were to wait because others had failed.'),
      refused: count.describe('Attempts that were refused, whatever they presented, because others had failed.'),
    })
    .describe('Attempts to authenticate since the start.'),
  limits: z
    .strictObject({
      refused: count.describe('Requests that a limit has refused.'),
      wouldRefuse: count.describe('Requests that a limit with `enforce: false` would have refused.'),
      evicted: count.describe('Keys that were forgotten before their time, because there were too many.'),
      gaveUp: count.describe('Decisions that were refused because other threads kept changing what stands beside.'),
      askedOfStores: count.describe('Decisions that stores were asked for, which several machines have in common.'),
      storeFailures: count.describe('Decisions that a store should have made and has not, in time or at all.'),
      decidedLocally: count.describe('Those of them that were made in the memory of this machine instead.'),
    })
    .describe('Decisions of limits since the start.'),
  quotas: z
    .strictObject({
      database: z.string(),
      writtenAt: wallTime.nullable().describe('When everything that was counted was last in it; null for never.'),
      failures: count.describe('Attempts to write since the start that have come to nothing.'),
      problem: z.string().nullable().describe('Why the last attempt has; null when it has not.'),
    })
    .nullable()
    .describe('How it is with the database of quotas; null without one.'),
  overload: z
    .strictObject({
      low: count,
      normal: count,
      high: count,
      bodies: count.describe('Refused because their bodies would have had to be kept while memory was short.'),
    })
    .describe('Requests that were refused for overload since the start, by importance.'),
  protection: z
    .strictObject({
      connectionsRefused: count.describe('Connections over what one address may have, or that came too fast.'),
      addressesForgotten: count.describe('Addresses that were forgotten while they counted, because of too many.'),
      bans: z.strictObject({
        made: count.describe('Bans that policies have made.'),
        requests: count.describe('Requests that were refused because of bans, on connections that were open.'),
        connections: count.describe('Connections that were turned away because of bans.'),
        evicted: count.describe('Bans that ended before their time, because there were too many.'),
      }),
    })
    .describe('Who was turned away since the start.'),
});

export const snapshotSchema = z.strictObject({
  revision,
  config: z
    .record(z.string(), z.unknown())
    .describe('What serves, with every default filled in and every secret replaced.'),
});

export const routesSchema = z.strictObject({
  ...page,
  routes: z.array(
    z.strictObject({
      name: z.string(),
      match: z.string().describe('Which requests it gets, in words.'),
      priority: z.int(),
      policies: z.array(z.string()).describe('In the order in which they run, as the configuration calls them.'),
      action: z.union([
        z.strictObject({ upstream: z.array(z.strictObject({ upstream: z.string(), weight: count })) }),
        z.strictObject({ redirect: z.strictObject({ to: z.string(), status: z.int() }) }),
        z.strictObject({ respond: z.strictObject({ status: z.int() }) }),
      ]),
      problems: z.array(problem),
    }),
  ),
});

export const upstreamsSchema = z.strictObject({
  ...page,
  upstreams: z.array(
    z.strictObject({
      name: z.string(),
      balance: z.string(),
      targets: z.array(z.strictObject({ url: z.string(), weight: count, inFlight: count, connections: count })),
      usedBy: z.strictObject({
        total: count,
        routes: z.array(z.string()).describe('The first hundred, by name.'),
      }),
    }),
  ),
});

export const problemsSchema = z.strictObject({
  ...page,
  refused: z.boolean().describe('Whether the configuration that was looked at last does not serve because of them.'),
  problems: z.array(problem),
});

export const outcomeSchema = z.strictObject({
  result: z
    .enum(['applied', 'unchanged', 'valid'])
    .describe('`applied`: it serves · `unchanged`: it serves already · `valid`: it could serve (a dry run).'),
  revision,
  problems: z.array(problem),
});

export const explainRequestSchema = z.strictObject({
  method: z.string().regex(/^[A-Z0-9_-]{1,32}$/, { error: 'write a method in capitals, such as GET' }),
  url: z.string().min(1).max(16_384).describe('As in `http://api.example.com/catalog/7?x=1`.'),
  headers: z
    .record(z.string().max(256), z.union([z.string().max(8192), z.array(z.string().max(8192)).max(100)]))
    .refine((headers) => Object.keys(headers).length <= 100, { error: 'there may be at most 100 headers' })
    .optional(),
  listener: z.string().max(128).optional().describe('The listener that it comes in on.'),
});

export type ExplainRequest = z.output<typeof explainRequestSchema>;

export const explainedSchema = z.unknown().describe('The route that was chosen and why, and what would happen.');

export const openapiSchema = z.record(z.string(), z.unknown()).describe('This document.');

/** Problem details (RFC 9457). */
export const refusalSchema = z.strictObject({
  type: z.string().describe('`urn:gatewright:error:` and the code.'),
  title: z.string(),
  code: z.string().describe('Stable; each is explained in the reference of errors.'),
  status: z.int(),
  detail: z.string().optional(),
  errors: z
    .array(z.strictObject({ path: z.array(z.union([z.string(), z.int()])), message: z.string() }))
    .optional()
    .describe('What is wrong with a query or a body.'),
  problems: z.array(problem).optional().describe('What is wrong with a configuration.'),
  revision: revision.optional().describe('What serves.'),
});
