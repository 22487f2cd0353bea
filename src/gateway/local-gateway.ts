/** The composition root: one gateway on the event loop of this thread, from a configuration to open listeners. */
import { compile, type CompileEnv, type Compiled } from '../compile.ts';
import type { PolicyDefinition } from '../contract.ts';
import type { GatewayConfig, ListenerConfig, PolicyUse } from '../config/schema.ts';
import { builtinPolicies } from '../policies/index.ts';
import type { Observer } from '../proxy/finish.ts';
import { Entrance } from '../proxy/listener.ts';
import type { Surroundings } from '../proxy/snapshot.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import { systemClock, type Clock } from '../util/clock.ts';
import { Listener } from '../wire/listener.ts';
import { TimerWheel } from '../wire/timer-wheel.ts';
import { createListenerTls, type ListenerTls } from '../wire/tls/listener-tls.ts';
import { accessEntry } from './access-entry.ts';
import { ListenError, type Gateway, type GatewayLog, type ListenerAddress } from './gateway.ts';

export interface GatewayEnv {
  readonly log: GatewayLog;
  /** Policies that the configuration brings along, by the absolute path of their module. */
  readonly modules: ReadonlyMap<string, PolicyDefinition>;
  /** Which thread this is; in the access log. */
  readonly thread?: number;
  /** Told of every exchange that has ended, besides the access log. */
  readonly observe?: Observer;
  readonly clock?: Clock;
}

const registry: ReadonlyMap<string, PolicyDefinition> = new Map(builtinPolicies.map((policy) => [policy.name, policy]));

/** A gateway on the event loop that it is created on. */
export class LocalGateway implements Gateway {
  private readonly config: GatewayConfig;
  private readonly env: GatewayEnv;
  private readonly around: Surroundings;
  private readonly compiled: Compiled;
  private readonly listeners = new Map<string, Listener>();
  private readonly listenerTls: ListenerTls[] = [];
  private accessLog: AccessLog | null = null;

  /** @throws {CompileError} for a configuration that cannot be served. */
  constructor(config: GatewayConfig, env: GatewayEnv) {
    const clock = env.clock ?? systemClock;
    const { log } = env;
    this.config = config;
    this.env = env;
    this.around = {
      clock,
      wheel: new TimerWheel(clock),
      log: { defect: (message, about, error) => log.error(message, { ...about, error }) },
      observe: this.createObserver(clock),
    };
    const compileEnv: CompileEnv = {
      clock,
      wheel: this.around.wheel,
      definitionOf: (use) => this.definitionOf(use),
      warn: (message, about) => log.warn(message, about),
    };
    this.compiled = compile(config, compileEnv);
  }

  async start(): Promise<readonly ListenerAddress[]> {
    const addresses: ListenerAddress[] = [];
    try {
      for (const [name, config] of Object.entries(this.config.listeners)) {
        const listener = this.createListener(name, config);
        this.listeners.set(name, listener);
        const port = await listener.listen();
        addresses.push({ name, url: urlOf(config, port) });
      }
    } catch (error) {
      await this.stop(0);
      const [name, config] = Object.entries(this.config.listeners)[addresses.length];
      throw new ListenError(`listener ${name} cannot listen on ${urlOf(config, config.port)}: ${reasonOf(error)}`);
    }
    return addresses;
  }

  async stop(graceMs: number): Promise<void> {
    const drained = Promise.all(Array.from(this.listeners.values(), (listener) => listener.drain()));
    const grace = setTimeout(() => this.listeners.forEach((listener) => listener.destroy()), graceMs);
    await drained;
    clearTimeout(grace);
    for (const tls of this.listenerTls) tls.close();
    this.compiled.close();
    await this.accessLog?.close();
  }

  private createObserver(clock: Clock): Observer | null {
    const config = this.config.telemetry.accessLog;
    const { observe = null, thread = 0, log } = this.env;
    if (config === null) return observe;
    const accessLog = new AccessLog(config, {
      clock,
      thread,
      onProblem: (message, about) => log.error(message, { ...about, file: config.file }),
    });
    this.accessLog = accessLog;
    return (exchange, outcome) => {
      if (accessLog.wants(outcome.status, outcome.code ?? '')) accessLog.write(accessEntry(exchange, outcome, clock));
      observe?.(exchange, outcome);
    };
  }

  private definitionOf(use: PolicyUse): PolicyDefinition {
    const definition = use.module === null ? registry.get(use.name) : this.env.modules.get(use.module);
    if (definition === undefined) throw new Error('there is no such policy');
    return definition;
  }

  private createListener(name: string, config: ListenerConfig): Listener {
    const { limits, timeouts, unix, host, port } = config;
    const tls = config.tls === undefined ? null : this.createTls(name, config);
    return new Listener(
      {
        address: unix === null ? { host, port } : { path: unix },
        tls,
        proxyProtocol: config.proxyProtocol,
        maxConnections: limits.connections,
        handshakeMs: timeouts.handshake,
        limits: { ...limits, keepUnderscores: limits.underscores === 'keep' },
        timeouts: { headMs: timeouts.head, bodyIdleMs: timeouts.bodyIdle, keepAliveMs: timeouts.keepAlive },
      },
      new Entrance(name, this.around, () => this.compiled.snapshot),
      this.around.wheel,
    );
  }

  private createTls(name: string, config: ListenerConfig): ListenerTls {
    const tls = createListenerTls(config.tls!, {
      baseDir: this.config.baseDir,
      clock: this.around.clock,
      handshakeTimeoutMs: config.timeouts.handshake,
      report: ({ severity, message, file }) =>
        this.env.log[severity === 'error' ? 'error' : 'warn'](message, { listener: name, file }),
    });
    this.listenerTls.push(tls);
    return tls;
  }
}

function urlOf(config: ListenerConfig, port: number): string {
  if (config.unix !== null) return `unix:${config.unix}`;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  return `${config.tls === undefined ? 'http' : 'https'}://${host}:${port}`;
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use',
  EACCES: 'permission denied',
  EADDRNOTAVAIL: 'this machine does not have the address',
};

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return reasons[code] ?? (error instanceof Error ? error.message : String(error));
}
