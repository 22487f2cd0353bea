/**
 * From the document of a configuration to what serves it. The only file that knows both: what is data stays behind it,
 * what is alive is in front.
 */
import type { Policy, PolicyDefinition, PolicyEnv, Reply } from './contract.ts';
import { balancers } from './balancers/index.ts';
import { captureNames, toRule } from './compile/rule.ts';
import type {
  GatewayConfig,
  PolicyUse,
  RespondConfig,
  RouteConfig,
  RouteTimeouts,
  UpstreamConfig,
  WeightedUpstream,
} from './config/schema.ts';
import { errors } from './errors.ts';
import { formatAuthority } from './http/host.ts';
import { splitByWeight } from './proxy/balance.ts';
import { compileHost, compileRedirect, compileTemplate, type TemplateError } from './proxy/rewrite.ts';
import { compileChain, type Route, type RouteAction, type RouteRewrite } from './proxy/route.ts';
import { Router, type RouteRule } from './proxy/router/router.ts';
import type { Snapshot } from './proxy/snapshot.ts';
import { Target, type Upstream } from './proxy/upstream.ts';
import type { Clock } from './util/clock.ts';
import { IpSet } from './util/ip-set.ts';
import type { HeadLimits } from './wire/message-head.ts';
import type { TimerWheel } from './wire/timer-wheel.ts';
import { UpstreamTls } from './wire/tls/upstream-tls.ts';
import { UpstreamPool } from './wire/upstream-pool.ts';

/** The live surroundings that a snapshot is compiled into. */
export interface CompileEnv {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** The definition of a policy use: from the registry, or from the module that it names. */
  definitionOf(use: PolicyUse): PolicyDefinition;
  /** A line in the application log. */
  warn(message: string, about: Readonly<Record<string, string>>): void;
}

/** A snapshot, and what has to be let go when it is no longer used. */
export interface Compiled {
  readonly snapshot: Snapshot;
  /** Closes idle connections and watchers. Exchanges that are still under way go on. */
  close(): void;
}

/** A configuration that cannot be served although it was checked; the message is for its author. */
export class CompileError extends Error {
  override readonly name = 'CompileError';
}

/** Limits for what upstreams send: theirs is not the listener's to configure, and a head beyond this is a defect. */
const upstreamLimits: HeadLimits = { headBytes: 65_536, targetBytes: 65_536, headers: 200, keepUnderscores: true };

export function compile(config: GatewayConfig, env: CompileEnv): Compiled {
  const closers: (() => void)[] = [];
  const upstreams = new Map<string, Upstream>();
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    upstreams.set(name, compileUpstream(name, upstream, config.baseDir, env, closers));
  }
  const shared = new SharedParts(upstreams);
  const rules = Object.entries(config.routes).map(([name, route]) => compileRule(name, route, shared, config, env));
  const { notFound } = config;
  return {
    snapshot: {
      router: Router.compile(rules),
      notFound: {
        info: { name: '', methods: null },
        chain: compilePolicies('notFound', notFound.policies, config, env),
        action: { kind: 'reply', reply: notFound.respond === null ? noRoute : compileReply(notFound.respond) },
        timeouts: noTimeouts,
      },
      trustedProxies: new Map(
        Object.entries(config.listeners).map(([name, { trustedProxies }]) => [name, IpSet.parse(trustedProxies)]),
      ),
    },
    close: () => closers.forEach((close) => close()),
  };
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

  timeoutsOf({ connect, firstByte, idle, total }: RouteTimeouts): Route['timeouts'] {
    return computed(this.timeouts, `${connect} ${firstByte} ${idle} ${total}`, () => ({
      connectMs: connect,
      firstByteMs: firstByte,
      idleMs: idle,
      totalMs: total ?? Infinity,
    }));
  }
}

const noRewrite: RouteRewrite = { path: null, host: null };
const noPolicies = compileChain([]);

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
  name: string,
  config: RouteConfig,
  shared: SharedParts,
  { baseDir }: GatewayConfig,
  env: CompileEnv,
): RouteRule<Route> {
  return toRule(config, {
    info: { name, methods: config.match.methods ?? null },
    chain: compilePolicies(name, config.policies, { baseDir }, env),
    action: compileAction(name, config, shared),
    timeouts: shared.timeoutsOf(config.timeouts),
  });
}

