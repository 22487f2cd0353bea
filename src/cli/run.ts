/** `gatewright run`: serves until it is asked to stop. */
import { AdminServer } from '../admin/admin-server.ts';
import { type Problem, formatProblem } from '../config/problem.ts';
import { ListenError, type Gateway } from '../gateway/gateway.ts';
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
  try {
    await running.start(loaded.file);
  } catch (error) {
    await running.abandon();
    return explain(error, loaded, io);
  }
  await running.warn(loaded.analyse);
  return running;
}

/** Says why the gateway could not start. @returns the exit code. */
async function explain(error: unknown, { file, analyse }: CommandConfig, io: CommandIo): Promise<number> {
  const message = `${error instanceof Error ? error.message : String(error)}\n`;
  if (error instanceof ListenError) {
    io.stderr.write(message);
    return exitCodes.unreachable;
  }
  // What the router refuses is said better by a closer look: of all routes at once, and where they are.
  const problems = await analyse();
  if (problems.some(({ severity }) => severity === 'error')) print(problems, io);
  else io.stderr.write(message);
  io.stderr.write(cannotServe(file));
  return exitCodes.failed;
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
   * @throws {Error} whose message says to the operator why it cannot serve; a `ListenError` if it cannot listen.
   */
  async start(file: string): Promise<void> {
    const admin = await this.admin.listen();
    const listeners = await this.gateway.start();
    this.isReady = true;
    for (const { name, url } of listeners) this.log.info('listening', { listener: name, url });
    this.log.info('ready', { config: file, admin, pid: process.pid });
  }

  /** Says what is suspicious about the configuration, once it is served: with very many routes that takes a while. */
  async warn(analyse: CommandConfig['analyse']): Promise<void> {
    try {
      for (const { code, file, line, column, message } of await analyse()) {
        this.log.warn('the configuration has a problem', {
          code,
          place: `${file}:${line}:${column}`,
          problem: message,
        });
      }
    } catch (error) {
      // Nothing that only gives advice may end what serves.
      this.log.error('the routes could not be looked at', { error });
    }
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
