/** Copies what a module exports: plain data only, with its strings interpolated. */
import type { Path } from '../problem.ts';
import { MAX_DEPTH } from './handler.ts';
import type { Interpolations } from './interpolation.ts';

/** Something in a value that a configuration cannot contain. */
export interface ValueFinding {
  readonly code: 'BAD_VALUE' | 'INTERPOLATION' | 'BAD_NAME';
  readonly message: string;
  readonly path: Path;
}

const functionMessage =
  'a configuration is data, which all threads get: put a function into a file of its own, and write {use: ./file.ts} where one can be named';

/** A copy of the value. What is not data is left out, and reported. */
export function copyPlainValue(
  value: unknown,
  interpolations: Interpolations,
): { value: unknown; findings: ValueFinding[] } {
  const findings: ValueFinding[] = [];
  const report = (code: ValueFinding['code'], message: string, path: Path): undefined => {
    findings.push({ code, message, path });
    return undefined;
  };
  const copy = (part: unknown, path: Path): unknown => {
    if (typeof part === 'string') {
      if (!part.includes('${')) return part;
      return interpolations.expand(part, path, (message) => report('INTERPOLATION', message, path));
    }
    if (part === null || part === undefined || typeof part === 'number' || typeof part === 'boolean') return part;
    // A value that contains itself is the deepest of all.
    if (path.length > MAX_DEPTH) return report('BAD_VALUE', 'this is nested too deeply, or contains itself', path);
    if (Array.isArray(part)) return part.map((item, index) => copy(item, [...path, index]));
    if (typeof part === 'function') return report('BAD_VALUE', functionMessage, path);
    if (!isPlainObject(part)) {
      return report('BAD_VALUE', 'a configuration is data: text, numbers, lists and mappings', path);
    }
    const copied: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(part)) {
      if (key === '__proto__') report('BAD_NAME', 'a key cannot be called __proto__', [...path, key]);
      else if (item !== undefined) copied[key] = copy(item, [...path, key]);
    }
    return copied;
  };
  return { value: copy(value, []), findings };
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
