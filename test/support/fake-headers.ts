/** How tests write down header fields. */

/** Fields by name, a list for a repeated one; or pairs in the order of the wire. */
export type FakeHeaders =
  | Readonly<Record<string, string | readonly string[]>>
  | readonly (readonly [name: string, value: string])[];

export function pairsOf(headers: FakeHeaders = []): (readonly [string, string])[] {
  if (isPairs(headers)) return [...headers];
  return Object.entries(headers).flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : value).map((one) => [name, one] as const),
  );
}

function isPairs(headers: FakeHeaders): headers is readonly (readonly [string, string])[] {
  return Array.isArray(headers);
}
