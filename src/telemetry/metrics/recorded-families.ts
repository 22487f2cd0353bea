/** The metrics that serving threads record, each in a slab of its own. */
import { policyCounters } from '../../contract/metrics.ts';
import type { MetricFamily } from '../../util/metric-slab.ts';

/** With what a scrape says of it. */
export interface RecordedFamily extends MetricFamily {
  readonly help: string;
}

/** Upper bounds in seconds, from what a cache or a reply of the gateway's own takes to the usual time-outs. */
const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

/** A family is one entry here, or in `policyCounters` where policies record it. A slab knows them by their order. */
export const recordedFamilies: readonly RecordedFamily[] = [
  {
    name: 'gatewright_requests_total',
    labels: ['route', 'method', 'status'],
    // Of these a client can make some dozens for each route.
    share: 0.75,
    help: 'Requests that have ended, with the status that the client got or would have got.',
  },
  {
    name: 'gatewright_request_duration_seconds',
    labels: ['route'],
    bounds: seconds,
    help: 'From the head of a request to the end of its response. Requests that became tunnels are left out.',
  },
  {
    name: 'gatewright_upstream_duration_seconds',
    labels: ['upstream'],
    bounds: seconds,
    help: 'From the last attempt to send a request to an upstream to the head of the response.',
  },
  ...Object.entries(policyCounters).map(([name, { labels, help }]) => ({ name, labels: ['route', ...labels], help })),
];

/** @throws when there is no such family. */
export function familyIndex(name: string): number {
  const index = recordedFamilies.findIndex((family) => family.name === name);
  if (index === -1) throw new TypeError(`there are no metrics ${JSON.stringify(name)}`);
  return index;
}
