/**
 * The metrics of all threads as one: the sums of their slabs, series by series. For the thread that answers a scrape.
 *
 * Threads number their series for themselves, so series are brought together by family and labels. The merged ones have a
 * cap of their own: whichever came first stays, and a series that found no room is part of its family's `other` in every
 * merge from its first on, so that no series ever goes back or moves.
 *
 * A series can leave, as a whole: when a thread has given up its place, or when `forget` says so. What other threads have
 * of it is not shown any longer either, and never again: should it come back, it begins at 0, so that whoever takes a counter that
 * goes back for one that has begun anew (as Prometheus does) counts nothing twice.
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

interface Known {
  readonly key: string;
  readonly family: MetricFamily;
  readonly labels: readonly string[];
  readonly totals: Float64Array;
  /** What is not in a slab any longer. */
  readonly kept: Float64Array;
}

/** A place in a slab. */
interface Place {
  /** Whose it is: see `MetricSlab.generationOf`. */
  readonly generation: number;
  /** Which series it is part of; null for none. */
  known: Known | null;
  /** What is in it that is not shown. */
  hidden: Float64Array | null;
  /** What it had when it was read last; only of one that is part of an `other` for want of room, which never goes back. */
  last: Float64Array | null;
}

export class MetricMerge {
  /** How many series to tell apart; those that are some family's `other` may come on top. What was told apart stays so. */
  maxSeries: number;
  private readonly slabs: MetricSlab[] = [];
  private readonly known = new Map<string, Known>();
  /** For each slab, its places by their numbers. */
  private readonly placesOf: Place[][] = [];
  private dropped = 0;

  /** @param maxSeries see there. */
  constructor(slabs: readonly MetricSlab[], maxSeries: number) {
    this.maxSeries = maxSeries;
    for (const slab of slabs) this.add(slab);
  }

  /** One more thread. It is never taken out again: what the thread has counted stays when it ends. */
  add(slab: MetricSlab): void {
    this.slabs.push(slab);
    this.placesOf.push([]);
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
    // What has left makes room for what has come.
    for (const [i, slab] of this.slabs.entries()) this.noteGivenUp(slab, this.placesOf[i]);
    for (const [i, slab] of this.slabs.entries()) this.learn(slab, this.placesOf[i]);
    for (const { totals, kept } of this.known.values()) totals.set(kept);
    for (const [i, slab] of this.slabs.entries()) {
      for (const [series, place] of this.placesOf[i].entries()) addPlace(slab, series, place);
    }
    return Array.from(this.known.values(), ({ family, labels, totals }) => ({
      family,
      labels,
      value: totals[0],
      buckets: Array.from(totals.subarray(1)),
    }));
  }

  /** Does not show these series any longer, as long as nobody counts in them; but for a family's `other`. */
  forget(isGone: (family: MetricFamily, labels: readonly string[]) => boolean): void {
    for (const one of this.known.values()) {
      if (!isOther(one.labels) && isGone(one.family, one.labels)) this.hide(one);
    }
  }

  private hide(known: Known): void {
    this.known.delete(known.key);
    for (const [i, slab] of this.slabs.entries()) {
      for (const [series, place] of this.placesOf[i].entries()) {
        if (place.known !== known) continue;
        place.known = null;
        place.hidden = new Float64Array(known.totals.length);
        slab.addTo(series, place.hidden);
      }
    }
  }

  private noteGivenUp(slab: MetricSlab, places: readonly Place[]): void {
    for (const [series, { generation, known, last }] of places.entries()) {
      if (known === null || slab.generationOf(series) === generation) continue;
      if (last === null) this.hide(known);
      else addTo(known.kept, last);
    }
  }

  /** Finds out what each place of a slab is that has come since the last time, or is another's, or is used again. */
  private learn(slab: MetricSlab, places: Place[]): void {
    const { seriesCount } = slab;
    for (let series = 0; series < seriesCount; series++) {
      const generation = slab.generationOf(series);
      const place = series < places.length ? places[series] : null;
      if (place === null || place.generation !== generation) {
        places[series] = { generation, known: null, hidden: null, last: null };
        if (generation % 2 === 0) this.show(slab, series, places[series]);
      } else if (place.hidden !== null && place.known === null && isUsed(slab, series, place.hidden)) {
        this.show(slab, series, place);
      }
    }
  }

  private show(slab: MetricSlab, series: number, place: Place): void {
    const { family, labels } = slab.describe(series);
    const known = this.knownFor(family, labels);
    place.known = known;
    if (isOther(known.labels) && !isOther(labels)) place.last = new Float64Array(known.totals.length);
  }

  private knownFor(family: MetricFamily, labels: readonly string[]): Known {
    const key = JSON.stringify([family.name, ...labels]);
    const known = this.known.get(key);
    if (known !== undefined) return known;
    // Every slab has the `other` of a family before its first other series, so there are at most as many as families.
    if (!isOther(labels) && this.known.size >= this.maxSeries * (family.share ?? 1)) {
      this.dropped++;
      return this.knownFor(
        family,
        labels.map(() => 'other'),
      );
    }
    const width = family.bounds === undefined ? 1 : family.bounds.length + 2;
    const made = { key, family, labels, totals: new Float64Array(width), kept: new Float64Array(width) };
    this.known.set(key, made);
    return made;
  }
}

function isOther(labels: readonly string[]): boolean {
  return labels.every((label) => label === 'other');
}

function addPlace(slab: MetricSlab, series: number, { known, hidden, last }: Place): void {
  if (known === null) return;
  slab.addTo(series, known.totals);
  if (hidden !== null) for (const [i, value] of hidden.entries()) known.totals[i] -= value;
  if (last === null) return;
  last.fill(0);
  slab.addTo(series, last);
  if (hidden !== null) for (const [i, value] of hidden.entries()) last[i] -= value;
}

function isUsed(slab: MetricSlab, series: number, hidden: Float64Array): boolean {
  const now = new Float64Array(hidden.length);
  slab.addTo(series, now);
  return now.some((value, i) => value !== hidden[i]);
}

function addTo(totals: Float64Array, values: Float64Array): void {
  for (const [i, value] of values.entries()) totals[i] += value;
}
