/** A thread that serves, as the main thread sees it: the other end of `serve.ts`. */
import type { Server, Socket } from 'node:net';
import { Worker, type Transferable } from 'node:worker_threads';
import type { CredentialUse } from '../consumers/used-credentials.ts';
import { ListenError } from '../gateway/gateway.ts';
import type { FromThread, Order, OrderResults, ThreadBirth, ToThread } from './messages.ts';

/**
 * A thread that has begun to load its code. It takes about as long as what the main thread has to load and to read before
 * anything is served, so the first is best made before that.
 */
export function spareThread(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./thread.${extension}`, import.meta.url), { name: 'gatewright' });
}

/** The thread has ended, or does not answer, before it has done what it was asked for. */
export class ThreadLost extends Error {
  override readonly name = 'ThreadLost';
}

/** The thread is there and does not answer in time. */
class ThreadSilent extends Error {
  override readonly name = 'ThreadSilent';
}

/** Longer than a thread may hang. */
const answerLimitMs = 15_000;
/** A thread ends itself at the end of the grace that it was given; one that does not within this time is ended. */
const endLimitMs = 2_000;

interface Pending {
  readonly timer: NodeJS.Timeout;
  resolve(result: never): void;
  reject(error: Error): void;
}

export class ServingThread {
  readonly thread: number;
  /** Called with which credentials were used, when it tells of it by itself. */
  onUses: (uses: readonly CredentialUse[]) => void = () => {};
  /** Resolves when it has ended, with why if it was not asked to. */
  readonly ended: Promise<Error | null>;
  private readonly worker: Worker;
  private readonly heartbeat = new Int32Array(new SharedArrayBuffer(4));
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  private lastError: Error | null = null;
  private hasEnded = false;
  private isKilled = false;
  private reasonOfEnd = new Error('it has ended');
  private stopTimer: NodeJS.Timeout | undefined;
  private beatsSeen = 0;
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
    worker.on('messageerror', (error) => void this.kill(error));
    worker.on('exit', (code) => {
      this.hasEnded = true;
      this.reasonOfEnd = this.lastError ?? new Error(`the thread ended with code ${code}`);
      clearTimeout(this.stopTimer);
      for (const pending of this.pending.values()) {
        clearTimeout(pending.timer);
        pending.reject(new ThreadLost(this.reasonOfEnd.message));
      }
      this.pending.clear();
      resolve(this.isEnding ? null : this.reasonOfEnd);
    });
    this.tell({ kind: 'birth', birth: { ...birth, heartbeat: this.heartbeat.buffer } }, [birth.documents]);
  }

  /**
   * @param withinMs how long the answer may take.
   * @throws what the thread refuses it with, `ThreadLost` when it ends, or `ThreadSilent`.
   */
  ask<O extends Order>(order: O, withinMs: number = answerLimitMs): Promise<OrderResults[O['kind']]> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      if (this.hasEnded) throw new ThreadLost(this.reasonOfEnd.message);
      this.tell({ kind: 'order', id, order });
      const timer = setTimeout(() => {
        this.pending.delete(id);
        reject(new ThreadSilent(`thread ${this.thread} has not answered within ${withinMs / 1000} s`));
      }, withinMs);
      this.pending.set(id, { resolve, reject, timer });
    });
  }

  /** How often its event loop has turned, more or less; modulo 2³². */
  get beats(): number {
    return Atomics.load(this.heartbeat, 0);
  }

  /** How long its event loop has not turned, as far as can be seen from here. */
  private silentMs(now: number): number {
    const { beats } = this;
    if (beats !== this.beatsSeen) {
      this.beatsSeen = beats;
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

  endRoutes(names: readonly string[], revision: number): void {
    this.tell({ kind: 'routes-gone', names, revision });
  }

  /** Lets it finish what it has begun. Resolves when it has ended. */
  async stop(graceMs: number, idleMs: number): Promise<void> {
    this.isEnding = true;
    this.tell({ kind: 'stop', graceMs, idleMs });
    clearTimeout(this.stopTimer);
    if (graceMs !== Infinity && !this.hasEnded) {
      this.stopTimer = setTimeout(() => void this.kill(), graceMs + endLimitMs);
    }
    await this.ended;
  }

  /**
   * Ends it if its event loop has stood still for too long.
   * @returns for how long it has, if that is why it is ended now; otherwise 0.
   */
  endIfHanging(now: number, limitMs: number): number {
    const silentMs = this.silentMs(now);
    if (this.isKilled || silentMs < limitMs) return 0;
    void this.kill(new Error('its event loop stood still'));
    return silentMs;
  }

  /** Ends it at once. What it was expected to do remains undone, so `ended` tells of it unless it was to end anyway. */
  async kill(reason?: Error): Promise<void> {
    this.isKilled = true;
    if (reason === undefined) this.isEnding = true;
    else this.lastError = reason;
    await this.worker.terminate();
  }

  private receive(message: FromThread): void {
    if (message.kind === 'uses') {
      this.onUses(message.uses);
      return;
    }
    const pending = this.pending.get(message.id);
    if (pending === undefined) return;
    this.pending.delete(message.id);
    clearTimeout(pending.timer);
    if (message.kind === 'done') pending.resolve(message.result as never);
    else pending.reject(message.cannotListen ? new ListenError(message.reason) : new Error(message.reason));
  }

  private tell(message: ToThread, transfer: readonly Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
  }
}
