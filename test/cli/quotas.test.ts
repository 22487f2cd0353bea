/** Quotas that outlive the process that has counted them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { eventually } from '../support/changes.ts';
import { Command, folderWith, withPorts } from '../support/command.ts';
import { freePort } from '../support/free-port.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { Clients } from '../support/threaded.ts';
import { isRunning, upgrade } from '../support/upgrade.ts';

const limited = (more: object = {}): object => ({
  telemetry: { accessLog: false },
  threads: 2,
  quotas: { database: './quotas.db' },
  routes: {
    all: {
      policies: [{ quota: { limit: 1000, per: 'month', by: 'global', name: 'monthly' } }],
      respond: { body: 'x' },
    },
  },
  ...more,
});

/** Each over a connection of its own, so that all threads have a part in it. @returns what is left afterwards. */
async function call(url: string, times: number): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: times }, () => fetch(url, { headers: { connection: 'close' } })),
  );
  const remaining = answers.map(({ headers }) => Number(/r=([0-9]+)/.exec(headers.get('ratelimit') ?? '')?.[1]));
  return Math.min(...remaining);
}

async function end(gateway: Command): Promise<void> {
  gateway.kill('SIGTERM');
  await gateway.untilExit();
  assert.equal(gateway.exitCode, 0, gateway.stderr);
}

async function quotasOf(gateway: Command): Promise<Record<string, unknown>> {
  const status = (await (await fetch(`${gateway.admin}/api/v1/status`)).json()) as { quotas: Record<string, unknown> };
  return status.quotas;
}

/** Everything that was counted until now is in the file: what has begun before may have missed the last of it. */
async function untilWritten(gateway: Command): Promise<void> {
  let sinceMs = Date.now();
  for (let times = 0; times < 2; times++) {
    const isLater = async (): Promise<boolean> => Number((await quotasOf(gateway))['writtenAt']) > sinceMs;
    await eventually(isLater, 'quotas to be written');
    sinceMs = Number((await quotasOf(gateway))['writtenAt']);
  }
}

