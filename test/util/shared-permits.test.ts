import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { SharedPermits } from '../../src/util/shared-permits.ts';

describe('SharedPermits', () => {
  it('gives out as many as the limit says over all threads, and again what comes back', () => {
    const buffer = SharedPermits.create({ kinds: 2, threads: 3 });
    const [a, b, c] = [0, 1, 2].map((thread) => SharedPermits.attach(buffer, thread));
    assert.ok(a.tryAcquire(0, 2));
    assert.ok(b.tryAcquire(0, 2));
    assert.equal(c.tryAcquire(0, 2), false);
    assert.ok(c.tryAcquire(1, 1));
    assert.ok(c.tryAcquire(0, 3));
    a.release(0);
    assert.equal(a.tryAcquire(0, 2), false);
    assert.equal(a.total(0), 2);
    assert.equal(a.gaveUp, 0);
  });

  it('gives back exactly what a dead thread held, and its successor begins with nothing', () => {
    const buffer = SharedPermits.create({ kinds: 2, threads: 2 });
    const [a, b] = [0, 1].map((thread) => SharedPermits.attach(buffer, thread));
    for (let i = 0; i < 3; i++) assert.ok(a.tryAcquire(0, 4));
    assert.ok(a.tryAcquire(1, 4));
    assert.ok(b.tryAcquire(0, 4));
    assert.ok(b.forget(0));
    assert.equal(b.total(0), 1);
    assert.equal(b.total(1), 0);
    assert.throws(() => SharedPermits.attach(buffer, 0).release(0), RangeError);
    assert.equal(b.total(0), 1);
  });

  it('refuses to take back a permit that is not held', () => {
    const buffer = SharedPermits.create({ kinds: 1, threads: 2 });
    const [a, b] = [0, 1].map((thread) => SharedPermits.attach(buffer, thread));
    assert.ok(a.tryAcquire(0, 1));
    assert.throws(() => b.release(0), RangeError);
    assert.equal(b.tryAcquire(0, 1), false);
    a.release(0);
    assert.throws(() => a.release(0), RangeError);
    assert.ok(b.tryAcquire(0, 1));
  });

  it('does what a model would do', () => {
    const step = fc.record({
      thread: fc.nat(2),
      kind: fc.nat(1),
      what: fc.constantFrom('acquire', 'acquire', 'acquire', 'release', 'forget'),
      limit: fc.nat(6),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const buffer = SharedPermits.create({ kinds: 2, threads: 3 });
        const threads = [0, 1, 2].map((thread) => SharedPermits.attach(buffer, thread));
        const model = threads.map(() => [0, 0]);
        const totalOf = (kind: number): number => model.reduce((sum, held) => sum + held[kind], 0);
        for (const { thread, kind, what, limit } of steps) {
          if (what === 'acquire') {
            const isFree = totalOf(kind) < limit;
            assert.equal(threads[thread].tryAcquire(kind, limit), isFree);
            if (isFree) model[thread][kind]++;
          } else if (what === 'forget') {
            assert.ok(threads[(thread + 1) % 3].forget(thread));
            model[thread].fill(0);
          } else if (model[thread][kind] > 0) {
            threads[thread].release(kind);
            model[thread][kind]--;
          }
          assert.equal(threads[thread].total(kind), totalOf(kind));
        }
      }),
    );
  });

  it('refuses what is no permits', () => {
    assert.throws(() => SharedPermits.attach(new SharedArrayBuffer(1024), 0), TypeError);
    assert.throws(() => SharedPermits.create({ kinds: 0, threads: 1 }), RangeError);
  });
});
