/** Options that all limits have. */
import type { LimiterSource, MaybePromise, PolicyEnv, StoreFailure, StoreLease } from '../../contract.ts';
import { z } from '../../util/schema.ts';
import { percentage } from '../../util/units.ts';

/** What is built in, for one machine. */
const memory = 'memory';
/** Twenty machines that have as much in hand as they may are one limit more than there should be. */
const usualLease: StoreLease = { share: 0.05 };

/** Of limits that several machines can have in common. */
export const storeOptions = {
  store: z
    .string()
    .min(1)
    .default(memory)
    .meta({ store: true })
    .describe(
      'Where it is counted: `memory`, which all threads of the machine share, or the name of a store that several machines share.',
    ),
  mode: z
    .enum(['exact', 'lease'])
    .default('exact')
    .describe(
      '`exact`: each request is decided by itself. `lease`, with a `store` only: each machine takes some permits at a time from the store, and hands them out without asking for each request. At most the permits that all machines have in hand come on top of the limit.',
    ),
  lease: z
    .union([
      z.strictObject({ size: z.int().min(1).max(1_000_000_000).describe('A number.') }),
      z.strictObject({ share: percentage().describe('A share of the limit.') }),
    ])
    .optional()
    .describe(
      'How many permits of a key a machine has in hand at most, its threads together (each has at least one): by default `{share: 5%}`. With `mode: lease` only.',
    ),
  onStoreFailure: z
    .enum(['local', 'open', 'closed'])
    .optional()
    .describe(
      'What becomes of requests while the store does not answer: `local` (default) counts them by the same rule in the memory of this machine, `open` lets them pass uncounted, `closed` refuses them with 503. With `store` only.',
    ),
};

export interface StoreOptions {
  readonly store: string;
  readonly mode: 'exact' | 'lease';
  readonly lease?: StoreLease | undefined;
  readonly onStoreFailure?: StoreFailure | undefined;
}

/** Why the options are not to be taken together; of those that are there is nothing to say. */
export function* problemsOfStore({ store, mode, lease, onStoreFailure }: StoreOptions): Generator<string> {
  if (store === memory && onStoreFailure !== undefined) {
    yield '`onStoreFailure` is of a limit in a `store`: memory does not fail';
  }
  if (store === memory && mode === 'lease') {
    yield '`mode: lease` is of a limit in a `store`: what is in memory need not be leased';
  }
  if (mode !== 'lease' && lease !== undefined) yield '`lease` is of `mode: lease`';
  if (lease !== undefined && 'share' in lease && lease.share === 0) yield 'a `lease` of nothing would let nobody pass';
}

/** What each machine takes at a time; null where it is not leased. */
export function leaseOf({ mode, lease = usualLease }: Pick<StoreOptions, 'mode' | 'lease'>): StoreLease | null {
  return mode === 'lease' ? lease : null;
}

/** What a limit with these options is counted in. A promise only where it is a store. */
export function limiterSource(given: StoreOptions, env: PolicyEnv): MaybePromise<LimiterSource> {
  const { store, onStoreFailure = 'local' } = given;
  if (store === memory) return env.limits;
  return env.limitsIn(store, { onStoreFailure, lease: leaseOf(given) });
}

export const unenforcedOption = z
  .boolean()
  .default(true)
  .describe('`false` to try it: requests are counted and never refused, and the log tells how many would have been.');
