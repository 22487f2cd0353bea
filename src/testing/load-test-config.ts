/** Reads the configuration that is to be tested. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { findRouteProblems } from '../compile/route-findings.ts';
import { importModule } from '../config/import-module.ts';
import { type LoadOptions, type LoadResult, loadConfig, parseConfig } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import type { ConfigInput, GatewayConfig } from '../config/schema.ts';
import type { OwnModule } from '../contract.ts';
import { builtinPolicies } from '../policies/index.ts';

/** What the configuration of a test has around it. */
export interface ConfigSurroundings {
  /** For `${env:NAME}`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** The content of files that `${file:path}` names and that are not to be read, by their path as written. */
  readonly files?: Readonly<Record<string, string>> | undefined;
}

export interface TestConfig {
  /** Null when there is an error. */
  readonly config: GatewayConfig | null;
  readonly modules: ReadonlyMap<string, OwnModule>;
  /** Values that nothing may show. */
  readonly secrets: readonly string[];
  /** Errors only: warnings are what `gatewright check` is for. */
  readonly errors: readonly Problem[];
}

/**
 * Reads a configuration in a file, or one that is there already; in that case file names in it are relative to the
 * working folder. Certificates are not read: there is no TLS in a test.
 */
export async function loadTestConfig(source: string | ConfigInput, around: ConfigSurroundings): Promise<TestConfig> {
  const options = loadOptions(around, typeof source === 'string' ? resolve(source, '..') : process.cwd());
  const loaded =
    typeof source === 'string'
      ? await loadConfig(resolve(source), builtinPolicies, options)
      : await parseConfig('', {
          ...options,
          registry: builtinPolicies,
          fileName: 'gateway.config.ts',
          format: 'module',
          importModule: (path) =>
            path === resolve('gateway.config.ts') ? Promise.resolve({ default: source }) : importModule(path),
        });
  const errors = [...loaded.problems, ...(await loaded.analyse())].filter(({ severity }) => severity === 'error');
  const { modules, secrets } = loaded;
  return { config: errors.length === 0 ? withoutOutput(loaded) : null, modules, secrets, errors };
}

function loadOptions({ env = {}, files = {} }: ConfigSurroundings, baseDir: string): Omit<LoadOptions, 'registry'> {
  const given = new Map(Object.entries(files).map(([path, text]) => [resolve(baseDir, path), text]));
  return {
    env,
    readFile: (path) => given.get(path) ?? readFileSync(path, 'utf8'),
    checksCertificates: false,
    analyseRoutes: (routes, threads) => Promise.resolve(findRouteProblems(routes, threads)),
  };
}

/** The lines of an access log would stand between those of the test. */
function withoutOutput({ config }: LoadResult): GatewayConfig | null {
  return config === null ? null : { ...config, telemetry: { ...config.telemetry, accessLog: null } };
}
