/** `routes`, `defaults`, `policies` and `notFound`: which requests are meant, and what happens to them. */
import { canonicalIp } from '../../util/ip-set.ts';
import { z } from '../../util/schema.ts';
import { duration, percentage, size } from '../../util/units.ts';
import { authority, headerName, method, responseHeaders } from './http-text.ts';
import { importance } from './overload.ts';
import { flag, integer, notAvailable, oneOrMore, reference } from './scalars.ts';

const MAX_WEIGHT = 10_000;

const HOST_NAME = /^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

/** `api.example.com`, `*.example.com`, an IP address. Lower-case once parsed, IPv6 canonical and without brackets. */
const host = z.string().transform((text, context) => {
  const lower = text.toLowerCase();
  const name = lower.includes(':')
    ? canonicalIp(lower.replace(/^\[(.*)\]$/, '$1'))
    : HOST_NAME.test(lower)
      ? lower
      : null;
  if (name !== null) return name;
  const message = `${JSON.stringify(text)} is not a host name such as api.example.com or *.example.com (no port)`;
  context.issues.push({ code: 'custom', message, input: text });
  return z.NEVER;
});

const regex = z.string().min(1, { error: 'is empty' });

const path = z.union([
  z.string().startsWith('/', { error: 'a path begins with /' }),
  z.strictObject({ regex: regex.describe('A regular expression without anything that can backtrack.') }),
]);

/** What one header or query parameter must be like. */
export type FieldMatch =
  | { readonly name: string; readonly equals: string }
  | { readonly name: string; readonly regex: string }
  | { readonly name: string; readonly present: boolean };

const fieldCondition = z.union([
  z.string(),
  z.strictObject({ present: flag().describe('Whether it must be there, or must not.') }),
  z.strictObject({ regex: regex.describe('A regular expression that its value must match.') }),
]);

type FieldCondition = z.output<typeof fieldCondition>;

function toFieldMatch(name: string, condition: FieldCondition): FieldMatch {
  return typeof condition === 'string' ? { name, equals: condition } : { name, ...condition };
}

const headerMatches = z
  .record(headerName, fieldCondition)
  .transform((record) => Object.entries(record).map(([name, is]) => toFieldMatch(name.toLowerCase(), is)));

const queryMatches = z
  .record(z.string(), fieldCondition)
  .transform((record) => Object.entries(record).map(([name, is]) => toFieldMatch(name, is)));

export const matchSchema = z.strictObject({
  host: oneOrMore(host).default([]).describe('`api.example.com`, or `*.example.com` for every name below it.'),
  path: oneOrMore(path)
    .default([])
    .describe(
      '`/a/b` exactly, `/users/{id}` with a captured segment, `/files/*` or `/files/{rest...}` with all below, or a regex.',
    ),
  methods: oneOrMore(method).optional().describe('The methods. By default all.'),
  headers: headerMatches.default([]).describe('What headers must be: a value, `{present: true}` or `{regex: …}`.'),
  query: queryMatches.default([]).describe('What query parameters must be, likewise.'),
  listener: oneOrMore(reference())
    .default([])
    .describe('The listeners that the request must have come in on. By default any.'),
  emptySegments: z
    .enum(['merge', 'keep'])
    .default('merge')
    .describe('Whether `//` in the path is made `/` before matching.'),
  encodedSlash: z
    .enum(['refuse', 'keep'])
    .default('refuse')
    .describe('Whether a path with `%2F` is refused, or matched and sent on as it is.'),
});

const routeTimeoutsSchema = z.strictObject({
  connect: duration({ min: 1 }).optional().meta({ default: '2s', description: 'For a connection to a target.' }),
  firstByte: duration({ min: 1 })
    .optional()
    .meta({ default: '30s', description: 'From the end of the request to the head of the response.' }),
  idle: duration({ min: 1 })
    .optional()
    .meta({ default: '60s', description: 'For the next bytes, while a response or an upgraded connection lasts.' }),
  total: z
    .union([z.literal('none').transform(() => null), duration({ min: 1 })], {
      error: 'write a duration such as 5s, or none',
    })
    .optional()
    .meta({
      default: 'none',
      description: 'For all of it, to the end of the response; `none` for no limit but the others.',
    }),
});

/** A policy use as it is written: its name, its name with options, or a module with options. */
export type PolicyUseInput =
  | string
  | { readonly use: string; readonly options?: unknown }
  | { readonly use?: never; readonly [name: string]: unknown };

/**
 * Accepts everything: which policies there are and what options they take is known only to the resolver (policies.ts)
 * and to the JSON Schema (json-schema.ts), which are handed the registry.
 */
export const policyUseSchema = z.custom<PolicyUseInput>();

const weightedUpstream = z.strictObject({
  upstream: reference().describe('The upstream.'),
  weight: integer(0, MAX_WEIGHT).default(1).describe('Its share of the requests, relative to the others.'),
});

const upstream = z.union([
  reference().transform((name) => [{ upstream: name, weight: 1 }]),
  z.array(weightedUpstream).min(1, { error: 'the list is empty' }),
]);

const rewrite = z.strictObject({
  path: z
    .string()
    .startsWith('/', { error: 'a path begins with /' })
    .optional()
    .describe('The path that the upstream gets; `{name}` and `{*}` stand for what the match captured.'),
  host: authority.optional().describe('The Host that the upstream gets.'),
});

