/** What all threads have counted, those included that have ended. */
import { type MergedSeries, MetricMerge } from '../../util/metric-merge.ts';
import { type MetricFamily, MetricSlab } from '../../util/metric-slab.ts';
import { recordedFamilies } from './recorded-families.ts';
import { type ConfiguredNames, goneForMs, isConfigured } from './thread-metrics.ts';

/** What there is at one moment. */
export interface CountedMetrics {
  readonly series: readonly MergedSeries[];
  /** How many series may be told apart. */
  readonly maxSeries: number;
  /** Series that found no room and are part of `other`: each once for every thread that met it. */
  readonly droppedSeries: number;
}

/**
 * Threads give up what is gone by themselves (`ThreadMetrics.tidy`). Here that is seen to for threads that have ended, as far as
 * names of routes and upstreams tell, and that series of which one thread has given up its part are not in anybody's way.
 */
export class CountedSeries {
  private readonly merge = new MetricMerge([], 0);
  private names: ConfiguredNames | null = null;
  /** Routes and upstreams that are gone and have series, and when such were first read. */
  private gone = new Map<string, number>();

  /** @param memory what a thread counts in: see `ThreadMetrics`. */
  add(memory: SharedArrayBuffer): void {
    this.merge.add(MetricSlab.attach(memory, recordedFamilies));
  }

  /** Another configuration serves. */
  begin(names: ConfiguredNames): void {
    this.names = names;
  }

  /** @param now monotonic milliseconds. */
  read(maxSeries: number, now: number): CountedMetrics {
    this.merge.maxSeries = maxSeries;
    const { names, gone } = this;
    this.merge.forget((family, labels) => {
      const since = gone.get(nameOf(family, labels)) ?? now;
      return now - since >= goneForMs && names !== null && !isConfigured(family, labels, names);
    });
    const series = this.merge.merge();
    this.noteGone(series, now);
    return { series, maxSeries, droppedSeries: this.merge.droppedSeries };
  }

  private noteGone(series: readonly MergedSeries[], now: number): void {
    const { names, gone: before } = this;
    this.gone = new Map();
    if (names === null) return;
    for (const { family, labels } of series) {
      if (isConfigured(family, labels, names)) continue;
      const name = nameOf(family, labels);
      this.gone.set(name, before.get(name) ?? now);
    }
  }
}

/** Of a route or an upstream. */
function nameOf({ labels: [kind] }: MetricFamily, [name]: readonly string[]): string {
  return `${kind} ${name}`;
}
