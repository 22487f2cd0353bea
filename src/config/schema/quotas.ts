/** `quotas`: where they are kept. */
import { z } from '../../util/schema.ts';
import { fileName } from './scalars.ts';

export const quotasSchema = z.strictObject({
  database: fileName()
    .optional()
    .describe(
      'A file that quotas counted in `memory` are kept in, so that a restart forgets none. It is made if need be.',
    ),
});
