/** The composition root: one gateway on the event loop of this thread, from a configuration to open listeners. */
import { randomBytes } from 'node:crypto';
import type { Server, Socket } from 'node:net';
import { getHeapStatistics } from 'node:v8';
import { compile, type CompileEnv, type Compiled } from '../compile.ts';
import type { PolicyDefinition } from '../contract.ts';
import { builtinNames } from '../config/policy-registry.ts';
import type { AccessLogConfig, GatewayConfig, OverloadConfig } from '../config/schema.ts';
import type { ConsumerChange, PreparedConsumers } from '../consumers/consumer-index.ts';
import type { CredentialUse } from '../consumers/used-credentials.ts';
import { builtinPolicies } from '../policies/index.ts';
import { ProxyExchange } from '../proxy/exchange.ts';
import type { Observer } from '../proxy/finish.ts';
import { Entrance } from '../proxy/listener.ts';
import type { Surroundings } from '../proxy/snapshot.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import { CountedSeries } from '../telemetry/metrics/counted-series.ts';
import { ThreadMetrics } from '../telemetry/metrics/thread-metrics.ts';
import { systemClock } from '../util/clock.ts';
import { Keep, type Lease, identityOf } from '../util/keep.ts';
import { Pace } from '../util/pace.ts';
import { Turns } from '../util/turns.ts';
import { Timer, TimerWheel } from '../wire/timer-wheel.ts';
import { accessEntry, reasonsWithout } from './access-entry.ts';
import {
  drainGraceMs,
  type Gateway,
  type GatewayCounts,
  type GatewayStatus,
  type ListenerAddress,
  type Publication,
} from './gateway.ts';
import type { GatewayEnv, PolicyModules } from './gateway-env.ts';
import { OpenListeners } from './open-listeners.ts';
import { OverloadControl } from './overload-control.ts';
import type { Opening } from './places.ts';
import { codeFrom } from './code-from.ts';
import { LocalServices, type ServicesEnv, protectionTotals } from './services.ts';

/** A configuration that was made ready: only `commit` changes what is served, and cannot fail. */
export interface Prepared {
  readonly addresses: readonly ListenerAddress[];
  commit(): void;
  abort(): void;
}

/** What one configuration is served with. */
interface Generation {
  readonly revision: number;
  /** All that has to be remembered of the routes: the document itself is let go once it is compiled. */
  readonly routes: ReadonlySet<string>;
  readonly compiled: Compiled;
  readonly accessLog: Lease<AccessLog> | null;
  readonly maxSeries: number;
  readonly overload: OverloadConfig | null;
  /** What no log may show. */
  readonly secrets: readonly string[];
}

const tidyEveryMs = 60_000;

