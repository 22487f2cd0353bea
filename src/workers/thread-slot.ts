/**
 * One of the numbered places of a gateway's threads. A thread that dies or hangs there is replaced, later each time that
 * it happens again soon.
 */
import type { GatewayLog, ThreadStatus } from '../gateway/gateway.ts';
import type { Clock } from '../util/clock.ts';
import type { ServingThread } from './serving-thread.ts';

export interface SlotEnv {
  readonly clock: Clock;
  readonly log: GatewayLog;
  readonly hangLimitMs: number;
  /**
   * Makes a thread ready for what is served at the moment and has the slot `install` it, while nothing else changes.
   * @returns false when that is no longer wanted. Rejects when the thread could not begin.
   */
  begin(slot: ThreadSlot): Promise<boolean>;
  onEvent(kind: 'thread-died' | 'thread-replaced', about: Readonly<Record<string, unknown>>): void;
}

/** The wait before the second attempt; it doubles with each that fails. The first is made at once. */
const backoffMs = 100;
const longestBackoffMs = 10_000;
/** A thread that has served this long has not died of what its predecessor died of. */
const stableMs = 60_000;

export class ThreadSlot {
  readonly number: number;
  private readonly env: SlotEnv;
  private serving: ServingThread | null = null;
  private servingSince = 0;
  private failures = 0;
  private restarts = 0;
  private restartTimer: NodeJS.Timeout | undefined;
  private isStopping = false;

  constructor(number: number, env: SlotEnv) {
    this.number = number;
    this.env = env;
  }

  /** The thread that serves; null while there is none. */
  get live(): ServingThread | null {
    return this.serving;
  }

  /** The thread serves from now on. @returns the one that did, which is no longer this slot's. */
  install(thread: ServingThread): ServingThread | null {
    const before = this.serving;
    this.serving = thread;
    this.servingSince = this.env.clock.now();
    void thread.ended.then((error) => this.onEnded(thread, error));
    return before;
  }

  /** Replaces the thread if its event loop has stood still for too long. */
  supervise(): void {
    const { env, number: thread } = this;
    const silentMs = Math.round(this.serving?.endIfHanging(env.clock.now(), env.hangLimitMs) ?? 0);
    if (silentMs > 0) env.log.error('a serving thread hangs and is replaced', { thread, silentMs });
  }

  status(own: ThreadStatus | null): ThreadStatus {
    const { serving, restarts, number: thread } = this;
    const state = serving === null ? 'starting' : 'silent';
    const unknown = {
      thread,
      state,
      revision: 0,
      startedAt: 0,
      connections: 0,
      inFlight: 0,
      served: 0,
      stallMs: 0,
      heapBytes: 0,
      overload: null,
    } as const;
    return { ...(own ?? unknown), restarts };
  }

  /** Nothing is replaced any longer. @returns the thread that serves, which is no longer this slot's. */
  close(): ServingThread | null {
    this.isStopping = true;
    clearTimeout(this.restartTimer);
    const { serving } = this;
    this.serving = null;
    return serving;
  }

  private onEnded(thread: ServingThread, error: Error | null): void {
    if (this.serving !== thread) return;
    this.serving = null;
    const { env, number, isStopping } = this;
    if (isStopping) return;
    const reason = error?.message ?? 'it ended';
    env.log.error('a serving thread died and is replaced', { thread: number, error: error ?? reason });
    env.onEvent('thread-died', { thread: number, reason });
    if (env.clock.now() - this.servingSince > stableMs) this.failures = 0;
    this.restart();
  }

  private restart(): void {
    if (this.isStopping) return;
    const delayMs = this.failures === 0 ? 0 : Math.min(longestBackoffMs, backoffMs * 2 ** (this.failures - 1));
    this.failures++;
    clearTimeout(this.restartTimer);
    this.restartTimer = setTimeout(() => void this.begin(), delayMs);
  }

  private async begin(): Promise<void> {
    const { env, number: thread } = this;
    try {
      if (!(await env.begin(this))) return;
      this.restarts++;
      env.log.info('a serving thread was replaced', { thread, restarts: this.restarts });
      env.onEvent('thread-replaced', { thread, restarts: this.restarts });
    } catch (error) {
      if (this.isStopping) return;
      env.log.error('a serving thread cannot begin', { thread, error });
      if (this.serving === null) this.restart();
    }
  }
}
