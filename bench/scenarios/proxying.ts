/** The scenarios of plain proxying: small answers, large answers, large requests, TLS. */
import type { Arm } from '../arms/arm.ts';
import { MEBIBYTE, ONE_MEBIBYTE_PATH, SMALL_JSON, UPLOAD_PATH, UPLOAD_REPLY } from '../upstream.ts';
import { LOAD_METRICS, runLoad, type LoadPlan } from './load.ts';
import type { Bench, Row, Scenario } from './scenario.ts';

const SMALL_CONNECTIONS = 64;
/** Enough to keep a core busy with mebibytes; more would only fill socket buffers. */
const LARGE_CONNECTIONS = 16;

const EVERYBODY = ['gatewright', 'nginx', 'haproxy', 'caddy', 'undici', 'fastify', 'node-http'];

export const smallGet: LoadPlan = {
  connections: SMALL_CONNECTIONS,
  request: { path: '/products/7' },
  dueBody: SMALL_JSON,
  script: 'get.lua',
};

const largeGet: LoadPlan = {
  connections: LARGE_CONNECTIONS,
  request: { path: ONE_MEBIBYTE_PATH },
  dueBody: MEBIBYTE,
  script: 'get.lua',
};

const largePost: LoadPlan = {
  connections: LARGE_CONNECTIONS,
  request: { method: 'POST', path: UPLOAD_PATH, body: Buffer.alloc(MEBIBYTE, 'x') },
  dueBody: UPLOAD_REPLY,
  script: 'upload.lua',
  scriptArgs: [String(MEBIBYTE)],
};

const smallGetOverTls: LoadPlan = { ...smallGet, tls: true };

/** The loads of this file by the names of their scenarios, for `profile.ts`. */
export const LOAD_PLANS: ReadonlyMap<string, LoadPlan> = new Map([
  ['bare', smallGet],
  ['response', largeGet],
  ['upload', largePost],
  ['tls', smallGetOverTls],
]);

export const bare: Scenario = {
  name: 'bare',
  title: 'Bare proxied GET, small JSON',
  method:
    `${SMALL_CONNECTIONS} keep-alive connections ask for a JSON object of ${SMALL_JSON.length} bytes. ` +
    'One route, no policy.',
  metrics: LOAD_METRICS,
  reference: 'nginx',
  arms: ['gatewright', 'gatewright-pipelining', ...EVERYBODY.slice(1)],
  rounds: 5,
  seconds: 2,
  run: (bench, arms) => runSame(bench, arms, smallGet),
};

export const response1MiB: Scenario = {
  name: 'response',
  title: '1 MiB responses',
  method: `${LARGE_CONNECTIONS} keep-alive connections ask for a file of 1 MiB that the upstream sends with sendfile.`,
  metrics: LOAD_METRICS,
  reference: 'nginx',
  arms: [...EVERYBODY.slice(0, 2), 'nginx-large-buffers', ...EVERYBODY.slice(2)],
  rounds: 3,
  seconds: 2,
  run: (bench, arms) => runSame(bench, arms, largeGet),
};

export const upload1MiB: Scenario = {
  name: 'upload',
  title: '1 MiB uploads',
  method:
    `${LARGE_CONNECTIONS} keep-alive connections post 1 MiB each time; ` +
    'the upstream reads all of it before it answers.',
  metrics: LOAD_METRICS,
  reference: 'nginx',
  arms: [...EVERYBODY.slice(0, 2), 'nginx-large-buffers', ...EVERYBODY.slice(2)],
  rounds: 3,
  seconds: 2,
  run: (bench, arms) => runSame(bench, arms, largePost),
};

export const tls: Scenario = {
  name: 'tls',
  title: 'TLS termination, small JSON',
  method: 'As the bare scenario, with TLS 1.3, AES-256-GCM and a P-256 certificate towards the client.',
  metrics: LOAD_METRICS,
  reference: 'nginx',
  arms: EVERYBODY,
  rounds: 5,
  seconds: 2,
  run: (bench, arms) => runSame(bench, arms, smallGetOverTls),
};

function runSame(bench: Bench, arms: readonly Arm[], plan: LoadPlan): Promise<Row[]> {
  return runLoad(
    bench,
    arms.map((arm) => ({ arm, plan })),
  );
}
