/** What the script of the limits is asked for by a rule, and what its answers mean: see `limit-script.ts`. */
import type { LimitRule, LimitVerdict } from '../contract.ts';
import { type Period, CalendarPeriods } from '../util/rate/calendar-period.ts';

/** One thing that the script can do. The same object for the same thing, as far as possible: it is sent once for many keys. */
export interface LimitOperation {
  /** A letter and seven numbers. */
  readonly args: readonly string[];
  /** How many numbers the answer has. */
  readonly answers: number;
}

/** An answer of the script, in which the numbers of this decision begin at `at`. */
export interface ScriptAnswer {
  readonly numbers: readonly number[];
  readonly at: number;
  /** The server's time, in microseconds. */
  readonly nowUs: number;
}

export type StoreVerdict = LimitVerdict & { readonly source: 'store' };

/** A charge that the store has allowed. */
export interface StoredCharge extends Pick<LimitVerdict, 'chargedAtMs' | 'mark'> {
  readonly cost: number;
}

export interface StoredRule {
  charge(cost: number): LimitOperation;
  /** Takes as many as there are, up to this many. */
  take(count: number): LimitOperation;
  /** Takes back so many of what was charged, as far as time has not paid them off yet. */
  undo(back: number, charge: StoredCharge): LimitOperation;
  /** Charges whatever is left. */
  debit(cost: number): LimitOperation;
  /** What a charge came to; `charged` is how much. */
  read(answer: ScriptAnswer, cost: number): StoreVerdict;
}

/** @throws {RangeError} for a rule that cannot be counted exactly. */
export function storedRule(rule: LimitRule, wallNow: () => number): StoredRule {
  switch (rule.algorithm) {
    case 'gcra':
      return new StoredGcra(rule);
    case 'fixed-window':
      return new StoredFixedWindow(rule);
    case 'sliding-window':
      return new StoredSlidingWindow(rule);
    case 'calendar': {
      const periods = new CalendarPeriods(rule.per, rule.timeZone, wallNow);
      return new StoredCalendar(rule.limit, () => periods.now(), wallNow);
    }
  }
}

/** A harmless one that writes, so that its answer says that limits can be counted. */
export const probeOperation: LimitOperation = operation('f', [1, 1000, 1, 0]);

function operation(letter: string, numbers: readonly number[], answers = 3): LimitOperation {
  const args = [letter, ...numbers.map(String)];
  while (args.length < 8) args.push('0');
  return { args, answers };
}

/** Costs are usually few; of many only the first are kept. */
const mostKept = 64;

class Operations {
  private readonly kept = new Map<number, LimitOperation>();
  private readonly make: (cost: number) => LimitOperation;

  constructor(make: (cost: number) => LimitOperation) {
    this.make = make;
  }

  for(cost: number): LimitOperation {
    const known = this.kept.get(cost);
    if (known !== undefined) return known;
    const made = this.make(cost);
    if (this.kept.size < mostKept) this.kept.set(cost, made);
    return made;
  }
}

/** Beyond this the time that is kept could not be exact: it is a hundred years, of which fifty-six are over since 1970. */
const longestDebtUs = 100 * 366 * 86_400_000_000;

/** Microseconds, and parts of one. */
interface Amount {
  readonly us: number;
  readonly part: number;
}

class StoredGcra implements StoredRule {
  private readonly limit: number;
  private readonly windowUs: number;
  private readonly capacity: number;
  private readonly most: Amount;
  private readonly interval: Amount;
  private readonly charges: Operations;
  private readonly takes: Operations;
  private readonly debits: Operations;

  constructor({ limit, windowMs, capacity }: Extract<LimitRule, { algorithm: 'gcra' }>) {
    this.limit = limit;
    this.windowUs = windowMs * 1000;
    this.capacity = capacity;
    this.most = this.amountOf(capacity);
    this.interval = this.amountOf(1);
    if (this.most.us > longestDebtUs) {
      throw new RangeError(
        'so many at once would take more than a hundred years to come back, which no store can count',
      );
    }
    const { most, interval, windowUs } = this;
    this.charges = new Operations((cost) => {
      const { us, part } = this.amountOf(Math.min(cost, capacity + 1));
      return operation('g', [limit, most.us, most.part, us, part, cost, windowUs]);
    });
    // A window and all that may come at once is as long as it can take to pay off; what goes beyond that is forgiven.
    this.debits = new Operations((cost) => {
      const { us, part } = this.amountOf(Math.min(cost, capacity + limit));
      return operation('d', [limit, most.us + windowUs, most.part, us, part]);
    });
    // The product of permits and parts has to be exact.
    const mostTaken = Math.floor(2 ** 52 / Math.max(1, interval.part));
    this.takes = new Operations((count) =>
      operation('l', [limit, most.us, most.part, interval.us, interval.part, Math.min(count, mostTaken), windowUs]),
    );
  }

