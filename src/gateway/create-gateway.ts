/** A gateway inside another program. */
import { findRouteProblems } from '../compile/route-findings.ts';
import type { PolicyDefinition } from '../contract.ts';
import { importModule } from '../config/import-module.ts';
import { parseConfig } from '../config/load.ts';
import { formatProblem, type Problem } from '../config/problem.ts';
import type { ConfigInput } from '../config/schema.ts';
import { builtinPolicies } from '../policies/index.ts';
import { AppLog } from '../telemetry/app-log.ts';
import { systemClock } from '../util/clock.ts';
import type { Gateway } from './gateway.ts';
import { LocalGateway } from './local-gateway.ts';

const registry: ReadonlyMap<string, PolicyDefinition> = new Map(builtinPolicies.map((policy) => [policy.name, policy]));

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
    analyseRoutes: (routes) => Promise.resolve(findRouteProblems(routes)),
    importModule: (path) =>
      path.endsWith('gateway.config.ts') ? Promise.resolve({ default: config }) : importModule(path),
  });
  if (loaded.config === null) throw new ConfigError(loaded.problems);
  const log = new AppLog({ level: 'info', clock: systemClock });
  try {
    return new LocalGateway(loaded.config, { log, modules: loaded.modules });
  } catch (error) {
    // What the router has refused is said of all routes at once, and where.
    const problems = (await loaded.analyse()).filter(({ severity }) => severity === 'error');
    throw problems.length === 0 ? error : new ConfigError(problems);
  }
}
