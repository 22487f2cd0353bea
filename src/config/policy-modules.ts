/** Loads the modules that `use: ./file.ts` names: policies, and functions that limits count by. */
import { resolve } from 'node:path';
import type { LimitKeyFunction, OwnModule, PolicyDefinition } from '../contract.ts';
import { isMapping } from './is-mapping.ts';
import type { PolicyUse } from './schema.ts';

/** Imports the module at an absolute path and returns its namespace. */
export type ImportModule = (path: string) => Promise<unknown>;

/** A policy or a function, or why there is none. */
export type LoadedPolicy =
  | { readonly definition: PolicyDefinition }
  | { readonly limitKey: LimitKeyFunction }
  | { readonly error: string };

/** The file of a function among the options of a policy, as it is written there; null if there is none. */
export function functionFileIn(options: unknown): string | null {
  const by = isMapping(options) ? options['by'] : undefined;
  return isMapping(by) && typeof by['use'] === 'string' ? by['use'] : null;
}

/** Loads every module among uses of policies, as written, each once; by absolute path. Never throws. */
export async function loadPolicyModules(
  uses: Iterable<unknown>,
  baseDir: string,
  importModule: ImportModule,
): Promise<ReadonlyMap<string, LoadedPolicy>> {
  const paths = new Set<string>();
  for (const use of uses) for (const file of filesIn(use)) paths.add(resolve(baseDir, file));
  const loaded = await Promise.all([...paths].map(async (path) => [path, await load(path, importModule)] as const));
  return new Map(loaded);
}

function filesIn(use: unknown): readonly string[] {
  if (!isMapping(use)) return [];
  if (Object.hasOwn(use, 'use')) return typeof use['use'] === 'string' ? [use['use']] : [];
  return Object.values(use).flatMap((options) => functionFileIn(options) ?? []);
}

/** The modules that a use needs, by absolute path. */
export function modulesOf({ module, options }: PolicyUse, baseDir: string): readonly string[] {
  if (module !== null) return [module];
  const file = functionFileIn(options);
  return file === null ? [] : [resolve(baseDir, file)];
}

/** What was loaded of those that could be. */
export function soundModules(loaded: ReadonlyMap<string, LoadedPolicy>): ReadonlyMap<string, OwnModule> {
  const sound = new Map<string, OwnModule>();
  for (const [path, one] of loaded) {
    if ('definition' in one) sound.set(path, one.definition);
    else if ('limitKey' in one) sound.set(path, one.limitKey);
  }
  return sound;
}

/**
 * Modules that were loaded before, on another thread; by absolute path.
 * @throws when one of them can no longer be loaded.
 */
export async function importModules(
  paths: Iterable<string>,
  importModule: ImportModule,
): Promise<ReadonlyMap<string, OwnModule>> {
  const all = new Map<string, LoadedPolicy>();
  for (const path of paths) {
    const loaded = await load(path, importModule);
    if ('error' in loaded) throw new Error(`${path}: ${loaded.error}`);
    all.set(path, loaded);
  }
  return soundModules(all);
}

async function load(path: string, importModule: ImportModule): Promise<LoadedPolicy> {
  try {
    const module = await importModule(path);
    const exported: unknown = isMapping(module) ? module['default'] : undefined;
    if (typeof exported === 'function') return limitKeyOf(exported);
    return (await isPolicyDefinition(exported))
      ? { definition: exported as PolicyDefinition }
      : { error: 'its default export is not a policy: write `export default definePolicy({…})`' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { error: `it cannot be loaded: ${reason}` };
  }
}

function limitKeyOf(exported: object): LoadedPolicy {
  if (/^(?:Async|Generator|AsyncGenerator)Function$/.test(exported.constructor.name)) {
    return { error: 'its default export is a function that cannot answer at once: a limit cannot wait for its key' };
  }
  return { limitKey: exported as LimitKeyFunction };
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
