/** What a process has of quotas, and several of them in one. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import type { LimitRule, MemoryLimiter } from '../../src/contract.ts';
import { QuotaKeeper } from '../../src/stores/quota-keeper.ts';
import { type LimitMemory, SharedLimits, createLimitMemory } from '../../src/stores/shared-limits.ts';
import { folderWith } from '../support/command.ts';
import { FakeClock } from '../support/fake-clock.ts';

const small = { rates: 8, windows: 1024, logs: 8, permits: 8 };
export const evening = Date.UTC(2026, 10, 26, 20);
export const daily = (limit: number, timeZone = 'UTC'): LimitRule => ({
  algorithm: 'calendar',
  limit,
  per: 'day',
  timeZone,
});

/** What a process has: memory and a monotonic clock of its own. */
export class FakeProcess {
  readonly clock: FakeClock;
  readonly log: { level: string; message: string; problem: unknown }[] = [];
  readonly keeper: QuotaKeeper;
  readonly memory: LimitMemory;
  private attached: SharedLimits | null = null;

  constructor(wallMs = evening, windows = small.windows) {
    this.clock = new FakeClock(wallMs);
    // Each process counts from when it began.
    this.clock.advance(Math.floor(Math.random() * 100));
    this.memory = createLimitMemory(2, { ...small, windows });
    const note = (level: string) => (message: string, about: Readonly<Record<string, unknown>>) =>
      this.log.push({ level, message, problem: about['problem'] });
    const log = { info: note('info'), warn: note('warn'), error: note('error') };
    this.keeper = new QuotaKeeper(this.memory.quotas, 2, { clock: this.clock, log });
  }

  /** One that begins with this file. */
  static async start(t: TestContext, file: string, wallMs = evening, windows = small.windows): Promise<FakeProcess> {
    const started = new FakeProcess(wallMs, windows);
    await started.keeper.turnTo(file, true, () => Promise.resolve());
    t.after(() => started.keeper.leave());
    return started;
  }

  turnTo(file: string | null): Promise<void> {
    return this.keeper.turnTo(file, false, () => Promise.resolve());
  }

  limiter(rule = daily(100)): MemoryLimiter {
    // As threads do, which are born when the file is open.
    this.attached ??= new SharedLimits(this.memory, 0, this.clock);
    return this.attached.limiter(JSON.stringify(rule), rule);
  }
}

export function charge(limiter: MemoryLimiter, key: string, times = 1): number {
  let remaining = -1;
  for (let i = 0; i < times; i++) ({ remaining } = limiter.charge(key, 1));
  return remaining;
}

export const left = (limiter: MemoryLimiter, key: string): number => limiter.charge(key, 0).remaining;

export async function fileIn(t: TestContext): Promise<string> {
  return join(await folderWith(t), 'quotas.db');
}

export function rowsIn(file: string): number {
  const database = new DatabaseSync(file);
  try {
    return Number(database.prepare('SELECT count(*) AS rows FROM quota').get()!['rows']);
  } finally {
    database.close();
  }
}
