/** `gatewright run`: serves until it is asked to stop. */
import { AdminServer } from '../admin/admin-server.ts';
import { type Problem, formatProblem } from '../config/problem.ts';
import { ListenError, type Gateway, type ListenerAddress } from '../gateway/gateway.ts';
import { AppLog } from '../telemetry/app-log.ts';
import { systemClock } from '../util/clock.ts';
import { packConfig } from '../workers/config-parcel.ts';
import { ThreadedGateway, prepareThread } from '../workers/threaded-gateway.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';
import { type CommandConfig, loadCommandConfig } from './load-config.ts';
import { Signals } from './signals.ts';

/** How long what was begun may take after the signal to stop. */
const drainGraceMs = 30_000;

/** @returns the exit code. */
export async function runGateway(named: string | undefined, io: CommandIo): Promise<number> {
  const signals = new Signals();
  // Nothing of what was loaded is held on to here, so that it need not be kept for as long as the gateway serves.
  const running = await start(named, signals, io);
  return typeof running === 'number' ? running : running.untilStopped(signals);
}

/** @returns the exit code when it cannot be started, which has then been said. */
async function start(named: string | undefined, signals: Signals, io: CommandIo): Promise<RunningGateway | number> {
  const thread = prepareThread();
  const loaded = await loadCommandConfig(named, io);
  if (loaded?.config == null) {
    await thread.terminate();
    if (loaded === null) return exitCodes.usage;
    print([...loaded.problems, ...(await loaded.analyse())], io);
    io.stderr.write(cannotServe(loaded.file));
    return exitCodes.failed;
  }
  print(loaded.problems, io);
  const { config, secrets } = loaded;
  const log = new AppLog({ level: 'info', clock: systemClock, secrets });
  signals.log = log;
  const assignment = { config: packConfig(config), secrets, thread: 0 };
  const running = new RunningGateway(log, config.admin, (onDied) => new ThreadedGateway(thread, assignment, onDied));
  let exitCode: number = exitCodes.failed;
  try {
    if (await running.start(loaded, io)) return running;
  } catch (error) {
    io.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof ListenError) exitCode = exitCodes.unreachable;
  }
  await running.abandon();
  if (exitCode === exitCodes.failed) io.stderr.write(cannotServe(loaded.file));
  return exitCode;
}

const cannotServe = (file: string): string => `${file} cannot be served; nothing was started\n`;

function print(problems: readonly Problem[], io: CommandIo): void {
  for (const problem of problems) io.stderr.write(`${formatProblem(problem)}\n`);
}

/** The gateway on its thread, and the admin port that tells about it. */
class RunningGateway {
  private readonly log: AppLog;
  private readonly gateway: Gateway;
  private readonly admin: AdminServer;
  private readonly died: Promise<'died'>;
  private isReady = false;

  constructor(
    log: AppLog,
    admin: { readonly host: string; readonly port: number },
    makeGateway: (onDied: (error: Error) => void) => Gateway,
  ) {
    const { promise, resolve } = Promise.withResolvers<'died'>();
    this.log = log;
    this.died = promise;
    this.gateway = makeGateway((error) => {
      this.isReady = false;
      log.error('the serving thread died', { error });
      resolve('died');
    });
    this.admin = new AdminServer({ ...admin, isReady: () => this.isReady });
  }

  /**
   * Begins to serve.
   * @returns false when a closer look at the configuration has found errors; they have been printed.
   * @throws {Error} whose message says to the operator why it cannot serve; a `ListenError` if it cannot listen.
   */
  async start({ file, analyse }: CommandConfig, io: CommandIo): Promise<boolean> {
    const { log } = this;
    const admin = await this.admin.listen();
    const starting = this.gateway.start();
    // Looked at below.
    starting.catch(() => {});
    // The thread makes a gateway of the configuration and this one looks for what is suspicious in it, at the same time.
    const problems = await analyse();
    print(problems, io);
    if (problems.some(({ severity }) => severity === 'error')) return false;
    const listeners: readonly ListenerAddress[] = await starting;
    this.isReady = true;
    for (const { name, url } of listeners) log.info('listening', { listener: name, url });
    log.info('ready', { config: file, admin, pid: process.pid });
    return true;
  }

  /** Serves until a signal asks it to stop, then finishes what was begun. @returns the exit code. */
  async untilStopped(signals: Signals): Promise<number> {
    const reason = await Promise.race([signals.stop, this.died]);
    this.isReady = false;
    if (reason !== 'died') {
      this.log.info('draining', { signal: reason, graceMs: drainGraceMs });
      await this.gateway.stop(drainGraceMs);
      this.log.info('stopped', {});
    }
    await this.admin.close();
    return reason === 'died' ? exitCodes.failed : exitCodes.fine;
  }

  /** Lets go of what has been begun of the start. */
  async abandon(): Promise<void> {
    try {
      await this.gateway.stop(0);
    } catch {
      // It never began; what went wrong has been said.
    }
    await this.admin.close();
  }
}
