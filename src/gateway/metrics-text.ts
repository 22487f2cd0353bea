/** All metrics of a gateway, as a scraper reads them. */
import { type ExposedFamily, type MetricsFormat, type Sample, writeMetrics } from '../telemetry/metrics/exposition.ts';
import { type RecordedFamily, recordedFamilies } from '../telemetry/metrics/recorded-families.ts';
import type { MergedSeries } from '../util/metric-merge.ts';
import type { GatewayCounts, GatewayStatus } from './gateway.ts';
import { type ControlFacts, type ProcessFacts, statusFamilies } from './status-families.ts';

export interface MetricsReading {
  readonly status: GatewayStatus;
  readonly counts: GatewayCounts;
  /** See `MetricsSource.control`. */
  readonly control: ControlFacts | null;
}

export function metricsText(reading: MetricsReading, format: MetricsFormat): string {
  const source = { ...reading, process: processFacts() };
  return writeMetrics(
    [
      ...recorded(reading.counts.series),
      ...statusFamilies.map((family) => Object.assign({}, family, { samples: family.read(source) })),
    ],
    format,
  );
}

function recorded(series: readonly MergedSeries[]): ExposedFamily[] {
  const samples = new Map<string, Sample[]>(recordedFamilies.map(({ name }) => [name, []]));
  for (const one of series) samples.get(one.family.name)?.push(one);
  return recordedFamilies.map((family) => {
    // What a family falls back on is there before it is needed.
    const used = samples.get(family.name)!.filter((sample) => !isUnused(sample));
    return Object.assign({}, family, { type: typeOf(family), samples: used });
  });
}

export function typeOf({ bounds }: RecordedFamily): 'histogram' | 'counter' {
  return bounds === undefined ? 'counter' : 'histogram';
}

function isUnused({ labels, value, buckets = [] }: Sample): boolean {
  return value === 0 && labels.every((label) => label === 'other') && buckets.every((count) => count === 0);
}

function processFacts(): ProcessFacts {
  const { user, system } = process.cpuUsage();
  return {
    cpuSeconds: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    startSeconds: Math.round(performance.timeOrigin) / 1000,
  };
}
