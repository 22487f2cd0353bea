/**
 * From the document of a configuration to what serves it. The only file that knows both: what is data stays behind it,
 * what is alive is in front.
 */
import type { Reply, RouteInfo } from './contract.ts';
import { PolicyMaker, type PolicyMakerEnv } from './compile/policies.ts';
import { compileLocation, compileReply, compileRewrite, noRewrite } from './compile/route-parts.ts';
import { toRule } from './compile/rule.ts';
import { type CredentialMaker, leaseUpstream, type UpstreamEnv } from './compile/upstreams.ts';
import type { GatewayConfig, RouteConfig, RouteTimeouts, WeightedUpstream } from './config/schema.ts';
import { errors } from './errors.ts';
import { splitByWeight } from './proxy/balance.ts';
import type { Route, RouteAction, RouteHandling, RouteRewrite } from './proxy/route.ts';
import { Router, type RouteRule } from './proxy/router/router.ts';
import { neverRefused } from './proxy/shedding.ts';
import type { Snapshot } from './proxy/snapshot.ts';
import type { Upstream } from './proxy/upstream.ts';
import { IpSet } from './util/ip-set.ts';
import type { Lease } from './util/keep.ts';
import { Pace } from './util/pace.ts';

/** The live surroundings that a snapshot is compiled into. */
export interface CompileEnv extends UpstreamEnv, PolicyMakerEnv {
  /** Values that no explanation may show. */
  readonly secrets: readonly string[];
}

/** A snapshot, and what has to be let go when it is no longer used. */
export interface Compiled {
  readonly snapshot: Snapshot;
  /** By name. */
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** What policies have called secret of a request: see `Policy.secretFields`. */
  readonly secretFields: ReadonlySet<string>;
  /** Closes idle connections and watchers that no later snapshot uses. Exchanges that are still under way go on. */
  close(): void;
}

/**
 * Works in short steps, so that the thread goes on serving meanwhile.
 * @throws {CompileError} for a configuration that cannot be served; then nothing is held on to.
 */
