/** `gatewright run`: serves until it is asked to stop. */
import type { Worker } from 'node:worker_threads';
import { MovableAdminPort } from '../admin/admin-port.ts';
import { Control } from '../admin/control.ts';
import { ConsumerBook } from '../admin/consumer-book.ts';
import type { ReloadCause } from '../admin/control-plane.ts';
import { type Problem, formatProblem } from '../config/problem.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { drainGraceMs, ListenError } from '../gateway/gateway.ts';
import { AppLog } from '../telemetry/app-log.ts';
import { systemClock } from '../util/clock.ts';
import { pollFiles } from '../wire/file-watch.ts';
import { ThreadedGateway } from '../workers/threaded-gateway.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';
import { claimSockets, type ClaimedSockets } from './claimed-sockets.ts';
import { LastGood } from './last-good.ts';
import { type CommandConfig, loadCommandConfig, readCommandConfig } from './load-config.ts';
import { Signals } from './signals.ts';
import { upgrade } from './upgrade.ts';
import { version } from './version.ts';

export interface RunOptions {
  /** Where the last configuration that served is kept, for a start with a file that is broken. */
  readonly lastGood?: string;
}

type Loaded = CommandConfig & { readonly config: GatewayConfig };

/** How long clients of a process that was replaced may ask once more: see `Listener.drain`. */
const idleMs = 5_000;

/** A change is followed within a second. */
const watchPeriodMs = 400;

/**
 * @param spare a thread that has begun to load its code: see `spareThread`.
 * @returns the exit code.
 */
export async function runGateway(
  named: string | undefined,
  options: RunOptions,
  io: CommandIo,
  spare: Worker,
): Promise<number> {
  const signals = new Signals();
  // Nothing of what was loaded is held on to here, so that it need not be kept for as long as the gateway serves.
  const running = await start(named, options, { signals, io, spare });
  return typeof running === 'number' ? running : running.untilStopped(signals);
}

/** @returns the exit code when it cannot be started, which has then been said. */
async function start(
  named: string | undefined,
  options: RunOptions,
  { signals, io, spare }: Pick<RunEnv, 'io' | 'spare'> & { readonly signals: Signals },
): Promise<RunningGateway | number> {
  const lastGood = options.lastGood === undefined ? null : new LastGood(options.lastGood, io);
  const found = await loadCommandConfig(named, io);
  if (found !== null && lastGood !== null && !LastGood.canKeep(found.file)) {
    await spare.terminate();
    io.stderr.write(`--last-good keeps YAML and JSON, and ${found.file} is code: leave the option out\n`);
    return exitCodes.usage;
  }
  const loaded = found === null || found.config !== null ? found : ((await lastGood?.load(found)) ?? found);
  if (loaded?.config == null) {
    await spare.terminate();
    if (loaded === null) return exitCodes.usage;
    print([...loaded.problems, ...(await loaded.analyse())], io);
    io.stderr.write(cannotServe(loaded.file));
    return exitCodes.failed;
  }
  const cause = loaded === found ? 'start' : 'last-good';
  print(loaded.problems, io);
  const log = new AppLog({ level: 'info', clock: systemClock, secrets: loaded.secrets });
  let sockets: ClaimedSockets;
  const book = new ConsumerBook(systemClock);
  let config: GatewayConfig;
  try {
    const prepared = await book.prepare(loaded.config);
    prepared.commit();
    ({ config } = prepared);
    sockets = await claimSockets(loaded.config.listeners, io.env);
  } catch (error) {
    await spare.terminate();
    return explain(error, loaded, io);
  }
  const running = new RunningGateway(loaded as Loaded, config, cause, { log, io, spare, sockets, lastGood, book });
  try {
    await running.start(loaded as Loaded);
  } catch (error) {
    await running.abandon();
    return explain(error, loaded, io);
  }
  signals.handlers = { log, reload: () => void running.reload(), upgrade: () => void running.upgrade() };
  void running.warn(loaded.analyse);
  return running;
}

/** Says why the gateway could not start. @returns the exit code. */
async function explain(error: unknown, { file, analyse, tryToMake }: CommandConfig, io: CommandIo): Promise<number> {
  const message = `${error instanceof Error ? error.message : String(error)}\n`;
  if (error instanceof ListenError) {
    io.stderr.write(message);
    return exitCodes.unreachable;
  }
  // What the router refuses is said better by a closer look: of all routes at once, and where they are.
  const isRefused = ({ severity }: Problem): boolean => severity === 'error';
  const found = await analyse();
  const problems = found.some(isRefused) ? found : await tryToMake();
  if (problems.some(isRefused)) print(problems, io);
  else io.stderr.write(message);
  io.stderr.write(cannotServe(file));
  return exitCodes.failed;
}

const cannotServe = (file: string): string => `${file} cannot be served; nothing was started\n`;

function print(problems: readonly Problem[], io: CommandIo): void {
  for (const problem of problems) io.stderr.write(`${formatProblem(problem)}\n`);
}

interface RunEnv {
  readonly log: AppLog;
  readonly io: CommandIo;
  readonly spare: Worker;
  readonly sockets: ClaimedSockets;
  readonly lastGood: LastGood | null;
  readonly book: ConsumerBook;
}

