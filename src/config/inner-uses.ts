/** The policies among the options of another one (`anyOf`). */
import { isMapping } from './is-mapping.ts';
import type { PolicyUse } from './schema.ts';

/** What the options of a use are made of if they are uses themselves, otherwise nothing. For policies that combine others. */
export function innerUses({ options }: Pick<PolicyUse, 'options'>): readonly PolicyUse[] {
  return Array.isArray(options) && options.every(isUse) ? options : [];
}

function isUse(value: unknown): value is PolicyUse {
  return isMapping(value) && typeof value['name'] === 'string' && 'label' in value && 'module' in value;
}

/** A use and those among its options, at any depth. */
export function* withInnerUses(uses: readonly PolicyUse[]): Generator<PolicyUse> {
  for (const use of uses) {
    yield use;
    yield* withInnerUses(innerUses(use));
  }
}
