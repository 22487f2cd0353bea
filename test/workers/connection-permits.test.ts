import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SharedPermits } from '../../src/util/shared-permits.ts';
import { ConnectionPermits, SharedAdmission } from '../../src/workers/connection-permits.ts';

describe('the connections of all threads', () => {
  it('are counted together, and given back when their thread has ended', () => {
    const permits = new ConnectionPermits(3);
    permits.assign(['a', 'b']);
    const seats = [permits.takeSeat(), permits.takeSeat()];
    const [one, two] = seats.map(
      (seat) => new SharedAdmission(SharedPermits.attach(permits.buffer, seat), permits.counterAt('a')),
    );
    assert.deepEqual([one.tryEnter(2), two.tryEnter(2), one.tryEnter(2), two.tryEnter(2)], [true, true, false, false]);
    two.leave();
    assert.deepEqual([one.tryEnter(2), two.tryEnter(2)], [true, false]);
    permits.leaveSeat(seats[0]);
    assert.deepEqual([two.tryEnter(2), two.tryEnter(2), two.tryEnter(2)], [true, true, false]);
  });

  it('have a counter for each place, which another one gets only when nobody is counted there', () => {
    const permits = new ConnectionPermits(1);
    permits.assign(['kept', ...Array.from({ length: 62 }, (_, i) => `p${i}`), 'left']);
    const attached = SharedPermits.attach(permits.buffer, permits.takeSeat());
    const left = new SharedAdmission(attached, permits.counterAt('left'));
    assert.ok(left.tryEnter(1));
    const kept = permits.counterAt('kept');
    permits.assign(['kept', 'new']);
    assert.equal(permits.counterAt('kept'), kept);
    assert.notEqual(permits.counterAt('new'), permits.counterAt('left'));
    assert.throws(() => permits.assign(Array.from({ length: 64 }, (_, i) => `q${i}`)), /64 listeners/);
    left.leave();
    permits.assign(Array.from({ length: 64 }, (_, i) => `r${i}`));
  });

  it('are those of a bounded number of threads', () => {
    const permits = new ConnectionPermits(2);
    const seats = [permits.takeSeat(), permits.takeSeat()];
    assert.notEqual(seats[0], seats[1]);
    assert.throws(() => permits.takeSeat(), /too many threads/);
    permits.leaveSeat(seats[1]);
    assert.equal(permits.takeSeat(), seats[1]);
  });
});
