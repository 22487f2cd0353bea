/** Policies that a test writes down where it needs them. */
import { type Policy, type PolicyDefinition, definePolicy } from '../../src/contract.ts';
import { z } from '../../src/util/schema.ts';

/** A policy without options. In a configuration: `use: ./name.ts`, with the name under which the test brings it along. */
export function policyOf(hooks: Policy): PolicyDefinition {
  return definePolicy({
    name: 'inline',
    summary: 'Is part of a test.',
    options: z.strictObject({}),
    create: () => hooks,
  });
}
