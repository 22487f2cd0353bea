/** A policy that throws when it is asked. */
import { definePolicy } from '../../src/contract.ts';
import { z } from '../../src/util/schema.ts';

export default definePolicy({
  name: 'failing',
  summary: 'Throws.',
  options: z.strictObject({}),
  create: () => ({
    onRequest() {
      throw new Error('on purpose');
    },
  }),
});
