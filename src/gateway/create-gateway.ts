/** A gateway inside another program. */
import { findRouteProblems } from '../compile/route-findings.ts';
import { importModule } from '../config/import-module.ts';
import { type LoadResult, parseConfig } from '../config/load.ts';
import { formatProblem, type Problem } from '../config/problem.ts';
import type { ConfigInput, GatewayConfig } from '../config/schema.ts';
import { builtinPolicies } from '../policies/index.ts';
import { AppLog } from '../telemetry/app-log.ts';
import type { MetricsFormat } from '../telemetry/metrics/exposition.ts';
import { systemClock } from '../util/clock.ts';
import type { Gateway, ListenerAddress, Publication } from './gateway.ts';
import type { PolicyModules } from './gateway-env.ts';
import { LocalGateway } from './local-gateway.ts';
import { metricsText } from './metrics-text.ts';

/** A configuration that has errors. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

/** A gateway on the event loop of the program that has made it. */
export interface EmbeddedGateway extends Pick<Gateway, 'start' | 'status' | 'stop'> {
  /** What was counted and how it is, as a scraper reads it. Without what only the admin API knows. */
  metrics(format?: MetricsFormat): Promise<string>;
  /**
   * Moves to another configuration, all of it or none: when this rejects, what served before serves on.
   * @throws {ConfigError} with every problem at once, or a `ListenError`.
   */
  reload(config: ConfigInput): Promise<readonly ListenerAddress[]>;
}

/**
 * A gateway inside another program, on the event loop of the caller.
 * @param config what `defineGateway` takes; file names in it are relative to the working folder.
 * @throws {ConfigError} with every problem at once.
 */
export async function createGateway(config: ConfigInput): Promise<EmbeddedGateway> {
  const log = new AppLog({ level: 'info', clock: systemClock });
  const modules = new WeakMap<GatewayConfig, PolicyModules>();
  let [revision, maxSeries] = [0, 0];
  const publish = async (input: ConfigInput): Promise<Publication> => {
    const loaded = await load(input);
    modules.set(loaded.config, loaded.modules);
    log.hide(loaded.secrets);
    maxSeries = loaded.config.telemetry.metrics.maxSeries;
    return { revision: ++revision, config: loaded.config, secrets: loaded.secrets, codeDigest: '' };
  };
  const gateway = new LocalGateway(await publish(config), {
    log,
    modulesOf: (published) => modules.get(published) ?? new Map(),
  });
  return {
    start: () => gateway.start(),
    status: () => gateway.status(),
    metrics: async (format = 'prometheus') =>
      metricsText({ status: await gateway.status(), counts: gateway.counted(maxSeries), control: null }, format),
    stop: (graceMs) => gateway.stop(graceMs),
    reload: async (input) => gateway.apply(await publish(input)),
  };
}

function onlyForRun(section: string, reason: string): Problem {
  return {
    file: 'gateway.config.ts',
    line: 1,
    column: 1,
    severity: 'error',
    code: 'NOT_AVAILABLE',
    message: `${section}.database ${reason}`,
    path: [section, 'database'],
  };
}

/** It would be read once and never again: what writes it is the admin API. */
const noDatabase = onlyForRun('consumerSources', 'belongs to the admin API, which only `gatewright run` has');
/** Files are written by the thread that serves nobody, and here there is none. */
const noQuotas = onlyForRun('quotas', 'is written by the main thread of `gatewright run`, and here it is yours');

async function load(config: ConfigInput): Promise<LoadResult & { readonly config: GatewayConfig }> {
  const loaded = await parseConfig('', {
    registry: builtinPolicies,
    fileName: 'gateway.config.ts',
    format: 'module',
    analyseRoutes: (routes, threads) => Promise.resolve(findRouteProblems(routes, threads)),
    importModule: (path) =>
      path.endsWith('gateway.config.ts') ? Promise.resolve({ default: config }) : importModule(path),
  });
  if (loaded.config === null) throw new ConfigError(loaded.problems);
  const { consumerSources, quotas } = loaded.config;
  if (consumerSources.database !== null) throw new ConfigError([noDatabase]);
  if (quotas.database !== null) throw new ConfigError([noQuotas]);
  const refused = (await loaded.analyse()).filter(({ severity }) => severity === 'error');
  if (refused.length > 0) throw new ConfigError(refused);
  return { ...loaded, config: loaded.config };
}
