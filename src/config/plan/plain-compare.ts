/** Compares plain data: what is in a configuration once it is parsed. */
import { isDeepStrictEqual } from 'node:util';
import { isMapping } from '../is-mapping.ts';
import { isUnknown } from './unknown-value.ts';

/** Whether two values say the same. A key that is missing and one without a value are the same. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isUnknown(a)) return isUnknown(b) || canBeHidden(b);
  if (isUnknown(b)) return canBeHidden(a);
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => isSame(item, b[index]));
  }
  if (isPlain(a) && isPlain(b)) return keysOf(a, b).every((key) => isSame(ownValue(a, key), ownValue(b, key)));
  return isDeepStrictEqual(a, b);
}

/** Of mappings and lists only what is inside of them is hidden, and what is just on or off is not hidden at all. */
function canBeHidden(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint';
}

/** A mapping, not an instance of something (options of a policy may hold a Map or a RegExp). */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (!isMapping(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The keys of either, each once. */
export function keysOf(a: object, b: object): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])];
}

/** Not what a mapping inherits: a route may be called `constructor`. */
export function ownValue(mapping: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(mapping, key) ? mapping[key] : undefined;
}

/** One place where two values differ. Lists are compared as a whole. */
export interface Leaf {
  readonly path: readonly string[];
  /** undefined where there is nothing. */
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * All places where they differ, as deep as both are mappings.
 * @param isWhole whether what is at a path is to be compared as a whole.
 */
export function leavesOf(
  before: unknown,
  after: unknown,
  isWhole: (path: readonly string[]) => boolean = () => false,
  path: readonly string[] = [],
): Leaf[] {
  if (isSame(before, after)) return [];
  if (!isPlain(before) || !isPlain(after) || isWhole(path)) return [{ path, before, after }];
  return keysOf(before, after).flatMap((key) =>
    leavesOf(ownValue(before, key), ownValue(after, key), isWhole, [...path, key]),
  );
}

/** What is in the one list and not in the other; of what is in it twice, one may be missing. */
export function withoutAll(list: readonly unknown[], others: readonly unknown[]): unknown[] {
  const left = [...others];
  return list.filter((item) => {
    const index = left.findIndex((other) => isSame(item, other));
    if (index !== -1) left.splice(index, 1);
    return index === -1;
  });
}
