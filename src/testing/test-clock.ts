import { parseDuration } from '../util/units.ts';
import { FakeClock } from './fake-clock.ts';
import type { MemoryNetwork } from './memory-network.ts';

/** A duration as in a configuration (`250ms`, `10s`), or milliseconds. */
export type Duration = string | number;

/** Milliseconds of a duration. @throws {TypeError} when it is none. */
export function millisecondsOf(duration: Duration): number {
  const ms = typeof duration === 'number' ? duration : parseDuration(duration);
  if (ms === null || !(ms >= 0)) throw new TypeError(`${duration} is not a duration such as 250ms or 10s`);
  return ms;
}

/** What does not go through the network, such as a promise of a policy, gets a turn of the event loop this often. */
const turnMs = 1_000;

/** The time of a gateway under test. It stands still unless it is advanced. */
export interface TestTime {
  /** Milliseconds since the gateway was made. */
  now(): number;
  /** Lets time pass. Timers fire in order, and what one of them sets going is done before the next fires. */
  advance(duration: Duration): Promise<void>;
}

export class TestClock implements TestTime {
  /** What the gateway is given. */
  readonly source: FakeClock;
  /** How many are letting time pass just now. */
  advancing = 0;
  private readonly network: MemoryNetwork;

  constructor(network: MemoryNetwork, wallMs?: number) {
    this.network = network;
    this.source = new FakeClock(wallMs);
  }

  now(): number {
    return this.source.now();
  }

  async advance(duration: Duration): Promise<void> {
    const ms = millisecondsOf(duration);
    this.advancing++;
    try {
      await this.network.settle();
      const end = this.now() + ms;
      while (this.now() < end) await this.step(end);
    } finally {
      this.advancing--;
    }
  }

  /** Lets time pass until a timer has sent something, a second has passed, or it is `end`. */
  async step(end: number): Promise<void> {
    const { network, source } = this;
    const { sent } = network;
    const latest = Math.min(end, this.now() + turnMs);
    do source.advance(Math.min(source.nextDueAt, latest) - this.now());
    while (network.sent === sent && this.now() < latest);
    if (network.sent === sent) await network.turn();
    else await network.settle();
  }

  /** Calls `callback` once, after this time. Returns how to prevent that. */
  after(delayMs: number, callback: () => void): () => void {
    const stop = this.source.every(delayMs, () => {
      stop();
      callback();
    });
    return stop;
  }
}
