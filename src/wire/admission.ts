/** How many connections a listener has, of how many it may have. */

export interface Admission {
  /** @returns false when there are as many as the limit, or more. */
  tryEnter(limit: number): boolean;
  /** One that was let in is closed. */
  leave(): void;
}

/** Counts what one thread accepts. */
export class LocalAdmission implements Admission {
  private inside = 0;

  tryEnter(limit: number): boolean {
    if (this.inside >= limit) return false;
    this.inside++;
    return true;
  }

  leave(): void {
    this.inside--;
  }
}
