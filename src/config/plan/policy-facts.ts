/** What of the definition of a policy matters when two configurations are compared: plain data, for any thread. */
import type { PolicyDefinition } from '../../contract.ts';
import { markedKeys } from '../schema-walk.ts';

export interface PolicyFacts {
  readonly provides: readonly string[];
  /** The keys in its options whose values are secret. */
  readonly secretKeys: readonly string[];
}

export function factsOf({ provides = [], options }: PolicyDefinition): PolicyFacts {
  return { provides, secretKeys: [...markedKeys(options, 'secret')] };
}
