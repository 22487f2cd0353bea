/** `overload`: what is refused when there is more to do than can be done. */
import { z } from '../../util/schema.ts';
import { duration, percentage } from '../../util/units.ts';
import { importances } from './importance.ts';

export const importance = z.enum(importances);

const MEMORY_RULE = 'write a percentage from 50% to 99%, or false';
const LAG_RULE = 'write a duration from 20ms to 4s, or false';

export const overloadSchema = z
  .strictObject({
    eventLoopLag: z
      .union([z.literal(false).transform(() => null), duration({ min: 20, max: 4_000 })], { error: LAG_RULE })
      .prefault('200ms')
      .describe(
        'When a thread comes to its work later than this, all the time, it refuses requests. `false` for never.',
      ),
    memory: z
      .union(
        [
          z.literal(false).transform(() => null),
          percentage().refine((share) => share >= 0.5 && share <= 0.99, { error: MEMORY_RULE }),
        ],
        { error: MEMORY_RULE },
      )
      .prefault('90%')
      .describe(
        'When so much of the memory that the process, or the heap of a thread, may have is in use, requests are refused. `false` for never.',
      ),
    retryAfter: duration({ min: 1_000, max: 3_600_000 })
      .prefault('5s')
      .describe('What `Retry-After` tells those who are refused, in whole seconds.'),
    groups: z
      .record(z.string().min(1), importance)
      .default({})
      .describe(
        'How important the requests of consumers of these groups are, in place of what their route says. Of several groups the most important counts.',
      ),
  })
  .refine(({ eventLoopLag, memory }) => eventLoopLag !== null || memory !== null, {
    error: 'looks at nothing: leave `overload` out',
  });
