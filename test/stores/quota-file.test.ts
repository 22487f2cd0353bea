import assert from 'node:assert/strict';
import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { QuotaExchange } from '../../src/stores/quota-exchange.ts';
import { QuotaFile } from '../../src/stores/quota-file.ts';
import { SharedTable } from '../../src/util/shared-table.ts';
import { folderWith } from '../support/command.ts';
import { FakeProcess, charge, daily, evening, fileIn, left, rowsIn } from './quota-process.ts';

/** Whose disk is full now and then. */
class FailingFile extends QuotaFile {
  fails = false;

  override write(...row: Parameters<QuotaFile['write']>): number {
    if (this.fails) throw new Error('database or disk is full');
    return super.write(...row);
  }
}

describe('two processes with one database of quotas', () => {
  it('count together what each has counted, half a second later at most', async (t) => {
    const file = await fileIn(t);
    const [one, other] = [await FakeProcess.start(t, file), await FakeProcess.start(t, file)];
    charge(one.limiter(), 'ada', 10);
    charge(other.limiter(), 'ada', 7);
    charge(other.limiter(), 'bob', 1);
    one.clock.advance(500);
    other.clock.advance(500);
    one.clock.advance(500);
    for (const { limiter } of [one, other].map((each) => ({ limiter: each.limiter() }))) {
      assert.equal(left(limiter, 'ada'), 83);
      assert.equal(left(limiter, 'bob'), 99);
    }
    charge(one.limiter(), 'ada', 80);
    one.clock.advance(500);
    other.clock.advance(500);
    assert.equal(other.limiter().charge('ada', 4).isAllowed, false);
    assert.equal(other.limiter().charge('ada', 3).isAllowed, true);
  });

  it('neither lose nor double anything, however they take turns', async (t) => {
    const step = fc.record({
      who: fc.nat(1),
      what: fc.constantFrom('charge', 'charge', 'undo', 'write', 'fail'),
      key: fc.constantFrom('a', 'b', 'c'),
      cost: fc.integer({ min: 1, max: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const file = await fileIn(t);
        const both = [await FakeProcess.start(t, file), await FakeProcess.start(t, file)];
        const blocker = new DatabaseSync(file);
        const truth = new Map<string, number>();
        const count = (key: string, cost: number): unknown => truth.set(key, (truth.get(key) ?? 0) + cost);
        for (const { who, what, key, cost } of steps) {
          const { clock } = both[who];
          const limiter = both[who].limiter(daily(1000));
          if (what === 'charge' || what === 'undo') {
            const { chargedAtMs, mark, source } = limiter.charge(key, cost);
            count(key, cost);
            if (what === 'charge') continue;
            clock.advance(500);
            limiter.undo(key, cost, { chargedAtMs, mark, source });
            count(key, -cost);
            continue;
          }
          if (what === 'fail') blocker.exec('BEGIN IMMEDIATE');
          clock.advance(500);
          if (what === 'fail') blocker.exec('ROLLBACK');
        }
        blocker.close();
        for (const { clock } of [...both, ...both]) clock.advance(2500);
        for (const each of both) {
          for (const [key, counted] of truth) assert.equal(left(each.limiter(daily(1000)), key), 1000 - counted);
          each.keeper.leave();
        }
      }),
      { numRuns: 25 },
    );
  });

  it('take in nothing twice when a writing comes to nothing', async (t) => {
    const file = await fileIn(t);
    const other = await FakeProcess.start(t, file);
    charge(other.limiter(), 'ada', 10);
    other.clock.advance(500);
    // It knows nothing of the file yet but its seed, as if it had forgotten everybody for lack of room.
    const first = new FakeProcess();
    const { seed } = SharedTable.attach(other.memory.quotas, 1);
    SharedTable.reseed(first.memory.quotas, seed);
    const table = SharedTable.attach(first.memory.quotas, 1);
    const failing = new FailingFile(file, { seed, maxRows: 1000, timeoutMs: 0 });
    t.after(() => failing.close());
    const exchange = new QuotaExchange(table, failing, first.clock, { rowsAtOnce: 100 });
    const failOnce = (): void => {
      failing.fails = true;
      assert.throws(() => exchange.run(), /database or disk is full/);
      failing.fails = false;
      assert.equal(exchange.run(), true);
    };
    charge(first.limiter(), 'bob', 1);
    failOnce();
    assert.equal(left(first.limiter(), 'ada'), 90);
    // What another has charged meanwhile.
    charge(other.limiter(), 'ada', 5);
    other.clock.advance(500);
    charge(first.limiter(), 'ada', 1);
    failOnce();
    assert.equal(left(first.limiter(), 'ada'), 84);
    other.clock.advance(500);
    assert.equal(left(other.limiter(), 'ada'), 84);
  });

  it('have what was evicted here again from the file', async (t) => {
    const file = await fileIn(t);
    const first = new FakeProcess(evening, 4);
    const table = SharedTable.attach(first.memory.quotas, 1);
    const failing = new FailingFile(file, { seed: table.seed, maxRows: 1000, timeoutMs: 0 });
    t.after(() => failing.close());
    const exchange = new QuotaExchange(table, failing, first.clock, { rowsAtOnce: 100 });
    charge(first.limiter(), 'ada', 10);
    exchange.run();
    // One bucket of twelve, and each has more than ada.
    for (let i = 0; i < 12; i++) charge(first.limiter(), `key ${i}`, 20);
    exchange.run();
    assert.equal(charge(first.limiter(), 'ada', 1), 99);
    failing.fails = true;
    assert.throws(() => exchange.run(), /database or disk is full/);
    failing.fails = false;
    exchange.run();
    assert.equal(left(first.limiter(), 'ada'), 89);
  });
});

describe('a database of quotas that cannot be used', () => {
  const starting = (t: TestContext, file: string): Promise<unknown> => FakeProcess.start(t, file);

  it('is a reason not to start, which names it', async (t) => {
    const folder = await folderWith(t, { 'text.db': 'no database at all, but long enough to have a head' });
    const path = (name: string): string => join(folder, name);
    await assert.rejects(starting(t, path('text.db')), /database of quotas .*text\.db .*file is not a database/);
    await assert.rejects(starting(t, path('none/quotas.db')), /none\/quotas\.db cannot be opened .*ENOENT/);
    await assert.rejects(starting(t, folder), /cannot be opened/);

    const other = new DatabaseSync(path('other.db'));
    other.exec('CREATE TABLE a (b)');
    other.close();
    await assert.rejects(starting(t, path('other.db')), /other\.db is a database of something else/);

    await FakeProcess.start(t, path('later.db')).then(({ keeper }) => keeper.leave());
    const later = new DatabaseSync(path('later.db'));
    later.exec('PRAGMA user_version = 2');
    later.close();
    await assert.rejects(starting(t, path('later.db')), /later\.db was written by a later version/);
  });

  it('is one that is damaged, or has what nobody has written', async (t) => {
    const file = await fileIn(t);
    const first = await FakeProcess.start(t, file);
    for (let i = 0; i < 500; i++) charge(first.limiter(), `key ${i}`);
    first.keeper.leave();
    const database = new DatabaseSync(file);
    database.exec(`UPDATE quota SET digest = x'00' WHERE id = 3`);
    database.close();
    await assert.rejects(starting(t, file), /is damaged: it has a row that no gateway has written/);

    const { size } = statSync(file);
    writeFileSync(file, Buffer.alloc(size - 4096, 0xff), { flag: 'r+' });
    await assert.rejects(starting(t, file), /not a database/);
  });

  it('is one that is locked for longer than a hand-over takes', async (t) => {
    const file = await fileIn(t);
    (await FakeProcess.start(t, file)).keeper.leave();
    const blocker = new DatabaseSync(file);
    t.after(() => blocker.close());
    blocker.exec('BEGIN IMMEDIATE');
    await assert.rejects(starting(t, file), /quotas\.db cannot be used \(database is locked\)/);
  });

  it('has quotas counted in memory while it runs, says so once, and is written when it can be', async (t) => {
    const file = await fileIn(t);
    const first = await FakeProcess.start(t, file);
    const blocker = new DatabaseSync(file);
    blocker.exec('BEGIN IMMEDIATE');
    charge(first.limiter(), 'ada', 10);
    first.clock.advance(5500);
    assert.equal(charge(first.limiter(), 'ada', 1), 89);
    const { failures, problem } = first.keeper.status!;
    assert.ok(failures >= 2 && failures <= 4, String(failures));
    assert.equal(problem, 'database is locked');
    const said = 'quotas cannot be written; they are counted in memory';
    assert.deepEqual(first.log, [{ level: 'error', message: said, problem }]);
    blocker.exec('ROLLBACK');
    blocker.close();
    first.clock.advance(2500);
    assert.equal(first.keeper.status!.problem, null);
    assert.equal(first.log[1].message, 'quotas are written again');
    assert.equal(left((await FakeProcess.start(t, file)).limiter(), 'ada'), 89);
  });

  it('is full: nothing of it is lost, and what is counted goes on', async (t) => {
    const file = await fileIn(t);
    // So many that none is evicted.
    const first = new FakeProcess(evening, 8192);
    const table = SharedTable.attach(first.memory.quotas, 1);
    const options = { seed: table.seed, maxRows: 1000, timeoutMs: 0 };
    const tooSmall = new QuotaFile(file, { ...options, maxPages: 9 });
    const limits = { rowsAtOnce: 20 };
    const exchange = new QuotaExchange(table, tooSmall, first.clock, limits);
    for (let i = 0; i < 500; i++) charge(first.limiter(), `key ${i}`, 3);
    assert.throws(() => {
      while (!exchange.run());
    }, /database or disk is full/);
    const written = rowsIn(file);
    assert.ok(written > 0 && written < 500, String(written));
    assert.throws(() => exchange.run(), /database or disk is full/);
    assert.equal(rowsIn(file), written, 'all of a time or nothing of it');
    tooSmall.close();

    const file2 = new QuotaFile(file, options);
    const again = new QuotaExchange(table, file2, first.clock, limits);
    const rounds = Array.from({ length: 30 }, () => again.run());
    file2.close();
    assert.ok(rounds.indexOf(true) >= Math.floor((500 - written) / 32), 'no more than so many are written at a time');
    assert.equal(rounds.at(-1), true);
    assert.equal(rowsIn(file), 500);
    assert.equal(left((await FakeProcess.start(t, file, evening, 8192)).limiter(), 'key 499'), 97);
  });

  it('is made anew, with all that is in memory, when it is taken away', async (t) => {
    const file = await fileIn(t);
    const first = await FakeProcess.start(t, file);
    charge(first.limiter(), 'ada', 10);
    first.clock.advance(500);
    for (const suffix of ['', '-wal', '-shm']) renameSync(file + suffix, `${file}.old${suffix}`);
    charge(first.limiter(), 'bob', 1);
    first.clock.advance(500);
    assert.ok(existsSync(file));
    assert.equal(first.log[0].message, 'the database of quotas was taken away; it is made anew');
    const second = await FakeProcess.start(t, file);
    assert.equal(left(second.limiter(), 'ada'), 90);
    assert.equal(left(second.limiter(), 'bob'), 99);
  });

  it('is not taken for its own when another one lies there', async (t) => {
    const file = await fileIn(t);
    (await FakeProcess.start(t, `${file}.other`)).keeper.leave();
    const first = await FakeProcess.start(t, file);
    charge(first.limiter(), 'ada', 10);
    for (const suffix of ['', '-wal', '-shm']) renameSync(file + suffix, `${file}.old${suffix}`);
    renameSync(`${file}.other`, file);
    first.clock.advance(500);
    assert.equal(first.keeper.status!.problem, 'the file in its place is not its own');
    assert.equal(rowsIn(file), 0);
    assert.equal(charge(first.limiter(), 'ada', 1), 89);
  });
});