/** The gateway on its threads, its control plane, and the admin port that tells about it. */
class RunningGateway {
  private readonly env: RunEnv;
  private readonly file: string;
  private readonly gateway: ThreadedGateway;
  private readonly control: Control;
  private readonly admin: MovableAdminPort;
  private readonly replaced = Promise.withResolvers<'replaced'>();
  private upgrading: AbortController | null = null;
  private isEnding = false;

  /** @param config that of what was loaded, with the consumers of its database. */
  constructor(loaded: Loaded, config: GatewayConfig, cause: ReloadCause, env: RunEnv) {
    const { log, spare, sockets, io, lastGood, book } = env;
    const { secrets, codeDigest, file } = loaded;
    this.env = env;
    this.file = file;
    this.gateway = new ThreadedGateway(
      { revision: 1, config, secrets, codeDigest },
      {
        log,
        spare,
        inherited: sockets.listeners,
        onEvent: (kind, about) => this.control.tell(kind, about),
      },
    );
    this.admin = new MovableAdminPort({ log });
    this.control = new Control(loaded, cause, this.gateway, this.admin, {
      clock: systemClock,
      log,
      version: version(),
      book,
      bans: this.gateway.shared.bans,
      watch: pollFiles(systemClock, { periodMs: watchPeriodMs }),
      load: (replacement) => readCommandConfig(file, io, replacement),
      onApplied: (applied, replacement) => lastGood?.keep(file, applied, replacement),
    });
  }

  /**
   * Begins to serve.
   * @throws {Error} whose message says to the operator why it cannot serve; a `ListenError` if it cannot listen.
   */
  async start(loaded: Loaded): Promise<void> {
    const { log, sockets, lastGood } = this.env;
    await MovableAdminPort.assertFree(loaded.config.admin);
    const { bans } = this.gateway.shared;
    bans.takeOver(sockets.bans);
    const listeners = await this.gateway.start();
    (await this.admin.prepare(loaded.config.admin)).commit();
    this.control.begin();
    this.admin.attach(this.control);
    const isBroken = this.control.revision.cause === 'last-good';
    if (!isBroken) lastGood?.keep(this.file, loaded);
    for (const { name, url } of listeners) log.info('listening', { listener: name, url });
    log.info('ready', { config: this.file, admin: this.admin.url, pid: process.pid });
    if (isBroken) log.error('the configuration file is broken: the last good one is served', { config: this.file });
    sockets.ready((more) => bans.takeOver(more));
  }

  /** Says what is suspicious about the configuration, once it is served: with very many routes that takes a while. */
  async warn(analyse: CommandConfig['analyse']): Promise<void> {
    const { log } = this.env;
    try {
      const problems = await analyse();
      this.control.notice(problems);
      for (const { code, file, line, column, message } of problems) {
        log.warn('the configuration has a problem', { code, place: `${file}:${line}:${column}`, problem: message });
      }
    } catch (error) {
      // Nothing that only gives advice may end what serves.
      log.error('the routes could not be looked at', { error });
    }
  }

  async reload(): Promise<void> {
    const { result, revision } = await this.control.reload('signal');
    if (result !== 'unchanged') return;
    this.env.log.info('the configuration is what is served already', { revision: revision.number });
  }

  /** Lets a new process take over; this one then only finishes what it has begun. */
  async upgrade(): Promise<void> {
    const { log } = this.env;
    if (this.upgrading !== null || this.isEnding) return;
    const { signal } = (this.upgrading = new AbortController());
    const predecessor = {
      share: () => this.gateway.shareSockets(),
      bans: () => this.gateway.shared.bans.handOver(),
      makeRoom: () => this.admin.close(),
    };
    try {
      const pid = await upgrade(predecessor, signal);
      log.info('another process has taken over', { pid });
      this.replaced.resolve('replaced');
    } catch (error) {
      if (signal.aborted) return;
      await this.goOn();
      log.error('no other process has taken over; this one serves on', { error });
      this.upgrading = null;
    }
  }

  /** Takes back what another process was to have. */
  private async goOn(): Promise<void> {
    try {
      await this.gateway.reclaimSockets();
      await this.admin.reopen();
    } catch (error) {
      // What is served is served all the same.
      this.env.log.error('not everything could be taken back', { error });
    }
  }

  /** Serves until a signal asks it to stop, then finishes what was begun. @returns the exit code. */
  async untilStopped(signals: Signals): Promise<number> {
    const { log } = this.env;
    const reason = await Promise.race([signals.stop, this.replaced.promise]);
    this.isEnding = true;
    this.control.end();
    this.upgrading?.abort();
    log.info('draining', { signal: reason, graceMs: drainGraceMs });
    // Whoever has taken over serves new connections: there is no hurry to end those that are open.
    await this.gateway.stop(drainGraceMs, reason === 'replaced' ? idleMs : 0);
    await this.control.consumers.end();
    log.info('stopped', {});
    await this.admin.close();
    return exitCodes.fine;
  }

  /** Lets go of what has been begun of the start. */
  async abandon(): Promise<void> {
    try {
      await this.gateway.stop(0);
    } catch {
      // It never began; what went wrong has been said.
    }
    this.env.sockets.abandon();
    this.env.book.close();
    await this.admin.close();
  }
}
