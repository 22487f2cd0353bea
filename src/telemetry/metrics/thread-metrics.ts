/** What one thread counts. To record is to find a number in a small map and to add to elements of an array. */
import {
  type Counter,
  type PolicyCounterLabels,
  type PolicyCounterName,
  policyCounters,
} from '../../contract/metrics.ts';
import { MetricSlab } from '../../util/metric-slab.ts';
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

export class ThreadMetrics {
  readonly memory: SharedArrayBuffer;
  private readonly slab: MetricSlab;
  private readonly routes = new Map<string, RouteSeries>();
  private readonly upstreams = new Map<string, number>();

  /** Memory for a thread: it counts there, and others read it. */
  static create(): SharedArrayBuffer {
    return MetricSlab.create({ families: recordedFamilies, maxSeries: mostSeries });
  }

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.slab = MetricSlab.attach(memory, recordedFamilies);
  }

  /** Another configuration serves. Series stay what they are; only those of names that are gone are let go here. */
  begin(maxSeries: number): void {
    this.slab.limit = maxSeries;
    this.routes.clear();
    this.upstreams.clear();
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
    return new SlabCounter(this.slab, family, values);
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
  private readonly slab: MetricSlab;
  private readonly family: number;
  private readonly labels: readonly string[];
  private series = -1;

  constructor(slab: MetricSlab, family: number, labels: readonly string[]) {
    this.slab = slab;
    this.family = family;
    this.labels = labels;
  }

  add(amount = 1): void {
    if (this.series === -1) this.series = this.slab.series(this.family, this.labels);
    this.slab.add(this.series, amount);
  }
}

/** What a module without types gives may be anything. */
function labelValue(value: unknown): string {
  return String(value).slice(0, maxLabelLength).toWellFormed();
}
