/** Sees how long an event loop has stood still, by how late a timer comes. */

/** A stall that is shorter than this is not seen; looking more often would cost more. */
export const lookEveryMs = 20;
/** The longest stall is remembered for one to two of these. */
const spanMs = 30_000;

export class StallWatch {
  private lookedAt: number;
  private spanBegan: number;
  private longestOfSpan = 0;
  private longestBefore = 0;

  /** @param now monotonic milliseconds. */
  constructor(now: number) {
    this.lookedAt = now;
    this.spanBegan = now;
  }

  /** To be called every `lookEveryMs` by a timer of the event loop. */
  look(now: number): void {
    this.longestOfSpan = Math.max(this.longestOfSpan, now - this.lookedAt - lookEveryMs);
    this.lookedAt = now;
    if (now - this.spanBegan < spanMs) return;
    this.longestBefore = this.longestOfSpan;
    this.longestOfSpan = 0;
    this.spanBegan = now;
  }

  /** Milliseconds, of the last half minute or more. */
  get longestMs(): number {
    return Math.max(0, this.longestOfSpan, this.longestBefore);
  }
}
