/** What a token must say to be accepted at all, beyond what RFC 7519 registers. */
import type { Claims } from '../../contract.ts';
import { z } from '../../util/schema.ts';
import { ClaimPath, claimName } from '../authentication/claim-path.ts';

const scalar = z.union([z.string().max(1000), z.number(), z.boolean()], {
  error: 'write a text, a number, true or false',
});
const scalars = z.array(scalar).min(1).max(100);

const conditionSchema = z.union(
  [
    scalar,
    scalars,
    z.strictObject({ contains: z.union([scalar, scalars]).describe('A list that has this, or all of these.') }),
    z.strictObject({ present: z.literal(true).describe('Whatever it is.') }),
  ],
  { error: 'write a value, a list of values of which it is one, `contains` or `present: true`' },
);

/** The option. */
export const claimConditions = z
  .record(claimName, conditionSchema)
  .default({})
  .describe(
    'What the token must say, by the name of the claim, with dots for what is in an object: a value (`tenant: acme`), ' +
      'one of several (`tenant: [acme, initech]`), a list that has a value or all of several (`amr: {contains: mfa}`), ' +
      'or anything at all (`sub: {present: true}`). A number is not the text of it.',
  );

export type ClaimConditions = z.output<typeof claimConditions>;

export class ClaimCondition {
  private readonly path: ClaimPath;
  private readonly holds: (value: unknown) => boolean;

  constructor(name: string, condition: ClaimConditions[string]) {
    this.path = new ClaimPath(name);
    this.holds = testOf(condition);
  }

  get name(): string {
    return this.path.name;
  }

  isMetBy(claims: Claims): boolean {
    return this.holds(this.path.of(claims));
  }
}

function testOf(condition: ClaimConditions[string]): (value: unknown) => boolean {
  if (typeof condition !== 'object') return (value) => value === condition;
  if (Array.isArray(condition)) return (value) => (condition as unknown[]).includes(value);
  if ('present' in condition) return (value) => value !== undefined && value !== null;
  const wanted: readonly unknown[] = Array.isArray(condition.contains) ? condition.contains : [condition.contains];
  return (value) => Array.isArray(value) && wanted.every((one) => value.includes(one));
}