function compileAction(name: string, config: RouteConfig, shared: SharedParts): RouteAction {
  const { redirect, respond, rewrite } = config;
  const parts = config.upstream ?? [];
  if (parts.length === 1 && rewrite === null) return shared.forwardTo(parts[0].upstream);
  const captures = captureNames(config.match.path);
  if (redirect !== null) {
    const to = must(`routes.${name}.redirect.to`, compileRedirect(redirect.to, captures));
    return { kind: 'redirect', status: redirect.status, to };
  }
  if (respond !== null) return { kind: 'reply', reply: compileReply(respond) };
  const { path, host } = rewrite ?? {};
  return shared.forward(parts, {
    path: path === undefined ? null : must(`routes.${name}.rewrite.path`, compileTemplate(path, captures)),
    host: host === undefined ? null : must(`routes.${name}.rewrite.host`, compileHost(host)),
  });
}

function compileReply({ status, headers, body }: RespondConfig): Reply {
  const fields = Object.entries(headers);
  const isTyped = fields.some(([name]) => name.toLowerCase() === 'content-type');
  if (body !== '' && !isTyped) fields.push(['content-type', 'text/plain; charset=utf-8']);
  return { status, headers: fields, body };
}

function must<T extends object | string>(place: string, result: T | TemplateError): T {
  if (typeof result === 'object' && 'error' in result) throw new CompileError(`${place}: ${result.error}`);
  return result;
}

// ---- policies ------------------------------------------------------------------------------------------------------

function compilePolicies(
  route: string,
  uses: readonly PolicyUse[],
  { baseDir }: Pick<GatewayConfig, 'baseDir'>,
  env: CompileEnv,
): Route['chain'] {
  if (uses.length === 0) return noPolicies;
  return compileChain(uses.map((use) => ({ name: use.label, policy: createPolicy(route, use, baseDir, env) })));
}

function createPolicy(route: string, use: PolicyUse, baseDir: string, env: CompileEnv): Policy {
  const policyEnv: PolicyEnv = {
    route,
    baseDir,
    now: () => env.clock.now(),
    warn: (message) => env.warn(message, { route, policy: use.label }),
  };
  try {
    const policy: unknown = env.definitionOf(use).create(use.options, policyEnv);
    // A module without types may be `async` here; its hooks would never run, and nothing would be refused.
    if (typeof policy !== 'object' || policy === null || policy instanceof Promise) throw new Error('made no policy');
    return policy;
  } catch (error) {
    throw new CompileError(
      `route ${route}: policy ${use.label}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

// ---- upstreams -----------------------------------------------------------------------------------------------------

function compileUpstream(
  name: string,
  config: UpstreamConfig,
  baseDir: string,
  env: CompileEnv,
  closers: (() => void)[],
): Upstream {
  const { clock, wheel } = env;
  const isSecure = config.targets.some((target) => target.tls);
  const tls = isSecure
    ? new UpstreamTls(config.tls, { baseDir, clock, report: ({ message }) => env.warn(message, { upstream: name }) })
    : null;
  if (tls !== null) closers.push(() => tls.close());
  const targets = config.targets.map(({ url, weight, host, port, unix, tls: secure }) => {
    const pool = new UpstreamPool(
      {
        address: unix === null ? { host, port } : { path: unix },
        tls: secure && tls !== null ? tls.target(host) : null,
        maxConnections: config.connections.max,
        idleExpiryMs: config.connections.idle,
        pipelining: config.connections.pipelining,
        limits: upstreamLimits,
      },
      wheel,
    );
    closers.push(() => pool.close());
    const isDefaultPort = port === (secure ? 443 : 80);
    return new Target(url, weight, unix === null ? formatAuthority(host, isDefaultPort ? 0 : port) : 'localhost', pool);
  });
  const balancer = balancers.get(balanceOf(config));
  if (balancer === undefined) throw new CompileError(`upstreams.${name}.balance: ${config.balance} is not available`);
  return { name, targets, balancer: balancer.create(targets), hostHeader: config.hostHeader };
}

/** Weights that differ are meant to count, also where nobody has said `weighted-round-robin`. */
function balanceOf({ balance, targets }: UpstreamConfig): string {
  const isUneven = targets.some(({ weight }) => weight !== targets[0].weight);
  return balance === 'round-robin' && isUneven ? 'weighted-round-robin' : balance;
}
