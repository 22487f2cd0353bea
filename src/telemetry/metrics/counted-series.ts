/** What all threads have counted, those included that have ended. */
import { type MergedSeries, MetricMerge } from '../../util/metric-merge.ts';
import { MetricSlab } from '../../util/metric-slab.ts';
import { recordedFamilies } from './recorded-families.ts';

/** What there is at one moment. */
export interface CountedMetrics {
  readonly series: readonly MergedSeries[];
  /** How many series may be told apart. */
  readonly maxSeries: number;
  /** Series that found no room and are part of `other`: each once for every thread that met it. */
  readonly droppedSeries: number;
}

export class CountedSeries {
  private readonly merge = new MetricMerge([], 0);

  /** @param memory what a thread counts in: see `ThreadMetrics`. */
  add(memory: SharedArrayBuffer): void {
    this.merge.add(MetricSlab.attach(memory, recordedFamilies));
  }

  read(maxSeries: number): CountedMetrics {
    this.merge.maxSeries = maxSeries;
    const series = this.merge.merge();
    return { series, maxSeries, droppedSeries: this.merge.droppedSeries };
  }
}
