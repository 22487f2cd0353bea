/** A gateway that serves on a thread of its own, so that the main thread never shares an event loop with a request. */
import { Worker } from 'node:worker_threads';
import { ListenError, type Gateway, type ListenerAddress } from '../gateway/gateway.ts';
import type { FromThread, ThreadAssignment, ToThread } from './messages.ts';

/** Told when a thread dies that nobody has asked to. */
export type OnThreadDied = (error: Error) => void;

/**
 * A thread that has begun to load its code. It takes about as long as reading a configuration, so it is best made before
 * that.
 */
export function prepareThread(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./thread.${extension}`, import.meta.url));
}

export class ThreadedGateway implements Gateway {
  private readonly assignment: ThreadAssignment;
  private readonly onDied: OnThreadDied;
  private readonly worker: Worker;
  private hasExited = false;
  private stopping = false;

  constructor(thread: Worker, assignment: ThreadAssignment, onDied: OnThreadDied) {
    this.worker = thread;
    this.assignment = assignment;
    this.onDied = onDied;
  }

  start(): Promise<readonly ListenerAddress[]> {
    const { worker } = this;
    const { promise, resolve, reject } = Promise.withResolvers<readonly ListenerAddress[]>();
    let lastError: Error | null = null;
    worker.on('message', (message: FromThread) => {
      if (message.kind === 'serving') {
        resolve(message.addresses);
        return;
      }
      this.stopping = true;
      reject(message.cannotListen ? new ListenError(message.reason) : new Error(message.reason));
    });
    worker.on('error', (error: unknown) => {
      lastError = error instanceof Error ? error : new Error(String(error));
    });
    worker.on('exit', (code) => {
      this.hasExited = true;
      const error = lastError ?? new Error(`the thread ended with code ${code}`);
      reject(error);
      if (!this.stopping) this.onDied(error);
    });
    this.tell({ kind: 'serve', assignment: this.assignment });
    return promise;
  }

  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    if (this.hasExited) return;
    const stopped = new Promise<void>((resolve) => this.worker.once('exit', () => resolve()));
    this.tell({ kind: 'stop', graceMs });
    await stopped;
  }

  private tell(message: ToThread): void {
    this.worker.postMessage(message);
  }
}
