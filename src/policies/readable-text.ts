import { z } from '../util/schema.ts';

/** The schema of a text that `read` can read; what it throws otherwise tells the user what is wrong. */
export function readableBy(read: (text: string) => unknown) {
  return z.string().superRefine((text, context) => {
    try {
      read(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
    }
  });
}
