import { createHash, timingSafeEqual } from 'node:crypto';
import { Refusal, authenticating, authenticationOptions, definePolicy, z } from 'gatewright';

const header = 'x-webhook-token';
// Made once: they say the same of every request.
const missing = new Refusal('missing', 'no webhook token');
const wrong = new Refusal('invalid', 'another webhook token');

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

export default definePolicy({
  name: 'webhook',
  summary: 'Lets a service pass that has the token that we gave it.',
  options: z.strictObject({
    ...authenticationOptions,
    token: z.string().min(8).meta({ secret: true }).describe('What it sends in `x-webhook-token`.'),
  }),
  provides: ['consumer'],
  create(options, env) {
    const expected = digest(options.token);
    const caller = Object.freeze({
      method: 'webhook',
      subject: 'forge',
      consumer: null,
      claims: { source: 'forge', level: 2 },
      scopes: [],
    });
    return authenticating(
      {
        challenge: 'Webhook realm="hooks"',
        authenticate({ requestHeaders }) {
          const [token, ...others] = requestHeaders.getAll(header);
          if (token === undefined) return missing;
          // Two of them may mean anything. Digests have one length, so comparing them tells nothing about the token.
          return others.length === 0 && timingSafeEqual(digest(token), expected) ? caller : wrong;
        },
        conceal: ({ requestHeaders }) => requestHeaders.remove(header),
      },
      options,
      env,
    );
  },
});
