/** Limits of several gateways side by side: what they cost, and how exact they are. */
import { type LimitedArm, limitedArms } from '../arms/limited.ts';
import { startGateway } from '../gateway.ts';
import { measureLimit } from '../../src/testing/index.ts';
import { formatRate } from '../../src/util/units.ts';
import { sleep } from '../measure.ts';
import { LOAD_METRICS, runLoad, unlessItFails } from './load.ts';
import { smallGet } from './proxying.ts';
import type { Bench, Row, Scenario } from './scenario.ts';

/** More than come, so that none is refused. */
const wide = 1_000_000;
/** Few enough that ten times as many are no load to speak of. */
const narrow = { limit: 200, burst: 20 };

export const limitsCost: Scenario = {
  name: 'limits-cost',
  title: 'Rate limits of several gateways: cost',
  method:
    'As the bare scenario, with a limit by the address of the client that is so wide that nothing is refused, and without. ' +
    'All clients have one address. Gatewright tells of the limit in each response, the others do not.',
  metrics: LOAD_METRICS,
  reference: 'nginx-limit-req',
  arms: ['gatewright', 'nginx', 'haproxy'],
  rounds: 5,
  seconds: 2,
  run(bench, arms) {
    const isIn = (name: string): boolean => arms.some((arm) => arm.name === name);
    const limited = limitedArms(wide, wide).filter(({ of }) => isIn(of));
    return runLoad(bench, [
      ...arms.map((arm) => ({ arm, plan: smallGet })),
      ...limited.map(({ arm }) => ({ arm, plan: smallGet })),
    ]);
  },
};

export const limitsExact: Scenario = {
  name: 'limits-exact',
  title: 'Rate limits of several gateways: exactness',
  method:
    `${narrow.limit} a second for one client, with a burst of ${narrow.burst} where there is one, at ten times as much, measured by ` +
    '`gatewright limits-test`: how many were admitted within any second for certain, how many are allowed, and how many of ' +
    'those that were due came through. Of several rounds the median.',
  metrics: [
    { key: 'certain', title: 'most within a second', digits: 0 },
    { key: 'allowed', title: 'allowed', digits: 0 },
    { key: 'possible', title: 'possibly', digits: 0 },
    { key: 'usablePercent', title: 'usable %', digits: 1 },
    { key: 'longestMs', title: 'longest answer ms', digits: 0 },
    { key: 'load', title: 'times the limit', digits: 1 },
  ],
  reference: undefined,
  arms: ['gatewright', 'nginx', 'haproxy'],
  rounds: 3,
  seconds: 5,
  async run(bench, arms) {
    const rows: Row[] = [];
    for (const limited of limitedArms(narrow.limit, narrow.burst)) {
      if (!arms.some(({ name }) => name === limited.of)) continue;
      const { name, title } = limited.arm;
      const row: Row = { arm: name, title, samples: [], failure: undefined };
      rows.push(row);
      await unlessItFails(bench, row, () => measureRounds(bench, row, limited));
    }
    return rows;
  },
};

/** Longer than any of them remembers. */
const restMs = 2500;

async function measureRounds(bench: Bench, row: Row, { arm, promised }: LimitedArm): Promise<void> {
  const { algorithm, burst } = promised;
  const { running, endpoint } = await startGateway(bench.lab, arm, { upstreamPort: bench.upstream.port });
  try {
    for (let round = 1; round <= bench.rounds; round++) {
      await sleep(restMs);
      const { window, usable, answers, load, admitted, failed } = await measureLimit({
        url: `http://127.0.0.1:${endpoint.port}/`,
        rate: formatRate(promised),
        algorithm,
        burst: algorithm === 'gcra' ? burst : undefined,
        duration: bench.seconds * 1000,
        clients: 2,
        waits: 0,
      });
      if (failed > 0) throw new Error(`${failed} requests were not answered`);
      row.samples.push({
        certain: window.certain,
        possible: window.possible,
        allowed: window.allowed,
        usablePercent: usable * 100,
        longestMs: answers.longestMs,
        load,
      });
      bench.say(
        `  round ${round}  ${row.arm}  ${admitted} admitted, ${window.certain} of ${window.allowed} within a second, ` +
          `${(100 * usable).toFixed(1)} % usable`,
      );
    }
  } finally {
    await bench.lab.stop(running);
  }
}
