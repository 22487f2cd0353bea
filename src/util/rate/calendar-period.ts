/** Days and months of the calendar in a time zone, as spans of the wall clock. */

export type PeriodLength = 'day' | 'month';

/** Milliseconds since 1970, the end exclusive. */
export interface Period {
  readonly startMs: number;
  readonly endMs: number;
}

const hourMs = 3_600_000;

/** @throws {RangeError} for a time zone that nobody knows. */
export class CalendarPeriods {
  private readonly length: PeriodLength;
  private readonly format: Intl.DateTimeFormat;
  private readonly wallNow: () => number;
  /** The last one that it was. It is asked for with every request, and found anew once a day. */
  private current: Period = { startMs: 0, endMs: 0 };

  /** @param timeZone a name of the IANA database, as in `Europe/Berlin`. */
  constructor(length: PeriodLength, timeZone: string, wallNow: () => number) {
    this.length = length;
    this.wallNow = wallNow;
    this.format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'iso8601',
      numberingSystem: 'latn',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
    });
  }

  /** The period that it is now. */
  now(): Period {
    const nowMs = this.wallNow();
    const { startMs, endMs } = this.current;
    if (!(nowMs >= startMs && nowMs < endMs)) this.current = this.at(nowMs);
    return this.current;
  }

  private at(timeMs: number): Period {
    const own = this.numberOf(timeMs);
    // Longer than any day or month is, changes of the clock included.
    const reachMs = (this.length === 'day' ? 48 : 33 * 24) * hourMs;
    return {
      startMs: this.firstOf(own, timeMs - reachMs, timeMs),
      endMs: this.firstOf(own + 1, timeMs, timeMs + reachMs),
    };
  }

  /**
   * The first millisecond whose period is this one or a later one. Found by halving, since a day need not begin at
   * midnight: where the clock is put forward at midnight there is none.
   */
  private firstOf(period: number, fromMs: number, toMs: number): number {
    let [before, after] = [fromMs, toMs];
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (this.numberOf(middle) >= period) after = middle;
      else before = middle;
    }
    return after;
  }

  /** Grows by one or more from each period to the next. */
  private numberOf(timeMs: number): number {
    const parts: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {};
    for (const { type, value } of this.format.formatToParts(timeMs)) parts[type] = value;
    const months = Number(parts.year) * 12 + Number(parts.month);
    return this.length === 'month' ? months : months * 32 + Number(parts.day);
  }
}
