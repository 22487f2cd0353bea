/** A real gateway on a free port of this process, from a configuration as a user would write it. */
import { basename } from 'node:path';
import type { TestContext } from 'node:test';
import type { PolicyDefinition } from '../../src/contract.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { ConfigInput, GatewayConfig } from '../../src/config/schema.ts';
import type { GatewayLog, ListenerAddress, Publication } from '../../src/gateway/gateway.ts';
import type { PolicyModules } from '../../src/gateway/gateway-env.ts';
import { LocalGateway } from '../../src/gateway/local-gateway.ts';
import { builtinPolicies } from '../../src/policies/index.ts';
import type { Observer } from '../../src/proxy/finish.ts';
import { type Clock, systemClock } from '../../src/util/clock.ts';
import { Changes } from './changes.ts';
import type { Address } from './raw-client.ts';

/** What the access log would be told of one exchange. */
export interface Observation {
  readonly status: number;
  readonly code: string | null;
  readonly reason: string;
  readonly route: string;
  readonly path: string;
  readonly attempts: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
}

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly about: Readonly<Record<string, unknown>>;
}

type Section<Name extends 'listeners' | 'upstreams' | 'routes'> = NonNullable<ConfigInput[Name]>[string];

/** What a test wants to be different from one listener, one upstream and one route that sends everything there. */
export interface ProxySettings {
  readonly listener?: Partial<Section<'listeners'>>;
  readonly upstream?: Partial<Section<'upstreams'>>;
  readonly route?: Partial<Section<'routes'>>;
}

/** A configuration that sends everything to these targets. */
export function proxyTo(targets: string | readonly string[], settings: ProxySettings = {}): ConfigInput {
  return {
    telemetry: { accessLog: false },
    listeners: { web: { host: '127.0.0.1', port: 0, ...settings.listener } },
    upstreams: { service: { targets: typeof targets === 'string' ? [targets] : [...targets], ...settings.upstream } },
    routes: { all: { upstream: 'service', ...settings.route } },
  };
}

export interface GatewayOptions {
  /** What the time-outs go by; the system's when left out. */
  readonly clock?: Clock;
  /** What the configuration's `use: ./name.ts` stands for, by that name. */
  readonly modules?: Readonly<Record<string, PolicyDefinition>>;
  /** How much of the memory is in use, where it is looked at. */
  readonly memoryShare?: () => number;
  /** What `${env:NAME}` in the configuration stands for; that of the process when left out. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What a configuration is published as in a test. */
function publicationOf(config: GatewayConfig, revision = 1, secrets: readonly string[] = []): Publication {
  return { revision, config, secrets, codeDigest: '' };
}

/** @throws {Error} for a configuration with problems. */
async function read(input: ConfigInput, { modules: given, env }: Pick<GatewayOptions, 'modules' | 'env'>) {
  const { config, problems, modules, secrets } = await parseConfig(JSON.stringify(input), {
    registry: builtinPolicies,
    fileName: 'gateway.json',
    ...(env !== undefined && { env }),
    importModule: (path) => Promise.resolve({ default: given?.[`./${basename(path)}`] }),
  });
  if (config === null) {
    throw new Error(problems.map(({ message, path }) => `${path.join('.')}: ${message}`).join('\n'));
  }
  return { config, modules, secrets };
}

export class TestGateway {
  readonly observations: Observation[] = [];
  readonly log: LogLine[] = [];
  readonly gateway: LocalGateway;
  private readonly changes = new Changes();
  private addresses: ReadonlyMap<string, string> = new Map();
  private readonly modules = new WeakMap<GatewayConfig, PolicyModules>();
  private revision = 1;

  private constructor(gateway: (harness: TestGateway) => LocalGateway) {
    this.gateway = gateway(this);
  }

  /** Starts one; it is stopped at the end of the test. A configuration with problems is an error. */
  static async start(t: TestContext, input: ConfigInput, options: GatewayOptions = {}): Promise<TestGateway> {
    const harness = await TestGateway.open(input, options);
    t.after(() => harness.gateway.stop(0));
    return harness;
  }

  /** Starts one that somebody else stops. */
  static async open(input: ConfigInput, options: GatewayOptions = {}): Promise<TestGateway> {
    const { config, modules, secrets } = await read(input, options);
    const harness = new TestGateway(
      (self) =>
        new LocalGateway(publicationOf(config, 1, secrets), {
          log: self.logger(),
          modulesOf: (published) => self.modules.get(published) ?? modules,
          observe: (...args) => self.observe(...args),
          clock: options.clock ?? systemClock,
          memoryShare: options.memoryShare,
        }),
    );
    harness.note(await harness.gateway.start());
    return harness;
  }

  /** Moves to another configuration. */
  async apply(input: ConfigInput, modules?: GatewayOptions['modules']): Promise<void> {
    const { config, modules: loaded, secrets } = await read(input, modules === undefined ? {} : { modules });
    this.modules.set(config, loaded);
    this.note(await this.gateway.apply(publicationOf(config, ++this.revision, secrets)));
  }

  private note(addresses: readonly ListenerAddress[]): void {
    this.addresses = new Map(addresses.map(({ name, url }) => [name, url]));
  }

  /** The URL of a listener. */
  url(listener = 'web'): string {
    return this.addresses.get(listener)!;
  }

  /** Where to connect to. */
  address(listener = 'web'): Address {
    const url = this.url(listener);
    if (url.startsWith('unix:')) return { path: url.slice('unix:'.length) };
    const { hostname, port } = new URL(url);
    return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
  }

  /** The observation with this index, once that many exchanges have ended. */
  async observation(index = 0): Promise<Observation> {
    await this.changes.until(
      () => this.observations.length > index,
      () => `exchange ${index} to end; ended have ${JSON.stringify(this.observations)}`,
    );
    return this.observations[index];
  }

  private observe(...[exchange, outcome]: Parameters<Observer>): void {
    const { status, code, attempts, bytesIn, bytesOut, durationMs } = outcome;
    const { reason, path } = exchange;
    this.observations.push({
      status,
      code,
      reason,
      route: exchange.route.name,
      path,
      attempts,
      bytesIn,
      bytesOut,
      durationMs,
    });
    this.changes.notify();
  }

  private logger(): GatewayLog {
    const line =
      (level: LogLine['level']) =>
      (message: string, about: LogLine['about']): void => {
        this.log.push({ level, message, about });
      };
    return { info: line('info'), warn: line('warn'), error: line('error') };
  }
}
