/**
 * Counts the connections of all threads together, so that a listener has as many as its limit allows and not as many for
 * each thread. Threads that retire count as long as they have any; what a dead thread had is given back.
 */
import { SharedPermits } from '../util/shared-permits.ts';
import type { Admission } from '../wire/admission.ts';

/** Listeners at a time, those included that were removed and still have connections. */
const mostListeners = 64;

/** The main thread's part: who counts where. */
export class ConnectionPermits {
  readonly buffer: SharedArrayBuffer;
  private readonly permits: SharedPermits;
  /** Numbers that only one living thread at a time has. */
  private readonly seats: number[];
  private readonly counters = new Map<string, number>();

  /** @param threads how many may live at a time. */
  constructor(threads: number) {
    this.buffer = SharedPermits.create({ kinds: mostListeners, threads: threads + 1 });
    this.permits = SharedPermits.attach(this.buffer, threads);
    this.seats = Array.from({ length: threads }, (_, index) => threads - 1 - index);
  }

  /** @throws when too many threads live. */
  takeSeat(): number {
    const seat = this.seats.pop();
    if (seat === undefined) throw new Error('there are too many threads, those included that still finish something');
    return seat;
  }

  /** The thread that had it has ended. */
  leaveSeat(seat: number): void {
    // What could not be given back is never counted twice: the seat stays empty.
    if (this.permits.forget(seat)) this.seats.push(seat);
  }

  /**
   * Sees to it that there is a counter for each of these places (`placeOf`).
   * @throws when there are too many.
   */
  assign(places: Iterable<string>): void {
    const wanted = new Set(places);
    for (const [place, counter] of this.counters) {
      if (!wanted.has(place) && this.permits.total(counter) === 0) this.counters.delete(place);
    }
    const taken = new Set(this.counters.values());
    const free = Array.from({ length: mostListeners }, (_, counter) => counter).filter(
      (counter) => !taken.has(counter),
    );
    for (const place of wanted) {
      if (this.counters.has(place)) continue;
      const counter = free.shift();
      if (counter === undefined) throw new Error(`there may be ${mostListeners} listeners at most`);
      this.counters.set(place, counter);
    }
  }

  counterAt(place: string): number {
    return this.counters.get(place)!;
  }
}

/** A serving thread's part: its connections on one listener. */
export class SharedAdmission implements Admission {
  private readonly permits: SharedPermits;
  private readonly counter: number;

  constructor(permits: SharedPermits, counter: number) {
    this.permits = permits;
    this.counter = counter;
  }

  tryEnter(limit: number): boolean {
    return this.permits.tryAcquire(this.counter, limit);
  }

  leave(): void {
    this.permits.release(this.counter);
  }
}
