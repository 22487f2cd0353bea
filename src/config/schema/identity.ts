/** `identity`: what tokens of the gateway itself are signed with. */
import { z } from '../../util/schema.ts';
import { secret } from './scalars.ts';

export const identitySchema = z.strictObject({
  issuer: z
    .string()
    .min(1, { error: 'is empty' })
    .max(1024)
    .describe('What the gateway is called in `iss`: usually a URL below which its keys can be found.'),
  keys: z
    .array(secret())
    .min(1, { error: 'the list is empty' })
    .max(16)
    .describe(
      'Private keys in PEM form: P-256 (ES256), P-384 (ES384), Ed25519 (EdDSA) or RSA (RS256). The first one signs; all ' +
        'are published, so that tokens of the one before still hold after a change.',
    ),
});
