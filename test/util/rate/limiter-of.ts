/** A limit over one key, with a clock that the test turns. */
import type { RateAlgorithm } from '../../../src/util/rate/rate-algorithm.ts';
import { SharedTable } from '../../../src/util/shared-table.ts';

/** A charge that was allowed. */
export interface Charge {
  readonly cost: number;
  readonly at: number;
  readonly mark: number;
}

export class KeyedLimit {
  nowMs = 0;
  readonly algorithm: RateAlgorithm;
  private readonly table: SharedTable;

  constructor(algorithm: RateAlgorithm, words: number) {
    this.algorithm = algorithm;
    this.table = SharedTable.attach(SharedTable.create({ capacity: 64, words, threads: 1 }), 0);
  }

  charge(cost = 1, key = 'a'): boolean {
    this.algorithm.cost = cost;
    if (!this.table.update(key, this.nowMs, this.algorithm)) throw new Error('the update gave up');
    return this.algorithm.isAllowed;
  }

  /** Takes back a charge; by default the last one. */
  undo(cost = 1, chargedAtMs = this.nowMs, mark = this.algorithm.mark, key = 'a'): void {
    this.takeBack(cost, { cost, at: chargedAtMs, mark }, key);
  }

  /** Takes back a part of a charge. */
  takeBack(back: number, { cost, at, mark }: Charge, key = 'a'): void {
    Object.assign(this.algorithm.undo, { cost, back, chargedAtMs: at, mark });
    this.table.update(key, this.nowMs, this.algorithm.undo);
  }

  /** Charges what was used already. */
  debit(cost: number, key = 'a'): void {
    this.algorithm.debit.cost = cost;
    this.table.update(key, this.nowMs, this.algorithm.debit);
  }
}

/** The most that were admitted in any span of this length, the end exclusive. */
export function mostWithin(times: readonly number[], spanMs: number): number {
  let [most, from] = [0, 0];
  for (let to = 0; to < times.length; to++) {
    while (times[to] - times[from] >= spanMs) from++;
    most = Math.max(most, to - from + 1);
  }
  return most;
}
