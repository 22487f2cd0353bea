/** What it costs to verify what is another one for each request or each connection, with a client of our own. */
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { NODE } from '../arms/node-servers.ts';
import { gatewrightArm, type Settings } from '../arms/gatewright.ts';
import type { CredentialLoad } from '../clients/credentials.ts';
import { certificate, startGateway, type RunningGateway } from '../gateway.ts';
import { treeCpuMicros } from '../measure.ts';
import { HOST } from '../probe.ts';
import { BARE_ARM } from './authentication.ts';
import type { Bench, Row, Scenario } from './scenario.ts';

const PROGRAM = join(import.meta.dirname, '..', 'clients', 'credentials.ts');
const CONNECTIONS = 32;
const WARM_UP_SECONDS = 3;

interface Contestant {
  readonly row: Row;
  readonly gateway: RunningGateway;
}

/** The policy lets requests without a credential pass, so that the bench can see whether the gateway serves. */
const optional = '{optional: true}';

export const signatures = proofScenario('signature', 'signed requests', {
  method: 'Each request is signed with an HMAC (RFC 9421) and a nonce of its own.',
  settings: () => ({
    policies: `[{messageSignature: ${optional}}]`,
    sections: `consumers: {app: {hmac: {keyId: app-1, secret: "${secret}"}}}`,
  }),
  load: () => ({ hmac: { keyId: 'app-1', secret } }),
});

export const clientCertificates = proofScenario('mtls', 'client certificates', {
  method: 'Over TLS, with a client certificate on each connection, on which many requests follow.',
  settings: () => ({ policies: `[{mtls: ${optional}}]`, clientAuth: true }),
  load: (bench) => ({ certificate: { ...certificate(bench.lab), isShown: true } }),
});

const secret = '0123456789abcdef0123456789abcdef';

function proofScenario(
  name: string,
  title: string,
  {
    method,
    settings,
    load,
  }: {
    readonly method: string;
    readonly settings: () => Settings;
    readonly load: (bench: Bench) => Partial<CredentialLoad>;
  },
): Scenario {
  return {
    name,
    title,
    method: `One client program on ${CONNECTIONS} connections, against the same without the policy. ${method}`,
    metrics: [
      { key: 'cpuMicros', title: 'CPU µs/request', digits: 1 },
      { key: 'requestsPerSecond', title: 'requests/s of this client', digits: 0 },
    ],
    reference: BARE_ARM,
    arms: ['gatewright'],
    rounds: 5,
    seconds: 2,
    async run(bench, arms) {
      if (!arms.some((arm) => arm.name === 'gatewright')) return [];
      const with_ = settings();
      const { clientAuth = false } = with_;
      const own = load(bench);
      const contestants: Contestant[] = [];
      try {
        for (const [arm, more] of [
          [BARE_ARM, { clientAuth }],
          [name, with_],
        ] as const) {
          const row: Row = {
            arm,
            title: `Gatewright, ${arm === name ? title : 'nobody looks'}`,
            samples: [],
            failure: undefined,
          };
          const gateway = await startGateway(bench.lab, gatewrightArm(arm, row.title, more), {
            upstreamPort: bench.upstream.port,
            tls: clientAuth,
          });
          contestants.push({ row, gateway });
          await requestsOf(bench, gateway, own, WARM_UP_SECONDS);
        }
        for (let round = 1; round <= bench.rounds; round++) {
          for (const contestant of contestants) await measureOnce(bench, contestant, own, round);
        }
        return contestants.map(({ row }) => row);
      } finally {
        await Promise.all(contestants.map(({ gateway }) => bench.lab.stop(gateway.running)));
      }
    },
  };
}

async function measureOnce(
  bench: Bench,
  { row, gateway }: Contestant,
  own: Partial<CredentialLoad>,
  round: number,
): Promise<void> {
  const before = treeCpuMicros(gateway.running.pid);
  const requests = await requestsOf(bench, gateway, own, bench.seconds);
  const cpuMicros = (treeCpuMicros(gateway.running.pid) - before) / requests;
  row.samples.push({ cpuMicros, requestsPerSecond: requests / bench.seconds });
  bench.say(`  round ${round}  ${row.arm}  ${cpuMicros.toFixed(1)} µs/request`);
}

async function requestsOf(
  bench: Bench,
  { endpoint }: RunningGateway,
  own: Partial<CredentialLoad>,
  seconds: number,
): Promise<number> {
  const load: CredentialLoad = { port: endpoint.port, host: HOST, seconds, connections: CONNECTIONS, ...own };
  const running = bench.lab.startLoad('credentials', { command: NODE, args: [PROGRAM, JSON.stringify(load)] }, true);
  const output = text(running.child.stdout!);
  const how = await running.ended;
  if (how !== 'exit code 0') throw new Error(`the client ended with ${how}`);
  return (JSON.parse(await output) as { readonly requests: number }).requests;
}
