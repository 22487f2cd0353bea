/** What it costs to count: requests that a limit lets pass, against the same requests on a route without one. */
import { gatewrightArm } from '../arms/gatewright.ts';
import { LOAD_METRICS, runLoad } from './load.ts';
import { smallGet } from './proxying.ts';
import type { Scenario } from './scenario.ts';

/** The row without a limit. */
export const UNLIMITED_ARM = 'unlimited';
export const ONE_LIMIT_ARM = 'one-limit';
export const THREE_LIMITS_ARM = 'three-limits';

/** More than come, so that each request is decided, charged and told about, and none refused. */
const wide = '1000000/1s';

export const rateLimit: Scenario = {
  name: 'rate-limit',
  title: 'Rate limits in memory',
  method:
    'As the bare scenario, with one limit by the address of the client, and with three: by address, by route and for the ' +
    'whole gateway. All clients have one address, so that all threads charge the same key. Nothing is refused.',
  metrics: LOAD_METRICS,
  reference: UNLIMITED_ARM,
  arms: ['gatewright'],
  rounds: 9,
  seconds: 2,
  run(bench, arms) {
    if (!arms.some((arm) => arm.name === 'gatewright')) return Promise.resolve([]);
    const policies = ['ip', 'route', 'global'].map((by) => `{rateLimit: {rate: ${wide}, by: ${by}, name: by-${by}}}`);
    const arm = (name: string, title: string, count: number) => ({
      arm: gatewrightArm(name, title, count === 0 ? {} : { policies: `[${policies.slice(0, count).join(', ')}]` }),
      plan: smallGet,
    });
    return runLoad(bench, [
      arm(UNLIMITED_ARM, 'Gatewright without a limit', 0),
      arm(ONE_LIMIT_ARM, 'Gatewright, one limit', 1),
      arm(THREE_LIMITS_ARM, 'Gatewright, three limits', 3),
    ]);
  },
};
