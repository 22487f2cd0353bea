/** `gatewright run`: serves until it is asked to stop. */
import { AdminServer } from '../admin/admin-server.ts';
import { formatProblem } from '../config/problem.ts';
import { ListenError, type Gateway } from '../gateway/gateway.ts';
import { AppLog } from '../telemetry/app-log.ts';
import { systemClock } from '../util/clock.ts';
import { packConfig } from '../workers/config-parcel.ts';
import { ThreadedGateway, prepareThread } from '../workers/threaded-gateway.ts';
import { findConfigFile } from '../config/config-file.ts';
import type { CommandIo } from './check.ts';
import { exitCodes } from './cli-io.ts';
import { loadGatewayConfig } from './load-config.ts';

/** How long what was begun may take after the signal to stop. */
const drainGraceMs = 30_000;

export async function runGateway(named: string | undefined, io: CommandIo): Promise<number> {
  const file = named ?? findConfigFile(io.cwd);
  if (file === null) {
    io.stderr.write('There is no gateway.yaml here: name a file, or make one with `gatewright init`.\n');
    return exitCodes.usage;
  }
  const thread = prepareThread();
  const { config, problems, secrets } = await loadGatewayConfig(file);
  for (const problem of problems) io.stderr.write(`${formatProblem(problem)}\n`);
  if (config === null) {
    io.stderr.write(`${file} cannot be served; nothing was started\n`);
    await thread.terminate();
    return exitCodes.failed;
  }
  const log = new AppLog({ level: 'info', clock: systemClock, secrets });
  const stop = stopSignal();
  let isReady = false;
  const gateway = new ThreadedGateway(thread, { config: packConfig(config), secrets, thread: 0 }, (error) => {
    isReady = false;
    log.error('the serving thread died', { error });
    stop.resolve('died');
  });
  const admin = new AdminServer({ ...config.admin, isReady: () => isReady });
  try {
    const adminUrl = await admin.listen();
    const listeners = await gateway.start();
    isReady = true;
    for (const { name, url } of listeners) log.info('listening', { listener: name, url });
    log.info('ready', { config: file, admin: adminUrl, pid: process.pid });
    const reason = await stop.promise;
    isReady = false;
    if (reason === 'died') return exitCodes.failed;
    log.info('draining', { signal: reason, graceMs: drainGraceMs });
    await gateway.stop(drainGraceMs);
    log.info('stopped', {});
    return exitCodes.fine;
  } catch (error) {
    io.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    await closeQuietly(gateway);
    return error instanceof ListenError ? exitCodes.unreachable : exitCodes.failed;
  } finally {
    await admin.close();
  }
}

interface StopSignal {
  readonly promise: Promise<string>;
  resolve(reason: string): void;
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(): StopSignal {
  const { promise, resolve } = Promise.withResolvers<string>();
  let asked = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (asked) process.exit(exitCodes.failed);
    asked = true;
    resolve(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return { promise, resolve };
}

async function closeQuietly(gateway: Gateway): Promise<void> {
  try {
    await gateway.stop(0);
  } catch {
    // It never began; what went wrong has been said.
  }
}
