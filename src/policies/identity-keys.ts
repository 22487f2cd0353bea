import { type Reply, definePolicy } from '../contract.ts';
import { z } from '../util/schema.ts';
import { duration } from '../util/units.ts';

const options = z.strictObject({
  maxAge: duration().prefault('5m').describe('How long others may keep the keys.'),
});

/** Answers with the public keys of the gateway (RFC 7517, section 5). */
export const identityKeys = definePolicy({
  name: 'identityKeys',
  summary: "Answers GET with the gateway's own public keys, for those who verify its identity tokens.",
  options,
  create({ maxAge }, env) {
    const reply: Reply = {
      status: 200,
      headers: [
        ['content-type', 'application/jwk-set+json'],
        ['cache-control', `public, max-age=${Math.floor(maxAge / 1000)}`],
      ],
      body: env.identity().jwks,
    };
    return {
      onRequest({ method }) {
        return method === 'GET' || method === 'HEAD' ? reply : undefined;
      },
    };
  },
});
