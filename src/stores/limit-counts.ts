/**
 * What each limit has made of requests, over all threads, for as long as the process lives. Every thread counts in numbers of its
 * own, so that counting is an addition and nothing else; who wants to know adds them up. What a thread has counted stays when
 * it ends, and whoever has its seat next goes on from there.
 *
 * Places are given to limits as they are made, and never taken back: a limit with another rate is another one. Those for which
 * there is none left are counted together.
 *
 * ## Layout
 *
 *     int64 × places               whose place it is: of the SHA-256 of its identity the beginning; 0: nobody's. Set once.
 *     float64 × 3 × (places + 1)   for each seat: admitted, refused, would have been refused; last those without a place
 */
import { hash } from 'node:crypto';
import type { LimitCounter, RefusedCaller } from '../contract.ts';

export interface LimitCount {
  readonly admitted: number;
  readonly refused: number;
  readonly wouldRefuse: number;
}

const places = 4096;
const kinds = 3;
const [admittedKind, refusedKind, wouldRefuseKind] = [0, 1, 2];
const rowLength = kinds * (places + 1);

export class LimitCounts {
  private readonly owners: BigInt64Array<SharedArrayBuffer>;
  private readonly numbers: Float64Array<SharedArrayBuffer>;
  private readonly rowAt: number;

  /** @param seats how many threads may count at a time. */
  static create(seats: number): SharedArrayBuffer {
    return new SharedArrayBuffer(8 * (places + seats * rowLength));
  }

  /** @param seat a number that no other living thread has. Whoever counts nothing needs none. */
  constructor(buffer: SharedArrayBuffer, seat: number) {
    this.owners = new BigInt64Array(buffer, 0, places);
    this.numbers = new Float64Array(buffer, 8 * places);
    this.rowAt = seat * rowLength;
  }

  /** @param onRefused told of each refusal. */
  counterOf(identity: string, onRefused: (caller: RefusedCaller, isEnforced: boolean) => void): LimitCounter {
    return new SeatCounter(this.numbers, this.rowAt + kinds * this.placeOf(identity, true), onRefused);
  }

  /** Null when it is not counted by itself. */
  totalsOf(identity: string): LimitCount | null {
    const place = this.placeOf(identity, false);
    if (place === places) return null;
    const sum = (kind: number): number => {
      let total = 0;
      for (let at = kinds * place + kind; at < this.numbers.length; at += rowLength) total += this.numbers[at];
      return total;
    };
    return { admitted: sum(admittedKind), refused: sum(refusedKind), wouldRefuse: sum(wouldRefuseKind) };
  }

  /** The place that a limit has; if it has none, the one behind all. */
  private placeOf(identity: string, takesOne: boolean): number {
    const { owners } = this;
    const digest = hash('sha256', identity, 'buffer');
    const owner = digest.readBigInt64LE(0) || 1n;
    const first = digest.readUInt32LE(8) % places;
    for (let i = 0; i < places; i++) {
      const place = (first + i) % places;
      const found = takesOne ? Atomics.compareExchange(owners, place, 0n, owner) : Atomics.load(owners, place);
      if (found === owner || (takesOne && found === 0n)) return place;
      if (found === 0n) break;
    }
    return places;
  }
}

class SeatCounter implements LimitCounter {
  private readonly numbers: Float64Array;
  private readonly at: number;
  private readonly onRefused: (caller: RefusedCaller, isEnforced: boolean) => void;

  constructor(numbers: Float64Array, at: number, onRefused: (caller: RefusedCaller, isEnforced: boolean) => void) {
    this.numbers = numbers;
    this.at = at;
    this.onRefused = onRefused;
  }

  admitted(): void {
    this.numbers[this.at + admittedKind]++;
  }

  refused(isEnforced: boolean, caller: RefusedCaller): void {
    this.numbers[this.at + (isEnforced ? refusedKind : wouldRefuseKind)]++;
    this.onRefused(caller, isEnforced);
  }
}
