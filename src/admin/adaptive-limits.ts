/** Limits of concurrency that adapt themselves, as a scraper is told of them. */
import type { ControlFacts } from '../gateway/status-families.ts';
import type { ControlPlane } from './control-plane.ts';
import { limitIndexOf } from './limit-index.ts';

/**
 * The first by name, a tenth as many as there may be series: a configuration can have such a limit for every route, and
 * whoever has that many routes looks at one of them at a time. The admin API has all of them.
 */
const shareOfSeries = 0.1;

export function adaptiveLimitsOf({
  config,
  limits,
}: Pick<ControlPlane, 'config' | 'limits'>): ControlFacts['adaptiveLimits'] {
  const most = Math.ceil(config.telemetry.metrics.maxSeries * shareOfSeries);
  const adaptive = limitIndexOf(config).limits.filter(({ permits }) => permits !== null && permits.adaptive !== null);
  return adaptive.slice(0, most).map(({ kind, scope, identity, permits }) => ({
    // What such a policy without a name calls itself where it counts its decisions is what kind it is.
    policy: scope[0] === 'named' ? scope[1] : kind,
    route: scope[0] === 'route' ? scope[1] : '',
    limit: limits.adaptedLimit(identity, permits!.adaptive!),
  }));
}
