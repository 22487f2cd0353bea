import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  type AdaptiveBounds,
  adaptLimit,
  adaptedLimit,
  adaptiveWords,
  sampleCap,
} from '../../../src/util/rate/adaptive-limit.ts';
import { SeededRandom } from '../../support/seeded-random.ts';

/** An upstream with so many workers and a queue without end, and those who call it, as they are at a time in seconds. */
interface Scene {
  readonly workers: (second: number) => number;
  readonly serviceMs: (second: number, random: () => number) => number;
  /** Requests in a second, at random moments. */
  readonly rate: (second: number) => number;
  readonly seconds: number;
  readonly bounds?: AdaptiveBounds;
}

/** What became of the requests of one second. */
interface Second {
  readonly limit: number;
  answered: number;
  refused: number;
  latencies: number;
}

interface Happening {
  readonly atMs: number;
  /** When the request that is answered had begun, and how many there were then; null for a request that comes. */
  readonly answered: { readonly beganMs: number; readonly inFlight: number } | null;
}

/** What is to happen, the next first. */
class Agenda {
  private readonly heap: Happening[] = [];

  add(happening: Happening): void {
    const { heap } = this;
    let at = heap.push(happening) - 1;
    while (at > 0 && heap[(at - 1) >> 1].atMs > happening.atMs) {
      heap[at] = heap[(at - 1) >> 1];
      at = (at - 1) >> 1;
    }
    heap[at] = happening;
  }

  next(): Happening {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].atMs < heap[child].atMs) child++;
      if (heap[child].atMs >= last.atMs) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

class Simulation {
  readonly seconds: Second[] = [];
  private readonly scene: Scene;
  private readonly bounds: AdaptiveBounds;
  private readonly seeded = new SeededRandom(7);
  private readonly random = (): number => this.seeded.next() / 2 ** 32;
  private readonly words = new Float64Array(adaptiveWords);
  private readonly agenda = new Agenda();
  private readonly waiting: { beganMs: number; inFlight: number }[] = [];
  private inFlight = 0;
  private busy = 0;

  constructor(scene: Scene) {
    this.scene = scene;
    this.bounds = scene.bounds ?? { min: 4, max: 1_000 };
  }

  run(): Second[] {
    const { agenda, scene } = this;
    agenda.add({ atMs: this.untilNext(0), answered: null });
    for (;;) {
      const { atMs, answered } = agenda.next();
      while (this.seconds.length <= atMs / 1_000) {
        if (this.seconds.length === scene.seconds) return this.seconds;
        const limit = adaptedLimit(this.words, this.bounds);
        this.seconds.push({ limit, answered: 0, refused: 0, latencies: 0 });
      }
      if (answered === null) this.come(atMs);
      else this.answer(atMs, answered);
    }
  }

  private untilNext(atMs: number): number {
    return exponential(1_000 / this.scene.rate(atMs / 1_000), this.random);
  }

  private come(atMs: number): void {
    this.agenda.add({ atMs: atMs + this.untilNext(atMs), answered: null });
    if (this.inFlight >= adaptedLimit(this.words, this.bounds)) {
      this.seconds.at(-1)!.refused++;
      return;
    }
    this.inFlight++;
    this.waiting.push({ beganMs: atMs, inFlight: this.inFlight });
    this.work(atMs);
  }

  private answer(atMs: number, { beganMs, inFlight }: { beganMs: number; inFlight: number }): void {
    const second = this.seconds.at(-1)!;
    second.answered++;
    second.latencies += atMs - beganMs;
    this.inFlight--;
    this.busy--;
    const latenciesMs = Math.min(atMs - beganMs, sampleCap(this.words));
    adaptLimit(this.words, atMs, { count: 1, latenciesMs, inFlight }, this.bounds);
    this.work(atMs);
  }

  private work(atMs: number): void {
    const second = atMs / 1_000;
    while (this.busy < this.scene.workers(second) && this.waiting.length > 0) {
      this.busy++;
      const answered = this.waiting.shift()!;
      this.agenda.add({ atMs: atMs + this.scene.serviceMs(second, this.random), answered });
    }
  }
}

const exponential = (mean: number, random: () => number): number => -mean * Math.log(1 - random());

interface Stretch {
  readonly lowest: number;
  readonly highest: number;
  readonly limit: number;
  readonly perSecond: number;
  readonly refusedPerSecond: number;
  readonly latencyMs: number;
}

/** Some seconds together. The limit in the middle: for moments it is halved. */
function stretch(seconds: readonly Second[], from: number, to: number): Stretch {
  const part = seconds.slice(from, to);
  const limits = part.map(({ limit }) => limit).toSorted((a, b) => a - b);
  const sum = (value: (second: Second) => number): number => part.reduce((total, second) => total + value(second), 0);
  const answered = sum((second) => second.answered);
  return {
    lowest: limits[0],
    highest: limits.at(-1)!,
    limit: limits[limits.length >> 1],
    perSecond: answered / part.length,
    refusedPerSecond: sum(({ refused }) => refused) / part.length,
    latencyMs: sum(({ latencies }) => latencies) / answered,
  };
}

function between(value: number, low: number, high: number, what: string): void {
  assert.ok(value >= low && value <= high, `${what}: ${value} is not from ${low} to ${high}`);
}

