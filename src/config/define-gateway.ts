/** `defineGateway`: a configuration in TypeScript whose names are checked while it is written. */
import type { z } from '../util/schema.ts';
import type { StandardPolicy } from './policy-names.ts';
import type { storeSchema } from './schema/access.ts';
import type { consumerSchema } from './schema/consumer.ts';
import type { listenerSchema } from './schema/listener.ts';
import type { defaultsSchema, matchSchema, notFoundSchema, routeSchema } from './schema/route.ts';
import type { upstreamSchema } from './schema/upstream.ts';
import type { ConfigInput } from './schema.ts';

/** Whom `authorize` lets pass, or denies. */
interface Callers<C extends string> {
  consumers?: readonly (C | '*')[];
  [option: string]: unknown;
}

/** Whom a limit counts. A function stands in a file of its own, as every thread has to load it. */
type LimitBy = string | readonly string[] | { use: string };

/** What a policy that names policies, consumers or stores takes; the options of the others are checked when it is loaded. */
interface NamingOptions<P extends string, C extends string, S extends string> {
  anyOf: readonly UseIn<P, P, C, S>[];
  authorize: Callers<C> & { deny?: Callers<C> };
  rateLimit: { store?: S | 'memory'; by?: LimitBy; [option: string]: unknown };
  oidc: { store?: S; [option: string]: unknown };
  quota: { store?: S | 'memory'; by?: LimitBy; [option: string]: unknown };
  concurrency: { by?: LimitBy; [option: string]: unknown };
}

type OptionsOf<Policy, P extends string, C extends string, S extends string> = Policy extends keyof NamingOptions<
  P,
  C,
  S
>
  ? NamingOptions<P, C, S>[Policy]
  : object | null;

/**
 * The name of a policy, one with options, or a module. Which named ones may stand here is one thing, which may stand in its
 * options another: a named policy is not just another name for one.
 */
type UseIn<Here extends string, P extends string, C extends string, S extends string> =
  | Here
  | StandardPolicy
  | ({ [Policy in StandardPolicy]?: OptionsOf<Policy, P, C, S> } & { use?: never })
  | { use: string; options?: unknown };

type PolicyUse<P extends string, C extends string, S extends string> = UseIn<P, P, C, S>;
type DefinedUse<P extends string, C extends string, S extends string> = UseIn<never, P, C, S>;

type WithPolicies<T, P extends string, C extends string, S extends string> = Omit<T, 'policies'> & {
  policies?: readonly PolicyUse<P, C, S>[];
};

type RouteInput = z.input<typeof routeSchema>;
type CacheInput = Exclude<RouteInput['cache'], boolean | undefined>;

type DefinedRoute<
  L extends string,
  U extends string,
  P extends string,
  C extends string,
  S extends string,
> = WithPolicies<Omit<RouteInput, 'match' | 'upstream' | 'mirror' | 'cache'>, P, C, S> & {
  match?: Omit<z.input<typeof matchSchema>, 'listener'> & { listener?: L | L[] };
  upstream?: U | { upstream: U; weight?: number }[];
  mirror?: Omit<NonNullable<RouteInput['mirror']>, 'upstream'> & { upstream: U };
  cache?: boolean | (Omit<CacheInput, 'store'> & { store?: S | 'memory' });
};

type NamedSections =
  | 'listeners'
  | 'stores'
  | 'consumers'
  | 'upstreams'
  | 'policies'
  | 'defaults'
  | 'routes'
  | 'notFound';

/** A configuration with the names of its listeners, upstreams, policies, consumers and stores. */
export type DefinedGateway<
  L extends string,
  U extends string,
  P extends string,
  C extends string,
  S extends string,
> = Omit<ConfigInput, NamedSections> & {
  listeners?: Record<L, z.input<typeof listenerSchema>>;
  stores?: Record<S, z.input<typeof storeSchema>>;
  consumers?: Record<C, z.input<typeof consumerSchema>>;
  upstreams?: Record<U, z.input<typeof upstreamSchema>>;
  policies?: Record<P, DefinedUse<NoInfer<P>, NoInfer<C>, NoInfer<S>>>;
  defaults?: WithPolicies<z.input<typeof defaultsSchema>, NoInfer<P>, NoInfer<C>, NoInfer<S>>;
  routes?: Record<string, DefinedRoute<NoInfer<L>, NoInfer<U>, NoInfer<P>, NoInfer<C>, NoInfer<S>>>;
  notFound?: WithPolicies<z.input<typeof notFoundSchema>, NoInfer<P>, NoInfer<C>, NoInfer<S>>;
};

/**
 * Declares a configuration. Returns it as it is; what it does is to make a route that names an unknown listener,
 * upstream, policy, consumer or store a compile error.
 */
export function defineGateway<
  L extends string = 'web',
  U extends string = never,
  P extends string = never,
  C extends string = never,
  S extends string = never,
>(config: DefinedGateway<L, U, P, C, S>): DefinedGateway<L, U, P, C, S> {
  return config;
}
