import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { SharedCounters } from '../../src/util/shared-counters.ts';

describe('SharedCounters', () => {
  it('adds up what each thread counts, and forgets a thread', () => {
    const step = fc.record({
      thread: fc.nat(2),
      counter: fc.nat(19),
      what: fc.constantFrom('increment', 'increment', 'decrement', 'forget'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const buffer = SharedCounters.create({ counters: 20, threads: 3 });
        const threads = [0, 1, 2].map((thread) => SharedCounters.attach(buffer, thread));
        const model = threads.map(() => Array.from({ length: 20 }, () => 0));
        for (const { thread, counter, what } of steps) {
          if (what === 'forget') {
            threads[(thread + 1) % 3].forget(thread);
            model[thread].fill(0);
          } else {
            threads[thread][what](counter);
            model[thread][counter] += what === 'increment' ? 1 : -1;
          }
        }
        for (let counter = 0; counter < 20; counter++) {
          const expected = model.reduce((sum, row) => sum + row[counter], 0);
          for (const thread of threads) assert.equal(thread.total(counter), expected);
        }
      }),
    );
  });

  it('refuses what is no counters, and threads that cannot be', () => {
    const buffer = SharedCounters.create({ counters: 1, threads: 2 });
    assert.throws(() => SharedCounters.attach(new SharedArrayBuffer(1024), 0), TypeError);
    assert.throws(() => SharedCounters.attach(buffer, 2), RangeError);
    assert.throws(() => SharedCounters.attach(buffer, 0).forget(-1), RangeError);
    assert.throws(() => SharedCounters.create({ counters: 0, threads: 1 }), RangeError);
    assert.throws(() => SharedCounters.create({ counters: 1, threads: 0 }), RangeError);
  });
});
