/**
 * Which threads a store does not answer, so that the log tells once of an outage that all of them have: by the first that notices,
 * and by the last for which it is over. What a thread had that has died is taken back.
 *
 * Places are given to stores as they are made, and never taken back: one that is reached otherwise is another one. Where there is
 * none left, each thread tells by itself.
 *
 * ## Layout
 *
 *     int64 × places    whose place it is: of the SHA-256 of its identity the beginning; 0: nobody's. Set once.
 *     uint64 × places   a bit for each seat that it does not answer; so far apart that 64 threads live, two have one
 */
import { hash } from 'node:crypto';

/** Of one store, for one thread. */
export interface StoreOutage {
  /** It does not answer this thread. True when it had answered all. */
  begins(): boolean;
  /** It answers this thread again. True when it answers all. */
  ends(): boolean;
  /** This thread has nothing to do with it any more. */
  forget(): void;
}

const places = 256;

/** Of a thread that has nobody to agree with. */
export const ownOutage: StoreOutage = { begins: () => true, ends: () => true, forget: () => {} };

export class StoreOutages {
  private readonly owners: BigInt64Array<SharedArrayBuffer>;
  private readonly seats: BigUint64Array<SharedArrayBuffer>;
  private readonly bit: bigint;

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(16 * places);
  }

  /** The thread of this seat has ended. */
  static forget(buffer: SharedArrayBuffer, seat: number): void {
    const outages = new StoreOutages(buffer, seat);
    for (let place = 0; place < places; place++) Atomics.and(outages.seats, place, ~outages.bit);
  }

  /** @param seat a number that no other living thread has. */
  constructor(buffer: SharedArrayBuffer, seat: number) {
    this.owners = new BigInt64Array(buffer, 0, places);
    this.seats = new BigUint64Array(buffer, 8 * places);
    this.bit = 1n << BigInt(seat % 64);
  }

  /** @param identity the same for all threads that have it. */
  of(identity: string): StoreOutage {
    const place = this.placeOf(identity);
    if (place === null) return ownOutage;
    const { seats, bit } = this;
    return {
      begins: () => Atomics.or(seats, place, bit) === 0n,
      ends: () => Atomics.and(seats, place, ~bit) === bit,
      forget: () => void Atomics.and(seats, place, ~bit),
    };
  }

  private placeOf(identity: string): number | null {
    const digest = hash('sha256', identity, 'buffer');
    const owner = digest.readBigInt64LE(0) || 1n;
    const first = digest.readUInt32LE(8) % places;
    for (let i = 0; i < places; i++) {
      const place = (first + i) % places;
      const found = Atomics.compareExchange(this.owners, place, 0n, owner);
      if (found === owner || found === 0n) return place;
    }
    return null;
  }
}
