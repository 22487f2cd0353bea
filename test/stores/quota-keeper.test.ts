import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { SharedTable } from '../../src/util/shared-table.ts';
import { folderWith } from '../support/command.ts';
import { FakeProcess, charge, daily, evening, fileIn, left, rowsIn } from './quota-process.ts';

describe('the database of quotas', () => {
  it('has what was counted there again after a restart', async (t) => {
    const file = await fileIn(t);
    const first = await FakeProcess.start(t, file);
    assert.equal(charge(first.limiter(), 'ada', 30), 70);
    assert.equal(charge(first.limiter(), 'bob', 1), 99);
    first.keeper.leave();
    const second = await FakeProcess.start(t, file, first.clock.wallNow() + 3_600_000);
    assert.equal(left(second.limiter(), 'ada'), 70);
    assert.equal(left(second.limiter(), 'bob'), 99);
    assert.equal(left(second.limiter(), 'eve'), 100);
    assert.equal(left(second.limiter(daily(50)), 'ada'), 50, 'another limit');
  });

  it('is written every half second, so that a crash loses no more than that', async (t) => {
    const file = await fileIn(t);
    const first = await FakeProcess.start(t, file);
    charge(first.limiter(), 'ada', 10);
    first.clock.advance(500);
    charge(first.limiter(), 'ada', 5);
    const second = await FakeProcess.start(t, file);
    assert.equal(left(second.limiter(), 'ada'), 90);
    first.clock.advance(500);
    assert.equal(left((await FakeProcess.start(t, file)).limiter(), 'ada'), 85);
  });

  it('also forgets what was taken back', async (t) => {
    const file = await fileIn(t);
    const first = await FakeProcess.start(t, file);
    const limiter = first.limiter();
    charge(limiter, 'ada', 10);
    const { chargedAtMs, mark, source } = limiter.charge('ada', 3);
    first.clock.advance(500);
    limiter.undo('ada', 3, { chargedAtMs, mark, source });
    first.clock.advance(500);
    assert.equal(left((await FakeProcess.start(t, file)).limiter(), 'ada'), 90);
  });

  it('counts by the day that it is in the time zone, also if that began while nobody served', async (t) => {
    const file = await fileIn(t);
    const inBerlin = daily(100, 'Europe/Berlin');
    const first = await FakeProcess.start(t, file, evening);
    charge(first.limiter(inBerlin), 'ada', 40);
    charge(first.limiter(), 'ada', 40);
    first.keeper.leave();
    const before = await FakeProcess.start(t, file, evening + 3 * 3_600_000 - 1000);
    assert.equal(left(before.limiter(inBerlin), 'ada'), 60);
    before.clock.advance(1000);
    assert.equal(left(before.limiter(inBerlin), 'ada'), 100, 'midnight in Berlin');
    before.keeper.leave();
    const after = await FakeProcess.start(t, file, evening + 3 * 3_600_000);
    assert.equal(left(after.limiter(inBerlin), 'ada'), 100);
    assert.equal(left(after.limiter(), 'ada'), 60, 'not yet in UTC');
    charge(after.limiter(inBerlin), 'ada', 1);
    after.keeper.leave();
    const late = await FakeProcess.start(t, file, evening + 3 * 3_600_000 + 1);
    assert.equal(left(late.limiter(inBerlin), 'ada'), 99);
  });

  it('gives nothing out twice when the clock is put back by less than a day between two starts', async (t) => {
    const file = await fileIn(t);
    const first = await FakeProcess.start(t, file, Date.UTC(2026, 10, 27, 0, 1));
    charge(first.limiter(), 'ada', 40);
    first.keeper.leave();
    const second = await FakeProcess.start(t, file, Date.UTC(2026, 10, 26, 23, 50));
    assert.equal(left(second.limiter(), 'ada'), 60);
  });

  it('does not bind anybody to what a clock has counted that was years ahead', async (t) => {
    const file = await fileIn(t);
    const first = await FakeProcess.start(t, file, Date.UTC(2040, 0, 1));
    charge(first.limiter(), 'ada', 100);
    first.keeper.leave();
    const second = await FakeProcess.start(t, file);
    assert.equal(charge(second.limiter(), 'ada', 1), 99);
    second.keeper.leave();
    assert.equal(left((await FakeProcess.start(t, file)).limiter(), 'ada'), 99);
  });

  it('forgets what is over, and keeps no more than there is room for in memory', async (t) => {
    const file = await fileIn(t);
    const first = await FakeProcess.start(t, file);
    for (let i = 0; i < 100; i++) charge(first.limiter(), `key ${i}`);
    first.keeper.leave();
    assert.equal(rowsIn(file), 100);
    const later = await FakeProcess.start(t, file, evening + 3 * 86_400_000);
    charge(later.limiter(), 'ada');
    later.keeper.leave();
    assert.equal(rowsIn(file), 1);
    // Far more keys come and go than there is room for.
    const flooded = await FakeProcess.start(t, file, evening + 3 * 86_400_000, 32);
    for (let i = 0; i < 2000; i++) {
      charge(flooded.limiter(), `key ${i}`);
      if (i % 20 === 0) flooded.clock.advance(500);
    }
    flooded.clock.advance(3_600_000);
    assert.equal(rowsIn(file), SharedTable.attach(flooded.memory.quotas, 1).slots);
  });

  it('is read for nobody else', async (t) => {
    const file = await fileIn(t);
    const { keeper, ...first } = await FakeProcess.start(t, file);
    assert.ok(first.log.length === 0 && keeper.status !== null);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(`${file}-wal`).mode & 0o777, 0o600);
  });

  it('has another start count with another seed, unless there is a file', async (t) => {
    const folder = await folderWith(t);
    const [one, other] = [join(folder, 'one.db'), join(folder, 'other.db')];
    const seeds = [];
    for (const file of [one, other, one]) {
      (await FakeProcess.start(t, file)).keeper.leave();
      const database = new DatabaseSync(file);
      seeds.push(Buffer.from(database.prepare('SELECT bytes FROM seed').get()!['bytes'] as Uint8Array).toString('hex'));
      database.close();
    }
    assert.equal(seeds[0], seeds[2]);
    assert.notEqual(seeds[0], seeds[1]);
  });
});

