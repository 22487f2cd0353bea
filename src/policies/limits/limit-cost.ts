/** How many permits a request takes: what it is charged when it comes, and what it has cost in truth once that is known. */
import type { Exchange } from '../../contract.ts';
import { isToken } from '../../http/grammar.ts';
import { z } from '../../util/schema.ts';
import { namedPartNames, problemOfPart, readerOf } from './key-part.ts';

const mostAtOnce = 1_000_000_000;

const place = z.string().superRefine((text, context) => {
  const isNamed = namedPartNames.some((kind) => text.startsWith(`${kind}:`));
  const problem = isNamed
    ? problemOfPart(text)
    : `write a number, or where to read it: ${namedPartNames.map((kind) => `${kind}:NAME`).join(', ')}`;
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
});

const upFront = z.union([z.int().min(1).max(mostAtOnce), place]);

/** Where the true cost is told: in a field of the response, before or behind its body, or by a policy. */
const [inField, inTrailer, inValue] = ['response-header:', 'response-trailer:', 'value:'];

const laterPlace = z
  .string()
  .refine(
    (text) =>
      [inField, inTrailer].some((kind) => text.startsWith(kind) && isToken(text.slice(kind.length))) ||
      (text.startsWith(inValue) && text.length > inValue.length),
    { error: `write where the true cost is told: ${inField}NAME, ${inTrailer}NAME or ${inValue}NAME` },
  );

const corrected = z
  .strictObject({
    before: upFront.default(1).describe('What is charged when the request comes: an estimate, written like `cost`.'),
    after: laterPlace.describe(
      'Where what it has cost in truth is told: `response-header:X`, `response-trailer:X` for a field behind the body, or `value:X` for what a policy of your own has noted in `exchange.values` by the end. A whole number, 0 included; without one what was charged stays.',
    ),
    max: z
      .int()
      .min(1)
      .max(mostAtOnce)
      .optional()
      .describe('What one request counts as at most, whatever is told; by default the limit.'),
  })
  .refine(({ before, max }) => typeof before !== 'number' || max === undefined || before <= max, {
    error: 'more is charged before than a request counts as at most',
    path: ['max'],
  });

export const cost = z
  .union([upFront, corrected])
  .default(1)
  .describe(
    'What a request counts as: a number, or where it is to be read, as in `header:x-cost`, `claim:weight` or `value:cost`. What is no whole number of 1 or more counts as 1. With `{before, after}` it is corrected once the response tells what it was in truth.',
  );

type Cost = z.infer<typeof cost>;

export type CostReader = (exchange: Exchange) => number;

/** What a request is charged at least, as far as it is known beforehand. */
export function knownCost(given: Cost): number {
  const before = typeof given === 'object' ? given.before : given;
  return typeof before === 'number' ? before : 1;
}

/** Whether each request is charged the same when it comes. */
export function isFixedCost(given: Cost): boolean {
  return typeof (typeof given === 'object' ? given.before : given) === 'number';
}

/** A place that the client writes to itself cannot make a request cheaper than one. */
export function costReader(given: Cost, route: string): CostReader {
  const before = typeof given === 'object' ? given.before : given;
  if (typeof before === 'number') return () => before;
  const read = readerOf(before, route);
  return (exchange) => {
    const text = read(exchange);
    return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Math.max(1, Number(text)) : 1;
  };
}

/** What a request has cost in truth; null as long as nobody has told. */
export type LateCostReader = (exchange: Exchange) => number | null;

export interface LateCost {
  readonly read: LateCostReader;
  /** Whether the head of the response tells it. Otherwise it is told by the end. */
  readonly isInHead: boolean;
  /** What it is at most, or null for the limit. */
  readonly most: number | null;
}

/** Null when what is charged stays. */
export function lateCost(given: Cost): LateCost | null {
  if (typeof given !== 'object') return null;
  const { after, max = null } = given;
  if (after.startsWith(inValue)) {
    const name = after.slice(inValue.length);
    return { read: ({ values }) => wholeNumber(values.get(name)), isInHead: false, most: max };
  }
  if (after.startsWith(inTrailer)) {
    const name = after.slice(inTrailer.length).toLowerCase();
    const read: LateCostReader = ({ responseTrailers }) => numberIn(responseTrailers, name);
    return { read, isInHead: false, most: max };
  }
  const name = after.slice(inField.length).toLowerCase();
  return { read: ({ responseHeaders }) => numberIn(responseHeaders, name), isInHead: true, most: max };
}

function numberIn(fields: Exchange['responseTrailers'], name: string): number | null {
  if (fields === null || !fields.has(name)) return null;
  const told = fields.getAll(name);
  // Which of several is meant nobody knows.
  return told.length === 1 ? wholeNumber(told[0]) : null;
}

function wholeNumber(told: string | number | undefined): number | null {
  if (typeof told === 'number') return Number.isSafeInteger(told) && told >= 0 ? told : null;
  return told !== undefined && /^[0-9]{1,15}$/.test(told) ? Number(told) : null;
}