const always =
  <T>(value: T) =>
  (): T =>
    value;

suite('a limit that adapts itself', () => {
  for (const [name, serviceMs] of [
    ['the same time for each', always(10)],
    ['times that differ', (_: number, random: () => number) => exponential(10, random)],
  ] as const) {
    test(`finds what an upstream bears: ${name}`, () => {
      // 50 workers at 10 ms each: with 50 in flight all of them work, and more only wait.
      const seconds = new Simulation({ workers: always(50), serviceMs, rate: always(8_000), seconds: 60 }).run();
      for (const from of [10, 35]) {
        const { limit, perSecond, latencyMs } = stretch(seconds, from, from + 25);
        between(limit, 50, 130, 'the limit');
        between(perSecond, 4_850, 5_150, 'answered in a second');
        between(latencyMs, 10, 26, 'latency');
      }
    });
  }

  test('refuses nobody for whom there is room', () => {
    const serviceMs = (_: number, random: () => number): number => exponential(20, random);
    const seconds = new Simulation({ workers: always(500), serviceMs, rate: always(15_000), seconds: 40 }).run();
    const { refusedPerSecond, highest } = stretch(seconds, 15, 40);
    assert.equal(refusedPerSecond, 0);
    between(highest, 400, 1_000, 'the limit');
  });

  test('follows an upstream that can do less, and back', () => {
    const workers = (second: number): number => (second >= 20 && second < 40 ? 10 : 50);
    const serviceMs = (_: number, random: () => number): number => exponential(10, random);
    const seconds = new Simulation({ workers, serviceMs, rate: always(6_000), seconds: 70 }).run();
    const [before, less, after] = [stretch(seconds, 10, 20), stretch(seconds, 24, 40), stretch(seconds, 45, 70)];
    between(before.limit, 50, 130, 'before');
    between(less.limit, 8, 40, 'with a fifth of the workers');
    between(less.perSecond, 900, 1_050, 'answered in a second with a fifth of the workers');
    between(less.latencyMs, 10, 40, 'latency with a fifth of the workers');
    between(after.limit, 50, 130, 'after');
    between(after.perSecond, 4_800, 5_150, 'answered in a second after');
  });

  test('is not taken in by an upstream that takes longer without being full', () => {
    const serviceMs = (second: number, random: () => number): number => exponential(second < 20 ? 10 : 100, random);
    const seconds = new Simulation({ workers: always(1e6), serviceMs, rate: always(3_000), seconds: 70 }).run();
    assert.equal(stretch(seconds, 10, 20).refusedPerSecond, 0);
    const { refusedPerSecond, perSecond } = stretch(seconds, 45, 70);
    between(refusedPerSecond, 0, 30, 'refused in a second');
    between(perSecond, 2_850, 3_150, 'answered in a second');
  });

  test('does not mind that a few requests hang, or that half of them are slow', () => {
    for (const serviceMs of [
      (_: number, random: () => number) => (random() < 0.02 ? 3_000 : exponential(10, random)),
      (_: number, random: () => number) => (random() < 0.5 ? 5 : 500),
    ]) {
      const seconds = new Simulation({ workers: always(1e6), serviceMs, rate: always(400), seconds: 90 }).run();
      between(stretch(seconds, 50, 90).refusedPerSecond, 0, 8, 'refused in a second');
    }
  });

  test('neither collapses nor runs away, whatever it is near to', () => {
    for (const [workers, rate] of [
      [1, 300],
      [2, 1_000],
      [200, 50_000],
    ]) {
      const serviceMs = (_: number, random: () => number): number => exponential(10, random);
      const seconds = new Simulation({ workers: always(workers), serviceMs, rate: always(rate), seconds: 60 }).run();
      const { lowest, highest, perSecond } = stretch(seconds, 20, 60);
      assert.ok(lowest >= 4 && highest <= 32 + 3 * workers, `${workers} workers: ${lowest} to ${highest}`);
      between(perSecond, 95 * workers, 110 * workers, 'answered in a second');
    }
  });

  test('stays within its bounds', () => {
    const serviceMs = always(10);
    for (const [bounds, workers] of [
      [{ min: 30, max: 1_000 }, 5],
      [{ min: 1, max: 40 }, 500],
      [{ min: 7, max: 7 }, 50],
    ] as const) {
      const scene = { workers: always(workers), serviceMs, rate: always(6_000), seconds: 20, bounds };
      for (const { limit } of new Simulation(scene).run()) between(limit, bounds.min, bounds.max, 'the limit');
    }
  });

  test('begins anew, at where it was, when nothing has come for long', () => {
    const words = new Float64Array(adaptiveWords);
    const bounds = { min: 4, max: 1_000 };
    for (let nowMs = 0; nowMs < 60_000; nowMs += 5) {
      adaptLimit(words, nowMs, { count: 1, latenciesMs: 10, inFlight: adaptedLimit(words, bounds) }, bounds);
    }
    const learned = adaptedLimit(words, bounds);
    assert.equal(learned, 1_000);
    adaptLimit(words, 10_000_000, { count: 1, latenciesMs: 80, inFlight: 1 }, bounds);
    assert.ok(adaptedLimit(words, bounds) >= learned / 2, 'one sample after hours is no window');
  });
});
