/** What signals ask of a gateway that runs. */
import type { GatewayLog } from '../gateway/gateway.ts';
import { exitCodes } from './cli-io.ts';

/** From when it is made, no signal of these ends the process, but for the second that asks it to stop. */
export class Signals {
  /** Resolves with the name of the first signal that asks to stop. */
  readonly stop: Promise<string>;
  /** Where to say what a signal does. */
  log: GatewayLog | null = null;
  private isAskedToStop = false;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.stop = promise;
    const onStop = (signal: NodeJS.Signals): void => {
      if (this.isAskedToStop) process.exit(exitCodes.failed);
      this.isAskedToStop = true;
      resolve(signal);
    };
    process.on('SIGTERM', onStop);
    process.on('SIGINT', onStop);
    // Its default would end the process, and whoever sends it means to have the configuration read again.
    process.on('SIGHUP', () => {
      this.log?.warn('reloading is not available yet: restart to use another configuration', { signal: 'SIGHUP' });
    });
    // Node would open a debugger to everybody on this machine, and whoever sends it has renamed a log.
    process.on('SIGUSR1', () => {
      this.log?.info('there is nothing to do: a log that was renamed is reopened by itself', { signal: 'SIGUSR1' });
    });
  }
}
