/** Puts together what the gateway is built from: defaults merged, policies resolved, file names absolute. */
import { resolve } from 'node:path';
import { isPemText } from '../wire/tls/pem-source.ts';
import { checkCredentialPlaces } from './checks/credential-places.ts';
import { checkIdentityIsThere } from './checks/identity.ts';
import type { ResolvedList } from './checks/authorization.ts';
import { checkPolicyList } from './checks/policy-lists.ts';
import { type ResolvedUse, type PolicyResolver, checkOrder } from './policies.ts';
import type { Finding } from './problem.ts';
import type {
  AccessLogConfig,
  ConsumerConfig,
  ConsumerSources,
  GatewayConfig,
  GatewayDeclaration,
  ListenerConfig,
  NotFoundConfig,
  PolicyUse,
  RouteConfig,
  RouteDeclaration,
  RouteTimeouts,
  StoreConfig,
  StoreDeclaration,
  UpstreamAuthConfig,
  UpstreamConfig,
  UpstreamDeclaration,
} from './schema.ts';
import type { PolicyList, Sections } from './sections.ts';

const STANDARD_TIMEOUTS: RouteTimeouts = { connect: 2000, firstByte: 30_000, idle: 60_000, total: null };

/** The policies of every route and of `notFound`. */
export interface ResolvedPolicies {
  readonly defaults: readonly PolicyUse[];
  /** Of those routes that have policies of their own: with the defaults before them. */
  readonly byRoute: ReadonlyMap<string, readonly PolicyUse[]>;
  readonly notFound: readonly PolicyUse[];
  /** The same as they were found, for checks. */
  readonly lists: readonly ResolvedList[];
}

/** Resolves the policies wherever they are used, also in routes that are wrong otherwise, and checks their order. */
export function resolvePolicies(
  { policyLists, written, accepted }: Sections,
  resolver: PolicyResolver,
  findings: Finding[],
): ResolvedPolicies {
  resolver.resolveNamed();
  const lists: ResolvedList[] = [];
  const resolveList = ({ holder, uses }: PolicyList, before: readonly ResolvedUse[]): readonly ResolvedUse[] => {
    const own = resolver.resolveList(uses, [...holder, 'policies']);
    const all = [...before, ...own];
    // A use that could not be resolved may have been the one that provides what another needs.
    if (own.length === uses.length) checkOrder(all, before.length, findings);
    checkPolicyList(all, before.length, findings);
    checkCredentialPlaces(all, before.length, findings);
    if (written['identity'] === undefined) checkIdentityIsThere(all, before.length, findings);
    const match = holder[0] === 'routes' ? accepted.routes?.[holder[1]]?.match : undefined;
    lists.push({ uses: all, from: before.length, match: match ?? null });
    return all;
  };
  const defaultsList = policyLists.find(({ holder }) => holder[0] === 'defaults');
  const defaults = defaultsList === undefined ? [] : resolveList(defaultsList, []);
  const byRoute = new Map<string, readonly PolicyUse[]>();
  let notFound = toUses(defaults);
  for (const list of policyLists) {
    if (list === defaultsList) continue;
    const resolved = toUses(resolveList(list, defaults));
    if (list.holder[0] === 'notFound') notFound = resolved;
    else byRoute.set(list.holder[1], resolved);
  }
  return { defaults: toUses(defaults), byRoute, notFound, lists };
}

function toUses(resolved: readonly ResolvedUse[]): readonly PolicyUse[] {
  return resolved.map(({ use }) => use);
}

/** The time-outs of a route: its own, else the defaults, else the standard ones. */
function mergeTimeouts(own: RouteDeclaration['timeouts'], under: RouteTimeouts): RouteTimeouts {
  return {
    connect: own.connect ?? under.connect,
    firstByte: own.firstByte ?? under.firstByte,
    idle: own.idle ?? under.idle,
    // null is a value here: no limit.
    total: own.total === undefined ? under.total : own.total,
  };
}

/** Makes complete routes of accepted ones. */
export class RouteAssembler {
  private readonly policies: ResolvedPolicies;
  private readonly timeouts: RouteTimeouts;

  constructor({ accepted }: Sections, policies: ResolvedPolicies) {
    this.policies = policies;
    this.timeouts = mergeTimeouts(accepted.defaults?.timeouts ?? {}, STANDARD_TIMEOUTS);
  }

  assemble(name: string, route: RouteDeclaration): RouteConfig {
    const { match, priority, importance, upstream, redirect, respond, rewrite, timeouts } = route;
    return {
      name,
      match,
      priority,
      importance,
      policies: this.policies.byRoute.get(name) ?? this.policies.defaults,
      upstream: upstream ?? null,
      redirect: redirect ?? null,
      respond: respond ?? null,
      rewrite: rewrite ?? null,
      timeouts: isEmpty(timeouts) ? this.timeouts : mergeTimeouts(timeouts, this.timeouts),
    };
  }
}

function isEmpty(object: object): boolean {
  for (const _ in object) return false;
  return true;
}

function assembleNotFound({ accepted }: Sections, policies: ResolvedPolicies): NotFoundConfig {
  return { policies: policies.notFound, respond: accepted.notFound?.respond ?? null };
}

