import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Heartbeat } from '../../src/util/heartbeat.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('Heartbeat', () => {
  it('says for how long a thread has been silent', () => {
    const buffer = Heartbeat.create(2);
    const clock = new FakeClock();
    const watch = Heartbeat.attach(buffer, clock);
    const thread = Heartbeat.attach(buffer, new FakeClock());
    clock.advance(300);
    thread.beat(1);
    assert.equal(watch.silentMs(0), 300);
    assert.equal(watch.silentMs(1), 0);
    clock.advance(50);
    assert.equal(watch.silentMs(0), 350);
    assert.equal(watch.silentMs(1), 50);
    thread.beat(0);
    assert.equal(watch.silentMs(0), 0);
  });

  it('does not hold against the threads that the watcher itself was late', () => {
    const buffer = Heartbeat.create(1);
    const clock = new FakeClock();
    const watch = Heartbeat.attach(buffer, clock);
    watch.beat(0);
    clock.advance(60_000);
    assert.equal(watch.silentMs(0), 0);
  });

  it('counts anew for a thread that was replaced', () => {
    const buffer = Heartbeat.create(1);
    const clock = new FakeClock();
    const watch = Heartbeat.attach(buffer, clock);
    clock.advance(5000);
    watch.restart(0);
    clock.advance(10);
    assert.equal(watch.silentMs(0), 10);
  });

  it('notices a beat after 2³² of them, and refuses what is no heartbeat', () => {
    const buffer = Heartbeat.create(1);
    new Int32Array(buffer)[16] = 0x7fff_ffff;
    const clock = new FakeClock();
    const watch = Heartbeat.attach(buffer, clock);
    clock.advance(10);
    watch.beat(0);
    assert.equal(watch.silentMs(0), 0);
    assert.throws(() => Heartbeat.attach(new SharedArrayBuffer(64), clock), TypeError);
  });
});
