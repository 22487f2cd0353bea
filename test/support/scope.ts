/** How long something lasts that is begun for a test. */

/** A test, or whatever else ends what was begun in it. */
export interface Scope {
  after(end: () => unknown): void;
}

/** For what is begun before the tests of a suite and ended after them. */
export class SuiteScope implements Scope {
  private readonly ends: (() => unknown)[] = [];

  after(end: () => unknown): void {
    this.ends.push(end);
  }

  /** Ends what was begun, the last first. */
  async end(): Promise<void> {
    for (const end of this.ends.splice(0).toReversed()) await end();
  }
}
