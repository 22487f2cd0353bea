/** Waiting for a state to be reached, instead of for time to pass. */

/** How long a test waits for what must happen; generous, because the machine may be busy. */
const patienceMs = 10_000;

/** Something whose state changes, and those who wait for it to change in a certain way. */
export class Changes {
  private readonly waiting = new Set<() => void>();

  /** To be called after every change. */
  notify(): void {
    for (const look of this.waiting) look();
  }

  /** Resolves once the predicate holds; rejects, naming what was waited for, when that takes too long. */
  until(predicate: () => boolean, what: () => string, withinMs: number = patienceMs): Promise<void> {
    if (predicate()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        this.waiting.delete(look);
      };
      const look = (): void => {
        if (!predicate()) return;
        stop();
        resolve();
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`waited ${withinMs} ms in vain for ${what()}`));
      }, withinMs);
      this.waiting.add(look);
    });
  }
}

/** Resolves once the predicate holds that nobody reports a change of. */
export async function eventually(
  predicate: () => boolean | Promise<boolean>,
  what: string,
  withinMs: number = patienceMs,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await predicate())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Lets what is on its way between sockets of this process arrive. On the loopback interface what was written can be read
 * at once, so turns of the event loop are enough, and no machine is too slow for it.
 */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
}
