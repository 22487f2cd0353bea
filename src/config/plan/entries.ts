/** Finds the same entries of a section again in another configuration, under another name where that is certain. */
import { ownValue } from './plain-compare.ts';

export interface PairedEntries<T> {
  /** In both, by the name in the later one. */
  readonly kept: readonly { readonly name: string; readonly before: T; readonly after: T }[];
  readonly removed: readonly string[];
  readonly added: readonly string[];
  /** The earlier name by the later one. Those entries are among `kept`. */
  readonly renamed: ReadonlyMap<string, string>;
}

/** @param identityOf what no two entries share; null for an entry that cannot be found again by it. */
export function pairEntries<T>(
  before: Readonly<Record<string, T>>,
  after: Readonly<Record<string, T>>,
  identityOf: (entry: T) => string | null,
): PairedEntries<T> {
  const gone = Object.keys(before).filter((name) => !Object.hasOwn(after, name));
  const come = Object.keys(after).filter((name) => !Object.hasOwn(before, name));
  const renamed = new Map<string, string>();
  if (gone.length > 0 && come.length > 0) {
    const earlier = Map.groupBy(gone, (name) => identityOf(before[name]));
    for (const [identity, names] of Map.groupBy(come, (name) => identityOf(after[name]))) {
      const olds = earlier.get(identity);
      if (identity !== null && names.length === 1 && olds?.length === 1) renamed.set(names[0], olds[0]);
    }
  }
  const found = new Set(renamed.values());
  return {
    kept: Object.keys(after).flatMap((name) => {
      const old = ownValue(before, renamed.get(name) ?? name);
      return old === undefined ? [] : [{ name, before: old as T, after: after[name] }];
    }),
    removed: gone.filter((name) => !found.has(name)),
    added: come.filter((name) => !renamed.has(name)),
    renamed,
  };
}
