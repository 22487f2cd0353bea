/** Options that all limits have. */
import { z } from '../../util/schema.ts';

const notYet = 'not available yet';

/** Of limits that several machines have in common. What is accepted says what is the case. */
export const ownMemory = {
  store: z
    .string()
    .refine((store) => store === 'memory', { error: `${notYet}: limits are counted in \`memory\`, for one machine` })
    .default('memory')
    .describe('Where it is counted: `memory`, which all threads of the machine share.'),
  mode: z
    .enum(['exact', 'lease'])
    .refine((mode) => mode === 'exact', { error: `${notYet}: limits are exact` })
    .default('exact')
    .describe('`exact`: each request is decided by itself.'),
  onStoreFailure: z
    .enum(['local', 'open', 'closed'])
    .refine(() => false, { error: `${notYet}: memory does not fail` })
    .optional()
    .describe('What is to be done while a store does not answer. Not available yet.'),
};

export const unenforcedOption = z
  .boolean()
  .default(true)
  .describe('`false` to try it: requests are counted and never refused, and the log tells how many would have been.');
