import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { Timer, TimerWheel } from '../../src/wire/timer-wheel.ts';
import { FakeClock } from '../support/fake-clock.ts';

const tickMs = 25;

function setUp() {
  const clock = new FakeClock();
  // A monotonic clock is never at 0, where a deadline would mean none.
  clock.advance(1);
  const wheel = new TimerWheel(clock, tickMs);
  const fired: (readonly [name: string, atMs: number])[] = [];
  const timer = (name: string, then: () => void = () => {}): Timer =>
    new Timer(() => {
      fired.push([name, clock.now()]);
      then();
    });
  return { clock, wheel, fired, timer };
}

describe('a timer', () => {
  it('fires once, not before its time and less than two ticks after', () => {
    for (const delay of [1, 24, 25, 26, 100, 12_799, 12_800, 12_801, 100_000]) {
      const { clock, wheel, fired, timer } = setUp();
      clock.advance(7);
      wheel.arm(timer('a'), delay);
      clock.advance(delay - 1);
      assert.deepEqual(fired, [], `${delay} ms`);
      clock.advance(2 * tickMs);
      assert.equal(fired.length, 1, `${delay} ms`);
      clock.advance(200_000);
      assert.equal(fired.length, 1);
    }
  });

  it('that is disarmed does not fire, and can be armed again', () => {
    const { clock, wheel, fired, timer } = setUp();
    const a = timer('a');
    wheel.arm(a, 100);
    a.disarm();
    clock.advance(1000);
    assert.deepEqual(fired, []);
    wheel.arm(a, 100);
    clock.advance(150);
    assert.equal(fired.length, 1);
  });

  it('that is armed again fires at the later time, or at the earlier one', () => {
    const { clock, wheel, fired, timer } = setUp();
    const [later, earlier] = [timer('later'), timer('earlier')];
    wheel.arm(later, 100);
    wheel.arm(earlier, 10_000);
    clock.advance(90);
    wheel.arm(later, 100);
    wheel.arm(earlier, 20);
    clock.advance(99);
    assert.deepEqual(
      fired.map(([name]) => name),
      ['earlier'],
    );
    clock.advance(51);
    assert.deepEqual(
      fired.map(([name]) => name),
      ['earlier', 'later'],
    );
  });

  it('that is armed for ever is disarmed', () => {
    const { clock, wheel, fired, timer } = setUp();
    const a = timer('a');
    wheel.arm(a, 100);
    wheel.arm(a, Infinity);
    clock.advance(1000);
    assert.deepEqual(fired, []);
  });

  it('may arm itself, and arm and disarm others, while it fires', () => {
    const { clock, wheel, fired, timer } = setUp();
    const victim = timer('victim');
    const born = timer('born');
    const again: Timer = timer('again', () => wheel.arm(again, 50));
    wheel.arm(victim, 100);
    wheel.arm(
      timer('killer', () => {
        victim.disarm();
        wheel.arm(born, 1);
      }),
      100,
    );
    wheel.arm(again, 50);
    // The last that was armed in a slot is the first that fires.
    clock.advance(400);
    assert.deepEqual(
      fired.filter(([name]) => name === 'victim'),
      [],
    );
    assert.equal(fired.filter(([name]) => name === 'born').length, 1);
    assert.ok(fired.filter(([name]) => name === 'again').length >= 5);
  });

  it('fires after a stall that was longer than the wheel', () => {
    const { clock, wheel, fired, timer } = setUp();
    for (let i = 0; i < 2000; i++) wheel.arm(timer(String(i)), 1 + i * 20);
    // One jump: every tick of it comes at once.
    clock.advance(60_000);
    assert.equal(fired.length, 2000);
  });
});

describe('a wheel', () => {
  it('ticks only while a timer waits', () => {
    const { clock, wheel, timer } = setUp();
    assert.equal(clock.running, 0);
    wheel.arm(timer('a'), 100);
    assert.equal(clock.running, 1);
    clock.advance(200);
    assert.equal(clock.running, 0);
    const b = timer('b');
    wheel.arm(b, 100);
    b.disarm();
    clock.advance(200);
    assert.equal(clock.running, 0, 'a disarmed timer does not wait');
  });

  it('behaves like a list of deadlines, whatever is armed and disarmed', () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('arm' as const),
        timer: fc.nat(5),
        delay: fc.oneof(fc.nat(200), fc.nat(30_000), fc.constant(Infinity)),
      }),
      fc.record({ kind: fc.constant('disarm' as const), timer: fc.nat(5), delay: fc.constant(0) }),
      fc.record({
        kind: fc.constant('wait' as const),
        timer: fc.constant(0),
        delay: fc.oneof(fc.nat(100), fc.nat(20_000)),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { clock, wheel, fired, timer } = setUp();
        const timers = Array.from({ length: 6 }, (_, i) => timer(String(i)));
        const deadlines = new Map<string, number>();
        let seen = 0;
        for (const { kind, timer: index, delay } of steps) {
          const name = String(index);
          if (kind === 'arm') {
            wheel.arm(timers[index], delay);
            if (delay === Infinity) deadlines.delete(name);
            else deadlines.set(name, clock.now() + delay);
          } else if (kind === 'disarm') {
            timers[index].disarm();
            deadlines.delete(name);
          } else {
            clock.advance(delay);
            for (const [late, atMs] of fired.slice(seen)) {
              const due = deadlines.get(late);
              assert.ok(due !== undefined && atMs >= due && atMs < due + 2 * tickMs, `${late} at ${atMs}, due ${due}`);
              deadlines.delete(late);
            }
            seen = fired.length;
            for (const [name_, due] of deadlines) {
              assert.ok(due + 2 * tickMs > clock.now(), `${name_} was due at ${due}, it is ${clock.now()}`);
            }
          }
        }
      }),
    );
  });
});