describe('a gateway with a database of quotas', () => {
  it('goes on counting where it has ended', async (t) => {
    const cwd = await folderWith(t);
    const first = await Command.serve(t, limited(), { cwd });
    assert.equal(await call(first.url(), 20), 980);
    await end(first);
    assert.equal(statSync(join(cwd, 'quotas.db')).mode & 0o777, 0o600);
    assert.ok(!existsSync(join(cwd, 'quotas.db-wal')), 'nothing is left to be put in order');
    const second = await Command.serve(t, limited(), { cwd });
    assert.equal(await call(second.url(), 1), 979);
    assert.equal((await quotasOf(second))['problem'], null);
  });

  it('loses what came within the last half second, and no more, when it is killed', async (t) => {
    const cwd = await folderWith(t);
    const first = await Command.serve(t, limited(), { cwd });
    await call(first.url(), 20);
    await untilWritten(first);
    await call(first.url(), 3);
    first.kill('SIGKILL');
    await first.untilExit();
    const second = await Command.serve(t, limited(), { cwd });
    const left = await call(second.url(), 1);
    assert.ok(left >= 976 && left <= 979, String(left));
  });

  it('hands over to another process, and neither loses nor doubles what both count meanwhile', async (t) => {
    const cwd = await folderWith(t);
    const [web, admin] = [
      { host: '127.0.0.1', port: await freePort() },
      { host: '127.0.0.1', port: await freePort() },
    ];
    const million = { quota: { limit: 1_000_000, per: 'month', by: 'global', name: 'monthly' } };
    const gateway = await Command.serve(
      t,
      limited({ admin, listeners: { web }, routes: { all: { policies: [million], respond: { body: 'x' } } } }),
      { cwd },
    );
    const url = `http://127.0.0.1:${web.port}/`;
    const clients = new Clients(8, () => web);
    let pid = gateway.pid;
    for (let times = 0; times < 2; times++) {
      await eventually(() => clients.answers > 200 * (times + 1), 'requests to be served');
      const next = await upgrade(t, gateway, pid);
      await eventually(() => !isRunning(pid), 'the process before to end');
      pid = next;
    }
    await clients.stop();
    assert.deepEqual(clients.failures, []);
    await untilWritten(gateway);
    assert.equal(await call(url, 1), 1_000_000 - clients.answers - 1);
    process.kill(pid, 'SIGTERM');
    await eventually(() => !isRunning(pid), 'the last process to end');
    t.diagnostic(`${clients.answers} requests`);

    const database = new DatabaseSync(join(cwd, 'quotas.db'));
    t.after(() => database.close());
    assert.deepEqual({ ...database.prepare('SELECT count FROM quota').get() }, { count: clients.answers + 1 });
  });

  it('serves on and counts in memory while the file is locked, and says so', async (t) => {
    const cwd = await folderWith(t);
    const gateway = await Command.serve(t, limited(), { cwd });
    const blocker = new DatabaseSync(join(cwd, 'quotas.db'));
    t.after(() => blocker.close());
    blocker.exec('BEGIN IMMEDIATE');
    assert.equal(await call(gateway.url(), 10), 990);
    const told = await gateway.logged('quotas cannot be written; they are counted in memory');
    assert.equal(told.level, 'error');
    assert.equal(told['database'], join(cwd, 'quotas.db'));
    const { problem, failures } = await quotasOf(gateway);
    assert.equal(problem, 'database is locked');
    assert.ok(Number(failures) >= 1);
    assert.equal(await call(gateway.url(), 1), 989);
    blocker.exec('ROLLBACK');
    await gateway.logged('quotas are written again');
    await end(gateway);
    assert.equal(blocker.prepare('SELECT count FROM quota').get()!['count'], 11);
  });

  it(
    'serves on and counts in memory while the kernel takes no more of the file, and loses nothing of it',
    { skip: unlessInstalled('prlimit') },
    async (t) => {
      const cwd = await folderWith(t);
      const gateway = await Command.serve(t, limited(), { cwd });
      await call(gateway.url(), 5);
      await untilWritten(gateway);
      const mayGrow = (bytes: string): void => {
        execFileSync('prlimit', ['--pid', String(gateway.pid), `--fsize=${bytes}:unlimited`]);
      };
      mayGrow('1');
      assert.equal(await call(gateway.url(), 10), 985);
      const told = await gateway.logged('quotas cannot be written; they are counted in memory');
      assert.match(String(told['problem']), /disk/);
      assert.equal(await call(gateway.url(), 1), 984);
      mayGrow('unlimited');
      await gateway.logged('quotas are written again');
      // Nothing that was half written is left in it.
      gateway.kill('SIGKILL');
      await gateway.untilExit();
      const second = await Command.serve(t, limited(), { cwd });
      assert.equal(await call(second.url(), 1), 983);
      assert.equal((await quotasOf(second))['problem'], null);
    },
  );

  it('does not start with a file that it cannot use, and names it', async (t) => {
    const cwd = await folderWith(t, {
      'gateway.json': JSON.stringify(withPorts(limited())),
      'quotas.db': 'no database at all, and the counts of everybody would be gone',
    });
    const gateway = await Command.run(t, ['run', 'gateway.json'], { cwd });
    assert.equal(gateway.exitCode, 1);
    assert.match(gateway.stderr, /the database of quotas \/.*\/quotas\.db is not a database/);
    assert.match(gateway.stderr, /nothing was started/);

    writeFileSync(join(cwd, 'quotas.db'), '');
    const other = new DatabaseSync(join(cwd, 'quotas.db'));
    other.exec('CREATE TABLE a (b)');
    other.close();
    const again = await Command.run(t, ['run', 'gateway.json'], { cwd });
    assert.equal(again.exitCode, 1);
    assert.match(again.stderr, /the database of quotas \/.*\/quotas\.db is a database of something else/);
  });

  it('keeps the counts when the file is changed, and what serves when the new one cannot be used', async (t) => {
    const cwd = await folderWith(t);
    const gateway = await Command.serve(t, limited(), { cwd });
    await call(gateway.url(), 10);
    const reload = async (database: string, until: string): Promise<void> => {
      const from = gateway.log.length;
      writeFileSync(join(cwd, 'gateway.json'), JSON.stringify(withPorts(limited({ quotas: { database } }))));
      await gateway.logged(until, from);
    };
    await reload('./none/quotas.db', 'the configuration was refused; what served before serves on');
    assert.equal((await quotasOf(gateway))['database'], join(cwd, 'quotas.db'));
    await reload('./other.db', 'the configuration was changed');
    assert.equal(await call(gateway.url(), 1), 989);
    await end(gateway);
    const next = await Command.serve(t, limited({ quotas: { database: './other.db' } }), { cwd });
    assert.equal(await call(next.url(), 1), 988);
  });
});
