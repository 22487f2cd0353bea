/** Values of a configuration that were hidden from us, because they are secret. */
import { type Path, formatPath } from '../problem.ts';
import { isMapping } from '../is-mapping.ts';

/** Stands where a text or number was that we may not see. It equals any: whether it has changed cannot be known. */
class UnknownValue {
  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }
}

const unknownValue = Object.freeze(new UnknownValue());

export const isUnknown = (value: unknown): boolean => value === unknownValue;

/** What the admin API writes in the place of a secret, alone or inside of a text. */
const PLACEHOLDER = /\[secret\]/;

/** The document with unknown values in place of what is hidden in it, and where that is. */
export function markHidden<T>(document: T): { readonly document: T; readonly places: readonly string[] } {
  const places: string[] = [];
  return { document: mark(document, [], places) as T, places };
}

function mark(value: unknown, path: Path, places: string[]): unknown {
  if (typeof value === 'string' && PLACEHOLDER.test(value)) {
    places.push(formatPath(path));
    return unknownValue;
  }
  if (Array.isArray(value)) return value.map((item, index) => mark(item, [...path, index], places));
  if (!isMapping(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mark(item, [...path, key], places)]));
}
