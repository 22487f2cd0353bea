/**
 * The metrics of all threads as one: the sums of their slabs, series by series. For the thread that answers a scrape.
 *
 * Threads number their series for themselves, so series are brought together by family and labels. The merged ones have a
 * cap of their own: whichever came first stays, and a series that found no room is part of its family's `other` in every
 * merge from its first on, so that no series ever goes back or moves.
 */
import type { MetricFamily, MetricSlab } from './metric-slab.ts';

export interface MergedSeries {
  readonly family: MetricFamily;
  readonly labels: readonly string[];
  /** The value of a counter; the sum of a histogram's values. */
  readonly value: number;
  /**
   * Of a histogram: how many values were in each bucket and in none before; one more bucket than there are bounds. Empty
   * for a counter.
   */
  readonly buckets: readonly number[];
}

export class MetricMerge {
  /** How many series to tell apart; those that are some family's `other` may come on top. What was told apart stays so. */
  maxSeries: number;
  private readonly slabs: MetricSlab[] = [];
  private readonly known = new Map<string, { family: MetricFamily; labels: readonly string[]; totals: Float64Array }>();
  /** For each slab, the totals that each of its series is added to. */
  private readonly totalsOf: Float64Array[][] = [];
  private dropped = 0;

  /** @param maxSeries see there. */
  constructor(slabs: readonly MetricSlab[], maxSeries: number) {
    this.maxSeries = maxSeries;
    for (const slab of slabs) this.add(slab);
  }

  /** One more thread. It is never taken out again: what the thread has counted stays when it ends. */
  add(slab: MetricSlab): void {
    this.slabs.push(slab);
    this.totalsOf.push([]);
  }

  /** Series that are told apart, each `other` included. */
  get seriesCount(): number {
    return this.known.size;
  }

  /** Series that are part of `other`: each once for every thread that met it. */
  get droppedSeries(): number {
    return this.slabs.reduce((sum, slab) => sum + slab.droppedSeries, this.dropped);
  }

  /** All series there are, with the sums of now. */
  merge(): MergedSeries[] {
    for (const [i, slab] of this.slabs.entries()) this.learn(slab, this.totalsOf[i]);
    for (const { totals } of this.known.values()) totals.fill(0);
    for (const [i, slab] of this.slabs.entries()) {
      for (const [series, totals] of this.totalsOf[i].entries()) slab.addTo(series, totals);
    }
    return Array.from(this.known.values(), ({ family, labels, totals }) => ({
      family,
      labels,
      value: totals[0],
      buckets: Array.from(totals.subarray(1)),
    }));
  }

  /** Finds a place for each series of a slab that has come since the last time. */
  private learn(slab: MetricSlab, places: Float64Array[]): void {
    const { seriesCount } = slab;
    for (let series = places.length; series < seriesCount; series++) {
      const { family, labels } = slab.describe(series);
      places.push(this.placeFor(family, labels));
    }
  }

  private placeFor(family: MetricFamily, labels: readonly string[]): Float64Array {
    const key = JSON.stringify([family.name, ...labels]);
    const known = this.known.get(key);
    if (known !== undefined) return known.totals;
    // Every slab has the `other` of a family before its first other series, so there are at most as many as families.
    const isOther = labels.every((label) => label === 'other');
    if (!isOther && this.known.size >= this.maxSeries * (family.share ?? 1)) {
      this.dropped++;
      return this.placeFor(
        family,
        labels.map(() => 'other'),
      );
    }
    const totals = new Float64Array(family.bounds === undefined ? 1 : family.bounds.length + 2);
    this.known.set(key, { family, labels, totals });
    return totals;
  }
}
