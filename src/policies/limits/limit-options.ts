/** Options that all limits have. */
import type { LimiterSource, MaybePromise, PolicyEnv } from '../../contract.ts';
import { z } from '../../util/schema.ts';

/** What is built in, for one machine. */
const memory = 'memory';

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
    .refine((mode) => mode === 'exact', { error: 'not available yet: limits are exact' })
    .default('exact')
    .describe('`exact`: each request is decided by itself.'),
  onStoreFailure: z
    .enum(['local', 'open', 'closed'])
    .optional()
    .describe(
      'What becomes of requests while the store does not answer: `local` (default) counts them by the same rule in the memory of this machine, `open` lets them pass uncounted, `closed` refuses them with 503. With `store` only.',
    ),
};

interface StoreOptions {
  readonly store: string;
  readonly onStoreFailure?: 'local' | 'open' | 'closed' | undefined;
}

/** Why the options are not to be taken together; of those that are there is nothing to say. */
export function* problemsOfStore({ store, onStoreFailure }: StoreOptions): Generator<string> {
  if (store === memory && onStoreFailure !== undefined) {
    yield '`onStoreFailure` is of a limit in a `store`: memory does not fail';
  }
}

/** What a limit with these options is counted in. A promise only where it is a store. */
export function limiterSource(given: StoreOptions, env: PolicyEnv): MaybePromise<LimiterSource> {
  const { store, onStoreFailure = 'local' } = given;
  return store === memory ? env.limits : env.limitsIn(store, { onStoreFailure });
}

export const unenforcedOption = z
  .boolean()
  .default(true)
  .describe('`false` to try it: requests are counted and never refused, and the log tells how many would have been.');
