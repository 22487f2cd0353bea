/**
 * The configuration, declared once. From this come the TypeScript types, the validator, the JSON Schema for editors and
 * the reference in `docs/reference/`. What users write is `ConfigInput`; what the gateway is built from is
 * `GatewayConfig`: plain data, durations in milliseconds, sizes in bytes, fractions for percentages, defaults applied
 * and lists where one or several could be written.
 */
import { z } from '../util/schema.ts';
import { cacheSchema, storeSchema } from './schema/access.ts';
import { quotasSchema } from './schema/quotas.ts';
import { consumerSchema, consumerSourcesSchema } from './schema/consumer.ts';
import { identitySchema } from './schema/identity.ts';
import type { Importance } from './schema/importance.ts';
import { overloadSchema } from './schema/overload.ts';
import { adminSchema, listenerSchema } from './schema/listener.ts';
import { defaultsSchema, notFoundSchema, policyUseSchema, routeSchema } from './schema/route.ts';
import { NAME_RULE, isName, notAvailable } from './schema/scalars.ts';
import { telemetrySchema } from './schema/telemetry.ts';
import { upstreamSchema } from './schema/upstream.ts';

export type { Importance } from './schema/importance.ts';
export type { FieldMatch } from './schema/route.ts';

const name = z.string().refine(isName, { error: NAME_RULE });

const THREADS_RULE = 'write auto or a whole number of at least 1';
const threads = z.union([z.literal('auto'), z.int().min(1, { error: THREADS_RULE }).max(1024)], {
  error: THREADS_RULE,
});

export const gatewaySchema = z.strictObject({
  $schema: z.string().optional().describe('Where editors find the schema of this file.'),
  listeners: z
    .record(name, listenerSchema)
    .prefault({ web: {} })
    .describe('Sockets that requests come in on. By default one named `web` on port 8080.'),
  admin: adminSchema.prefault({}).describe('The socket for operators: health, metrics, API and dashboard.'),
  threads: threads.default('auto').describe('How many threads serve traffic; `auto` is one for each core.'),
  overload: overloadSchema
    .optional()
    .describe('What is refused when there is more to do than can be done. Without it nothing is.'),
  stores: z.record(name, storeSchema).default({}).describe('Where state is shared between machines.'),
  quotas: quotasSchema.prefault({}).describe('What becomes of quotas when the gateway is restarted.'),
  consumers: z.record(name, consumerSchema).default({}).describe('Who may call.'),
  consumerSources: consumerSourcesSchema.prefault({}).describe('Where there are more consumers than here.'),
  identity: identitySchema
    .optional()
    .describe('Who the gateway itself is: what its identity tokens for upstreams are signed with.'),
  upstreams: z.record(name, upstreamSchema).default({}).describe('Named groups of equivalent targets.'),
  policies: z.record(name, policyUseSchema).default({}).describe('Named policies that any route may use.'),
  defaults: defaultsSchema.prefault({}).describe('What holds for every route.'),
  routes: z.record(name, routeSchema).default({}).describe('Which requests go where. Their order has no meaning.'),
  notFound: notFoundSchema.prefault({}).describe('What happens to requests that no route matches.'),
  telemetry: telemetrySchema.prefault({}).describe('What the gateway tells about its traffic.'),
  cache: notAvailable(cacheSchema).optional().describe('Where responses are kept.'),
});

/** The configuration as the schema parses it: nothing merged or resolved yet. */
export type GatewayDeclaration = z.output<typeof gatewaySchema>;

/** Nobody changes the lists that a user wrote, so they may be constant. */
type WithConstantLists<T> = T extends readonly (infer Item)[]
  ? readonly WithConstantLists<Item>[]
  : T extends object
    ? { [Key in keyof T]: WithConstantLists<T[Key]> }
    : T;

/** What a user writes, and what `defineGateway` returns. */
export type ConfigInput = WithConstantLists<z.input<typeof gatewaySchema>>;

/** One use of a policy: what to create it from, and what it is given. */
export interface PolicyUse {
  /** The name of the policy: in the registry, or in the module that `use` names. */
  readonly name: string;
  /** How the configuration calls it: the name under `policies`, otherwise that of the policy. */
  readonly label: string;
  /** The absolute path of the module that `use` names; null for a policy of the registry. */
  readonly module: string | null;
  /** The options as the policy's schema has parsed them: defaults applied, plain data. */
  readonly options: unknown;
  /** See `PolicyDefinition.ownPaths`; left out for none. */
  readonly ownPaths?: readonly string[];
}

/** How long the parts of an exchange may take, in milliseconds. */
export interface RouteTimeouts {
  readonly connect: number;
  readonly firstByte: number;
  readonly idle: number;
  /** null for no limit. */
  readonly total: number | null;
}

/** A route as the schema parses it: nothing merged or resolved yet. */
export type RouteDeclaration = z.output<typeof routeSchema>;
export type UpstreamDeclaration = z.output<typeof upstreamSchema>;

export type ListenerConfig = Readonly<z.output<typeof listenerSchema>>;
export type ListenerTlsConfig = NonNullable<ListenerConfig['tls']>;
export type AdminConfig = Readonly<z.output<typeof adminSchema>>;
export type UpstreamConfig = Readonly<
  Pick<UpstreamDeclaration, 'targets' | 'connections' | 'tls' | 'hostHeader'> & {
    balance: string;
    auth: NonNullable<UpstreamDeclaration['auth']> | null;
  }
