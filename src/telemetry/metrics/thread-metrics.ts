/** What one thread counts. To record is to find a number in a small map and to add to elements of an array. */
import {
  type Counter,
  type PolicyCounterLabels,
  type PolicyCounterName,
  policyCounters,
} from '../../contract/metrics.ts';
import { type MetricFamily, MetricSlab } from '../../util/metric-slab.ts';
import { familyIndex, recordedFamilies } from './recorded-families.ts';

/** The largest `telemetry.metrics.maxSeries`. Memory that no series has come to was never touched, and costs nothing. */
export const mostSeries = 10_000;
/** Names of the configuration are no longer; those of policies of the user may be. */
const maxLabelLength = 128;

/** All that is told apart; a client may write anything as a method. */
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const;
const methodIndices: ReadonlyMap<string, number> = new Map(methods.map((method, index) => [method, index]));
const otherMethod = methods.length - 1;
const leastStatus = 100;
const mostStatus = 599;
const SWITCHING_PROTOCOLS = 101;
/** Requests that no route has matched have one in name only. */
const noRoute = 'notFound';

/** The series of one route. */
class RouteSeries {
  readonly durations: number;
  /** By status and method. */
  readonly requests = new Map<number, number>();

  constructor(durations: number) {
    this.durations = durations;
  }
}

const requestsFamily = familyIndex('gatewright_requests_total');
const durationsFamily = familyIndex('gatewright_request_duration_seconds');
const upstreamsFamily = familyIndex('gatewright_upstream_duration_seconds');

/** What a configuration has series for. */
export interface ConfiguredNames {
  readonly routes: { has(name: string): boolean };
  readonly upstreams: { has(name: string): boolean };
}

/** Series of what is gone are there for so long yet, so that whoever scrapes gets what they were in the end. */
export const goneForMs = 300_000;

const nothing: ReadonlySet<string> = new Set();

export class ThreadMetrics {
  readonly memory: SharedArrayBuffer;
  private readonly slab: MetricSlab;
  private readonly routes = new Map<string, RouteSeries>();
  private readonly upstreams = new Map<string, number>();
  private names: ConfiguredNames = { routes: nothing, upstreams: nothing };
  /** Counters of the policies that serve, and of those that are being made ready. */
  private counters: SlabCounter[] = [];
  private prepared: SlabCounter[] | null = null;
  /** Series of what is gone, and since when that is known. */
  private readonly gone = new Map<number, number>();
  private isTidy = true;

