/** A thread that serves, as the main thread sees it: the other end of `serve.ts`. */
import type { Server, Socket } from 'node:net';
import { Worker, type Transferable } from 'node:worker_threads';
import { ListenError } from '../gateway/gateway.ts';
import type { FromThread, Order, OrderResults, ThreadBirth, ToThread } from './messages.ts';

/**
 * A thread that has begun to load its code. It takes about as long as reading a configuration, so the first is best made
 * before that.
 */
export function spareThread(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./thread.${extension}`, import.meta.url), { name: 'gatewright' });
}

/** The thread has ended, or does not answer, before it has done what it was asked for. */
export class ThreadLost extends Error {
  override readonly name = 'ThreadLost';
}

interface Pending {
  resolve(result: never): void;
  reject(error: Error): void;
}

export class ServingThread {
  readonly thread: number;
  /** Resolves when it has ended, with why if it was not asked to. */
  readonly ended: Promise<Error | null>;
  private readonly worker: Worker;
  private readonly heartbeat = new Int32Array(new SharedArrayBuffer(4));
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  private lastError: Error | null = null;
  private beats = 0;
  private beatAt: number;
  /** Nobody expects it to go on. */
  private isEnding = false;

  /** @param now monotonic milliseconds. */
  constructor(worker: Worker, birth: Omit<ThreadBirth, 'heartbeat'>, now: number) {
    this.worker = worker;
    this.thread = birth.thread;
    this.beatAt = now;
    const { promise, resolve } = Promise.withResolvers<Error | null>();
    this.ended = promise;
    worker.on('message', (message: FromThread) => this.receive(message));
    worker.on('error', (error: unknown) => {
      this.lastError = error instanceof Error ? error : new Error(String(error));
    });
    worker.on('exit', (code) => {
      const error = this.lastError ?? new Error(`the thread ended with code ${code}`);
      for (const pending of this.pending.values()) pending.reject(new ThreadLost(error.message));
      this.pending.clear();
      resolve(this.isEnding ? null : error);
    });
    this.tell({ kind: 'birth', birth: { ...birth, heartbeat: this.heartbeat.buffer } });
  }

  /** @throws what the thread refuses it with, or `ThreadLost`. */
  ask<O extends Order>(order: O): Promise<OrderResults[O['kind']]> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.tell({ kind: 'order', id, order });
    });
  }

  /** How long its event loop has not turned, as far as can be seen from here. */
  silentMs(now: number): number {
    const beats = Atomics.load(this.heartbeat, 0);
    if (beats !== this.beats) {
      this.beats = beats;
      this.beatAt = now;
    }
    return now - this.beatAt;
  }

  /** Gives a listener of the thread a server; it is no longer this thread's. */
  adopt(listener: string, server: Server): void {
    this.tell({ kind: 'adopt', listener, server }, [server]);
  }

  accept(listener: string, socket: Socket): void {
    this.tell({ kind: 'accept', listener, socket }, [socket]);
  }

  /** Lets it finish what it has begun. Resolves when it has ended. */
  async stop(graceMs: number, idleMs: number): Promise<void> {
    this.isEnding = true;
    this.tell({ kind: 'stop', graceMs, idleMs });
    await this.ended;
  }

  /** Ends it at once. What it was expected to do remains undone, so `ended` tells of it unless it was to end anyway. */
  async kill(reason?: Error): Promise<void> {
    if (reason === undefined) this.isEnding = true;
    else this.lastError = reason;
    await this.worker.terminate();
  }

  private receive(message: FromThread): void {
    const pending = this.pending.get(message.id);
    if (pending === undefined) return;
    this.pending.delete(message.id);
    if (message.kind === 'done') pending.resolve(message.result as never);
    else pending.reject(message.cannotListen ? new ListenError(message.reason) : new Error(message.reason));
  }

  private tell(message: ToThread, transfer: readonly Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
  }
}
