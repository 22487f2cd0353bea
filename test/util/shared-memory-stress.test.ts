/** Several real threads on one memory: what is shared must stay exact, whatever is in between and whoever dies. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { systemClock } from '../../src/util/clock.ts';
import { MetricMerge } from '../../src/util/metric-merge.ts';
import { MetricSlab } from '../../src/util/metric-slab.ts';
import { SharedCounters } from '../../src/util/shared-counters.ts';
import { SharedPermits } from '../../src/util/shared-permits.ts';
import { SharedTable } from '../../src/util/shared-table.ts';
import { control, families, type Job } from './shared-memory-job.ts';

const threads = 3;

/** The same buckets in every run, so that whether they overflow is no matter of luck. */
const seed = Int32Array.of(1, 2, 3, 4);

class Crowd {
  readonly words = new Int32Array(new SharedArrayBuffer(256));
  private started = 0;
  private readonly workers = new Map<number, { readonly worker: Worker; readonly result: Promise<unknown> }>();

  /** Whatever becomes of the test, no thread outlives it. */
  constructor(test: TestContext) {
    test.after(async () => {
      for (const thread of this.workers.keys()) await this.kill(thread);
    });
  }

  /** Starts a thread, which waits until all shall begin. */
  async start(
    job: Omit<Job, 'control' | 'results' | 'serial'> & { readonly results?: SharedArrayBuffer },
  ): Promise<void> {
    const { buffer } = this.words;
    const worker = new Worker(new URL('shared-memory-thread.ts', import.meta.url), {
      workerData: { results: new SharedArrayBuffer(0), ...job, serial: this.started++, control: buffer },
    });
    await once(worker, 'message');
    const result = once(worker, 'message').then(([value]: unknown[]) => value);
    // A thread that is killed has no result, and nobody waits for it.
    result.catch(() => {});
    this.workers.set(job.thread, { worker, result });
  }

  begin(): void {
    Atomics.store(this.words, control.begin, 1);
    Atomics.notify(this.words, control.begin);
  }

  end(): void {
    Atomics.store(this.words, control.end, 1);
  }

  /** Ends a thread wherever it is. */
  async kill(thread: number): Promise<void> {
    await this.workers.get(thread)?.worker.terminate();
    this.workers.delete(thread);
  }

  /** What the threads that live came to. */
  async results(): Promise<unknown[]> {
    const results = await Promise.all(Array.from(this.workers.values(), async ({ result }) => await result));
    assert.equal(Atomics.load(this.words, control.broken), 0, 'a thread saw what must not be');
    return results;
  }
}

