/**
 * One of the numbered places of a gateway's threads. A thread that dies or hangs there is replaced, later each time that
 * it happens again soon; one that is replaced on purpose hands over what it accepts with, and ends when it is done.
 */
import type { GatewayLog, ThreadStatus } from '../gateway/gateway.ts';
import type { Clock } from '../util/clock.ts';
import type { Openings, PublicationParcel } from './messages.ts';
import { type ServingThread, ThreadLost } from './serving-thread.ts';

export interface SlotEnv {
  readonly clock: Clock;
  readonly log: GatewayLog;
  readonly hangLimitMs: number;
  spawn(thread: number): ServingThread;
  /** What is served at the moment, and how a thread that begins anew gets to listen. */
  current(thread: number): { readonly publication: PublicationParcel; readonly openings: Openings };
  /** A thread serves that was not there before. */
  onServing(): void;
  onEvent(kind: 'thread-died' | 'thread-replaced', about: Readonly<Record<string, unknown>>): void;
}

/** The wait before the second attempt; it doubles with each that fails. The first is made at once. */
const backoffMs = 100;
const longestBackoffMs = 10_000;
/** A thread that has served this long has not died of what its predecessor died of. */
const stableMs = 60_000;
/** Threads that were replaced and still finish something, in one place; the oldest gets a grace when there are more. */
const mostLeaving = 4;
/** For those. */
const leavingGraceMs = 30_000;
/** Clients may ask once more on connections that are open: see `Listener.drain`. */
export const leavingIdleMs = 5_000;

export class ThreadSlot {
  readonly number: number;
  private readonly env: SlotEnv;
  private serving: ServingThread | null = null;
  private readonly leaving = new Set<ServingThread>();
  private servingSince = 0;
  private failures = 0;
  private restarts = 0;
  private isStopping = false;

  constructor(number: number, env: SlotEnv) {
    this.number = number;
    this.env = env;
  }

  /** The thread that serves; null while there is none. */
  get live(): ServingThread | null {
    return this.serving;
  }

  /** Makes a thread ready beside the one that serves. @throws what it refuses the publication with. */
  async prepare(publication: PublicationParcel, openings: Openings): Promise<ServingThread> {
    const thread = this.env.spawn(this.number);
    try {
      await thread.ask({ kind: 'prepare', publication, openings });
      return thread;
    } catch (error) {
      await thread.kill();
      throw error;
    }
  }

  /** The thread that was made ready serves from now on. @returns the one that did. */
  install(thread: ServingThread): ServingThread | null {
    const before = this.serving;
    this.serving = thread;
    this.servingSince = this.env.clock.now();
    void thread.ended.then((error) => this.onEnded(thread, error));
    this.env.onServing();
    return before;
  }

  /** Lets a thread that was replaced finish what it has begun. */
  retire(thread: ServingThread): void {
    this.leaving.add(thread);
    void thread.stop(Infinity, leavingIdleMs);
    const [oldest] = this.leaving;
    if (this.leaving.size > mostLeaving && oldest !== undefined) void oldest.stop(leavingGraceMs, 0);
  }

  /** Replaces the thread if its event loop has stood still for too long. */
  supervise(): void {
    const { serving, env } = this;
    const silentMs = serving?.silentMs(env.clock.now()) ?? 0;
    if (serving === null || silentMs < env.hangLimitMs) return;
    env.log.error('a serving thread hangs and is replaced', { thread: this.number, silentMs: Math.round(silentMs) });
    void serving.kill(new Error('its event loop stood still'));
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
    } as const;
    return { ...(own ?? unknown), restarts };
  }

  async stop(graceMs: number, idle: number): Promise<void> {
    this.isStopping = true;
    const all = [...this.leaving, ...(this.serving === null ? [] : [this.serving])];
    await Promise.all(all.map((thread) => thread.stop(graceMs, idle)));
  }

  private onEnded(thread: ServingThread, error: Error | null): void {
    this.leaving.delete(thread);
    if (this.serving !== thread) return;
    this.serving = null;
    if (this.isStopping || error === null) return;
    const { env, number } = this;
    env.log.error('a serving thread died and is replaced', { thread: number, error });
    env.onEvent('thread-died', { thread: number, reason: error.message });
    if (env.clock.now() - this.servingSince > stableMs) this.failures = 0;
    this.restart();
  }

  private restart(): void {
    if (this.isStopping) return;
    const delayMs = this.failures === 0 ? 0 : Math.min(longestBackoffMs, backoffMs * 2 ** (this.failures - 1));
    this.failures++;
    setTimeout(() => void this.begin(), delayMs);
  }

  private async begin(): Promise<void> {
    if (this.isStopping) return;
    const { env, number } = this;
    try {
      const { publication, openings } = env.current(number);
      const thread = await this.prepare(publication, openings);
      if (this.isStopping) {
        await thread.kill();
        return;
      }
      await thread.ask({ kind: 'commit' });
      this.restarts++;
      this.install(thread);
      await this.catchUp(thread, publication);
      env.log.info('a serving thread was replaced', { thread: number, restarts: this.restarts });
      env.onEvent('thread-replaced', { thread: number, restarts: this.restarts });
    } catch (error) {
      if (!(error instanceof ThreadLost)) env.log.error('a serving thread cannot begin', { thread: number, error });
      if (this.serving === null) this.restart();
    }
  }

  /** The configuration may have changed while it began. */
  private async catchUp(thread: ServingThread, begun: PublicationParcel): Promise<void> {
    let served = begun;
    for (;;) {
      const { publication, openings } = this.env.current(this.number);
      if (publication === served) return;
      await thread.ask({ kind: 'prepare', publication, openings });
      await thread.ask({ kind: 'commit' });
      served = publication;
    }
  }
}
