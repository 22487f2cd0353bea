/** Loads the modules that `use: ./file.ts` names. */
import { resolve } from 'node:path';
import type { PolicyDefinition } from '../contract.ts';
import { isMapping } from './is-mapping.ts';

/** Imports the module at an absolute path and returns its namespace. */
export type ImportModule = (path: string) => Promise<unknown>;

/** A policy, or why there is none. */
export type LoadedPolicy = { readonly definition: PolicyDefinition } | { readonly error: string };

/** Loads every module among uses of policies, as written, each once; by absolute path. Never throws. */
export async function loadPolicyModules(
  uses: Iterable<unknown>,
  baseDir: string,
  importModule: ImportModule,
): Promise<ReadonlyMap<string, LoadedPolicy>> {
  const paths = new Set<string>();
  for (const use of uses) {
    if (isMapping(use) && typeof use['use'] === 'string') paths.add(resolve(baseDir, use['use']));
  }
  const loaded = await Promise.all([...paths].map(async (path) => [path, await load(path, importModule)] as const));
  return new Map(loaded);
}

/**
 * The policies of modules that were loaded before, on another thread; by absolute path.
 * @throws when one of them can no longer be loaded.
 */
export async function importPolicies(
  paths: Iterable<string>,
  importModule: ImportModule,
): Promise<ReadonlyMap<string, PolicyDefinition>> {
  const policies = new Map<string, PolicyDefinition>();
  for (const path of paths) {
    const loaded = await load(path, importModule);
    if ('error' in loaded) throw new Error(`${path}: ${loaded.error}`);
    policies.set(path, loaded.definition);
  }
  return policies;
}

async function load(path: string, importModule: ImportModule): Promise<LoadedPolicy> {
  try {
    const module = await importModule(path);
    const definition: unknown = isMapping(module) ? module['default'] : undefined;
    return (await isPolicyDefinition(definition))
      ? { definition: definition as PolicyDefinition }
      : { error: 'its default export is not a policy: write `export default definePolicy({…})`' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { error: `it cannot be loaded: ${reason}` };
  }
}

async function isPolicyDefinition(value: unknown): Promise<boolean> {
  // A thread that serves has no other use for schemas.
  const { z } = await import('../util/schema.ts');
  return (
    isMapping(value) &&
    typeof value['name'] === 'string' &&
    typeof value['create'] === 'function' &&
    value['options'] instanceof z.ZodType
  );
}
