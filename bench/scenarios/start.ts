/** How long a gateway takes from nothing to its first served request. */
import { startGateway } from '../gateway.ts';
import { inRounds } from './rounds.ts';
import type { Scenario } from './scenario.ts';

export const start: Scenario = {
  name: 'start',
  title: 'Start to first served request',
  method:
    'From the start of the process, on its one core and with files in the page cache, until a request that was ' +
    'tried again every millisecond has come back from the upstream.',
  metrics: [{ key: 'startMs', title: 'ms', digits: 0 }],
  reference: 'nginx',
  arms: ['gatewright', 'nginx', 'haproxy', 'caddy', 'undici', 'fastify', 'node-http'],
  rounds: 5,
  seconds: 0,
  run: (bench, arms) =>
    inRounds(
      bench,
      arms,
      async (arm) => {
        const gateway = await startGateway(bench.lab, arm, { upstreamPort: bench.upstream.port });
        await bench.lab.stop(gateway.running);
        return { startMs: gateway.startMs };
      },
      (sample) => `${sample.startMs.toFixed(0)} ms`,
    ),
};
