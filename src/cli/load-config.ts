/** Finds the configuration that a command is about, and reads it with everything that this gateway knows to say of it. */
import { resolve } from 'node:path';
import { findConfigFile } from '../config/config-file.ts';
import { type AnalyseRoutes, loadConfig, type LoadResult } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { builtinPolicies } from '../policies/index.ts';
import type { CommandIo } from './cli-io.ts';

const registry = new Map(builtinPolicies.map((policy) => [policy.name, policy]));

export interface CommandConfig extends LoadResult {
  /** As it was named, or as it is called in the working folder. */
  readonly file: string;
}

/**
 * The configuration that is named or, if none is, that of the working folder. Problems name it as it was named, so that a
 * terminal or an editor can open it.
 * @returns null when none is named and none is there, which has then been said.
 */
export async function loadCommandConfig(named: string | undefined, io: CommandIo): Promise<CommandConfig | null> {
  const file = named ?? findConfigFile(io.cwd);
  if (file === null) {
    io.stderr.write('There is no gateway.yaml here: name a file, or make one with `gatewright init`.\n');
    return null;
  }
  const path = resolve(io.cwd, file);
  const loaded = await loadConfig(path, registry, { env: io.env, analyseRoutes });
  const asNamed = (problem: Problem): Problem => (problem.file === path ? { ...problem, file } : problem);
  return {
    ...loaded,
    file,
    problems: loaded.problems.map(asNamed),
    analyse: async () => (await loaded.analyse()).map(asNamed),
  };
}

/** Loads what it needs when it is called: `run` should not wait for it before its thread can begin. */
const analyseRoutes: AnalyseRoutes = async (routes) => {
  const { findRouteProblems } = await import('../compile/route-findings.ts');
  return findRouteProblems(routes);
};
