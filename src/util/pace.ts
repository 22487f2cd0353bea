/** Long work in short steps, so that an event loop that serves is never held up for long. */

/** Work that can pause at each `yield`; what it returns is its result. */
export type Steps<T> = Generator<undefined, T>;

/** Does all of it without a pause. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** Well below what a request would notice, also on a core that others use; long enough that the pauses cost little. */
const stepMs = 4;

export class Pace {
  private readonly now: () => number;
  private begunAt: number;

  /** @param now monotonic milliseconds. */
  constructor(now: () => number) {
    this.now = now;
    this.begunAt = now();
  }

  /** Whether it is time for others: await `rest` then. */
  get isDue(): boolean {
    return this.now() - this.begunAt >= stepMs;
  }

  /** Lets everything else that waits on this event loop go first. */
  async rest(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.begunAt = this.now();
  }

  /** Does the work, with a rest whenever it is time for one. */
  async run<T>(steps: Steps<T>): Promise<T> {
    for (;;) {
      const { done, value } = steps.next();
      if (done === true) return value;
      if (this.isDue) await this.rest();
    }
  }
}
