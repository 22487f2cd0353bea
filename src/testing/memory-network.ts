/**
 * What connects the gateway of a test with its clients and upstreams instead of a kernel. It knows when nothing is on its
 * way any longer, and for which request of the test something was sent.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

/** So many turns of the event loop without anything delivered mean that everybody waits for something else. */
const quietTurns = 5;

export class MemoryNetwork {
  /** Counts what was sent, and what has arrived of it. */
  sent = 0;
  private arrived = 0;
  /** How many upstreams hold something back until time has passed. */
  held = 0;
  private readonly causes = new AsyncLocalStorage<number>();

  /** What `work` causes to be sent, however indirectly, is sent for the request of this number. */
  onBehalfOf<T>(request: number, work: () => T): T {
    return this.causes.run(request, work);
  }

  /** Calls `arrive` in a later turn of the event loop, in the order of the calls. */
  deliver(arrive: (cause: number | undefined) => void): void {
    const cause = this.causes.getStore();
    this.sent++;
    setImmediate(() => {
      this.arrived++;
      arrive(cause);
    });
  }

  /** Lets the event loop turn once. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /**
   * Resolves when nothing is on its way. What is not on the event loop is not waited for: the thread pool of the platform
   * compresses and reads files.
   */
  async settle(): Promise<void> {
    let before = -1;
    for (let quiet = 0; quiet < quietTurns; quiet++) {
      if (this.arrived !== before) quiet = 0;
      before = this.arrived;
      await this.turn();
    }
  }
}
