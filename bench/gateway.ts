/** A gateway that runs for a scenario: started, found to be serving, and checked to do what all the others do. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Arm, Assignment, Certificate } from './arms/arm.ts';
import { logTail, type Lab, type Launch, type Running } from './lab.ts';
import { sleep } from './measure.ts';
import { CIPHER_SUITE, HOST, probe, type Endpoint } from './probe.ts';
import { ECHO_SUFFIX, type ArrivedHeaders } from './upstream.ts';

export interface GatewayOptions {
  readonly upstreamPort: number;
  readonly tls?: boolean;
  readonly routes?: number;
  readonly clients?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RunningGateway {
  readonly running: Running;
  readonly endpoint: Endpoint;
  /** From the start of the process to the first answer that came from the upstream. */
  readonly startMs: number;
}

/** Long enough for the arms that compile 100,000 routes. */
const START_LIMIT_MS = 60_000;
const DEFAULT_CLIENTS = 1024;

/** Starts an arm and resolves when a request through it was served; fails with what the arm wrote if it was not. */
export async function startGateway(lab: Lab, arm: Arm, options: GatewayOptions): Promise<RunningGateway> {
  const assignment = await assign(lab, arm.name, options);
  return launchGateway(lab, arm.name, arm.prepare(assignment), assignment);
}

/** Makes room for a gateway: its directory, its ports and, if wanted, a certificate. */
export async function assign(lab: Lab, name: string, options: GatewayOptions): Promise<Assignment> {
  const port = await lab.freePort();
  const directory = join(lab.directory, `${name}-${port}`);
  mkdirSync(directory);
  return {
    directory,
    port,
    adminPort: await lab.freePort(),
    upstreamPort: options.upstreamPort,
    tls: options.tls ? certificate(lab) : undefined,
    routes: options.routes ?? 0,
    clients: options.clients ?? DEFAULT_CLIENTS,
    headers: options.headers ?? {},
  };
}

export async function launchGateway(
  lab: Lab,
  name: string,
  launch: Launch,
  { port, tls, routes, headers }: Assignment,
  cores?: string,
): Promise<RunningGateway> {
  const endpoint: Endpoint = { port, tls: tls !== undefined };
  const path = routes > 0 ? '/service-0/items' : '/';
  const startedAt = performance.now();
  const running = lab.startGateway(name, launch, cores);
  let ended: string | undefined;
  void running.ended.then((how) => (ended = how));
  let lastAnswer = 'nothing listens';
  while (performance.now() - startedAt < START_LIMIT_MS) {
    try {
      const answer = await probe(endpoint, { path, headers });
      if (answer.status === 200) return { running, endpoint, startMs: performance.now() - startedAt };
      lastAnswer = `it answers ${answer.status}`;
    } catch (error) {
      lastAnswer = (error as Error).message;
    }
    if (ended !== undefined) throw new Error(`ended at its start (${ended}): ${logTail(running)}`);
    await sleep(1);
  }
  await lab.stop(running);
  throw new Error(`did not serve within ${START_LIMIT_MS / 1000} s (${lastAnswer}): ${logTail(running)}`);
}

/**
 * Fails unless the upstream sees the Host that the client sent, the three forwarding headers and HTTP/1.1, and, with
 * TLS, unless the agreed cipher suite is in use. An arm that does less work than the others is not in the comparison.
 */
export async function checkEqualWork(
  endpoint: Endpoint,
  routes: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const answer = await probe(endpoint, { path: `${routes > 0 ? '/service-0' : ''}${ECHO_SUFFIX}`, headers });
  if (answer.status !== 200) throw new Error(`answered ${answer.status} where 200 was due`);
  const arrived = JSON.parse(answer.body.toString()) as ArrivedHeaders;
  const due: ArrivedHeaders = {
    host: HOST,
    forwardedFor: '127.0.0.1',
    forwardedProto: endpoint.tls ? 'https' : 'http',
    forwardedHost: HOST,
    protocol: 'HTTP/1.1',
  };
  for (const name of Object.keys(due) as (keyof ArrivedHeaders)[]) {
    if (arrived[name] !== due[name]) throw new Error(`the upstream saw ${name} "${arrived[name]}", not "${due[name]}"`);
  }
  if (endpoint.tls && answer.cipher !== CIPHER_SUITE) {
    throw new Error(`negotiated ${answer.cipher}, not ${CIPHER_SUITE}`);
  }
}

/** A self-signed P-256 certificate, made once per run. */
export function certificate({ directory }: Lab): Certificate {
  const made: Certificate = {
    certFile: join(directory, 'site.pem'),
    keyFile: join(directory, 'site.key'),
    combinedFile: join(directory, 'site-with-key.pem'),
  };
  if (existsSync(made.combinedFile)) return made;
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${HOST}`,
      '-addext',
      `subjectAltName=DNS:${HOST},DNS:localhost,IP:127.0.0.1`,
      '-keyout',
      made.keyFile,
      '-out',
      made.certFile,
    ],
    { stdio: 'pipe' },
  );
  writeFileSync(made.combinedFile, Buffer.concat([readFileSync(made.certFile), readFileSync(made.keyFile)]));
  return made;
}