>;
export type UpstreamAuthConfig = NonNullable<UpstreamConfig['auth']>;
export type OverloadConfig = Readonly<z.output<typeof overloadSchema>>;
export type IdentityConfig = Readonly<z.output<typeof identitySchema>>;
export type UpstreamTlsConfig = UpstreamConfig['tls'];
export type StoreDeclaration = z.output<typeof storeSchema>;
export type ConsumerDeclaration = z.output<typeof consumerSchema>;
export type ConsumerSources = z.output<typeof consumerSourcesSchema>;
export type MatchConfig = RouteDeclaration['match'];
export type RewriteConfig = NonNullable<RouteDeclaration['rewrite']>;
export type RedirectConfig = NonNullable<RouteDeclaration['redirect']>;
export type RespondConfig = NonNullable<RouteDeclaration['respond']>;
export type WeightedUpstream = NonNullable<RouteDeclaration['upstream']>[number];
export type DebugConfig = Readonly<NonNullable<z.output<typeof telemetrySchema>['debug']>>;
export type MetricsConfig = Readonly<z.output<typeof telemetrySchema>['metrics']>;
export type AccessLogConfig = NonNullable<z.output<typeof telemetrySchema>['accessLog']>;

/** A route with everything that holds for it: the defaults are merged in, named policies resolved. */
export interface RouteConfig {
  readonly name: string;
  readonly match: MatchConfig;
  readonly priority: number;
  readonly importance: Importance;
  /** `defaults.policies`, then its own. */
  readonly policies: readonly PolicyUse[];
  /** Exactly one of `upstream`, `redirect` and `respond` is not null. */
  readonly upstream: readonly WeightedUpstream[] | null;
  readonly redirect: RedirectConfig | null;
  readonly respond: RespondConfig | null;
  readonly rewrite: RewriteConfig | null;
  readonly timeouts: RouteTimeouts;
}

/** What happens to requests that no route matches. */
export interface NotFoundConfig {
  /** `defaults.policies`, then its own. */
  readonly policies: readonly PolicyUse[];
  /** null for 404 `NO_ROUTE`. */
  readonly respond: RespondConfig | null;
}

/** What any credential may have besides. */
interface CredentialConfig {
  /** What it is for; empty for nothing. */
  readonly label: string;
  /** Wall-clock milliseconds from which it is no longer accepted; null for never. */
  readonly expiresAt: number | null;
}

/** A consumer of the configuration, ready to be found by what it can show. Placeholders are left out. */
export interface ConsumerConfig {
  readonly name: string;
  readonly groups: readonly string[];
  readonly apiKeys: readonly (CredentialConfig & { readonly digest: string })[];
  readonly basic: { readonly user: string; readonly password: string } | null;
  readonly hmac: readonly (CredentialConfig & { readonly keyId: string; readonly secret: string })[];
  /** Public keys, in PEM form. */
  readonly signing: readonly (CredentialConfig & {
    readonly keyId: string;
    readonly algorithm: string;
    readonly publicKey: string;
  })[];
  readonly jwt: readonly Readonly<Record<string, string | number | boolean>>[];
  readonly certificates: readonly ({ readonly san: string } | { readonly fingerprint: string })[];
}

/** A store, ready to be connected to: times in milliseconds, what is in PEM form as text or absolute path. */
export interface StoreConfig {
  readonly type: 'redis';
  readonly url: string;
  readonly sentinels: readonly string[];
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
  readonly cluster: boolean;
  readonly nodes: readonly string[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly timeout: number;
  readonly prefix: string;
  readonly tls: {
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
    readonly serverName: string | undefined;
    readonly insecure: boolean;
  };
}

/** What a gateway is built from: a plain document that can be sent to another thread. */
export interface GatewayConfig {
  /** The folder that relative file names are relative to. */
  readonly baseDir: string;
  readonly listeners: Readonly<Record<string, ListenerConfig>>;
  readonly admin: AdminConfig;
  readonly threads: number | 'auto';
  /** null where nothing is refused for it. */
  readonly overload: OverloadConfig | null;
  /** Those of the configuration itself and of its files. */
  readonly consumers: readonly ConsumerConfig[];
  /** Absolute paths. */
  readonly consumerSources: { readonly files: readonly string[]; readonly database: string | null };
  /** null where the gateway says nothing of itself. */
  readonly identity: IdentityConfig | null;
  readonly stores: Readonly<Record<string, StoreConfig>>;
  /** An absolute path; null where quotas are counted in memory alone. */
  readonly quotas: { readonly database: string | null };
  readonly upstreams: Readonly<Record<string, UpstreamConfig>>;
  readonly routes: Readonly<Record<string, RouteConfig>>;
  readonly notFound: NotFoundConfig;
  /** How many policies `defaults.policies` has: those with which the policies of each route and of `notFound` begin. */
  readonly defaultPolicies: number;
  readonly telemetry: {
    readonly accessLog: AccessLogConfig | null;
    readonly metrics: MetricsConfig;
    readonly debug: DebugConfig | null;
  };
}
