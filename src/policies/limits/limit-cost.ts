/** How many permits a request takes. */
import type { Exchange } from '../../contract.ts';
import { z } from '../../util/schema.ts';
import { namedPartNames, problemOfPart, readerOf } from './key-part.ts';

const place = z.string().superRefine((text, context) => {
  const isNamed = namedPartNames.some((kind) => text.startsWith(`${kind}:`));
  const problem = isNamed
    ? problemOfPart(text)
    : `write a number, or where to read it: ${namedPartNames.map((kind) => `${kind}:NAME`).join(', ')}`;
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
});

export const cost = z
  .union([z.int().min(1).max(1_000_000_000), place])
  .default(1)
  .describe(
    'What a request counts as: a number, or where it is to be read, as in `header:x-cost` or `claim:weight`. What is no whole number of 1 or more counts as 1.',
  );

export type CostReader = (exchange: Exchange) => number;

/** A place that the client writes to itself cannot make a request cheaper than one. */
export function costReader(given: number | string, route: string): CostReader {
  if (typeof given === 'number') return () => given;
  const read = readerOf(given, route);
  return (exchange) => {
    const text = read(exchange);
    return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Math.max(1, Number(text)) : 1;
  };
}
