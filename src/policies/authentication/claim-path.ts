/** How options name a claim: `sub`, or with dots what is in an object, as in `realm_access.roles`. */
import type { Claims } from '../../contract.ts';
import { z } from '../../util/schema.ts';

/** Deeper than any token is. */
const maxSteps = 8;

/** The name of a claim, as an option. */
export const claimName = z
  .string()
  .min(1)
  .max(200)
  .refine((name) => name.split('.').length <= maxSteps || /^https?:/.test(name), {
    message: `a claim is at most ${maxSteps} names deep`,
  });

/** Reads one claim; made once, asked for every token. */
export class ClaimPath {
  readonly name: string;
  private readonly steps: readonly string[];

  constructor(name: string) {
    this.name = name;
    this.steps = name.split('.');
  }

  /**
   * The value, or undefined. Names may have dots themselves (`https://example.com/roles`), so a claim of the whole name
   * counts first. Only what the JSON itself has: `constructor` and `__proto__` are names like any other.
   */
  of(claims: Claims): unknown {
    if (Object.hasOwn(claims, this.name)) return claims[this.name];
    if (this.steps.length === 1) return undefined;
    let value: unknown = claims;
    for (const step of this.steps) {
      if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, step)) {
        return undefined;
      }
      value = (value as Claims)[step];
    }
    return value;
  }
}
