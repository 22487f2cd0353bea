/** Answers that tell of a part of many things. */
import { z } from '../util/schema.ts';

const maxLimit = 1_000;

/** A whole number in a query. */
function wholeNumber(min: number, max: number, standard: number) {
  return z
    .string()
    .refine((text) => /^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max, {
      error: `write a whole number from ${min} to ${max}`,
    })
    .optional()
    .transform((text) => (text === undefined ? standard : Number(text)))
    .meta({ type: 'integer', minimum: min, maximum: max });
}

export const pageQuery = z.strictObject({
  limit: wholeNumber(1, maxLimit, 100).describe('How many to tell of; by default 100.'),
  offset: wholeNumber(0, 999_999_999, 0).describe('How many to leave out before them.'),
});

/** @param which those that are told of, as in `in whose name this text is`. */
export function searchQuery(which: string) {
  return pageQuery.extend({ q: z.string().max(256).default('').describe(`Only those ${which}.`) });
}

interface Page<T> {
  readonly total: number;
  readonly offset: number;
  readonly limit: number;
  readonly items: readonly T[];
}

export function pageOf<T>(all: readonly T[], { offset, limit }: z.output<typeof pageQuery>): Page<T> {
  return { total: all.length, offset, limit, items: all.slice(offset, offset + limit) };
}
