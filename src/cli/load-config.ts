/** Reads a configuration with everything that this gateway knows to say about it. */
import { loadConfig, type LoadResult } from '../config/load.ts';
import { builtinPolicies } from '../policies/index.ts';

const registry = new Map(builtinPolicies.map((policy) => [policy.name, policy]));

export function loadGatewayConfig(file: string, env: NodeJS.ProcessEnv = process.env): Promise<LoadResult> {
  return loadConfig(file, registry, { env });
}
