/** A limit that adapts itself, one number for all threads: `AdaptiveLimit` in memory that they share. */
import type { AdaptiveLimit } from '../contract.ts';
import { type AdaptiveBounds, adaptLimit, adaptedLimit, sampleCap } from '../util/rate/adaptive-limit.ts';
import type { SharedTable, TableDecision } from '../util/shared-table.ts';

/** What was learned is forgotten when nothing has come for so long. */
const keptMs = 3_600_000;
/** A thread hands on what it has measured once it is this much, or this old. */
const samplesAtOnce = 8;
const samplesOldAfterMs = 20;
/** For so long a thread goes by the limit that it has seen last. */
const seenForMs = 5;
const onlyKey = '';

export class SharedAdaptiveLimit implements AdaptiveLimit {
  private readonly table: SharedTable;
  private readonly salt: Int32Array;
  private readonly clock: { now(): number };
  private readonly step: Step;
  private lookAtMs = -Infinity;
  private firstSampleMs = 0;

  constructor(table: SharedTable, salt: Int32Array, bounds: AdaptiveBounds, clock: { now(): number }) {
    this.table = table;
    this.salt = salt;
    this.clock = clock;
    this.step = new Step(bounds);
  }

  get current(): number {
    const nowMs = this.clock.now();
    if (nowMs >= this.lookAtMs) this.take(nowMs, 0);
    return this.step.limit;
  }

  note(latencyMs: number, inFlight: number): void {
    const { samples, cap } = this.step;
    const nowMs = this.clock.now();
    if (samples.count === 0) this.firstSampleMs = nowMs;
    samples.count++;
    samples.latenciesMs += Math.min(latencyMs, cap);
    samples.inFlight += inFlight;
    if (samples.count < samplesAtOnce && nowMs - this.firstSampleMs < samplesOldAfterMs) return;
    // What could not be handed on because others came first a thousand times is a few samples less.
    this.take(nowMs, samples.count);
    samples.count = 0;
    samples.latenciesMs = 0;
    samples.inFlight = 0;
  }

  /** Looks at what there is, having added samples if there are any. */
  private take(nowMs: number, count: number): void {
    this.step.isAdding = count > 0;
    this.table.update(onlyKey, nowMs, this.step, this.salt);
    this.lookAtMs = nowMs + seenForMs;
  }
}

class Step implements TableDecision {
  readonly samples = { count: 0, latenciesMs: 0, inFlight: 0 };
  isAdding = false;
  limit: number;
  /** What a sample counts for at most. */
  cap = Infinity;
  private readonly bounds: AdaptiveBounds;

  constructor(bounds: AdaptiveBounds) {
    this.bounds = bounds;
    this.limit = bounds.min;
  }

  decide(words: Float64Array, _isNew: boolean, nowMs: number): number {
    if (this.isAdding) adaptLimit(words, nowMs, this.samples, this.bounds);
    this.limit = adaptedLimit(words, this.bounds);
    this.cap = sampleCap(words);
    return this.isAdding ? nowMs + keptMs : NaN;
  }
}
