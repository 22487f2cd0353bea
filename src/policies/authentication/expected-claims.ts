/** What claims must be, for a token to be one for this route at all. */
import type { Claims } from '../../contract.ts';
import { z } from '../../util/schema.ts';
import { ClaimPath, claimName } from './claim-path.ts';

const scalar = z.union([
  z.string().max(1000),
  z.number().refine((value) => Math.abs(value) <= Number.MAX_SAFE_INTEGER),
  z.boolean(),
]);

/** The option of all policies that read claims. */
export const expectedClaimsOption = z
  .record(claimName, z.union([scalar, z.array(scalar).min(1).max(100)]))
  .default({})
  .describe(
    'Claims that a token must have, each with the value, or with a list of which it is one: `{azp: shop, env: [prod, stage]}`. For claims that are lists, and for comparisons, there is `authorize`.',
  );

/** The option for who must have issued a token, or whom it must be for. */
export const oneOrMore = z.union([z.string().min(1).max(1000), z.array(z.string().min(1).max(1000)).min(1).max(100)]);

/** One or several, as a set. */
export function setOf<T>(value: T | readonly T[]): ReadonlySet<T> {
  return new Set<T>(Array.isArray(value) ? value : [value as T]);
}

export class ExpectedClaims {
  private readonly expected: readonly (readonly [path: ClaimPath, values: ReadonlySet<unknown>])[];

  /** @param record see `expectedClaimsOption`. */
  constructor(record: z.output<typeof expectedClaimsOption>) {
    this.expected = Object.entries(record).map(([name, value]) => [new ClaimPath(name), setOf<unknown>(value)]);
  }

  /** The name of the first claim that is not as expected, or null. */
  missedBy(claims: Claims): string | null {
    return this.expected.find(([path, values]) => !values.has(path.of(claims)))?.[0].name ?? null;
  }
}
