/**
 * Reads the Prometheus text format 0.0.4 and OpenMetrics 1.0 as strictly as their documents allow, and throws at whatever a
 * scraper could stumble over: families that are torn apart, series that come twice, buckets that do not add up.
 */

export interface ParsedFamily {
  readonly type: string;
  readonly help: string;
  readonly unit: string | null;
  /** By name and labels as they stand there, such as `a_total{b="c"}`. */
  readonly samples: ReadonlyMap<string, number>;
}

/** Those of all families. */
export function allSamples(families: ReadonlyMap<string, ParsedFamily>): ReadonlyMap<string, number> {
  const all = new Map<string, number>();
  for (const { samples } of families.values()) for (const [key, value] of samples) all.set(key, value);
  return all;
}

interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

interface OpenFamily {
  readonly name: string;
  readonly help: string;
  type: string | null;
  unit: string | null;
  readonly samples: Sample[];
  readonly byText: Map<string, number>;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"\\}]|"(?:[^"\\\n]|\\["\\n])*")*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/;
const NUMBER = /^(?:[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[+-]Inf|NaN)$/;

const types = {
  prometheus: ['counter', 'gauge', 'histogram'],
  openmetrics: ['counter', 'gauge', 'histogram', 'info'],
} as const;

/** @throws {Error} with the line that is wrong. */
export function parseMetrics(text: string, format: 'prometheus' | 'openmetrics'): ReadonlyMap<string, ParsedFamily> {
  const families = new Map<string, OpenFamily>();
  let current: OpenFamily | null = null;
  const lines = linesOf(text, format);
  for (const line of lines) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${line}`);
    };
    const [, keyword, name, rest] = /^# (HELP|TYPE|UNIT) (\S+) ([^\n]*)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (!NAME.test(name) || families.has(name)) fail('a name that is none, or was there before');
      current = { name, help: unescape(rest, format), type: null, unit: null, samples: [], byText: new Map() };
      families.set(name, current);
    } else if (keyword !== undefined) {
      if (current?.name !== name || current.samples.length > 0) fail('not in front of the samples of its family');
      note(current!, keyword, rest, format, fail);
    } else {
      if (current === null || current.type === null) fail('a sample without a type');
      const sample = readSample(line, fail);
      if (current!.byText.has(textOf(sample))) fail('a series that was there before');
      current!.byText.set(textOf(sample), sample.value);
      current!.samples.push(sample);
    }
  }
  for (const family of families.values()) check(family, format);
  return new Map(
    Array.from(families, ([name, { type, help, unit, byText }]) => [
      name,
      { type: type!, help, unit, samples: byText },
    ]),
  );
}

function linesOf(text: string, format: string): readonly string[] {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const lines = text.slice(0, -1).split('\n');
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('there is no # EOF at the end');
  return lines;
}

function note(family: OpenFamily, keyword: string, rest: string, format: keyof typeof types, fail: Fail): void {
  if (keyword === 'UNIT') {
    if (format !== 'openmetrics' || family.unit !== null || !family.name.endsWith(`_${rest}`)) fail('not the unit');
    family.unit = rest;
  } else {
    if (family.type !== null || !(types[format] as readonly string[]).includes(rest)) fail('no type');
    family.type = rest;
  }
}

type Fail = (why: string) => never;

function readSample(line: string, fail: Fail): Sample {
  const [, name, inside = '', value] = SAMPLE.exec(line) ?? fail('no sample');
  if (!NUMBER.test(value)) fail('no number');
  const labels = new Map<string, string>();
  for (let rest = inside; rest !== '';) {
    const [whole, label, text, end] = LABEL.exec(rest) ?? fail('no labels');
    if (labels.has(label) || (end === ',' && whole.length === rest.length)) fail('a label too much');
    labels.set(label, text);
    rest = rest.slice(whole.length);
  }
  return { name, labels, value: Number(value.replace('Inf', 'Infinity')) };
}

function textOf({ name, labels }: Sample): string {
  const pairs = Array.from(labels, ([label, value]) => `${label}="${value}"`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`;
}

function unescape(help: string, format: string): string {
  const allowed = format === 'openmetrics' ? /^(?:[^\\"]|\\["\\n])*$/ : /^(?:[^\\]|\\[\\n])*$/;
  if (!allowed.test(help)) throw new Error(`not escaped: ${help}`);
  return help.replaceAll(/\\(.)/g, (_, letter) => (letter === 'n' ? '\n' : (letter as string)));
}

function check(family: OpenFamily, format: string): void {
  const { name, type, samples } = family;
  const suffix = format === 'openmetrics' ? { counter: '_total', info: '_info' }[type!] : undefined;
  if (type === null) throw new Error(`${name} has no type`);
  if (type === 'histogram') {
    checkHistogram(family, format);
    return;
  }
  for (const sample of samples) {
    if (sample.name !== name + (suffix ?? '')) throw new Error(`${sample.name} is no sample of ${name}`);
    if (sample.labels.has('le')) throw new Error(`${name} has no buckets`);
    if (type === 'counter' && !(sample.value >= 0)) throw new Error(`${textOf(sample)} is below 0`);
    if (type === 'info' && sample.value !== 1) throw new Error(`${textOf(sample)} is not 1`);
  }
  if (type === 'counter' && format === 'prometheus' && !name.endsWith('_total')) throw new Error(`${name} is no total`);
}

/** The buckets of a series stand together, in ascending order, and are followed by its sum and its count. */
function checkHistogram({ name, samples }: OpenFamily, format: string): void {
  let before: { readonly bound: number; readonly count: number } | null = null;
  let labelsBefore = '';
  let expected: 'bucket' | 'sum' | 'count' = 'bucket';
  for (const sample of samples) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${textOf(sample)} ${sample.value}`);
    };
    if (sample.name !== `${name}_${expected}`) fail(`not the ${expected}`);
    const { le, ...labels } = Object.fromEntries(sample.labels);
    const others = JSON.stringify(labels);
    if (before !== null && others !== labelsBefore) fail('another series');
    labelsBefore = others;
    if (expected === 'bucket') {
      if (format === 'openmetrics' && !/^(?:\d+\.\d+|\+Inf)$/.test(le)) fail('no canonical bound');
      const bound = le === '+Inf' ? Infinity : Number(le);
      if (before !== null && !(bound > before.bound && sample.value >= before.count)) fail('not ascending');
      before = { bound, count: sample.value };
      if (bound === Infinity) expected = 'sum';
    } else if (le !== undefined) {
      fail('a bound of no bucket');
    } else if (expected === 'sum') {
      expected = 'count';
    } else {
      if (sample.value !== before?.count) fail('not the count of its buckets');
      before = null;
      expected = 'bucket';
    }
  }
  if (before !== null) throw new Error(`the last series of ${name} has no end`);
}