/** File names are relative to the configuration; the gateway may run in any folder. */
export function assembleListener(listener: ListenerConfig, baseDir: string): ListenerConfig {
  const { tls, unix } = listener;
  const absolute = { ...listener, unix: unix === null ? null : resolve(baseDir, unix) };
  if (tls === undefined) return absolute;
  const certificates = tls.certificates.map(({ cert, key }) => ({
    cert: resolvePem(baseDir, cert),
    key: resolvePem(baseDir, key),
  }));
  const { clientAuth } = tls;
  if (clientAuth === undefined) return { ...absolute, tls: { ...tls, certificates } };
  return {
    ...absolute,
    tls: { ...tls, certificates, clientAuth: { ...clientAuth, ca: resolvePem(baseDir, clientAuth.ca) } },
  };
}

function assembleUpstream(upstream: UpstreamDeclaration, baseDir: string): UpstreamConfig {
  const { targets, balance, connections, tls, hostHeader, auth } = upstream;
  const { ca, cert, key } = tls;
  return {
    targets: targets.map(({ url, weight, tls: isSecure, host, port, unix }) => {
      return { url, weight, tls: isSecure, host, port, unix: unix === null ? null : resolve(baseDir, unix) };
    }),
    balance: typeof balance === 'string' ? balance : 'hash',
    connections,
    tls: {
      ...tls,
      ...(ca !== undefined && { ca: resolvePem(baseDir, ca) }),
      ...(cert !== undefined && { cert: resolvePem(baseDir, cert) }),
      ...(key !== undefined && { key: resolvePem(baseDir, key) }),
    },
    hostHeader,
    auth: auth === undefined ? null : assembleAuth(auth, baseDir),
  };
}

function assembleAuth(auth: UpstreamAuthConfig, baseDir: string): UpstreamAuthConfig {
  const { clientCredentials } = auth;
  const { ca } = clientCredentials?.tls ?? {};
  if (clientCredentials === undefined || ca === undefined) return auth;
  return { ...auth, clientCredentials: { ...clientCredentials, tls: { ca: resolvePem(baseDir, ca) } } };
}

function assembleStore(store: StoreDeclaration, baseDir: string): StoreConfig {
  const { type, url, sentinels = [], cluster, nodes = [], username, password, timeout, prefix, tls } = store;
  const { sentinelUsername, sentinelPassword } = store;
  const pem = (value: string | undefined) => (value === undefined ? undefined : resolvePem(baseDir, value));
  return {
    type,
    url,
    sentinels,
    sentinelUsername,
    sentinelPassword,
    cluster,
    nodes,
    username,
    password,
    timeout,
    prefix,
    tls: {
      ca: pem(tls.ca),
      cert: pem(tls.cert),
      key: pem(tls.key),
      serverName: tls.serverName,
      insecure: tls.insecure,
    },
  };
}

/** PEM text stays as it is. */
function resolvePem(baseDir: string, value: string): string {
  return isPemText(value) ? value : resolve(baseDir, value);
}

function assembleConsumerSources(
  { files, database }: ConsumerSources,
  baseDir: string,
): GatewayConfig['consumerSources'] {
  return {
    files: files.map((file) => resolve(baseDir, file)),
    database: database === undefined ? null : resolve(baseDir, database),
  };
}

function assembleQuotas({ database }: GatewayDeclaration['quotas'], baseDir: string): GatewayConfig['quotas'] {
  return { database: database === undefined ? null : resolve(baseDir, database) };
}

function assembleAccessLog(accessLog: AccessLogConfig | null, baseDir: string): AccessLogConfig | null {
  if (accessLog === null || accessLog.file === 'stdout' || accessLog.file === 'stderr') return accessLog;
  return { ...accessLog, file: resolve(baseDir, accessLog.file) };
}

/** What the whole is put together from besides the sections that stay as they are. */
export interface GatewayParts {
  readonly baseDir: string;
  readonly policies: ResolvedPolicies;
  readonly routes: Record<string, RouteConfig>;
  readonly listeners: Record<string, ListenerConfig>;
  readonly consumers: readonly ConsumerConfig[] | null;
}

/** The configuration, or null when a section is missing because it is wrong. */
export function assembleGateway(sections: Sections, parts: GatewayParts): GatewayConfig | null {
  const { baseDir, policies, routes, listeners, consumers } = parts;
  const { admin, threads, consumerSources, identity, stores, quotas, upstreams, telemetry } = sections.accepted;
  if (admin === undefined || threads === undefined || consumerSources === undefined) return null;
  if (consumers === null || stores === undefined || quotas === undefined) return null;
  if (upstreams === undefined || telemetry === undefined) return null;
  return {
    baseDir,
    listeners,
    admin,
    threads,
    overload: sections.accepted.overload ?? null,
    consumers,
    consumerSources: assembleConsumerSources(consumerSources, baseDir),
    identity: identity ?? null,
    stores: Object.fromEntries(Object.entries(stores).map(([name, store]) => [name, assembleStore(store, baseDir)])),
    quotas: assembleQuotas(quotas, baseDir),
    upstreams: Object.fromEntries(
      Object.entries(upstreams).map(([name, upstream]) => [name, assembleUpstream(upstream, baseDir)]),
    ),
    routes,
    notFound: assembleNotFound(sections, policies),
    defaultPolicies: policies.defaults.length,
    telemetry: {
      accessLog: assembleAccessLog(telemetry.accessLog, baseDir),
      metrics: telemetry.metrics,
      debug: telemetry.debug ?? null,
    },
  };
}
