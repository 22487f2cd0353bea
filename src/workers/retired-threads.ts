/** Threads that serve nobody new and still finish what they have begun. */
import type { GatewayLog } from '../gateway/gateway.ts';
import type { ServingThread } from './serving-thread.ts';

/** How many there may be for each thread that serves; the oldest gets a grace when there are more. */
const mostForEach = 4;
/** For those. */
const graceMs = 30_000;
/** Clients may ask once more on connections that are open: see `Listener.drain`. */
const idleMs = 5_000;

export class RetiredThreads {
  private readonly threads = new Set<ServingThread>();

  get all(): readonly ServingThread[] {
    return [...this.threads];
  }

  get size(): number {
    return this.threads.size;
  }

  /** @param serving how many threads serve. */
  add(thread: ServingThread, serving: number): void {
    this.threads.add(thread);
    void thread.ended.then(() => this.threads.delete(thread));
    void thread.stop(Infinity, idleMs);
    const tooMany = Math.max(0, this.threads.size - mostForEach * serving);
    for (const oldest of [...this.threads].slice(0, tooMany)) void oldest.stop(graceMs, 0);
  }

  /** Routes are no longer configured. */
  endRoutes(names: readonly string[], revision: number): void {
    for (const thread of this.threads) thread.endRoutes(names, revision);
  }

  supervise(now: number, hangLimitMs: number, log: GatewayLog): void {
    for (const retired of this.threads) {
      const silentMs = Math.round(retired.endIfHanging(now, hangLimitMs));
      if (silentMs > 0) {
        log.error('a thread that was replaced hangs and is ended', { thread: retired.thread, silentMs });
      }
    }
  }

  async stop(grace: number, idle: number): Promise<void> {
    await Promise.all(Array.from(this.threads, (thread) => thread.stop(grace, idle)));
  }
}
