/**
 * The text that scrapers read: the Prometheus text format 0.0.4 and OpenMetrics 1.0. What they have in common is written
 * the same in both, so that a series keeps its name and labels whichever a scraper asks for.
 */

export type MetricsFormat = 'prometheus' | 'openmetrics';

/** One line, or for a histogram as many as it has buckets, and two. */
export interface Sample {
  /** As many as the family has labels. */
  readonly labels: readonly string[];
  /** Of a histogram the sum. */
  readonly value: number;
  /** Of a histogram: how many values were in each bucket and in none before; one more than there are bounds. */
  readonly buckets?: readonly number[];
}

export interface ExposedFamily {
  /** That of its samples: a counter's ends in `_total`, that of an `info` in `_info`. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'info';
  /** One sentence. */
  readonly help: string;
  readonly labels: readonly string[];
  /** Of a histogram. */
  readonly bounds?: readonly number[];
  readonly samples: readonly Sample[];
}

export const metricsMediaTypes: Readonly<Record<MetricsFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4',
  openmetrics: 'application/openmetrics-text; version=1.0.0',
};

export function writeMetrics(families: readonly ExposedFamily[], format: MetricsFormat): string {
  const parts = families.map((family) => headOf(family, format) + linesOf(family));
  return parts.join('') + (format === 'openmetrics' ? '# EOF\n' : '');
}

function headOf({ name, type, help }: ExposedFamily, format: MetricsFormat): string {
  if (format === 'prometheus') {
    return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type === 'info' ? 'gauge' : type}\n`;
  }
  // The suffix is the sample's and not the family's; the unit has to be the end of the family's name.
  const family = name.replace(type === 'counter' ? /_total$/ : type === 'info' ? /_info$/ : /^$/, '');
  const unit = /_(seconds|bytes)$/.exec(family)?.[1];
  const unitLine = unit === undefined ? '' : `# UNIT ${family} ${unit}\n`;
  return `# HELP ${family} ${escapedQuoted(help)}\n# TYPE ${family} ${type}\n${unitLine}`;
}

function linesOf({ name, labels, bounds, samples }: ExposedFamily): string {
  let text = '';
  for (const sample of samples) {
    const pairs = labels.map((label, index) => `${label}="${escapedQuoted(sample.labels[index])}"`);
    if (bounds === undefined) text += `${name}${inBraces(pairs)} ${numberText(sample.value)}\n`;
    else text += histogramLines(name, pairs, bounds, sample);
  }
  return text;
}

function histogramLines(
  name: string,
  pairs: readonly string[],
  bounds: readonly number[],
  { value, buckets = [] }: Sample,
): string {
  let text = '';
  let count = 0;
  for (const [index, inBucket] of buckets.entries()) {
    count += inBucket;
    const bound = index < bounds.length ? boundText(bounds[index]) : '+Inf';
    text += `${name}_bucket${inBraces([...pairs, `le="${bound}"`])} ${count}\n`;
  }
  return `${text}${name}_sum${inBraces(pairs)} ${numberText(value)}\n${name}_count${inBraces(pairs)} ${count}\n`;
}

function inBraces(pairs: readonly string[]): string {
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** A whole number has a fraction here (OpenMetrics 1.0, "Considerations: Canonical Numbers"), which the other format may have. */
function boundText(bound: number): string {
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

function numberText(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}

/** Help, of 0.0.4. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll('\\', String.raw`\\`)
    .replaceAll('\n', String.raw`\n`);
}

/** Label values, and the help of OpenMetrics. */
function escapedQuoted(text: string): string {
  return escaped(text).replaceAll('"', String.raw`\"`);
}
