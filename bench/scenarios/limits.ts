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
const wide = '5000000/1s';

export const rateLimit: Scenario = {
  name: 'rate-limit',
  title: 'Rate limits in memory',
  method:
    'As the bare scenario, with one limit by the address of the client, and with three: by address, by route and for the ' +
    'whole gateway. All clients have one address, so that all threads charge the same key. Nothing is refused.',
  metrics: LOAD_METRICS,
  reference: UNLIMITED_ARM,
  arms: ['gatewright'],
  rounds: 5,
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

/** Rows whose limit is counted in a store that other machines could have as well. */
export const REDIS_EXACT_ARM = 'redis-exact';
export const REDIS_LEASE_ARM = 'redis-lease';

/** Far longer than a store may usually take: it has the core of the load to itself as little as wrk has. */
const storeTimeout = '2s';

export const sharedLimit: Scenario = {
  name: 'shared-limit',
  title: 'Rate limits in Redis',
  method:
    'As the scenario before, with one limit that is counted in a redis-server on the core of the load: each request decided there ' +
    '(`exact`), and leased from there (`lease`). The processor time is that of the gateway alone.',
  metrics: LOAD_METRICS,
  reference: UNLIMITED_ARM,
  arms: ['gatewright'],
  rounds: 5,
  seconds: 2,
  async run(bench, arms) {
    if (!arms.some((arm) => arm.name === 'gatewright')) return [];
    const port = await bench.lab.freePort();
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const redis = bench.lab.startLoad('redis', { command: 'redis-server', args });
    const sections = `stores: {shared: {type: redis, url: "redis://127.0.0.1:${port}", timeout: ${storeTimeout}}}`;
    const arm = (name: string, title: string, mode: string | null) => ({
      arm: gatewrightArm(
        name,
        title,
        mode === null
          ? {}
          : {
              sections,
              policies: `[{rateLimit: {rate: ${wide}, by: ip, store: shared, mode: ${mode}, onStoreFailure: closed}}]`,
            },
      ),
      plan: smallGet,
    });
    try {
      return await runLoad(bench, [
        arm(UNLIMITED_ARM, 'Gatewright without a limit', null),
        arm(REDIS_EXACT_ARM, 'Gatewright, one limit in Redis', 'exact'),
        arm(REDIS_LEASE_ARM, 'Gatewright, one limit leased from Redis', 'lease'),
      ]);
    } finally {
      await bench.lab.stop(redis);
    }
  },
};
