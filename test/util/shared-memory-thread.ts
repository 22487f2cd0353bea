/** What a thread of the stress tests does: one of the jobs, on memory that it shares with the others. */
import { parentPort, workerData } from 'node:worker_threads';
import { MetricSlab } from '../../src/util/metric-slab.ts';
import { SharedCounters } from '../../src/util/shared-counters.ts';
import { SharedPermits } from '../../src/util/shared-permits.ts';
import { SharedTable, type TableDecision } from '../../src/util/shared-table.ts';
import { control, families, type Job } from './shared-memory-job.ts';

/**
 * Counts on from what it finds, and says in which life of the entry it did so and to what. So every pair of a life and
 * a count must turn up exactly once over all threads, without a gap: a lost update would be a count twice, a doubled one
 * a gap.
 */
class Chain implements TableDecision {
  key = 0;
  keepMs = 0;
  /** Unlike any other step's of any thread. */
  step = 0;
  life = 0;
  count = 0;
  isOthers = false;

  decide(words: Float64Array, isNew: boolean, nowMs: number): number {
    if (isNew) words.set([this.step, 0, this.key]);
    words[1] += 1;
    this.life = words[0];
    this.count = words[1];
    this.isOthers = words[2] !== this.key;
    return nowMs + this.keepMs;
  }
}

/** Takes one of so many. */
class Taking implements TableDecision {
  limit = 0;
  isTaken = false;

  decide(words: Float64Array): number {
    this.isTaken = words[0] < this.limit;
    if (!this.isTaken) return Number.NaN;
    words[0] += 1;
    return Number.POSITIVE_INFINITY;
  }
}

const job = workerData as Job;
const words = new Int32Array(job.control);
const isGoingOn = (step: number): boolean =>
  (job.steps === 0 || step < job.steps) && Atomics.load(words, control.end) === 0;

let seed = job.serial + 1;
function choose(choices: number): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
  return (seed >>> 8) % choices;
}

function chain(): void {
  const table = SharedTable.attach(job.memory, job.thread);
  const results = new Float64Array(job.results);
  const decision = new Chain();
  decision.keepMs = job.limit;
  for (let step = 0; isGoingOn(step); step++) {
    decision.key = choose(job.choices);
    decision.step = job.serial * 2 ** 32 + step;
    const nowMs = Atomics.add(words, control.clock, 1);
    const isDone = table.update(`key ${decision.key}`, nowMs, decision);
    if (!isDone || decision.isOthers) Atomics.store(words, control.broken, 1);
    results.set([decision.life + 1, decision.count, decision.key], step * 3);
  }
}

function take(): number {
  const table = SharedTable.attach(job.memory, job.thread);
  const decision = new Taking();
  decision.limit = job.limit;
  let taken = 0;
  for (let step = 0; isGoingOn(step); step++) {
    if (!table.update('the only key', 0, decision)) Atomics.store(words, control.broken, 1);
    if (decision.isTaken) taken++;
  }
  return taken;
}

/** Holds permits for a while. The shadow of a thread is never more than what it holds: added after, taken away before. */
function permits(): void {
  const all = SharedPermits.attach(job.memory, job.thread);
  const shadow = control.shadow + job.thread;
  let held = 0;
  for (let step = 0; isGoingOn(step); step++) {
    if (choose(2) === 0 && held > 0) {
      Atomics.sub(words, shadow, 1);
      all.release(0);
      held--;
    } else if (all.tryAcquire(0, job.limit)) {
      held++;
      Atomics.add(words, shadow, 1);
      let sum = 0;
      for (let thread = 0; thread < 8; thread++) sum += Atomics.load(words, control.shadow + thread);
      if (sum > job.limit) Atomics.store(words, control.broken, 1);
    }
  }
  for (; held > 0; held--) {
    Atomics.sub(words, shadow, 1);
    all.release(0);
  }
}

function counters(): void {
  const all = SharedCounters.attach(job.memory, job.thread);
  const held = Array.from({ length: job.choices }, () => 0);
  for (let step = 0; isGoingOn(step); step++) {
    const counter = choose(job.choices);
    if (choose(2) === 0 && held[counter] > 0) {
      all.decrement(counter);
      held[counter]--;
    } else {
      all.increment(counter);
      held[counter]++;
    }
  }
  for (const [counter, count] of held.entries()) for (let i = 0; i < count; i++) all.decrement(counter);
}

function metrics(): void {
  const slab = MetricSlab.attach(job.memory, families);
  for (let step = 0; isGoingOn(step); step++) {
    const label = String(choose(job.choices));
    slab.add(slab.series(0, [label]), 0.75);
    slab.observe(slab.series(1, [label]), 1.5);
  }
}

const jobs = { chain, take, permits, counters, metrics };
parentPort?.postMessage('ready');
Atomics.wait(words, control.begin, 0);
parentPort?.postMessage(jobs[job.kind]() ?? null);
