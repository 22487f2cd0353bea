/** Runs wrk and reads the numbers that the Lua scripts in `wrk/` print when it is done. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CIPHER_SUITE, HOST, type Endpoint } from './probe.ts';
import { logTail, type Lab, type Running } from './lab.ts';

export interface WrkLoad {
  readonly endpoint: Endpoint;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly seconds: number;
  readonly connections: number;
  /** The file in `wrk/` that makes the requests; `get.lua` asks for `path` again and again. */
  readonly script: string;
  readonly scriptArgs?: readonly string[];
}

export interface WrkResult {
  readonly requests: number;
  /** Everything that was received, heads included. */
  readonly bytes: number;
  readonly durationMicros: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly badStatuses: number;
  readonly connectErrors: number;
  readonly readErrors: number;
  readonly writeErrors: number;
  readonly timeouts: number;
}

const SCRIPTS = join(import.meta.dirname, 'wrk');
const RESULT_MARK = 'WRK-RESULT ';

/** A load that is being put on a gateway. */
export interface RunningLoad {
  readonly running: Running;
  /** Fails when wrk cannot be run or prints no result; failed requests are part of the result. */
  readonly result: Promise<WrkResult>;
}

/** Puts a load on a gateway and tells what came of it. */
export const runWrk = (lab: Lab, load: WrkLoad): Promise<WrkResult> => startWrk(lab, load).result;

export function startWrk(lab: Lab, load: WrkLoad): RunningLoad {
  const { port, tls } = load.endpoint;
  const running = lab.startLoad(
    'wrk',
    {
      command: 'wrk',
      args: [
        '--threads',
        '1',
        '--connections',
        String(load.connections),
        '--duration',
        `${load.seconds}s`,
        '--timeout',
        '20s',
        '--latency',
        '--header',
        `Host: ${HOST}`,
        ...Object.entries(load.headers ?? {}).flatMap(([name, value]) => ['--header', `${name}: ${value}`]),
        '--script',
        join(SCRIPTS, load.script),
        `${tls ? 'https' : 'http'}://127.0.0.1:${port}${load.path}`,
        '--',
        ...(load.scriptArgs ?? []),
      ],
      env: { BENCH_WRK_SCRIPTS: SCRIPTS, ...(tls ? { OPENSSL_CONF: openSslConfig(lab) } : {}) },
    },
    true,
  );
  return { running, result: resultOf(running) };
}

async function resultOf(running: Running): Promise<WrkResult> {
  let output = '';
  running.child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
  const closed = new Promise((resolve) => running.child.once('close', resolve));
  const how = await running.ended;
  await closed;
  const line = output.split('\n').find((text) => text.startsWith(RESULT_MARK));
  if (!line) throw new Error(`wrk gave no result (${how}): ${output.trim()} ${logTail(running)}`);
  return JSON.parse(line.slice(RESULT_MARK.length)) as WrkResult;
}

/** wrk has no option for the cipher suite, but its OpenSSL reads a file; so every arm is asked for the same one. */
function openSslConfig(lab: Lab): string {
  const file = join(lab.directory, 'openssl-client.cnf');
  writeFileSync(
    file,
    [
      'openssl_conf = all',
      '[all]',
      'ssl_conf = ssl',
      '[ssl]',
      'system_default = client',
      '[client]',
      'MinProtocol = TLSv1.3',
      `Ciphersuites = ${CIPHER_SUITE}`,
      '',
    ].join('\n'),
  );
  return file;
}
