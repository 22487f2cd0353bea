/**
 * Quantities as people write them in a configuration: `250ms`, `16KiB`, `100/1m`, `50%`. The unit is part of what is
 * written, so that nothing can be seconds for one reader and milliseconds for another.
 *
 * For each there is a function that reads one (null when the text is none), one that writes one, and a schema whose
 * parsed value is a plain number.
 */
import { z } from './schema.ts';

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
]);

const NUMBER_AND_UNIT = /^([0-9]{1,15}(?:\.[0-9]{1,6})?)([A-Za-z]+)$/;

function parseWithUnit(text: string, units: ReadonlyMap<string, number>): number | null {
  const match = NUMBER_AND_UNIT.exec(text);
  const factor = match === null ? undefined : units.get(match[2]);
  if (match === null || factor === undefined) return null;
  const value = Number(match[1]) * factor;
  return Number.isSafeInteger(value) ? value : null;
}

/** The largest unit that divides the value, so that what is written can be read back without loss. */
function formatWithUnit(value: number, units: ReadonlyMap<string, number>): string {
  let text = String(value);
  for (const [unit, factor] of units) {
    if (value % factor === 0 && (value !== 0 || factor === 1)) text = `${value / factor}${unit}`;
  }
  return text;
}

/** Milliseconds of `250ms`, `5s`, `1.5m`, `1h`, `1d`; null when the text is not a duration of whole milliseconds. */
export function parseDuration(text: string): number | null {
  return parseWithUnit(text, DURATION_UNITS);
}

/** A duration as it would be written: 90000 is `90s`. */
export function formatDuration(ms: number): string {
  return formatWithUnit(ms, DURATION_UNITS);
}

/** Bytes of `512B`, `16KiB`, `10MiB`, `1GiB`; null when the text is not a size of whole bytes. */
export function parseSize(text: string): number | null {
  return parseWithUnit(text, SIZE_UNITS);
}

/** A size as it would be written: 16384 is `16KiB`. */
export function formatSize(bytes: number): string {
  return formatWithUnit(bytes, SIZE_UNITS);
}

/** So many in each window of time. */
export interface Rate {
  readonly limit: number;
  readonly windowMs: number;
}

/** The rate that `100/1m` means; null when the text is not a rate. The limit is a whole number above 0. */
export function parseRate(text: string): Rate | null {
  const match = /^([0-9]{1,15})\/([^/]+)$/.exec(text);
  if (match === null) return null;
  const limit = Number(match[1]);
  const windowMs = parseDuration(match[2]);
  return limit > 0 && windowMs !== null && windowMs > 0 ? { limit, windowMs } : null;
}

/** A rate as it would be written: `100/1m`. */
export function formatRate({ limit, windowMs }: Rate): string {
  return `${limit}/${formatDuration(windowMs)}`;
}

/** The fraction, 0 to 1, that `50%` or `0.5%` means; null when the text is not a percentage from 0 to 100. */
export function parsePercentage(text: string): number | null {
  const match = /^([0-9]{1,3}(?:\.[0-9]{1,6})?)%$/.exec(text);
  const percent = match === null ? 101 : Number(match[1]);
  return percent <= 100 ? percent / 100 : null;
}

/** A fraction as it would be written: 0.5 is `50%`. */
export function formatPercentage(fraction: number): string {
  return `${Number((fraction * 100).toFixed(6))}%`;
}

interface Bounds {
  /** The smallest value that is accepted, in the unit of the parsed value. Default 0. */
  readonly min?: number;
  /** The largest value that is accepted, in the unit of the parsed value. */
  readonly max?: number;
}

/**
 * The largest duration that a schema accepts unless told otherwise: a year. Longer ones are slips, and those past 24.8
 * days must not reach a timer of the platform anyway (it would fire at once).
 */
const MAX_DURATION_MS = 366 * 86_400_000;

interface QuantityText {
  /** What the reference and editors call it. */
  readonly title: string;
  /** With its article: `a duration such as 250ms, 5s`. */
  readonly kind: string;
  /** For editors: what the text looks like. Text that names a variable (`${env:NAME}`) is accepted there, too. */
  readonly pattern: string;
  readonly parse: (text: string) => number | null;
  readonly format: (value: number) => string;
}

function quantity(
  { title, kind, pattern, parse, format }: QuantityText,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: Bounds,
) {
  return z
    .string({ error: `write ${kind}` })
    .meta({ title, pattern: `${pattern}|\\$\\{` })
    .transform((text, context) => {
      const value = parse(text);
      if (value !== null && value >= min && value <= max) return value;
      const message =
        value === null
          ? `${JSON.stringify(text)} is not ${kind}`
          : value < min
            ? `${text} is too little: write at least ${format(min)}`
            : `${text} is too much: write at most ${format(max)}`;
      context.issues.push({ code: 'custom', message, input: text });
      return z.NEVER;
    });
}

/** A duration in a configuration; parsed to milliseconds. Defaults are written as people do: `.prefault('5s')`. */
export function duration({ min = 0, max = MAX_DURATION_MS }: Bounds = {}) {
  return quantity(
    {
      title: 'duration',
      kind: 'a duration such as 250ms, 5s, 1m, 1h or 1d',
      pattern: '^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$',
      parse: parseDuration,
      format: formatDuration,
    },
    { min, max },
  );
}

/** A size in a configuration; parsed to bytes. Defaults are written as people do: `.prefault('16KiB')`. */
export function size(bounds: Bounds = {}) {
  return quantity(
    {
      title: 'size',
      kind: 'a size such as 512B, 16KiB, 10MiB or 1GiB',
      pattern: '^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB|TiB)$',
      parse: parseSize,
      format: formatSize,
    },
    bounds,
  );
}

/** A percentage in a configuration; parsed to a fraction from 0 to 1. */
export function percentage() {
  return quantity(
    {
      title: 'percentage',
      kind: 'a percentage such as 5% or 100%',
      pattern: '^[0-9]+(\\.[0-9]+)?%$',
      parse: parsePercentage,
      format: formatPercentage,
    },
    {},
  );
}

/** A rate in a configuration; parsed to `{limit, windowMs}`. */
export function rate() {
  return z
    .string({ error: 'write a rate such as 100/1m' })
    .meta({ title: 'rate', pattern: '^[0-9]+/[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$|\\$\\{' })
    .transform((text, context) => {
      const parsed = parseRate(text);
      if (parsed !== null) return parsed;
      context.issues.push({
        code: 'custom',
        message: `${JSON.stringify(text)} is not a rate such as 100/1m`,
        input: text,
      });
      return z.NEVER;
    });
}
