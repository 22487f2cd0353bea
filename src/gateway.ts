/** The composition root: one gateway on the event loop of this thread, from a configuration to open listeners. */
import { compile, type CompileEnv, type Compiled } from './compile.ts';
import type { Outcome, PolicyDefinition } from './contract.ts';
import { importModule } from './config/import-module.ts';
import { loadConfig, parseConfig, type LoadResult } from './config/load.ts';
import { formatProblem, type Problem } from './config/problem.ts';
import type { ConfigInput, GatewayConfig, ListenerConfig, PolicyUse } from './config/schema.ts';
import { builtinPolicies } from './policies/index.ts';
import type { ProxyExchange } from './proxy/exchange.ts';
import type { Observer } from './proxy/finish.ts';
import { Entrance } from './proxy/listener.ts';
import type { Surroundings } from './proxy/snapshot.ts';
import type { AccessLogEntry } from './telemetry/access-log-line.ts';
import { AccessLog } from './telemetry/access-log.ts';
import { AppLog } from './telemetry/app-log.ts';
import { systemClock, type Clock } from './util/clock.ts';
import { Listener } from './wire/listener.ts';
import { TimerWheel } from './wire/timer-wheel.ts';
import { createListenerTls, type ListenerTls } from './wire/tls/listener-tls.ts';

/** A gateway, wherever its threads are. */
export interface Gateway {
  /** Opens the listeners. Rejects with a `ListenError` if one of them cannot be opened; then none is. */
  start(): Promise<readonly ListenerAddress[]>;
  /** Stops accepting, finishes what was begun, and breaks off what is left after the grace. */
  stop(graceMs: number): Promise<void>;
}

export interface ListenerAddress {
  readonly name: string;
  /** As in `http://127.0.0.1:8080` or `unix:/run/gw.sock`. */
  readonly url: string;
}

/** A listener that could not be opened. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

export interface GatewayLog {
  info(message: string, about: Readonly<Record<string, unknown>>): void;
  warn(message: string, about: Readonly<Record<string, unknown>>): void;
  error(message: string, about: Readonly<Record<string, unknown>>): void;
}

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

/** Reads the configuration in a file, with everything that this gateway knows to say about it. */
export function loadGatewayConfig(file: string): Promise<LoadResult> {
  return loadConfig(file, registry);
}

/** A configuration that has errors. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

/**
 * A gateway inside another program, on the event loop of the caller.
 * @param config what `defineGateway` takes; file names in it are relative to the working folder.
 * @throws {ConfigError} with every problem at once.
 */
export async function createGateway(config: ConfigInput): Promise<Gateway> {
  const loaded = await parseConfig('', {
    registry,
    fileName: 'gateway.config.ts',
    format: 'module',
    importModule: (path) =>
      path.endsWith('gateway.config.ts') ? Promise.resolve({ default: config }) : importModule(path),
  });
  if (loaded.config === null) throw new ConfigError(loaded.problems);
  const log = new AppLog({ level: 'info', clock: systemClock });
  return new LocalGateway(loaded.config, { log, modules: loaded.modules });
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
      onProblem: (message) => log.error(message, { file: config.file }),
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

/** What the access log says of an exchange. */
function accessEntry(exchange: ProxyExchange, outcome: Outcome, clock: Clock): AccessLogEntry {
  const { forward } = exchange;
  return {
    timeMs: clock.wallNow() - outcome.durationMs,
    requestId: exchange.requestId,
    traceId: '',
    clientIp: exchange.clientIp,
    method: exchange.method,
    host: exchange.host,
    path: exchange.path,
    query: exchange.query,
    route: exchange.route.name,
    consumer: exchange.consumer?.name ?? '',
    upstream: forward?.upstream.name ?? '',
    target: forward?.target?.url ?? '',
    status: outcome.status,
    code: outcome.code ?? '',
    reason: exchange.reason,
    cache: '',
    attempts: outcome.attempts,
    bytesIn: outcome.bytesIn,
    bytesOut: outcome.bytesOut,
    durationMs: outcome.durationMs,
    upstreamMs: forward === null || forward.answeredAt === 0 ? -1 : forward.answeredAt - forward.sentAt,
    protocol: exchange.protocol,
    userAgent: exchange.requestHeaders.get('user-agent') ?? '',
    requestHeaders: exchange.requestHeaders,
  };
}
