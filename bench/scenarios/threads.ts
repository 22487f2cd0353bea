/** What it costs that several threads count as one. */
import { gatewrightArm } from '../arms/gatewright.ts';
import type { Arm } from '../arms/arm.ts';
import { LOAD_METRICS, runLoad } from './load.ts';
import { smallGet } from './proxying.ts';
import type { Scenario } from './scenario.ts';

/** The name of the row with one thread, which the row with two is compared to. */
export const ONE_THREAD_ARM = 'gatewright-1-thread';
export const TWO_THREADS_ARM = 'gatewright-2-threads';

export const threads: Scenario = {
  name: 'threads',
  title: 'Two threads against one',
  method:
    'As the bare scenario. On the one core of the gateway two threads can be no faster than one, but should cost no ' +
    'more per request.',
  metrics: LOAD_METRICS,
  reference: ONE_THREAD_ARM,
  arms: ['gatewright'],
  rounds: 5,
  seconds: 2,
  run(bench, arms) {
    if (!arms.some(({ name }) => name === 'gatewright')) return Promise.resolve([]);
    const own: Arm[] = [
      gatewrightArm(ONE_THREAD_ARM, 'Gatewright, 1 thread', { threads: 1 }),
      gatewrightArm(TWO_THREADS_ARM, 'Gatewright, 2 threads', { threads: 2 }),
    ];
    return runLoad(
      bench,
      own.map((arm) => ({ arm, plan: smallGet })),
    );
  },
};
