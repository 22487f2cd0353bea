/** The realm of a challenge (RFC 9110, section 11.5): what a client may use the same credentials for. */
import { isFieldValue } from '../../http/grammar.ts';
import { z } from '../../util/schema.ts';

export const realm = z
  .string()
  .min(1)
  .max(128)
  .refine((text) => isFieldValue(text) && text.trim() === text, {
    message: 'a realm neither has control characters, nor begins or ends with a blank',
  })
  .default('api')
  .describe('What a 401 says the credential is for.');

/** As in `Basic realm="api"`. */
export function challengeFor(scheme: string, name: string): string {
  return `${scheme} realm="${name.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}
