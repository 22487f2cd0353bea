/**
 * What survives a change of configuration: looked up by what it is, shared by all who ask for the same, and closed when
 * the last of them has let go. Whoever builds something new asks before what it replaces lets go, so whatever both of them
 * want is never closed in between.
 */

/** A share in something that is kept. */
export interface Lease<T> {
  readonly value: T;
  /** Gives the share back. Once; further calls change nothing. */
  release(): void;
}

interface Kept {
  readonly value: unknown;
  readonly close: () => void;
  leases: number;
}

export class Keep {
  private readonly kept = new Map<string, Kept>();

  /** How many different things are kept. */
  get size(): number {
    return this.kept.size;
  }

  /**
   * @param identity what it is, with everything in it that makes it different from others of its kind (`identityOf`).
   * @param make called when there is none yet; if it throws, nothing is kept.
   * @param close called when the last share was given back.
   */
  lease<T>(identity: string, make: () => T, close: (value: T) => void): Lease<T> {
    let entry = this.kept.get(identity);
    if (entry === undefined) {
      const value = make();
      entry = { value, close: () => close(value), leases: 0 };
      this.kept.set(identity, entry);
    }
    const held = entry;
    held.leases++;
    let isHeld = true;
    return {
      value: held.value as T,
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        if (--held.leases > 0) return;
        this.kept.delete(identity);
        held.close();
      },
    };
  }
}

/** Different for different parts, whatever is in them; objects with the same keys in the same order are the same. */
export function identityOf(...parts: readonly unknown[]): string {
  return JSON.stringify(parts);
}
