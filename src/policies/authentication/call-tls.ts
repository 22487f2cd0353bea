/** How a service that a policy asks is verified, as an option. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CallTls } from '../../contract.ts';
import { z } from '../../util/schema.ts';

export const callTlsOption = z
  .strictObject({
    ca: z
      .string()
      .min(1)
      .optional()
      .describe(
        'A PEM file with the authorities that it is verified against, read again when it changes, or PEM text.',
      ),
  })
  .default({})
  .describe('How the service is verified; by default against the authorities that the platform trusts.');

/** For `superRefine` of options with both: an authority promises what does not come to be without TLS. */
export function refuseUnusedCa(
  { url, tls: { ca } }: { readonly url: string; readonly tls: { readonly ca?: string | undefined } },
  context: z.RefinementCtx,
): void {
  if (ca === undefined || !/^http:/i.test(url)) return;
  const message = 'a http:// service is reached without TLS: write https://, or leave this out';
  context.addIssue({ code: 'custom', path: ['tls', 'ca'], message });
}

/**
 * What a call is given.
 * @throws for a file that cannot be read: better now than with every request.
 */
export function callTlsOf({ ca }: { readonly ca?: string | undefined }, baseDir: string): { readonly tls?: CallTls } {
  if (ca === undefined) return {};
  if (ca.includes('-----BEGIN')) return { tls: { ca } };
  const path = resolve(baseDir, ca);
  try {
    readFileSync(path);
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new Error(`tls.ca: ${path} cannot be read: ${code}`, { cause: error });
  }
  return { tls: { ca: path } };
}
