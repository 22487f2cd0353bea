import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { pollFiles } from '../../src/wire/file-watch.ts';
import { FakeClock } from '../support/fake-clock.ts';

const periodMs = 2000;

interface Watch {
  readonly folder: string;
  /** Lets the watcher look once and waits until it has seen everything. @returns how often it has called so far. */
  readonly look: () => Promise<number>;
  readonly stop: () => void;
  readonly clock: FakeClock;
}

function watch(t: TestContext, prepare: (folder: string) => string[]): Watch {
  const folder = mkdtempSync(join(tmpdir(), 'gatewright-watch-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const clock = new FakeClock();
  let looked = (): void => {};
  let calls = 0;
  const stop = pollFiles(clock, { onLooked: () => looked() })(prepare(folder), () => calls++);
  return {
    folder,
    clock,
    stop,
    look: async () => {
      const done = new Promise<void>((resolve) => (looked = resolve));
      clock.advance(periodMs);
      await done;
      return calls;
    },
  };
}

describe('watching files', () => {
  it('tells of a change once, after it has lasted for two looks', async (t) => {
    const { folder, look } = watch(t, (base) => {
      writeFileSync(join(base, 'a'), 'one');
      return [join(base, 'a'), join(base, 'a')];
    });
    assert.equal(await look(), 0);
    writeFileSync(join(folder, 'a'), 'two more');
    assert.equal(await look(), 0);
    assert.equal(await look(), 1);
    assert.equal(await look(), 1);
  });

  it('waits for files that are still being written, and for all of a group', async (t) => {
    const { folder, look } = watch(t, (base) => {
      for (const name of ['cert', 'key']) writeFileSync(join(base, name), '');
      return [join(base, 'cert'), join(base, 'key')];
    });
    writeFileSync(join(folder, 'cert'), '1');
    assert.equal(await look(), 0);
    writeFileSync(join(folder, 'cert'), '12');
    assert.equal(await look(), 0);
    writeFileSync(join(folder, 'key'), '1');
    assert.equal(await look(), 0, 'the key has only just changed');
    assert.equal(await look(), 1);
    assert.equal(await look(), 1);
  });

  it('sees an editor save by renaming, even with the size and time of before', async (t) => {
    const time = new Date(2026, 0, 1);
    const write = (path: string, text: string): void => {
      writeFileSync(path, text);
      utimesSync(path, time, time);
    };
    const { folder, look } = watch(t, (base) => {
      write(join(base, 'a'), 'one');
      return [join(base, 'a')];
    });
    write(join(folder, 'a.new'), 'two');
    renameSync(join(folder, 'a.new'), join(folder, 'a'));
    await look();
    assert.equal(await look(), 1);
  });

  it('sees Kubernetes swap the link two folders up', async (t) => {
    const { folder, look } = watch(t, (base) => {
      for (const version of ['v1', 'v2']) {
        mkdirSync(join(base, version));
        writeFileSync(join(base, version, 'tls.crt'), version);
      }
      symlinkSync('v1', join(base, '..data'));
      symlinkSync('..data/tls.crt', join(base, 'tls.crt'));
      return [join(base, 'tls.crt')];
    });
    symlinkSync('v2', join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    await look();
    assert.equal(await look(), 1);
  });

  it('sees files appear and disappear', async (t) => {
    const { folder, look } = watch(t, (base) => [join(base, 'late'), join(base, 'no', 'folder')]);
    assert.equal(await look(), 0);
    writeFileSync(join(folder, 'late'), '');
    await look();
    assert.equal(await look(), 1);
    rmSync(join(folder, 'late'));
    await look();
    assert.equal(await look(), 2);
  });

  it('forgets a change that was undone before it lasted', async (t) => {
    const time = new Date(2026, 0, 1);
    const { folder, look } = watch(t, (base) => {
      writeFileSync(join(base, 'a'), '');
      utimesSync(join(base, 'a'), time, time);
      return [join(base, 'a')];
    });
    utimesSync(join(folder, 'a'), time, new Date(2026, 0, 2));
    await look();
    utimesSync(join(folder, 'a'), time, time);
    assert.equal(await look(), 0);
    assert.equal(await look(), 0);
  });

  it('is silent once it is stopped, even if it was looking just then', async (t) => {
    const { folder, look, stop, clock } = watch(t, (base) => [join(base, 'a')]);
    writeFileSync(join(folder, 'a'), '');
    await look();
    const last = look();
    stop();
    assert.equal(await last, 0);
    assert.equal(clock.running, 0);
  });
});
