/**
 * Tells how much more there is to do on a thread than it can do, from two measures, each taken so that what is over in a
 * moment does not count:
 *
 * - The lag of its event loop: how late a timer comes. Of an interval the smallest counts, as in CoDel (RFC 8289, section 3:
 *   a queue that is empty at any moment of an interval is a good one). A pause of the garbage collector, or one long turn,
 *   makes a few looks late and the next ones punctual; with more work than time every look is late.
 * - The share of its memory that is in use. The smallest of the last two seconds counts, as garbage comes and goes.
 *
 * What follows is `level`: 0 as long as nothing is to be refused, 1 when all of the least important requests are, 2 when
 * also all of the next, 3 for all but the most important; and between these a share of them.
 *
 * Lag is what refusing has an influence on, so its level is found step by step: it rises with every interval above the
 * threshold, and falls slowly below half of it, as DAGOR does (Zhou and others: Overload Control for
 * Scaling WeChat Microservices, 2018, section 4.2). Were it the lag itself, all would be let in again as soon as the queue is
 * gone, and so on to and fro. Memory is given back late and never all of it, so its level follows the measure: nothing at the
 * threshold, everything where there is none left.
 */

/** Looks come so often; see `look`. */
export const lookEveryMs = 20;

/** How many classes of requests can be refused. */
const classes = 3;
const intervalMs = 500;
const fewestLooks = 3;
/**
 * By how much an interval at the threshold raises the level. The later the event loop is, the more, as its intervals are longer:
 * whatever the lag, all of one class are refused after some five seconds.
 */
const rise = 0.15;
const steepestRise = 1;
const fall = 0.1;
/** The memory that counts is the smallest of so long, and of two measures at least. */
const memorySpanMs = 2_000;

export interface LoadThresholds {
  /** null for one that is not looked at. */
  readonly lagMs: number | null;
  /** A share of all, below 1. */
  readonly memory: number | null;
}

export class LoadWatch {
  /** The least lag of the last interval, in milliseconds. */
  lagMs = 0;
  /** The least share of memory in use lately. */
  memory = 0;
  level = 0;
  /** What `level` comes from, where it is not 0. */
  reason: 'lag' | 'memory' = 'lag';
  private readonly memoryShare: () => number;
  private lookedAt: number;
  private began: number;
  private looks = 0;
  private leastLag = Infinity;
  private lagLevel = 0;
  private readonly memories: { readonly at: number; readonly share: number }[] = [];

  /**
   * @param now monotonic milliseconds.
   * @param memoryShare asked once in an interval, and only where there is a threshold for it.
   */
  constructor(now: number, memoryShare: () => number) {
    this.lookedAt = now;
    this.began = now;
    this.memoryShare = memoryShare;
  }

  /** To be called every `lookEveryMs` by a timer of the event loop. @returns whether an interval has ended. */
  look(now: number, thresholds: LoadThresholds): boolean {
    this.leastLag = Math.min(this.leastLag, Math.max(0, now - this.lookedAt - lookEveryMs));
    this.lookedAt = now;
    this.looks++;
    if (now - this.began < intervalMs || this.looks < fewestLooks) return false;
    this.lagMs = this.leastLag;
    this.began = now;
    this.looks = 0;
    this.leastLag = Infinity;
    const [ofLag, ofMemory] = [this.levelOfLag(thresholds.lagMs), this.levelOfMemory(thresholds.memory, now)];
    this.level = Math.max(ofLag, ofMemory);
    this.reason = ofMemory > ofLag ? 'memory' : 'lag';
    return true;
  }

  private levelOfLag(threshold: number | null): number {
    const { lagMs } = this;
    if (threshold === null) this.lagLevel = 0;
    else if (lagMs >= threshold) this.lagLevel += Math.min(steepestRise, (rise * lagMs) / threshold);
    else if (lagMs < threshold / 2) this.lagLevel -= fall;
    this.lagLevel = Math.min(classes, Math.max(0, this.lagLevel));
    return this.lagLevel;
  }

  private levelOfMemory(threshold: number | null, now: number): number {
    if (threshold === null) {
      this.memory = 0;
      this.memories.length = 0;
      return 0;
    }
    this.memories.push({ at: now, share: this.memoryShare() });
    while (this.memories.length > 2 && now - this.memories[0].at > memorySpanMs) this.memories.shift();
    this.memory = this.memories.length < 2 ? 0 : Math.min(...this.memories.map(({ share }) => share));
    return Math.min(classes, Math.max(0, (classes * (this.memory - threshold)) / (1 - threshold)));
  }
}