describe('a database of quotas that comes and goes while the gateway runs', () => {
  it('gets what was counted before', async (t) => {
    const file = await fileIn(t);
    const first = new FakeProcess();
    t.after(() => first.keeper.leave());
    charge(first.limiter(), 'ada', 10);
    await first.turnTo(file);
    charge(first.limiter(), 'ada', 5);
    await first.turnTo(null);
    assert.equal(first.keeper.status, null);
    assert.equal(left(first.limiter(), 'ada'), 85, 'in memory it counts on');
    assert.equal(left((await FakeProcess.start(t, file)).limiter(), 'ada'), 85);
  });

  it('is not counted twice when it comes again', async (t) => {
    const file = await fileIn(t);
    const first = await FakeProcess.start(t, file);
    charge(first.limiter(), 'ada', 10);
    await first.turnTo(null);
    charge(first.limiter(), 'ada', 5);
    await first.turnTo(file);
    assert.equal(left(first.limiter(), 'ada'), 85);
    first.keeper.leave();
    assert.equal(left((await FakeProcess.start(t, file)).limiter(), 'ada'), 85);
  });

  it('is refused when it is of another start, and nothing has changed', async (t) => {
    const folder = await folderWith(t);
    const [one, other] = [join(folder, 'one.db'), join(folder, 'other.db')];
    (await FakeProcess.start(t, other)).keeper.leave();
    const first = await FakeProcess.start(t, one);
    let changed = false;
    const change = (): Promise<void> => {
      changed = true;
      return Promise.resolve();
    };
    await assert.rejects(first.keeper.turnTo(other, false, change), /other\.db has the counts of another start/);
    assert.equal(changed, false);
    assert.equal(first.keeper.status?.database, one);
    charge(first.limiter(), 'ada', 10);
    first.clock.advance(500);
    assert.equal(rowsIn(one), 1);
  });

  it('stays what it was when the change comes to nothing', async (t) => {
    const folder = await folderWith(t);
    const first = await FakeProcess.start(t, join(folder, 'one.db'));
    const refuse = (): Promise<void> => Promise.reject(new Error('refused'));
    await assert.rejects(first.keeper.turnTo(join(folder, 'other.db'), false, refuse), /refused/);
    await assert.rejects(first.keeper.turnTo(null, false, refuse), /refused/);
    charge(first.limiter(), 'ada', 10);
    first.clock.advance(500);
    assert.equal(rowsIn(join(folder, 'one.db')), 1);
  });
});
