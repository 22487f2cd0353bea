/**
 * The lab: every process the bench starts, the cores they may use, the ports and the directory they work in. Whatever
 * was started here ends here, on success, on failure and on Ctrl-C.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A program and what it is started with. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A process that the lab started and will end. */
export interface Running {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  readonly logFile: string;
  /** Resolves when the process is gone, with its exit code or signal. */
  readonly ended: Promise<string>;
}

const STOP_GRACE_MS = 3_000;
/** Below the ephemeral range of Linux (32768 and up), so that an outgoing connection never takes a chosen port. */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;

export class Lab {
  readonly directory: string;
  /** CPU lists as `taskset -c` takes them. */
  readonly gatewayCores: string;
  readonly loadCores: string;
  /** Whether the kernel was told to poll when a core has nothing to do, instead of letting the core sleep. */
  readonly coresStayAwake: boolean;
  readonly #latencyRequest: number | undefined;
  readonly #running = new Map<number, Running>();
  readonly #usedPorts = new Set<number>();
  #started = 0;

  constructor(gatewayCores: string, loadCores: string) {
    this.gatewayCores = gatewayCores;
    this.loadCores = loadCores;
    this.#latencyRequest = requestNoLatency();
    this.coresStayAwake = this.#latencyRequest !== undefined;
    this.directory = mkdtempSync(join(tmpdir(), 'gatewright-bench-'));
    // The workers of an nginx that was started by root run as another user and must reach the files in here.
    chmodSync(this.directory, 0o755);
    process.on('exit', () => this.#endAtOnce());
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      process.on(signal, () => process.exit(code));
    }
  }

  /** Starts a gateway under test, on the gateway's core unless the scenario is about more than one. */
  startGateway(name: string, launch: Launch, cores = this.gatewayCores): Running {
    return this.#start(name, launch, cores, 'ignore');
  }

  /** Starts something that makes or answers load; `talks` keeps its stdin and stdout open for us. */
  startLoad(name: string, launch: Launch, talks = false): Running {
    return this.#start(name, launch, this.loadCores, talks ? 'pipe' : 'ignore');
  }

  #start(name: string, launch: Launch, cores: string, talk: 'pipe' | 'ignore'): Running {
    const logFile = join(this.directory, `${++this.#started}-${name}.log`);
    const log = openSync(logFile, 'a');
    const command = [...pinned(cores), launch.command, ...launch.args];
    // A process group of its own lets us end a master together with its workers, and keeps the terminal's Ctrl-C
    // from reaching the children before the bench has noticed it.
    const child = spawn(command[0], command.slice(1), {
      detached: true,
      stdio: [talk, talk === 'pipe' ? 'pipe' : log, log],
      env: { ...process.env, ...launch.env },
    });
    closeSync(log);
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
      child.once('error', (error) => resolve(error.message));
    });
    if (child.pid === undefined) throw new Error(`${name}: ${launch.command} could not be started`);
    const running: Running = { name, pid: child.pid, child, logFile, ended };
    this.#running.set(child.pid, running);
    void ended.then(() => this.#running.delete(running.pid));
    return running;
  }

  /** Ends a process politely, then firmly, and resolves when it is gone. */
  async stop(running: Running, graceMs = STOP_GRACE_MS): Promise<void> {
    if (!this.#running.has(running.pid)) return;
    signalGroup(running.pid, 'SIGTERM');
    const timer = setTimeout(() => signalGroup(running.pid, 'SIGKILL'), graceMs);
    await running.ended;
    clearTimeout(timer);
    // The leader is gone; a worker that ignored the polite signal must not outlive it.
    signalGroup(running.pid, 'SIGKILL');
  }

  /** Lets a process rest, where it is, until it is told to go on. */
  pause(running: Running): void {
    if (this.#running.has(running.pid)) signalGroup(running.pid, 'SIGSTOP');
  }

  resume(running: Running): void {
    if (this.#running.has(running.pid)) signalGroup(running.pid, 'SIGCONT');
  }

  /** Ends everything that still runs and removes the directory. */
  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map((running) => this.stop(running)));
    rmSync(this.directory, { recursive: true, force: true });
    if (this.#latencyRequest !== undefined) closeSync(this.#latencyRequest);
  }

  #endAtOnce(): void {
    for (const pid of this.#running.keys()) signalGroup(pid, 'SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** A loopback port that is free now and that no earlier call returned. */
  async freePort(): Promise<number> {
    for (let attempt = 0; attempt < 200; attempt++) {
      const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
      if (this.#usedPorts.has(port) || !(await canListen(port))) continue;
      this.#usedPorts.add(port);
      return port;
    }
    throw new Error(`no free port between ${FIRST_PORT} and ${LAST_PORT} on 127.0.0.1`);
  }
}

/** The last lines that a process wrote, for the message about its failure. */
export function logTail(running: Running, lines = 15): string {
  return readFileSync(running.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}

/** The first line that a command prints, or undefined when it is not installed. */
export function firstLineOf(command: string, args: readonly string[]): string | undefined {
  const { error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return error ? undefined : `${stdout}${stderr}`.trim().split('\n', 1)[0];
}

/**
 * Waking a core that sleeps costs whoever sends to it, and on a virtual machine it costs tens of microseconds. A fast
 * gateway keeps wrk busy and rarely pays; a slow one lets it sleep and pays at every write, which would make it look
 * even slower. The kernel keeps cores awake while this file is open with a zero in it (Linux, power/pm_qos_interface).
 * Undefined without the right to open it.
 */
function requestNoLatency(): number | undefined {
  try {
    const file = openSync('/dev/cpu_dma_latency', 'w');
    writeSync(file, Buffer.alloc(4));
    return file;
  } catch {
    return undefined;
  }
}

let hasParentDeathSignal: boolean | undefined;

/** The words that go before a command to pin it, and to let it end should the bench itself be killed. */
function pinned(cores: string): string[] {
  hasParentDeathSignal ??= spawnSync('setpriv', ['--pdeathsig', 'TERM', 'true']).status === 0;
  const taskset = ['taskset', '-c', cores];
  return hasParentDeathSignal ? [...taskset, 'setpriv', '--pdeathsig', 'TERM'] : taskset;
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Already gone, which is what was wanted.
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