/** Resolves once the shared clock has moved on, so that threads are known to be in the middle of their work. */
async function progress(words: Int32Array, index: number): Promise<void> {
  const from = Atomics.load(words, index);
  while (Atomics.load(words, index) === from) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * Checks that each count of each life of each entry turned up once; how many are missing before the last of their life.
 */
function gapsIn(results: readonly Float64Array[]): { gaps: number; lives: number; updates: number } {
  const lives = new Map<number, Set<number>>();
  let updates = 0;
  for (const result of results) {
    for (let i = 0; i < result.length && result[i] !== 0; i += 3) {
      const [life, count] = [result[i], result[i + 1]];
      const counts = lives.get(life) ?? new Set();
      assert.ok(!counts.has(count), `life ${life} reached ${count} twice`);
      lives.set(life, counts.add(count));
      updates++;
    }
  }
  let gaps = 0;
  for (const counts of lives.values()) {
    let last = 0;
    for (const count of counts) last = Math.max(last, count);
    gaps += last - counts.size;
  }
  return { gaps, lives: lives.size, updates };
}

const chains: readonly (readonly [name: string, capacity: number, choices: number, keepMs: number])[] = [
  ['of one key', 8, 1, 2 ** 40],
  ['of many keys', 4096, 1000, 2 ** 40],
  ['of a few keys that keep expiring', 8, 3, 3],
  ['of keys that expire', 64, 40, 100],
  ['of keys that evict each other', 1, 18, 2 ** 40],
  ['of keys that expire and evict each other', 2, 40, 50],
];

describe('SharedTable under several threads', () => {
  for (const [name, capacity, choices, limit] of chains) {
    it(`loses and doubles no update ${name}`, async (test) => {
      const steps = 40_000;
      const memory = SharedTable.create({ capacity, words: 3, threads: threads + 1, seed });
      const results = Array.from({ length: threads }, () => new SharedArrayBuffer(steps * 24));
      const crowd = new Crowd(test);
      for (let thread = 0; thread < threads; thread++) {
        await crowd.start({ kind: 'chain', thread, memory, steps, choices, limit, results: results[thread] });
      }
      crowd.begin();
      await crowd.results();
      const { gaps, lives, updates } = gapsIn(results.map((result) => new Float64Array(result)));
      assert.equal(updates, threads * steps);
      assert.equal(gaps, 0);
      const table = SharedTable.attach(memory, threads);
      assert.equal(table.gaveUp, 0);
      // The entry had as many lives as there were reasons for.
      if (capacity <= 2) assert.ok(table.evicted > 100, `only ${table.evicted} were evicted`);
      else assert.equal(table.evicted, 0);
      if (limit > steps * threads && capacity > 2) assert.equal(lives, choices);
      else assert.ok(lives > 100, `only ${lives} lives`);
    });
  }

  it('lets in exactly as many as a limit says', async (test) => {
    const memory = SharedTable.create({ capacity: 8, words: 1, threads });
    const crowd = new Crowd(test);
    for (let thread = 0; thread < threads; thread++) {
      await crowd.start({ kind: 'take', thread, memory, steps: 20_000, choices: 1, limit: 30_000 });
    }
    crowd.begin();
    const taken = (await crowd.results()) as number[];
    assert.equal(
      taken.reduce((sum, count) => sum + count, 0),
      30_000,
    );
  });

  it('loses and doubles nothing when threads are killed and replaced', async (test) => {
    const kills = 6;
    const steps = 400_000;
    const memory = SharedTable.create({ capacity: 8, words: 3, threads: threads + 1, seed });
    const crowd = new Crowd(test);
    const results: SharedArrayBuffer[] = [];
    const start = async (thread: number): Promise<void> => {
      results.push(new SharedArrayBuffer(steps * 24));
      await crowd.start({ kind: 'chain', thread, memory, steps, choices: 20, limit: 60, results: results.at(-1)! });
    };
    for (let thread = 0; thread < threads; thread++) await start(thread);
    crowd.begin();
    for (let kill = 0; kill < kills; kill++) {
      await progress(crowd.words, control.clock);
      await crowd.kill(kill % threads);
      await start(kill % threads);
    }
    crowd.end();
    await crowd.results();
    // What a thread did last before it was killed, it may not have come to note.
    const { gaps, updates } = gapsIn(results.map((result) => new Float64Array(result)));
    assert.ok(gaps <= kills, `${gaps} updates are missing after ${kills} kills`);
    assert.ok(updates > 1000, `only ${updates} updates`);
    const table = SharedTable.attach(memory, threads);
    assert.equal(table.gaveUp, 0);
  });
});

describe('SharedPermits under several threads', () => {
  it('never has more out than the limit, and gets back what killed threads held', async (test) => {
    const limit = 5;
    const memory = SharedPermits.create({ kinds: 1, threads: threads + 1 });
    const own = SharedPermits.attach(memory, threads);
    const crowd = new Crowd(test);
    const start = async (thread: number): Promise<void> =>
      await crowd.start({ kind: 'permits', thread, memory, steps: 0, choices: 1, limit });
    for (let thread = 0; thread < threads; thread++) await start(thread);
    crowd.begin();
    for (let kill = 0; kill < 8; kill++) {
      const thread = kill % threads;
      while (Atomics.load(crowd.words, control.shadow + thread) === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      await crowd.kill(thread);
      Atomics.store(crowd.words, control.shadow + thread, 0);
      assert.ok(own.forget(thread));
      await start(thread);
    }
    crowd.end();
    await crowd.results();
    assert.equal(own.total(0), 0);
    for (let i = 0; i < limit; i++) assert.ok(own.tryAcquire(0, limit));
    assert.equal(own.tryAcquire(0, limit), false);
    assert.equal(own.gaveUp, 0);
  });
});

describe('SharedCounters under several threads', () => {
  it('come to nothing in the end, also after threads were killed', async (test) => {
    const memory = SharedCounters.create({ counters: 20, threads: threads + 1 });
    const own = SharedCounters.attach(memory, threads);
    const totals = (): number[] => Array.from({ length: 20 }, (_, counter) => own.total(counter));
    const crowd = new Crowd(test);
    const start = async (thread: number): Promise<void> =>
      await crowd.start({ kind: 'counters', thread, memory, steps: 0, choices: 20, limit: 0 });
    for (let thread = 0; thread < threads; thread++) await start(thread);
    crowd.begin();
    for (let kill = 0; kill < 4; kill++) {
      while (totals().every((total) => total === 0)) await new Promise((resolve) => setImmediate(resolve));
      await crowd.kill(kill % threads);
      own.forget(kill % threads);
      await start(kill % threads);
    }
    crowd.end();
    await crowd.results();
    assert.deepEqual(
      totals(),
      Array.from({ length: 20 }, () => 0),
    );
  });
});

describe('MetricSlab under several threads', () => {
  it('never goes back for a reader, and is exact in the end', async (test) => {
    const steps = 60_000;
    const buffers = Array.from({ length: threads }, () => MetricSlab.create({ families, maxSeries: 12 }));
    const merge = new MetricMerge(
      buffers.map((buffer) => MetricSlab.attach(buffer, families)),
      8,
    );
    const crowd = new Crowd(test);
    for (const [thread, memory] of buffers.entries()) {
      await crowd.start({ kind: 'metrics', thread, memory, steps, choices: 10, limit: 0 });
    }
    crowd.begin();
    const seen = new Map<string, number[]>();
    let looks = 0;
    const threadsAre = { over: false };
    const over = crowd.results().then(() => (threadsAre.over = true));
    while (!threadsAre.over) {
      for (const { family, labels, value, buckets } of merge.merge()) {
        const key = `${family.name} ${labels.join()}`;
        const before = seen.get(key) ?? [];
        const now = [value, ...buckets];
        assert.ok(now.every((number, i) => number >= (before[i] ?? 0)));
        seen.set(key, now);
      }
      looks++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await over;
    assert.ok(looks > 2);
    const totals = { things_total: 0, sizes: 0 };
    const buckets = [0, 0, 0, 0];
    for (const series of merge.merge()) {
      totals[series.family.name as keyof typeof totals] += series.value;
      for (const [i, count] of series.buckets.entries()) buckets[i] += count;
    }
    assert.deepEqual(totals, { things_total: threads * steps * 0.75, sizes: threads * steps * 1.5 });
    assert.deepEqual(buckets, [0, threads * steps, 0, 0]);
    assert.ok(merge.droppedSeries > 0);
  });
});

describe('systemClock under several threads', () => {
  it('is one clock, so that times may be shared', async () => {
    const code = `const { parentPort } = require('node:worker_threads'); parentPort.postMessage(performance.now());`;
    const before = systemClock.now();
    const [now] = (await once(new Worker(code, { eval: true }), 'message')) as [number];
    assert.ok(before <= now && now <= systemClock.now(), `${now} is not between ${before} and ${systemClock.now()}`);
  });
});
