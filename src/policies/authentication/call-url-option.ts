/** The URL of a service that a policy asks, as an option. */
import { parseCallUrl } from '../../http/call-url.ts';
import { z } from '../../util/schema.ts';

export const callUrlOption = z
  .string()
  .max(2048)
  .superRefine((url, context) => {
    try {
      parseCallUrl(url);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
  });
