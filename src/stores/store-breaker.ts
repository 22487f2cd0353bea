/**
 * Whether a store is asked at all. After a failure it is not, so that a sick store costs nothing for a request; it is tried in the
 * background, and asked again once it has answered.
 */

const firstPauseMs = 100;
const longestPauseMs = 2_000;
/** A store that has been well for so long begins with the shortest pause again. */
const wellMs = 10_000;

export interface BreakerEnv {
  now(): number;
  /** Asks the store for something that it does in earnest. Rejects with the reason, and in time. */
  probe(): Promise<void>;
  /** For the log: once when an outage begins, and once when it is over. */
  tell(isDown: boolean, message: string): void;
}

export class StoreBreaker {
  /** Whether the store may be asked. */
  isWell = true;
  private readonly env: BreakerEnv;
  private pauseMs = firstPauseMs;
  private wellSinceMs: number;
  private timer: NodeJS.Timeout | null = null;
  private isProbing = false;
  private isClosed = false;

  constructor(env: BreakerEnv) {
    this.env = env;
    this.wellSinceMs = env.now();
  }

  /** The store has failed. */
  trip(reason: string): void {
    if (!this.isWell || this.isClosed) return;
    this.isWell = false;
    if (this.env.now() - this.wellSinceMs > wellMs) this.pauseMs = firstPauseMs;
    this.env.tell(true, reason);
    this.pause();
  }

  /** There is reason to believe that it is back. */
  look(): void {
    if (this.isWell || this.isClosed || this.isProbing) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    void this.probe();
  }

  close(): void {
    this.isClosed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private pause(): void {
    this.timer = setTimeout(() => this.look(), this.pauseMs);
    this.timer.unref();
    this.pauseMs = Math.min(2 * this.pauseMs, longestPauseMs);
  }

  private async probe(): Promise<void> {
    this.isProbing = true;
    try {
      await this.env.probe();
      if (this.isClosed) return;
      this.isWell = true;
      this.wellSinceMs = this.env.now();
      this.env.tell(false, 'the store answers again');
    } catch {
      if (!this.isClosed) this.pause();
    } finally {
      this.isProbing = false;
    }
  }
}
