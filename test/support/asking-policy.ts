/** A policy that asks somebody about each request and answers with what it was told. */
import { definePolicy } from '../../src/contract.ts';
import { z } from '../../src/util/schema.ts';

export default definePolicy({
  name: 'asking',
  summary: 'Asks somebody about each request.',
  options: z.strictObject({ url: z.string() }),
  create: ({ url }, env) => ({
    async onRequest({ path }) {
      try {
        const { status, body } = await env.call({ url: `${url}?about=${path}`, timeoutMs: 2000, maxBytes: 1000 });
        return { status, body: Buffer.from(body).toString() };
      } catch (error) {
        return { status: 503, body: (error as Error).message };
      }
    },
  }),
});
