/** Work that must not overlap: some of it with nothing else, some only with the former. */
export class Turns {
  private lastAlone: Promise<unknown> = Promise.resolve();
  private readonly beside = new Set<Promise<unknown>>();

  /** Begins when everything that was asked for before is done; what is asked for later waits for it. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const done = Promise.all([this.lastAlone, ...this.beside]).then(work);
    this.lastAlone = settled(done);
    return done;
  }

  /** Begins when all that had to be alone and was asked for before is done, beside others of its kind. */
  shared<T>(work: () => Promise<T>): Promise<T> {
    const done = this.lastAlone.then(work);
    const end = settled(done);
    this.beside.add(end);
    void end.then(() => this.beside.delete(end));
    return done;
  }
}

function settled(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {},
    () => {},
  );
}
