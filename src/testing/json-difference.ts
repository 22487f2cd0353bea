/** Where two values of JSON differ. */

export interface JsonDifference {
  /** As one would write it in JavaScript: `.items[2].id`; empty for the whole. */
  readonly path: string;
  readonly expected: unknown;
  /** undefined when it is not there. */
  readonly actual: unknown;
}

/** More of them help nobody. */
const maxDifferences = 10;

/** @param partial whether more than what is expected may be there: keys of mappings, elements of lists. */
export function jsonDifferences(expected: unknown, actual: unknown, partial: boolean): JsonDifference[] {
  const found: JsonDifference[] = [];
  compare(expected, actual, partial, '', found);
  return found.slice(0, maxDifferences);
}

function compare(expected: unknown, actual: unknown, partial: boolean, path: string, found: JsonDifference[]): void {
  if (found.length >= maxDifferences) return;
  if (Array.isArray(expected) && Array.isArray(actual)) {
    if (partial) compareSome(expected, actual, path, found);
    else compareAll(expected, actual, path, found);
  } else if (isMapping(expected) && isMapping(actual)) {
    for (const key of Object.keys(expected)) {
      const value = Object.hasOwn(actual, key) ? actual[key] : undefined;
      compare(expected[key], value, partial, `${path}${keyPath(key)}`, found);
    }
    if (partial) return;
    for (const key of Object.keys(actual)) {
      if (Object.hasOwn(expected, key)) continue;
      found.push({ path: `${path}${keyPath(key)}`, expected: undefined, actual: actual[key] });
    }
  } else if (expected !== actual) {
    found.push({ path, expected, actual });
  }
}

/** Every element at its place. */
function compareAll(
  expected: readonly unknown[],
  actual: readonly unknown[],
  path: string,
  found: JsonDifference[],
): void {
  for (let i = 0; i < Math.max(expected.length, actual.length); i++) {
    compare(expected[i], actual[i], false, `${path}[${i}]`, found);
  }
}

/** Every expected element somewhere. */
function compareSome(
  expected: readonly unknown[],
  actual: readonly unknown[],
  path: string,
  found: JsonDifference[],
): void {
  for (const element of expected) {
    if (actual.some((candidate) => jsonDifferences(element, candidate, true).length === 0)) continue;
    found.push({ path: `${path}[]`, expected: element, actual });
  }
}

function keyPath(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
