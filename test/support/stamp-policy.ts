/** Says in a response when the request passed here, by the clock of the machine: for gateways in several processes. */
import { definePolicy } from '../../src/contract.ts';
import { z } from '../../src/util/schema.ts';

export const stampPolicy = definePolicy({
  name: 'stamp',
  summary: 'Says when.',
  options: z.strictObject({ name: z.string() }),
  create: ({ name }) => ({
    onRequest(exchange) {
      exchange.setInResponse(name, String(performance.timeOrigin + performance.now()));
    },
  }),
});
