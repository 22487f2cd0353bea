/** All endpoints of the admin port. */
import { createIdentity } from '../compile/identity.ts';
import type { IdentityConfig } from '../config/schema.ts';
import type { Clock } from '../util/clock.ts';
import { openapiSchema } from './api-schemas.ts';
import { banEndpoints } from './ban-endpoints.ts';
import { changeEndpoints } from './change-endpoints.ts';
import { consumerEndpoints } from './consumer-endpoints.ts';
import { metricsEndpoint } from './metrics-endpoint.ts';
import { type Endpoint, type TextAnswer, controlEndpoint, noQuery } from './endpoint.ts';
import type { EventFeed } from './event-feed.ts';
import { limitEndpoints } from './limit-endpoints.ts';
import { openapiDocument } from './openapi.ts';
import { page } from './page.ts';
import { readEndpoints } from './read-endpoints.ts';

export interface EndpointsOptions {
  readonly clock: Clock;
  readonly events: EventFeed;
  readonly isReady: () => boolean;
  /** Hides what is secret in a text. */
  readonly hide: (text: string) => string;
}

export function adminEndpoints({ clock, events, isReady, hide }: EndpointsOptions): Endpoint[] {
  const endpoints: Endpoint[] = [
    ...openEndpoints(isReady),
    ...readEndpoints(clock, hide),
    eventsEndpoint(events),
    ...consumerEndpoints,
    ...limitEndpoints,
    ...banEndpoints,
    keysEndpoint(),
    ...changeEndpoints,
    metricsEndpoint,
  ];
  endpoints.push(
    controlEndpoint({
      method: 'GET',
      path: '/api/v1/openapi.json',
      operationId: 'getOpenapi',
      summary: 'What the admin API is: this document.',
      answer: { type: 'application/json', schema: openapiSchema },
      handle: (_, { version }) => ({ json: openapiDocument(endpoints, version) }),
    }),
  );
  return endpoints;
}

const TEXT = 'text/plain';

/** Probes of load balancers and a browser that only looks have no token. */
function openEndpoints(isReady: () => boolean): Endpoint[] {
  const open = { method: 'GET', isOpen: true, query: noQuery, body: null } as const;
  return [
    {
      ...open,
      path: '/livez',
      operationId: 'getLive',
      summary: 'Whether the process runs: whoever reads this has been answered by a live event loop.',
      answer: { type: TEXT, schema: null },
      handle: () => text(200, 'live\n'),
    },
    {
      ...open,
      path: '/readyz',
      operationId: 'getReady',
      summary: 'Whether every thread serves.',
      answer: { type: TEXT, schema: null },
      also: { 503: 'It is starting or draining.' },
      handle: () => (isReady() ? text(200, 'ready\n') : text(503, 'not ready\n')),
    },
    {
      ...open,
      path: '/',
      operationId: 'getPage',
      summary: 'A page for people that says what is here.',
      answer: { type: 'text/html', schema: null },
      handle: () => ({ status: 200, text: page, type: 'text/html' }),
    },
  ];
}

/** Public by its nature: whoever verifies tokens of the gateway has no token for its admin port. */
function keysEndpoint(): Endpoint {
  const made = new WeakMap<IdentityConfig, string>();
  return controlEndpoint({
    method: 'GET',
    path: '/.well-known/jwks.json',
    operationId: 'getIdentityKeys',
    summary: 'The public keys that identity tokens of the gateway are signed with, as a JWK set (RFC 7517).',
    isOpen: true,
    answer: { type: 'application/jwk-set+json', schema: null },
    refusals: ['ADMIN_NOT_FOUND'],
    handle(_, { config: { identity } }) {
      if (identity === null) return { code: 'ADMIN_NOT_FOUND', detail: 'The configuration has no `identity`.' };
      const jwks = made.get(identity) ?? createIdentity(identity).jwks;
      made.set(identity, jwks);
      return { status: 200, text: jwks, type: 'application/jwk-set+json', headers: { 'cache-control': 'max-age=300' } };
    },
  });
}

function text(status: number, body: string): TextAnswer {
  return { status, text: body, type: TEXT };
}

function eventsEndpoint(events: EventFeed): Endpoint {
  return controlEndpoint({
    method: 'GET',
    path: '/api/v1/events',
    operationId: 'streamEvents',
    summary:
      'What happens, as server-sent events: `event` is its kind, `data` a JSON object with `kind`, `at` and `about`.',
    headers: { 'Last-Event-ID': 'Begin with what came after this event, as far as it is still kept.' },
    answer: { type: 'text/event-stream', schema: null },
    refusals: ['ADMIN_BUSY'],
    handle({ headers }) {
      if (events.isFull) return { code: 'ADMIN_BUSY', headers: { 'retry-after': '5' } };
      const lastEventId = headers['last-event-id'];
      return {
        type: 'text/event-stream',
        stream: (response) => events.subscribe(response, typeof lastEventId === 'string' ? lastEventId : undefined),
      };
    },
  });
}
