/** Sees to it that a thread with more to do than it can do refuses what is least important. */
import type { OverloadConfig } from '../config/schema.ts';
import { Shedding } from '../proxy/shedding.ts';
import type { Clock } from '../util/clock.ts';
import { LoadWatch, type LoadThresholds, lookEveryMs } from '../util/load-watch.ts';
import { memoryShare } from '../util/memory-share.ts';
import type { GatewayLog, ThreadOverload } from './gateway.ts';

/** It is over when nobody had to be refused for so long; what stops for a moment is not told as two. */
const calmMs = 10_000;

export interface OverloadEnv {
  readonly clock: Clock;
  readonly log: Pick<GatewayLog, 'info' | 'warn'>;
  /** See `Shedding.createTotals`. */
  readonly totals: SharedArrayBuffer;
  /** By default that of this thread. */
  readonly memoryShare?: (() => number) | undefined;
}

/** From when requests were refused, and when that was last so. */
interface Episode {
  readonly beganAt: number;
  lastAt: number;
}

export class OverloadControl {
  readonly shedding: Shedding;
  private readonly env: OverloadEnv;
  private thresholds: LoadThresholds = { lagMs: null, memory: null };
  private watch: LoadWatch | null = null;
  private stopLooking: (() => void) | null = null;
  private episode: Episode | null = null;

  constructor(env: OverloadEnv) {
    this.env = env;
    this.shedding = new Shedding(env.totals);
  }

  /** Goes by other thresholds from now on; without any, nothing is looked at. */
  use(config: OverloadConfig | null): void {
    if (config === null) {
      this.close();
      return;
    }
    this.thresholds = { lagMs: config.eventLoopLag, memory: config.memory };
    this.shedding.retryAfterMs = config.retryAfter;
    if (this.watch !== null) return;
    const { clock } = this.env;
    const watch = new LoadWatch(clock.now(), this.env.memoryShare ?? memoryShare);
    this.watch = watch;
    this.stopLooking = clock.every(lookEveryMs, () => {
      if (watch.look(clock.now(), this.thresholds)) this.follow(watch);
    });
  }

  /** Null where nothing is looked at. */
  get status(): ThreadOverload | null {
    const { watch, shedding } = this;
    if (watch === null) return null;
    return {
      lagMs: Math.round(watch.lagMs),
      memory: Number(watch.memory.toFixed(3)),
      refused: {
        low: share(shedding.shareOf(0)),
        normal: share(shedding.shareOf(1)),
        high: share(shedding.shareOf(2)),
      },
    };
  }

  /** Lets everybody in again. */
  close(): void {
    this.stopLooking?.();
    this.stopLooking = null;
    this.watch = null;
    this.shedding.level = 0;
    this.shedding.isMemoryShort = false;
    if (this.episode !== null) this.end(this.episode);
  }

  private follow(watch: LoadWatch): void {
    const { shedding, episode } = this;
    const { memory } = this.thresholds;
    const nowMs = this.env.clock.now();
    shedding.level = watch.level;
    shedding.reason = watch.reason;
    shedding.isMemoryShort = memory !== null && watch.memory >= memory;
    const isShort = shedding.level > 0 || shedding.isMemoryShort;
    if (isShort && episode !== null) episode.lastAt = nowMs;
    else if (isShort) this.begin(watch, nowMs);
    else if (episode !== null && nowMs - episode.lastAt >= calmMs) this.end(episode);
  }

  private begin(watch: LoadWatch, nowMs: number): void {
    this.episode = { beganAt: nowMs, lastAt: nowMs };
    this.env.log.warn('overload: what is least important is refused', {
      lagMs: Math.round(watch.lagMs),
      memory: inPercent(share(watch.memory)),
    });
  }

  private end({ beganAt, lastAt }: Episode): void {
    this.episode = null;
    this.env.log.info('the overload is over', { lastedMs: Math.round(lastAt - beganAt) });
  }
}

const share = (value: number): number => Number(value.toFixed(3));

function inPercent(part: number): string {
  return `${Math.round(part * 100)}%`;
}
