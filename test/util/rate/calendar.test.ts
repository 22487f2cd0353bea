import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { CalendarPeriods, type PeriodLength } from '../../../src/util/rate/calendar-period.ts';
import { CalendarWindow } from '../../../src/util/rate/calendar-window.ts';
import { KeyedLimit } from './limiter-of.ts';

function periodAt(length: PeriodLength, zone: string, time: string): readonly [string, string] {
  const { startMs, endMs } = new CalendarPeriods(length, zone, () => Date.parse(time)).now();
  return [new Date(startMs).toISOString(), new Date(endMs).toISOString()];
}

suite('periods of the calendar', () => {
  test('are those of the time zone, however long they are there', () => {
    assert.deepEqual(periodAt('day', 'UTC', '2026-11-26T15:00:00Z'), [
      '2026-11-26T00:00:00.000Z',
      '2026-11-27T00:00:00.000Z',
    ]);
    assert.deepEqual(
      periodAt('day', 'Europe/Berlin', '2026-03-29T12:00:00Z'),
      ['2026-03-28T23:00:00.000Z', '2026-03-29T22:00:00.000Z'],
      'the day has 23 hours',
    );
    assert.deepEqual(
      periodAt('day', 'Europe/Berlin', '2026-10-25T12:00:00Z'),
      ['2026-10-24T22:00:00.000Z', '2026-10-25T23:00:00.000Z'],
      'the day has 25 hours',
    );
    assert.deepEqual(
      periodAt('day', 'America/Santiago', '2026-09-06T12:00:00Z'),
      ['2026-09-06T04:00:00.000Z', '2026-09-07T03:00:00.000Z'],
      'there is no midnight: the day begins at one',
    );
    assert.deepEqual(
      periodAt('day', 'Pacific/Apia', '2011-12-30T09:00:00Z'),
      ['2011-12-29T10:00:00.000Z', '2011-12-30T10:00:00.000Z'],
      'the next day is one that was left out',
    );
    assert.deepEqual(periodAt('month', 'UTC', '2028-02-29T23:59:59.999Z'), [
      '2028-02-01T00:00:00.000Z',
      '2028-03-01T00:00:00.000Z',
    ]);
    assert.deepEqual(periodAt('month', 'Asia/Tokyo', '2026-12-31T15:00:00Z'), [
      '2026-12-31T15:00:00.000Z',
      '2027-01-31T15:00:00.000Z',
    ]);
  });

  test('follow each other without a gap', () => {
    const time = fc.integer({ min: Date.UTC(2000, 0, 1), max: Date.UTC(2040, 0, 1) });
    const zone = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe');
    fc.assert(
      fc.property(time, zone, fc.constantFrom<PeriodLength>('day', 'month'), (startedAt, timeZone, length) => {
        let nowMs = startedAt;
        const periods = new CalendarPeriods(length, timeZone, () => nowMs);
        const first = periods.now();
        assert.ok(first.startMs <= nowMs && nowMs < first.endMs);
        nowMs = first.endMs;
        assert.equal(periods.now().startMs, first.endMs);
        nowMs = first.endMs - 1;
        assert.deepEqual(periods.now(), first);
      }),
      { numRuns: 50 },
    );
  });

  test('a time zone that nobody knows is refused', () => {
    assert.throws(() => new CalendarPeriods('day', 'Mars/Olympus', () => 0), RangeError);
  });
});

suite('a quota', () => {
  const hourMs = 3_600_000;
  const quota = (limit: number) => {
    const clock = { wallMs: Date.UTC(2026, 10, 26, 15) };
    const periods = new CalendarPeriods('day', 'UTC', () => clock.wallMs);
    const own = new KeyedLimit(
      new CalendarWindow(
        limit,
        () => periods.now(),
        () => clock.wallMs,
      ),
      2,
    );
    /** Lets time pass, by both clocks. */
    const pass = (ms: number): void => {
      own.nowMs += ms;
      clock.wallMs += ms;
    };
    return { own, clock, pass };
  };

  test('is there again with the next period', () => {
    const { own, pass } = quota(2);
    assert.ok(own.charge() && own.charge());
    assert.equal(own.charge(), false);
    assert.equal(own.algorithm.retryMs, 9 * hourMs);
    pass(9 * hourMs - 1);
    assert.equal(own.charge(), false);
    pass(1);
    assert.equal(own.charge(), true);
    assert.equal(own.algorithm.remaining, 1);
  });

  test('is not given out again when the clock is put back', () => {
    const { own, clock, pass } = quota(2);
    assert.ok(own.charge(2));
    clock.wallMs -= 20 * hourMs;
    assert.equal(own.charge(), false, 'yesterday by the clock');
    pass(12 * hourMs);
    assert.equal(own.charge(), false, 'today once more');
    pass(32 * hourMs);
    assert.equal(own.charge(), true, 'the day after');
  });

  test('a charge is taken back within its period only', () => {
    const { own, pass } = quota(1);
    assert.ok(own.charge());
    const { mark } = own.algorithm;
    own.undo(1, own.nowMs, mark);
    assert.ok(own.charge());
    pass(10 * hourMs);
    assert.ok(own.charge());
    own.undo(1, 0, mark);
    assert.equal(own.charge(), false);
  });
});
