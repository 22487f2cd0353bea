/** Which format a scraper gets that sent this `Accept` (RFC 9110, section 12.5.1). */
import type { MetricsFormat } from './exposition.ts';

interface Range {
  readonly type: string;
  readonly version: string;
  readonly weight: number;
}

/** More ranges than any scraper sends. */
const maxRanges = 32;

/** What a scraper that asks for another version can read is not known here. */
const openVersions: ReadonlySet<string> = new Set(['', '1.0.0']);
const plainVersions: ReadonlySet<string> = new Set(['', '0.0.4']);

/**
 * OpenMetrics where it is asked for by name, and not less than the plain format. Whoever accepts neither gets the plain
 * one: it serves such a client better than a refusal.
 */
export function chooseFormat(accept: string): MetricsFormat {
  const ranges = accept.split(',', maxRanges).map(readRange);
  const weightOf = (type: string, versions: ReadonlySet<string>): number =>
    Math.max(0, ...ranges.filter((range) => range.type === type && versions.has(range.version)).map((r) => r.weight));
  const open = weightOf('application/openmetrics-text', openVersions);
  return open > 0 && open >= weightOf('text/plain', plainVersions) ? 'openmetrics' : 'prometheus';
}

function readRange(text: string): Range {
  const [type, ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const valueOf = (name: string): string | undefined =>
    parameters.find((parameter) => parameter.startsWith(`${name}=`))?.slice(name.length + 1);
  const weight = valueOf('q');
  return {
    type,
    version: (valueOf('version') ?? '').replace(/^"(.*)"$/, '$1'),
    // A malformed weight says nothing that could be relied on.
    weight:
      weight === undefined ? 1 : /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?|\.\d{1,3})$/.test(weight) ? Number(weight) : 0,
  };
}