  charge(cost: number): LimitOperation {
    return this.charges.for(cost);
  }

  take(count: number): LimitOperation {
    return this.takes.for(count);
  }

  undo(back: number, { cost, chargedAtMs, mark }: StoredCharge): LimitOperation {
    const { us, part } = this.amountOf(back);
    const whole = this.amountOf(cost);
    const paidAtUs = Math.round(chargedAtMs * 1000) + whole.us;
    // What was kept is known by its microseconds only, which are others after each charge if one takes that long.
    const known = this.interval.us >= 1 ? mark : -1;
    return operation('G', [this.limit, us, part, paidAtUs, whole.part, known]);
  }

  debit(cost: number): LimitOperation {
    return this.debits.for(cost);
  }

  read({ numbers, at, nowUs }: ScriptAnswer, cost: number): StoreVerdict {
    const { limit, windowUs, capacity } = this;
    const [debtUs, part] = [numbers[at + 1], numbers[at + 2]];
    // In permits, whose parts are rounded far more finely than there can be of them.
    const left = (this.most.us - debtUs + (this.most.part - part) / limit) * (limit / windowUs);
    const remaining = Math.max(0, Math.floor(left + 1e-6));
    const isAllowed = numbers[at] >= cost && left > -1e-6;
    const intervalMs = windowUs / limit / 1000;
    const debtMs = (debtUs + part / limit) / 1000;
    const missing = cost - left;
    return {
      source: 'store',
      isAllowed,
      remaining,
      resetMs: debtMs,
      moreMs: debtMs === 0 ? 0 : Math.max(0, (remaining + 1 - left) * intervalMs),
      retryMs: isAllowed ? 0 : cost > capacity ? Infinity : Math.max(0.001, missing * intervalMs),
      chargedAtMs: nowUs / 1000,
      mark: nowUs + debtUs,
    };
  }

  private amountOf(permits: number): Amount {
    const parts = BigInt(permits) * BigInt(this.windowUs);
    const limit = BigInt(this.limit);
    return { us: Number(parts / limit), part: Number(parts % limit) };
  }
}

class StoredFixedWindow implements StoredRule {
  private readonly limit: number;
  private readonly charges: Operations;
  private readonly takes: Operations;
  private readonly debits: Operations;

  constructor({ limit, windowMs }: { readonly limit: number; readonly windowMs: number }) {
    this.limit = limit;
    const windowUs = windowMs * 1000;
    this.charges = new Operations((cost) => operation('f', [limit, windowUs, cost, 0]));
    this.takes = new Operations((count) => operation('f', [limit, windowUs, count, 1]));
    this.debits = new Operations((cost) => operation('w', [windowUs, cost]));
  }

  charge(cost: number): LimitOperation {
    return this.charges.for(cost);
  }

  take(count: number): LimitOperation {
    return this.takes.for(count);
  }

  undo(back: number, { mark }: Pick<StoredCharge, 'mark'>): LimitOperation {
    return operation('F', [back, mark]);
  }

  debit(cost: number): LimitOperation {
    return this.debits.for(cost);
  }

  read({ numbers, at, nowUs }: ScriptAnswer, cost: number): StoreVerdict {
    const { limit } = this;
    const [charged, count, leftUs] = [numbers[at], numbers[at + 1], numbers[at + 2]];
    const isAllowed = charged >= cost && count <= limit;
    const leftMs = count === 0 ? 0 : leftUs / 1000;
    return {
      source: 'store',
      isAllowed,
      remaining: Math.max(0, limit - count),
      resetMs: leftMs,
      moreMs: leftMs,
      retryMs: isAllowed ? 0 : cost > limit ? Infinity : leftUs / 1000,
      chargedAtMs: nowUs / 1000,
      mark: nowUs + leftUs,
    };
  }
}