const redirect = z.strictObject({
  to: z
    .string()
    .min(1)
    .describe(
      'Where to: a URL or a path. `{name}` and `{*}` stand for what the match captured; `{host}`, `{path}` and `{query}` ' +
        'for those of the request. Without `{query}` and `?` the query is kept.',
    ),
  status: z
    .literal([301, 302, 303, 307, 308], { error: 'write 301, 302, 303, 307 or 308' })
    .default(308)
    .describe('308 and 307 keep the method; 308 and 301 are remembered by browsers.'),
});

/** Responses of these statuses have no body (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5). */
const BODILESS: readonly number[] = [204, 205, 304];

const respondSchema = z
  .strictObject({
    status: integer(200, 599).default(200).describe('The status.'),
    headers: responseHeaders
      .default({})
      .describe('Headers. By default `content-type: text/plain; charset=utf-8` when there is a body.'),
    body: z.string().default('').describe('The body.'),
  })
  .refine(({ status, body }) => body === '' || !BODILESS.includes(status), {
    error: 'a response of this status has no body',
    path: ['body'],
  });

const cache = z.union([
  flag(),
  z.strictObject({
    ttl: duration().optional().describe('How long a response is fresh when the origin does not say.'),
    respectOrigin: flag().default(true).describe('Obey the `Cache-Control` of the origin before `ttl`.'),
    methods: z.array(method).optional().describe('The methods whose responses are kept.'),
    statuses: z.array(integer(200, 599)).optional().describe('The statuses of responses that are kept.'),
    key: z
      .strictObject({
        query: z.array(z.string()).optional().describe('Only these query parameters.'),
        headers: z.array(z.string()).optional().describe('These headers besides.'),
        cookies: z.array(z.string()).optional().describe('These cookies besides.'),
        consumer: flag().optional().describe('The consumer besides.'),
      })
      .optional()
      .describe('What makes requests different from each other.'),
    staleWhileRevalidate: duration().optional().describe('How long a stale response is served while it is renewed.'),
    staleIfError: duration().optional().describe('How long a stale response is served when renewing fails.'),
    maxBytes: size().optional().describe('The largest body that is kept.'),
    coalesce: flag().default(true).describe('Let identical misses share one request to the upstream.'),
    tags: z.string().optional().describe('The response header that lists tags to purge by.'),
    store: reference().optional().describe('The store to share responses through.'),
  }),
]);

const retries = z.strictObject({
  attempts: integer(0, 10).default(2).describe('How many more attempts after the first.'),
  on: z
    .array(z.union([z.enum(['connect', 'reset', 'timeout']), integer(400, 599)]))
    .default(['connect', 'reset', 'timeout', 502, 503, 504])
    .describe('Failures and statuses that are tried again.'),
  methods: z
    .union([z.literal('idempotent'), z.array(method)])
    .default('idempotent')
    .describe('The methods that may be sent again.'),
  budget: percentage().prefault('20%').describe('The largest share of requests that are retries.'),
  backoff: z
    .string()
    .regex(/^[0-9.]+(?:ms|s)\.\.[0-9.]+(?:ms|s)$/, { error: 'write a range such as 25ms..250ms' })
    .default('25ms..250ms')
    .describe('The wait before each attempt, from the first to the longest.'),
});

const mirror = z.strictObject({
  upstream: reference().describe('The upstream that gets the copies.'),
  sample: percentage().prefault('100%').describe('The share of requests that are copied.'),
});

const hedge = z.strictObject({
  after: z
    .union([z.string().regex(/^p[0-9]{1,2}$/), duration({ min: 1 })])
    .default('p95')
    .describe('After this time, or this percentile of response times.'),
  max: integer(1, 10).default(1).describe('How many more requests.'),
});

export const routeSchema = z.strictObject({
  match: matchSchema
    .prefault({})
    .describe('Which requests are meant. All conditions must hold; none means all requests.'),
  priority: integer(-1_000_000, 1_000_000)
    .default(0)
    .describe('Among several routes that match, the highest wins, before anything else is compared.'),
  importance: importance
    .default('normal')
    .describe('With `overload`: the less important requests are refused first, `critical` ones never.'),
  policies: z.array(policyUseSchema).default([]).describe('What is done with the requests, in this order.'),
  upstream: upstream.optional().describe('Send them to an upstream, or split them over several by weight.'),
  rewrite: rewrite.optional().describe('Change what the upstream gets.'),
  redirect: redirect.optional().describe('Answer with a redirect.'),
  respond: respondSchema.optional().describe('Answer with a fixed response.'),
  timeouts: routeTimeoutsSchema
    .prefault({})
    .describe('How long things may take; what is not given comes from `defaults`.'),
  cache: notAvailable(cache).optional().describe('Keep responses and serve them again (RFC 9111).'),
  mirror: notAvailable(mirror).optional().describe('Send a copy of requests elsewhere.'),
  retries: notAvailable(retries).optional().describe('Try again when an attempt fails.'),
  hedge: notAvailable(hedge).optional().describe('Try a second target when the first is slow.'),
});

export const defaultsSchema = z.strictObject({
  timeouts: routeTimeoutsSchema.prefault({}).describe('Merged under the timeouts of every route.'),
  policies: z.array(policyUseSchema).default([]).describe('Run before the policies of every route.'),
});

export const notFoundSchema = z.strictObject({
  policies: z
    .array(policyUseSchema)
    .default([])
    .describe('Run for requests that no route matches, after `defaults.policies`.'),
  respond: respondSchema.optional().describe('Answer them with this instead of 404 `NO_ROUTE`.'),
});