const alone = ({ listeners }: GatewayConfig) => {
  return (name: string): Opening => ({ kind: 'listen', shared: false, port: listeners[name].port });
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A gateway on the event loop that it is created on. */
export class LocalGateway implements Gateway {
  /** Until it starts. */
  private first: Publication | null;
  private readonly env: GatewayEnv;
  private readonly around: Mutable<Surroundings>;
  private readonly keep = new Keep();
  private readonly listeners: OpenListeners;
  private readonly services: LocalServices;
  private readonly metrics: ThreadMetrics;
  private readonly series = new CountedSeries();
  private readonly overload: OverloadControl;
  private readonly startedAt: number;
  private serving: Generation | null = null;
  private readonly turns = new Turns();
  /** Routes that are no longer configured, with the revision that they were gone in. */
  private readonly gone = new Map<string, number>();
  private stopped: Promise<void> | null = null;
  private readonly stopTidying: () => void;

  constructor(first: Publication, env: GatewayEnv) {
    const clock = env.clock ?? systemClock;
    const { log } = env;
    this.first = first;
    this.env = env;
    this.startedAt = clock.wallNow();
    const wheel = new TimerWheel(clock);
    this.metrics = new ThreadMetrics(env.metrics ?? ThreadMetrics.create());
    this.series.add(this.metrics.memory);
    this.stopTidying = clock.every(tidyEveryMs, () => this.metrics.tidy(clock.now()));
    const servicesEnv: ServicesEnv = {
      clock,
      wheel,
      info: (message, about) => log.info(message, about),
      warn: (message, about) => log.warn(message, about),
      connect: env.connectCall,
      metrics: this.metrics,
    };
    this.services = env.services?.(servicesEnv) ?? new LocalServices(servicesEnv);
    const { memoryShare } = env;
    this.overload = new OverloadControl({ clock, log, totals: this.services.sheddingMemory, memoryShare });
    this.around = {
      clock,
      wheel,
      log: { defect: (message, about, error) => log.error(message, { ...about, error }) },
      observe: null,
      traffic: { begun: 0, ended: 0 },
      meter: this.metrics,
      shedding: this.overload.shedding,
      bans: this.services.bans,
    };
    this.listeners = new OpenListeners({
      clock,
      wheel,
      keep: this.keep,
      log,
      ticketSecret: env.ticketSecret ?? randomBytes(32),
      tlsTerminated: env.connect !== undefined,
      admission: env.admission,
      services: this.services,
      handlerFor: (name) => new Entrance(name, this.around, () => this.serving!.compiled.snapshot),
    });
  }

  async start(): Promise<readonly ListenerAddress[]> {
    const { first } = this;
    this.first = null;
    if (first === null) throw new Error('the gateway was started already');
    return this.apply(first);
  }

  apply(publication: Publication): Promise<readonly ListenerAddress[]> {
    return this.turns.alone(async () => {
      const prepared = await this.prepare(publication, alone(publication.config));
      if (this.isDraining) {
        prepared.abort();
        throw new Error('the gateway was stopped');
      }
      prepared.commit();
      return prepared.addresses;
    });
  }

  private get isDraining(): boolean {
    return this.stopped !== null;
  }

  /**
   * Does everything for a configuration that can fail, in short steps, while the one before serves on. One after another:
   * each is committed or aborted before the next.
   * @throws {CompileError} for a configuration that cannot be served, or a `ListenError`; then nothing has changed.
   */
  async prepare(publication: Publication, openingOf: (name: string) => Opening): Promise<Prepared> {
    const { config, revision } = publication;
    const modules = await this.env.modulesOf(config);
    const builtin = await builtinPolicies.load(builtinNames(config));
    let compiled: Compiled | null = null;
    let accessLog: Lease<AccessLog> | null = null;
    this.metrics.prepare();
    try {
      compiled = await compile(config, this.compileEnv(builtin, modules, publication.secrets));
      accessLog = this.leaseAccessLog(config.telemetry.accessLog, compiled.secretFields);
      const consumers = await this.prepareConsumers(publication.consumers ?? allOf(config));
      const listeners = await this.listeners.prepare(config, openingOf);
      const generation = {
        revision,
        routes: new Set(Object.keys(config.routes)),
        compiled,
        accessLog,
        maxSeries: config.telemetry.metrics.maxSeries,
        overload: config.overload,
        secrets: publication.secrets,
      };
      return {
        addresses: listeners.addresses,
        commit: () => {
          consumers.commit();
          this.move(generation);
          listeners.commit();
        },
        abort: () => {
          listeners.abort();
          this.metrics.abandon();
          letGo(generation);
        },
      };
    } catch (error) {
      this.metrics.abandon();
      compiled?.close();
      accessLog?.release();
      throw error;
    }
  }

  private prepareConsumers(change: ConsumerChange): Promise<PreparedConsumers> {
    return this.services.consumers.prepare(change, new Pace(() => this.around.clock.now()));
  }

  /** Changes who may call, and nothing else. Not while a configuration is made ready. */
  async changeConsumers(change: ConsumerChange): Promise<void> {
    (await this.prepareConsumers(change)).commit();
  }

  /** See `UsedCredentials.take`. */
  takeUses(most: number): CredentialUse[] {
    return this.services.consumers.used.take(most);
  }

  private move(next: Generation): void {
    const before = this.serving;
    this.serving = next;
    this.around.observe = this.observerOf(next);
    const names = { routes: next.routes, upstreams: next.compiled.upstreams };
    this.metrics.begin(next.maxSeries, names);
    this.series.begin(names);
    this.overload.use(next.overload);
    if (before === null) return;
    this.endRoutesThatAreGone(before, next);
    letGo(before);
  }

  /** What their requests began, WebSockets included, gets a grace to end by itself. */
  private endRoutesThatAreGone(before: Generation, { routes, revision }: Generation): void {
    // One that has come back meanwhile is served again.
    for (const name of this.gone.keys()) if (routes.has(name)) this.gone.delete(name);
    this.endRoutes([...before.routes.difference(routes)], revision);
  }

  /** Breaks off, after a grace, what requests of these routes have begun. */
  endRoutes(names: readonly string[], revision: number): void {
    if (names.length === 0) return;
    for (const name of names) this.gone.set(name, revision);
    const end = (): void => this.endExchangesGoneIn(revision);
    this.around.wheel.arm(new Timer(end), drainGraceMs);
  }

  private endExchangesGoneIn(revision: number): void {
    for (const listener of this.listeners.all) {
      for (const { handler } of listener.served) {
        if (!(handler instanceof ProxyExchange) || this.gone.get(handler.route.name) !== revision) continue;
        handler.fail('ROUTE_GONE', 'the route is no longer configured');
      }
    }
    for (const [name, since] of this.gone) if (since === revision) this.gone.delete(name);
  }

  /** Gives a listener that waits for it a server that listens already. */
  adopt(listener: string, server: Server): void {
    this.listeners.adopt(listener, server);
  }

  /** Takes a connection that somebody else has accepted. */
  accept(listener: string, socket: Socket): void {
    this.listeners.accept(listener, socket);
  }

  /**
   * Stops accepting, but closes nothing: whoever gets the servers accepts on.
   * @param kept how many servers each listener keeps.
   */
  release(kept: number): (readonly [name: string, servers: Server[]])[] {
    return this.listeners.release(kept);
  }

  status(): Promise<GatewayStatus> {
    const { begun, ended } = this.around.traffic;
    const listeners = this.listeners.addresses.map((address) => {
      return { ...address, connections: this.listeners.connectionsOf(address.name) };
    });
    const upstreams = Array.from(this.serving?.compiled.upstreams ?? [], ([name, { targets }]) => ({
      name,
      targets: targets.map(({ url, weight, inFlight, pool }) => {
        return { url, weight, inFlight, connections: pool.connections };
      }),
    }));
    const thread = {
      thread: this.env.thread ?? 0,
      state: this.isDraining ? ('draining' as const) : ('serving' as const),
      revision: this.serving?.revision ?? 0,
      startedAt: this.startedAt,
      restarts: 0,
      connections: this.listeners.all.reduce((sum, { openConnections }) => sum + openConnections, 0),
      inFlight: begun - ended,
      served: ended,
      stallMs: 0,
      heapBytes: getHeapStatistics().used_heap_size,
      overload: this.overload.status,
    };
    const { attemptTotals: authentication, limitTotals: limits, sheddingTotals: overload } = this.services;
    const protection = protectionTotals(this.services.connections, this.services.bans);
    const counted = { authentication, limits, quotas: null, overload, protection };
    return Promise.resolve({ threads: [thread], listeners, upstreams, ...counted });
  }

  counted(maxSeries: number): GatewayCounts {
    return { ...this.series.read(maxSeries, this.around.clock.now()), ...this.services.counts };
  }

  /** @param idleMs see `Listener.drain`. Asked again, it stops sooner or more thoroughly. */
  stop(graceMs: number, idleMs = 0): Promise<void> {
    const drained = this.listeners.drain(idleMs);
    // A timer cannot wait longer than this; nobody waits that long.
    const grace = setTimeout(() => this.listeners.destroy(), Math.min(graceMs, 2 ** 31 - 1));
    void drained.then(() => clearTimeout(grace));
    this.stopped ??= drained.then(() => this.close());
    return this.stopped;
  }

  private async close(): Promise<void> {
    const { serving } = this;
    this.serving = null;
    this.stopTidying();
    this.overload.close();
    this.services.close();
    if (serving === null) return;
    serving.compiled.close();
    await this.services.settled();
    await serving.accessLog?.value.close();
  }

  private compileEnv(
    builtin: ReadonlyMap<string, PolicyDefinition>,
    modules: PolicyModules,
    secrets: readonly string[],
  ): CompileEnv {
    const { clock, wheel } = this.around;
    return {
      clock,
      wheel,
      keep: this.keep,
      services: this.services,
      shedding: this.overload.shedding,
      ...codeFrom(builtin, modules),
      secrets,
      warn: (message, about) => this.env.log.warn(message, about),
      connect: this.env.connect,
    };
  }

  private leaseAccessLog(
    configured: AccessLogConfig | null,
    secretFields: ReadonlySet<string>,
  ): Lease<AccessLog> | null {
    if (configured === null) return null;
    const config = { ...configured, redact: [...configured.redact, ...secretFields] };
    const { thread = 0, log } = this.env;
    const make = (): AccessLog =>
      new AccessLog(config, {
        clock: this.around.clock,
        thread,
        onProblem: (message, about) => log.error(message, { ...about, file: config.file }),
      });
    return this.keep.lease(identityOf('access log', config), make, (accessLog) => void accessLog.close());
  }

  private observerOf({ accessLog: lease, secrets }: Generation): Observer | null {
    const { observe = null } = this.env;
    if (lease === null) return observe;
    const accessLog = lease.value;
    const hide = reasonsWithout(secrets);
    const { clock } = this.around;
    return (exchange, outcome) => {
      if (accessLog.wants(outcome.status, outcome.code ?? '')) {
        accessLog.write(accessEntry(exchange, outcome, clock, hide));
      }
      observe?.(exchange, outcome);
    };
  }
}

function allOf({ consumers }: GatewayConfig): ConsumerChange {
  return { isComplete: true, removed: [], records: consumers };
}

function letGo({ compiled, accessLog }: Generation): void {
  compiled.close();
  accessLog?.release();
}
