/** What signals ask of a gateway that runs. */
import type { GatewayLog } from '../gateway/gateway.ts';
import { exitCodes } from './cli-io.ts';

/** What is done when it is asked for; before there is somebody to do it, it is only heard. */
export interface SignalHandlers {
  readonly log: GatewayLog;
  reload(): void;
  upgrade(): void;
}

/** From when it is made, no signal of these ends the process, but for the second that asks it to stop. */
export class Signals {
  /** Resolves with the name of the first signal that asks to stop. */
  readonly stop: Promise<string>;
  handlers: SignalHandlers | null = null;
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
    process.on('SIGHUP', () => this.handlers?.reload());
    process.on('SIGUSR2', () => this.handlers?.upgrade());
    // Node would open a debugger to everybody on this machine, and whoever sends it has renamed a log.
    process.on('SIGUSR1', () => {
      this.handlers?.log.info('there is nothing to do: a log that was renamed is reopened by itself', {
        signal: 'SIGUSR1',
      });
    });
  }
}
