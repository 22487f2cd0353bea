/** The upstreams of a configuration with their targets. What did not change is taken over from the one before, alive. */
import { balancers } from '../balancers/index.ts';
import type { UpstreamConfig } from '../config/schema.ts';
import { formatAuthority } from '../http/host.ts';
import { Target, type Upstream } from '../proxy/upstream.ts';
import type { Clock } from '../util/clock.ts';
import { type Keep, type Lease, identityOf } from '../util/keep.ts';
import type { HeadLimits } from '../wire/message-head.ts';
import type { TimerWheel } from '../wire/timer-wheel.ts';
import { UpstreamTls } from '../wire/tls/upstream-tls.ts';
import { UpstreamPool, type Connect } from '../wire/upstream-pool.ts';
import { CompileError } from './compile-error.ts';
import type { PolicyServices } from './policies.ts';
import type { leaseCredential } from './upstream-credentials.ts';

/**
 * Opens connections to targets by other means than the network.
 * @param target its URL as configured.
 */
export type ConnectTarget = (upstream: string, target: string) => Connect;

export interface UpstreamEnv {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** Where pools, balancers and key material outlive a change of configuration that does not concern them. */
  readonly keep: Keep;
  readonly services: PolicyServices;
  /** A line in the application log. */
  warn(message: string, about: Readonly<Record<string, string>>): void;
  /** Instead of the network, and of TLS on it. */
  readonly connect?: ConnectTarget | undefined;
}

/** Limits for what upstreams send: theirs is not the listener's to configure, and a head beyond this is a defect. */
const upstreamLimits: HeadLimits = { headBytes: 65_536, targetBytes: 65_536, headers: 200, keepUnderscores: true };

/** What makes credentials; null where no upstream has any. */
export type CredentialMaker = typeof leaseCredential | null;

/** @throws {CompileError} */
export function leaseUpstream(
  name: string,
  config: UpstreamConfig,
  baseDir: string,
  env: UpstreamEnv,
  makeCredential: CredentialMaker,
): Lease<Upstream> {
  const leases: Lease<unknown>[] = [];
  const make = (): Upstream => {
    const lease = <T>(made: Lease<T>): T => {
      leases.push(made);
      return made.value;
    };
    try {
      const isSecure = env.connect === undefined && config.targets.some((target) => target.tls);
      const tls = isSecure ? lease(leaseTls(name, config, baseDir, env)) : null;
      const targets = config.targets.map((target) => lease(leaseTarget(name, config, target, tls, env)));
      const { hostHeader, auth } = config;
      const credential = auth === null ? null : lease(makeCredential!(name, auth, env));
      return { name, targets, balancer: createBalancer(name, config, targets), hostHeader, credential };
    } catch (error) {
      releaseAll(leases);
      throw error;
    }
  };
  return env.keep.lease(identityOf('upstream', name, baseDir, config), make, () => releaseAll(leases));
}

function releaseAll(leases: readonly Lease<unknown>[]): void {
  for (const lease of leases) lease.release();
}

function leaseTls(name: string, { tls }: UpstreamConfig, baseDir: string, env: UpstreamEnv): Lease<UpstreamTls> {
  const make = (): UpstreamTls =>
    new UpstreamTls(tls, {
      baseDir,
      clock: env.clock,
      report: ({ message }) => env.warn(message, { upstream: name }),
    });
  return env.keep.lease(identityOf('upstream tls', name, baseDir, tls), make, (made) => made.close());
}

function leaseTarget(
  upstream: string,
  { connections, tls: tlsConfig }: UpstreamConfig,
  target: UpstreamConfig['targets'][number],
  tls: UpstreamTls | null,
  { keep, wheel, connect }: UpstreamEnv,
): Lease<Target> {
  const { url, weight, host, port, unix, tls: secure } = target;
  const make = (): Target => {
    const pool = new UpstreamPool(
      {
        address: unix === null ? { host, port } : { path: unix },
        tls: secure && tls !== null ? tls.target(host) : null,
        maxConnections: connections.max,
        idleExpiryMs: connections.idle,
        pipelining: connections.pipelining,
        limits: upstreamLimits,
        connect: connect?.(upstream, url) ?? null,
      },
      wheel,
    );
    return new Target(url, weight, targetAuthority(target), pool);
  };
  const identity = identityOf('target', upstream, target, connections, secure ? tlsConfig : null);
  return keep.lease(identity, make, ({ pool }) => pool.close());
}

/** The Host of a target itself: for `hostHeader: target`, and for clients that name none. */
export function targetAuthority({ host, port, unix, tls }: UpstreamConfig['targets'][number]): string {
  const isDefaultPort = port === (tls ? 443 : 80);
  return unix === null ? formatAuthority(host, isDefaultPort ? 0 : port) : 'localhost';
}

function createBalancer(name: string, config: UpstreamConfig, targets: readonly Target[]): Upstream['balancer'] {
  const balancer = balancers.get(balanceOf(config));
  if (balancer === undefined) throw new CompileError(`upstreams.${name}.balance: ${config.balance} is not available`);
  return balancer.create(targets);
}

/** Weights that differ are meant to count, also where nobody has said `weighted-round-robin`. */
export function balanceOf({ balance, targets }: UpstreamConfig): string {
  const isUneven = targets.some(({ weight }) => weight !== targets[0].weight);
  return balance === 'round-robin' && isUneven ? 'weighted-round-robin' : balance;
}
