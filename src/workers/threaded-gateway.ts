/** A gateway that serves on a thread of its own, so that the main thread never shares an event loop with a request. */
import { Worker } from 'node:worker_threads';
import type { GatewayConfig } from '../config/schema.ts';
import { ListenError, type Gateway, type ListenerAddress } from '../gateway.ts';
import type { FromThread, ThreadAssignment, ToThread } from './messages.ts';

/** Told when a thread dies that nobody has asked to. */
export type OnThreadDied = (error: unknown) => void;

export class ThreadedGateway implements Gateway {
  private readonly config: GatewayConfig;
  private readonly secrets: readonly string[];
  private readonly onDied: OnThreadDied;
  private worker: Worker | null = null;
  private stopping = false;

  /** @param secrets values that no log may show. */
  constructor(config: GatewayConfig, secrets: readonly string[], onDied: OnThreadDied) {
    this.config = config;
    this.secrets = secrets;
    this.onDied = onDied;
  }

  start(): Promise<readonly ListenerAddress[]> {
    const assignment: ThreadAssignment = { config: this.config, thread: 0, secrets: this.secrets };
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./thread.${extension}`, import.meta.url), { workerData: assignment });
    this.worker = worker;
    return new Promise((resolve, reject) => {
      let lastError: Error | null = null;
      worker.on('message', (message: FromThread) => {
        if (message.kind === 'serving') resolve(message.addresses);
        if (message.kind === 'failed') {
          this.stopping = true;
          reject(message.cannotListen ? new ListenError(message.reason) : new Error(message.reason));
        }
      });
      worker.on('error', (error: unknown) => {
        lastError = error instanceof Error ? error : new Error(String(error));
      });
      worker.on('exit', (code) => {
        this.worker = null;
        const error = lastError ?? new Error(`the thread ended with code ${code}`);
        reject(error);
        if (!this.stopping) this.onDied(error);
      });
    });
  }

  async stop(graceMs: number): Promise<void> {
    const { worker } = this;
    this.stopping = true;
    if (worker === null) return;
    const stopped = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    worker.postMessage({ kind: 'stop', graceMs } satisfies ToThread);
    await stopped;
  }
}
