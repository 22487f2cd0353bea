/**
 * What `defineGateway` lets through and what not. There is nothing to run: the type checker fails when a line that is
 * expected to be wrong is not, or one that is right is.
 */
import { defineGateway } from '../../src/config/define-gateway.ts';
import type { ConfigInput } from '../../src/config/schema.ts';

/** Names of every kind, all used where they may be. */
export const right = defineGateway({
  listeners: { web: { port: 8080 }, local: { unix: './gw.sock' } },
  stores: { shared: { type: 'redis', url: 'redis://127.0.0.1' } },
  consumers: { mobile: { groups: ['gold'] } },
  upstreams: {
    catalog: { targets: ['http://127.0.0.1:3001', { url: 'http://127.0.0.1:3002', weight: 2 }] },
    next: { targets: ['http://127.0.0.1:3003'] },
  },
  policies: { small: { bodyLimit: { max: '1KiB' } }, gold: { rateLimit: { rate: '1000/1m', store: 'shared' } } },
  defaults: { timeouts: { total: '5s' }, policies: ['requestId', 'small'] },
  routes: {
    a: { match: { path: '/a', listener: 'web' }, policies: ['small', 'cors', { compress: {} }], upstream: 'catalog' },
    b: { match: { listener: ['web', 'local'] }, upstream: [{ upstream: 'catalog', weight: 9 }, { upstream: 'next' }] },
    c: { policies: [{ use: './tenant.ts', options: { any: 1 } }], respond: { status: 204 } },
    d: { policies: [{ authorize: { consumers: ['mobile'], groups: ['gold'] } }], upstream: 'next' },
    e: { cache: { ttl: '60s', store: 'shared' }, mirror: { upstream: 'next' }, upstream: 'catalog' },
    f: { cache: { store: 'memory' }, redirect: { to: '/x' } },
  },
  notFound: { policies: ['small'] },
});

/** What it returns is what `createGateway` and `testGateway` take. */
export const accepted: readonly ConfigInput[] = [right];

/** The default listener is called `web`. */
export const standardListener = defineGateway({ routes: { a: { match: { listener: 'web' }, respond: {} } } });

export const unknownUpstream = defineGateway({
  upstreams: { catalog: { targets: ['http://127.0.0.1:3001'] } },
  // @ts-expect-error: there is no upstream of this name.
  routes: { a: { upstream: 'catalogue' } },
});

export const unknownUpstreamInSplit = defineGateway({
  upstreams: { catalog: { targets: ['http://127.0.0.1:3001'] } },
  // @ts-expect-error: there is no upstream of this name.
  routes: { a: { upstream: [{ upstream: 'catalog' }, { upstream: 'catalogue' }] } },
});

export const unknownUpstreamInMirror = defineGateway({
  upstreams: { catalog: { targets: ['http://127.0.0.1:3001'] } },
  // @ts-expect-error: there is no upstream of this name.
  routes: { a: { upstream: 'catalog', mirror: { upstream: 'shadow' } } },
});

export const noUpstreams = defineGateway({
  // @ts-expect-error: there are no upstreams at all.
  routes: { a: { upstream: 'catalog' } },
});

export const unknownPolicy = defineGateway({
  policies: { small: { bodyLimit: { max: '1KiB' } } },
  // @ts-expect-error: there is no policy of this name.
  routes: { a: { policies: ['smal'], respond: {} } },
});

export const unknownPolicyWithOptions = defineGateway({
  // @ts-expect-error: there is no policy of this name.
  routes: { a: { policies: [{ crs: { origins: ['*'] } }], respond: {} } },
});

export const unknownPolicyInDefaults = defineGateway({
  // @ts-expect-error: there is no policy of this name.
  defaults: { policies: ['requestid'] },
});

export const unknownPolicyInNotFound = defineGateway({
  // @ts-expect-error: there is no policy of this name.
  notFound: { policies: ['requestid'] },
});