  /** Memory for a thread: it counts there, and others read it. */
  static create(): SharedArrayBuffer {
    return MetricSlab.create({ families: recordedFamilies, maxSeries: mostSeries });
  }

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.slab = MetricSlab.attach(memory, recordedFamilies);
  }

  /** Another configuration is made ready: counters are those of its policies, until `begin` or `abandon`. */
  prepare(): void {
    this.prepared = [];
  }

  /** What was made ready is not going to serve. */
  abandon(): void {
    this.prepared = null;
  }

  /** What was made ready serves. Series stay what they are for now: see `tidy`. */
  begin(maxSeries: number, names: ConfiguredNames): void {
    this.slab.limit = maxSeries;
    this.names = names;
    this.counters = this.prepared ?? [];
    this.prepared = null;
    this.isTidy = false;
    this.forgetNumbers();
  }

  /**
   * Gives up series of routes, upstreams and policies that have been gone for a while. To be called every minute or so.
   * @param now monotonic milliseconds.
   */
  tidy(now: number): void {
    const { slab, gone } = this;
    slab.settle();
    if (this.isTidy) return;
    const found = this.findGone();
    for (const series of gone.keys()) if (!found.has(series)) gone.delete(series);
    for (const series of found) if (!gone.has(series)) gone.set(series, now);
    const over = Array.from(gone).flatMap(([series, since]) => (now - since >= goneForMs ? [series] : []));
    for (const series of over) gone.delete(series);
    this.isTidy = gone.size === 0;
    if (over.length === 0) return;
    slab.giveUp(over);
    this.forgetNumbers();
  }

  private forgetNumbers(): void {
    this.routes.clear();
    this.upstreams.clear();
  }

  private findGone(): ReadonlySet<number> {
    const gone = new Set<number>();
    /** Those of policies, by their routes. */
    const ofPolicies = new Map<string, { readonly series: number; readonly text: string }[]>();
    for (const series of this.slab.numbersInUse()) {
      const { family, labels } = this.slab.describe(series);
      if (isConfigured(family, labels, this.names)) {
        if (!Object.hasOwn(policyCounters, family.name) || isOther(labels)) continue;
        const [route] = labels;
        if (!ofPolicies.has(route)) ofPolicies.set(route, []);
        ofPolicies.get(route)!.push({ series, text: textOf(family.name, labels) });
      }
      gone.add(series);
    }
    for (const { family, labels } of this.counters) {
      const candidates = ofPolicies.get(labels[0]);
      if (candidates === undefined) continue;
      const text = textOf(recordedFamilies[family].name, labels);
      for (const candidate of candidates) if (candidate.text === text) gone.delete(candidate.series);
    }
    return gone;
  }

  /**
   * An exchange has ended.
   * @param route empty for none.
   * @param method as the client has written it.
   */
  ended(route: string, method: string, status: number, durationMs: number): void {
    const { slab } = this;
    const series = this.routes.get(route) ?? this.routeSeries(route);
    const methodIndex = methodIndices.get(method) ?? otherMethod;
    const key = status * methods.length + methodIndex;
    slab.add(series.requests.get(key) ?? this.requestSeries(route, series, key, status, methodIndex), 1);
    // How long a tunnel is open says nothing of how long anybody has waited.
    if (status !== SWITCHING_PROTOCOLS) slab.observe(series.durations, durationMs / 1000);
  }

  /** An upstream has answered. */
  answered(upstream: string, durationMs: number): void {
    this.slab.observe(this.upstreams.get(upstream) ?? this.upstreamSeries(upstream), durationMs / 1000);
  }

  /** A counter of a policy. It becomes a series once something is counted: what never happens takes nobody's room. */
  counter<Name extends PolicyCounterName>(route: string, name: Name, labels: PolicyCounterLabels<Name>): Counter {
    const family = familyIndex(name);
    const given: Readonly<Record<string, string>> = labels;
    const values = [route, ...policyCounters[name].labels.map((label) => labelValue(given[label]))];
    const counter = new SlabCounter(this.slab, family, values);
    (this.prepared ?? this.counters).push(counter);
    return counter;
  }

  private routeSeries(route: string): RouteSeries {
    const series = new RouteSeries(this.slab.series(durationsFamily, [route === '' ? noRoute : route]));
    this.routes.set(route, series);
    return series;
  }

  private requestSeries(route: string, known: RouteSeries, key: number, status: number, methodIndex: number): number {
    const shown = status >= leastStatus && status <= mostStatus ? String(status) : 'other';
    const series = this.slab.series(requestsFamily, [route === '' ? noRoute : route, methods[methodIndex], shown]);
    known.requests.set(key, series);
    return series;
  }

  private upstreamSeries(upstream: string): number {
    const series = this.slab.series(upstreamsFamily, [upstream]);
    this.upstreams.set(upstream, series);
    return series;
  }
}

class SlabCounter implements Counter {
  readonly family: number;
  readonly labels: readonly string[];
  private readonly slab: MetricSlab;
  private series = -1;
  private epoch = 0;

  constructor(slab: MetricSlab, family: number, labels: readonly string[]) {
    this.slab = slab;
    this.family = family;
    this.labels = labels;
  }

  add(amount = 1): void {
    if (this.series === -1 || this.epoch !== this.slab.epoch) this.find();
    this.slab.add(this.series, amount);
  }

  private find(): void {
    this.series = this.slab.series(this.family, this.labels);
    this.epoch = this.slab.epoch;
  }
}

/** Whether there is something in the configuration that may count in a series. Of policies only their routes are looked at. */
export function isConfigured(family: MetricFamily, labels: readonly string[], names: ConfiguredNames): boolean {
  if (isOther(labels)) return true;
  const [name] = labels;
  return family.labels[0] === 'upstream' ? names.upstreams.has(name) : name === noRoute || names.routes.has(name);
}

const isOther = (labels: readonly string[]): boolean => labels.every((label) => label === 'other');

const textOf = (name: string, labels: readonly string[]): string => JSON.stringify([name, ...labels]);

/** What a module without types gives may be anything. */
function labelValue(value: unknown): string {
  return String(value).slice(0, maxLabelLength).toWellFormed();
}
