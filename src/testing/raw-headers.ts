/** Header fields as `node:http` gives them: one flat list of names and values. */

export type RawHeaders = readonly (readonly [name: string, value: string])[];

export function pairsOf(flat: readonly string[]): RawHeaders {
  return Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index], flat[2 * index + 1]] as const);
}

/** By lower-case name; several of one name joined by a comma (RFC 9110, section 5.3). */
export function joinedByName(pairs: RawHeaders): Record<string, string> {
  const joined = new Map<string, string>();
  for (const [name, value] of pairs) {
    const key = name.toLowerCase();
    const before = joined.get(key);
    joined.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return Object.fromEntries(joined);
}
