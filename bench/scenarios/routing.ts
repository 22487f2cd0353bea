/** The scenarios about the number of routes. */
import type { Arm } from '../arms/arm.ts';
import { SMALL_JSON } from '../upstream.ts';
import { LOAD_METRICS, runLoad, type Entry, type LoadPlan } from './load.ts';
import type { Scenario } from './scenario.ts';

const CONNECTIONS = 64;
const FEW_ROUTES = 10;
const MANY_ROUTES = 100_000;

/** The name of the row with few routes, which the row with many is compared to. */
export const FEW_ROUTES_ARM = `gatewright-${FEW_ROUTES}-routes`;
export const MANY_ROUTES_ARM = `gatewright-${MANY_ROUTES}-routes`;

export const routes1000: Scenario = {
  name: 'routes',
  title: '1,000 routes',
  method:
    'As the bare scenario, with 1,000 prefix routes that are asked for in turn, shuffled, each as often as the others.',
  metrics: LOAD_METRICS,
  reference: 'nginx',
  arms: ['gatewright', 'nginx', 'haproxy', 'caddy', 'fastify'],
  rounds: 3,
  seconds: 2,
  run: (bench, arms) =>
    runLoad(
      bench,
      withRoutes(arms).map((arm) => ({ arm, plan: planFor(1000) })),
    ),
};

export const routes100000: Scenario = {
  name: 'routes-100k',
  title: '100,000 routes against 10',
  method:
    'As the scenario above. With 100,000 routes the load walks over all of them, so no cache of recent ones can help.',
  metrics: LOAD_METRICS,
  reference: FEW_ROUTES_ARM,
  arms: ['gatewright'],
  rounds: 5,
  seconds: 2,
  run(bench, arms) {
    // Ours alone: some of the others would need minutes to load so many.
    const own = arms.filter(({ name }) => name === 'gatewright');
    const entries = own.flatMap((arm): Entry[] =>
      [FEW_ROUTES, MANY_ROUTES].map((count) => ({
        arm,
        name: `${arm.name}-${count}-routes`,
        title: `${arm.title}, ${count.toLocaleString('en')} routes`,
        plan: planFor(count),
      })),
    );
    return runLoad(bench, entries);
  },
};

function withRoutes(arms: readonly Arm[]): Arm[] {
  return arms.filter((arm) => arm.routes);
}

/** As many routes, and a load that asks for all of them. */
export function planFor(routes: number): LoadPlan {
  return {
    connections: CONNECTIONS,
    request: { path: '/service-0/items' },
    dueBody: SMALL_JSON,
    script: 'routes.lua',
    scriptArgs: [String(routes)],
    routes,
  };
}