export const namedPolicyOfANamedPolicy = defineGateway({
  // @ts-expect-error: a named policy is made from a standard one or from a module.
  policies: { small: { bodyLimit: { max: '1KiB' } }, twice: 'small' },
});

export const unknownListener = defineGateway({
  listeners: { web: {} },
  // @ts-expect-error: there is no listener of this name.
  routes: { a: { match: { listener: 'secure' }, respond: {} } },
});

export const unknownConsumer = defineGateway({
  consumers: { mobile: {} },
  // @ts-expect-error: there is no consumer of this name.
  routes: { a: { policies: [{ authorize: { consumers: ['desktop'] } }], respond: {} } },
});

export const severalWays = defineGateway({
  consumers: { mobile: {} },
  policies: { partners: { jwt: {} }, callers: { anyOf: ['partners', 'mtls', { apiKey: {} }] } },
  routes: {
    a: { policies: ['callers', { authorize: { consumers: ['*'], deny: { consumers: ['mobile'] } } }], respond: {} },
    b: { policies: [{ anyOf: ['partners', { anyOf: ['apiKey', { use: './own.ts' }] }] }], respond: {} },
  },
});

export const unknownWay = defineGateway({
  policies: { partners: { jwt: {} } },
  // @ts-expect-error: there is no policy of this name.
  routes: { a: { policies: [{ anyOf: ['partner', 'mtls'] }], respond: {} } },
});

export const unknownWayOfANamedPolicy = defineGateway({
  // @ts-expect-error: there is no policy of this name.
  policies: { partners: { jwt: {} }, callers: { anyOf: ['partner', 'mtls'] } },
});

export const unknownConsumerInAWay = defineGateway({
  consumers: { mobile: {} },
  // @ts-expect-error: there is no consumer of this name.
  routes: { a: { policies: [{ anyOf: ['mtls', { authorize: { consumers: ['desktop'] } }] }], respond: {} } },
});

export const unknownConsumerDenied = defineGateway({
  consumers: { mobile: {} },
  // @ts-expect-error: there is no consumer of this name.
  routes: { a: { policies: [{ authorize: { deny: { consumers: ['desktop'] } } }], respond: {} } },
});

export const unknownStore = defineGateway({
  stores: { shared: { type: 'redis', url: 'redis://127.0.0.1' } },
  // @ts-expect-error: there is no store of this name.
  routes: { a: { policies: [{ rateLimit: { rate: '1/1s', store: 'shred' } }], respond: {} } },
});

export const unknownStoreOfSessions = defineGateway({
  stores: { shared: { type: 'redis', url: 'redis://127.0.0.1' } },
  // @ts-expect-error: there is no store of this name.
  routes: { a: { policies: [{ oidc: { issuer: 'https://id.example', store: 'shred' } }], respond: {} } },
});

export const unknownStoreOfACache = defineGateway({
  // @ts-expect-error: there is no store of this name.
  routes: { a: { cache: { store: 'shared' }, respond: {} } },
});

export const unknownKey = defineGateway({
  // @ts-expect-error: a route has no such key.
  routes: { a: { respond: {}, timeout: { total: '5s' } } },
});

export const unknownSection = defineGateway({
  // @ts-expect-error: a configuration has no such section.
  listener: {},
});

export const wrongType = defineGateway({
  // @ts-expect-error: a duration is text with a unit.
  routes: { a: { respond: {}, timeouts: { total: 5000 } } },
});

export const limitByFile = defineGateway({
  routes: {
    a: {
      policies: [{ rateLimit: { rate: '1/1s', by: { use: './key.ts' } } }, { quota: { by: ['ip', 'route'] } }],
      respond: {},
    },
  },
});

export const limitByFunction = defineGateway({
  // @ts-expect-error: a function stands in a file of its own.
  routes: { a: { policies: [{ rateLimit: { rate: '1/1s', by: () => 'all' } }], respond: {} } },
});