export async function compile(config: GatewayConfig, env: CompileEnv): Promise<Compiled> {
  const leases: Lease<unknown>[] = [];
  const close = (): void => leases.forEach((lease) => lease.release());
  try {
    const makeCredential = await loadCredentialMaker(config);
    const upstreams = new Map<string, Upstream>();
    for (const [name, upstream] of Object.entries(config.upstreams)) {
      const lease = leaseUpstream(name, upstream, config.baseDir, env, makeCredential);
      leases.push(lease);
      upstreams.set(name, lease.value);
    }
    const policies = new PolicyMaker(config, env, leases);
    return {
      snapshot: await compileSnapshot(config, upstreams, policies, env),
      upstreams,
      secretFields: policies.secretFields,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** What upstreams are called with is loaded only where one of them has such a thing. */
async function loadCredentialMaker({ upstreams }: GatewayConfig): Promise<CredentialMaker> {
  if (Object.values(upstreams).every(({ auth }) => auth === null)) return null;
  return (await import('./compile/upstream-credentials.ts')).leaseCredential;
}

async function compileSnapshot(
  config: GatewayConfig,
  upstreams: ReadonlyMap<string, Upstream>,
  policies: PolicyMaker,
  env: CompileEnv,
): Promise<Snapshot> {
  const pace = new Pace(() => env.clock.now());
  const shared = new SharedParts(upstreams);
  const rules: RouteRule<RouteInfo, RouteHandling>[] = [];
  for (const name in config.routes) {
    if (pace.isDue) await pace.rest();
    const { policies: uses, importance } = config.routes[name];
    const chain = policies.chain(name, uses, importance);
    // Most are made at once, and waiting for each of a hundred thousand would take longer than to make it.
    const weight = policies.importanceOf(importance, uses);
    rules.push(compileRule(config.routes[name], chain instanceof Promise ? await chain : chain, weight, shared));
  }
  const { notFound } = config;
  return {
    router: await pace.run(Router.compileInSteps(rules)),
    notFound: {
      info: { name: '', methods: null },
      chain: await policies.chain('notFound', notFound.policies, 'normal'),
      action: { kind: 'reply', reply: notFound.respond === null ? noRoute : compileReply(notFound.respond) },
      timeouts: noTimeouts,
      ...policies.importanceOf('normal', notFound.policies),
    },
    trustedProxies: new Map(
      Object.entries(config.listeners).map(([name, { trustedProxies }]) => [name, IpSet.parse(trustedProxies)]),
    ),
    debugHeader: config.telemetry.debug === null ? null : await compileDebugHeader(config, env),
  };
}

/** What explains is loaded only where it is asked for. */
async function compileDebugHeader(config: GatewayConfig, env: CompileEnv): Promise<Snapshot['debugHeader']> {
  const { createDebugHeader } = await import('./compile/explain/debug-header.ts');
  return createDebugHeader(config, env);
}

const noRoute: Reply = { status: errors.NO_ROUTE.status, code: 'NO_ROUTE' };
const noTimeouts = { connectMs: Infinity, firstByteMs: Infinity, idleMs: Infinity, totalMs: Infinity };

/**
 * What many routes have in common is made once. Of a hundred thousand routes most differ in their path alone; what they
 * share stays in the caches of the processor whichever of them is asked for.
 */
class SharedParts {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  private readonly plainActions = new Map<string, RouteAction>();
  /** By importance. */
  private readonly plainHandlings = Array.from(
    { length: neverRefused + 1 },
    () => new Map<RouteAction, Map<Route['timeouts'], RouteHandling>>(),
  );
  private readonly timeouts = new Map<string, Route['timeouts']>();

  constructor(upstreams: ReadonlyMap<string, Upstream>) {
    this.upstreams = upstreams;
  }

  /** Everything to one upstream, nothing rewritten. */
  forwardTo(upstream: string): RouteAction {
    return computed(this.plainActions, upstream, () => this.forward([{ upstream, weight: 1 }], noRewrite));
  }

  forward(parts: readonly WeightedUpstream[], rewrite: RouteRewrite): RouteAction {
    const weighted = parts.map(({ upstream, weight }) => ({ upstream: this.upstreams.get(upstream)!, weight }));
    return { kind: 'forward', split: splitByWeight(weighted), rewrite };
  }

  /** One for all routes that have the same action without policies. */
  handling({ chain, action, timeouts, importance, callerMayHave }: RouteHandling): RouteHandling {
    const make = (): RouteHandling => ({ chain, action, timeouts, importance, callerMayHave });
    if (chain.length > 0 || !this.isPlain(action)) return make();
    const alike = computed(this.plainHandlings[importance], action, () => new Map<Route['timeouts'], RouteHandling>());
    return computed(alike, timeouts, make);
  }

  private isPlain(action: RouteAction): boolean {
    return action.kind === 'forward' && action.rewrite === noRewrite;
  }

  timeoutsOf({ connect, firstByte, idle, total }: RouteTimeouts): Route['timeouts'] {
    return computed(this.timeouts, `${connect} ${firstByte} ${idle} ${total}`, () => ({
      connectMs: connect,
      firstByteMs: firstByte,
      idleMs: idle,
      totalMs: total ?? Infinity,
    }));
  }
}

function computed<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  let value = known.get(key);
  if (value === undefined) {
    value = make();
    known.set(key, value);
  }
  return value;
}

// ---- routes --------------------------------------------------------------------------------------------------------

function compileRule(
  config: RouteConfig,
  chain: Route['chain'],
  weight: Pick<RouteHandling, 'importance' | 'callerMayHave'>,
  shared: SharedParts,
): RouteRule<RouteInfo, RouteHandling> {
  const { name, match } = config;
  const { importance, callerMayHave } = weight;
  const action = compileAction(config, shared);
  const timeouts = shared.timeoutsOf(config.timeouts);
  const handling = shared.handling({ chain, action, timeouts, importance, callerMayHave });
  return toRule(config, { name, methods: match.methods ?? null }, handling);
}

function compileAction(config: RouteConfig, shared: SharedParts): RouteAction {
  const { redirect, respond, rewrite } = config;
  const parts = config.upstream ?? [];
  if (parts.length === 1 && rewrite === null) return shared.forwardTo(parts[0].upstream);
  if (redirect !== null) return { kind: 'redirect', status: redirect.status, to: compileLocation(config, redirect) };
  if (respond !== null) return { kind: 'reply', reply: compileReply(respond) };
  return shared.forward(parts, compileRewrite(config));
}