class StoredSlidingWindow implements StoredRule {
  private readonly limit: number;
  private readonly windowUs: number;
  private readonly charges: Operations;
  private readonly takes: Operations;
  private readonly debits: Operations;

  constructor({ limit, windowMs }: { readonly limit: number; readonly windowMs: number }) {
    this.limit = limit;
    this.windowUs = windowMs * 1000;
    const { windowUs } = this;
    this.charges = new Operations((cost) => operation('s', [limit, windowUs, cost, 0], 6));
    this.takes = new Operations((count) => operation('s', [limit, windowUs, count, 1], 6));
    this.debits = new Operations((cost) => operation('n', [windowUs, cost]));
  }

  charge(cost: number): LimitOperation {
    return this.charges.for(cost);
  }

  take(count: number): LimitOperation {
    return this.takes.for(count);
  }

  undo(back: number, { mark }: Pick<StoredCharge, 'mark'>): LimitOperation {
    return operation('S', [this.windowUs, back, mark]);
  }

  debit(cost: number): LimitOperation {
    return this.debits.for(cost);
  }

  read({ numbers, at, nowUs }: ScriptAnswer, cost: number): StoreVerdict {
    const { limit } = this;
    const [charged, count, moreUs, resetUs, retryUs] = numbers.slice(at, at + 5);
    const isAllowed = charged >= cost && count <= limit;
    return {
      source: 'store',
      isAllowed,
      remaining: Math.max(0, limit - count),
      resetMs: resetUs / 1000,
      moreMs: moreUs / 1000,
      retryMs: isAllowed ? 0 : cost > limit ? Infinity : Math.max(0.001, retryUs / 1000),
      chargedAtMs: nowUs / 1000,
      // When the last that was noted came, which is this one if it was charged.
      mark: nowUs + resetUs - this.windowUs,
    };
  }
}

/** As in memory: it is kept for longer than its period, so that a machine whose clock is behind finds it. */
const graceMs = 86_400_000;

class StoredCalendar implements StoredRule {
  private readonly limit: number;
  private readonly period: () => Period;
  private readonly wallNow: () => number;
  private charges: Operations;
  private takes: Operations;
  private debits: Operations;
  private current: Period = { startMs: NaN, endMs: NaN };

  constructor(limit: number, period: () => Period, wallNow: () => number) {
    this.limit = limit;
    this.period = period;
    this.wallNow = wallNow;
    this.charges = new Operations((cost) => this.make(cost, 0));
    this.takes = new Operations((count) => this.make(count, 1));
    this.debits = new Operations((cost) => this.makeDebit(cost));
  }

  charge(cost: number): LimitOperation {
    this.turn();
    return this.charges.for(cost);
  }

  take(count: number): LimitOperation {
    this.turn();
    return this.takes.for(count);
  }

  undo(back: number, { mark }: Pick<StoredCharge, 'mark'>): LimitOperation {
    return operation('C', [back, mark]);
  }

  debit(cost: number): LimitOperation {
    this.turn();
    return this.debits.for(cost);
  }

  read({ numbers, at, nowUs }: ScriptAnswer, cost: number): StoreVerdict {
    const { limit } = this;
    const [charged, count, mark] = [numbers[at], numbers[at + 1], numbers[at + 2]];
    const leftMs = Math.max(1, this.period().endMs - this.wallNow());
    const isAllowed = charged >= cost && count <= limit;
    return {
      source: 'store',
      isAllowed,
      remaining: Math.max(0, limit - count),
      resetMs: leftMs,
      moreMs: leftMs,
      retryMs: isAllowed ? 0 : cost > limit ? Infinity : leftMs,
      chargedAtMs: nowUs / 1000,
      mark,
    };
  }

  /** Operations name the period, and are made anew when another one begins. */
  private turn(): void {
    const period = this.period();
    if (period === this.current) return;
    this.current = period;
    this.charges = new Operations((cost) => this.make(cost, 0));
    this.takes = new Operations((count) => this.make(count, 1));
    this.debits = new Operations((cost) => this.makeDebit(cost));
  }

  private make(cost: number, isPartial: number): LimitOperation {
    const { startMs, endMs } = this.current;
    return operation('c', [this.limit, cost, isPartial, startMs, endMs, graceMs]);
  }

  private makeDebit(cost: number): LimitOperation {
    const { startMs, endMs } = this.current;
    return operation('p', [cost, startMs, endMs, graceMs]);
  }
}
