import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as nodeFiles from 'node:fs';
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { LogFiles } from '../../src/telemetry/log-output.ts';
import { LogSink } from '../../src/telemetry/log-sink.ts';
import { FakeClock } from '../support/fake-clock.ts';

const secondMs = 1000;
/** What may wait: 8 MiB. */
const boundBytes = 8 * 1024 * 1024;

interface Sunk {
  readonly sink: LogSink;
  readonly clock: FakeClock;
  readonly problems: string[];
  readonly path: string;
  readonly content: () => string;
}

function openSink(t: TestContext, files: Partial<LogFiles> = {}): Sunk {
  const folder = mkdtempSync(join(tmpdir(), 'gatewright-log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'access.log');
  const clock = new FakeClock();
  const problems: string[] = [];
  const sink = new LogSink({
    file: path,
    clock,
    onProblem: (message, { file, reason }) => {
      assert.equal(file, path);
      problems.push(`${message}: ${reason}`);
    },
    files: { ...nodeFiles, ...files },
  });
  return { sink, clock, problems, path, content: () => readFileSync(path, 'latin1') };
}

/** Waits for what the thread pool has been asked to do; bounded, so that a test that waits in vain fails. */
async function until(isDone: () => boolean): Promise<void> {
  for (let turns = 0; !isDone() && turns < 100_000; turns++) await turn();
  assert.ok(isDone(), 'it never happened');
}

type WriteCallback = (error: NodeJS.ErrnoException | null, bytes: number) => void;

/** A disk whose writes are answered by the test. */
function slowDisk(): {
  files: Partial<LogFiles>;
  written: () => string;
  answer: (error?: string, bytes?: number) => void;
  waiting: () => boolean;
} {
  let written = '';
  let waiting: { bytes: Buffer; done: WriteCallback } | null = null;
  const write = (
    _fd: number,
    buffer: Buffer,
    offset: number,
    length: number,
    _position: null,
    done: WriteCallback,
  ): void => {
    assert.equal(waiting, null, 'one write at a time');
    waiting = { bytes: Buffer.from(buffer.subarray(offset, offset + length)), done };
  };
  return {
    files: { write: write as unknown as LogFiles['write'] },
    written: () => written,
    waiting: () => waiting !== null,
    answer: (error, count) => {
      assert.ok(waiting !== null, 'nothing to answer');
      const { bytes, done } = waiting;
      waiting = null;
      const accepted = error === undefined ? bytes.subarray(0, count) : Buffer.alloc(0);
      written += accepted.toString('latin1');
      done(error === undefined ? null : Object.assign(new Error(error), { code: error }), accepted.length);
    },
  };
}

describe('a log sink', () => {
  it('writes after a second', async (t) => {
    const { sink, clock, content } = openSink(t);
    sink.append('one\n');
    sink.append('two\n');
    clock.advance(secondMs - 1);
    await turn();
    assert.equal(content(), '');
    clock.advance(1);
    await until(() => content() === 'one\ntwo\n');
    await sink.close();
  });

  it('writes as soon as there are 64 KiB, in one piece', (t) => {
    const disk = slowDisk();
    const { sink } = openSink(t, disk.files);
    const line = `${'x'.repeat(1023)}\n`;
    for (let i = 0; i < 63; i++) sink.append(line);
    assert.equal(disk.waiting(), false);
    sink.append(line);
    disk.answer();
    assert.equal(disk.written(), line.repeat(64));
  });

  it('writes what is left when it is closed', async (t) => {
    const { sink, content, clock } = openSink(t);
    for (let i = 0; i < 5000; i++) sink.append(`line ${i}\n`);
    await sink.close();
    assert.equal(content(), Array.from({ length: 5000 }, (_, i) => `line ${i}\n`).join(''));
    assert.equal(sink.droppedLines, 0);
    assert.equal(clock.running, 0);
  });

  it('adds to a file that is there already, and makes one that others cannot read', async (t) => {
    const { sink, path, content } = openSink(t);
    nodeFiles.appendFileSync(path, 'before\n');
    sink.append('after\n');
    await sink.close();
    assert.equal(content(), 'before\nafter\n');
    assert.equal(statSync(path).mode & 0o007, 0);
  });

  it('fails at once when the file cannot be opened', () => {
    const clock = new FakeClock();
    assert.throws(() => new LogSink({ file: '/nowhere/at/all.log', clock, onProblem: () => {} }), /ENOENT/);
    assert.equal(clock.running, 0);
  });

  it('continues where a short write ended', (t) => {
    const disk = slowDisk();
    const { sink } = openSink(t, disk.files);
    sink.append('one\ntwo\n');
    sink.flush();
    disk.answer(undefined, 3);
    disk.answer(undefined, 1);
    disk.answer();
    assert.equal(disk.written(), 'one\ntwo\n');
  });

  it('drops and counts lines when the disk is stuck, keeps its bound, and recovers', (t) => {
    const disk = slowDisk();
    const { sink, clock, problems } = openSink(t, disk.files);
    const line = `${'x'.repeat(1023)}\n`;
    for (let i = 0; i < 10_000; i++) sink.append(line);
    assert.equal(sink.droppedLines, 10_000 - 8192, '8 MiB wait, the rest is dropped');
    assert.deepEqual(problems, ['log lines are dropped: they come faster than they can be written: too slow']);
    clock.advance(60 * secondMs);
    while (disk.waiting()) disk.answer();
    assert.equal(disk.written().length, boundBytes);

    sink.append('again\n');
    sink.flush();
    disk.answer();
    assert.ok(disk.written().endsWith('x\nagain\n'));
    assert.equal(sink.droppedLines, 10_000 - 8192);
    assert.equal(problems.length, 1);
  });

  it('survives a full disk: counts what is lost, says so once, and tries again with the next lines', (t) => {
    const disk = slowDisk();
    const { sink, clock, problems } = openSink(t, disk.files);
    for (let i = 0; i < 3; i++) {
      sink.append('one\ntwo\n');
      clock.advance(secondMs);
      disk.answer('ENOSPC');
      assert.equal(sink.droppedLines, 2 * (i + 1));
    }
    assert.deepEqual(problems, ['log lines are dropped: they cannot be written: ENOSPC']);
    sink.append('three\n');
    clock.advance(secondMs);
    disk.answer();
    assert.equal(disk.written(), 'three\n');
    sink.append('four\n');
    clock.advance(secondMs);
    disk.answer('EIO');
    assert.equal(problems.length, 2, 'a new episode is told of again');
  });

  it('does not run two lines together when an error cut one off', (t) => {
    const disk = slowDisk();
    const { sink } = openSink(t, disk.files);
    sink.append('first\nsecond\n');
    sink.flush();
    disk.answer(undefined, 9);
    disk.answer('ENOSPC');
    assert.equal(sink.droppedLines, 1);
    sink.append('third\n');
    sink.flush();
    disk.answer();
    assert.equal(disk.written(), 'first\nsec\nthird\n');
  });

  it('waits for a reader that is full, and loses nothing by it', (t) => {
    const disk = slowDisk();
    const { sink, clock, problems } = openSink(t, disk.files);
    sink.append('one\n');
    sink.flush();
    for (let i = 0; i < 20; i++) {
      disk.answer('EAGAIN');
      assert.equal(disk.waiting(), false);
      clock.advance(10);
    }
    disk.answer();
    clock.advance(secondMs);
    assert.equal(disk.waiting(), false, 'it no longer tries');
    assert.equal(disk.written(), 'one\n');
    assert.deepEqual([sink.droppedLines, problems.length], [0, 0]);
  });

  it('does not wait for a stuck disk for longer than a second when it is closed', async (t) => {
    const disk = slowDisk();
    const { sink, clock } = openSink(t, disk.files);
    sink.append('one\n');
    sink.flush();
    sink.append('two\n');
    const closed = sink.close();
    clock.advance(secondMs);
    await closed;
    assert.equal(sink.droppedLines, 2);
    assert.equal(clock.running, 0);
  });

  describe('when its file was renamed', () => {
    it('goes on in a new one when it is asked to', async (t) => {
      const { sink, path, content } = openSink(t);
      sink.append('old\n');
      sink.flush();
      await until(() => content() === 'old\n');
      renameSync(path, `${path}.1`);
      sink.reopen();
      await until(() => nodeFiles.existsSync(path));
      sink.append('new\n');
      await sink.close();
      assert.equal(content(), 'new\n');
      assert.equal(readFileSync(`${path}.1`, 'latin1'), 'old\n');
    });

    it('goes on in a new one within two seconds by itself, also when it was removed', async (t) => {
      const { sink, clock, path, content } = openSink(t);
      renameSync(path, `${path}.1`);
      clock.advance(secondMs);
      await until(() => nodeFiles.existsSync(path));
      rmSync(path);
      sink.flush();
      clock.advance(secondMs);
      await until(() => nodeFiles.existsSync(path));
      sink.append('new\n');
      await sink.close();
      assert.equal(content(), 'new\n');
    });

    it('loses no line and splits none while batches are on their way', async (t) => {
      const { sink, path } = openSink(t);
      const names = [path];
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < 2000; i++) sink.append(`round ${round} line ${i} ${'x'.repeat(60)}\n`);
        names.push(`${path}.${round}`);
        renameSync(path, `${path}.${round}`);
        sink.reopen();
        await until(() => nodeFiles.existsSync(path));
      }
      await sink.close();
      const lines = names.flatMap((name) =>
        readFileSync(name, 'latin1')
          .split('\n')
          .filter((line) => line !== ''),
      );
      assert.equal(lines.length, 10_000);
      assert.ok(lines.every((line) => /^round \d line \d+ x{60}$/.test(line)));
      assert.equal(sink.droppedLines, 0);
    });

    it('keeps the open file when there can be no new one, and says so', async (t) => {
      const { sink, path, problems } = openSink(t);
      renameSync(path, `${path}.1`);
      nodeFiles.mkdirSync(path);
      sink.reopen();
      await until(() => problems.length === 1);
      assert.match(problems[0], /cannot be reopened; the open file stays in use: EISDIR/);
      sink.append('still\n');
      await sink.close();
      assert.equal(readFileSync(`${path}.1`, 'latin1'), 'still\n');
    });
  });

  describe('into a pipe', () => {
    const fifo = (folder: string): string => {
      const path = join(folder, 'pipe');
      assert.equal(spawnSync('sh', ['-c', 'mkfifo "$0"', path]).status, 0);
      return path;
    };

    it(
      'never blocks when nobody reads, and loses only whole lines',
      { skip: process.platform === 'win32' },
      async (t) => {
        const folder = mkdtempSync(join(tmpdir(), 'gatewright-pipe-'));
        t.after(() => rmSync(folder, { recursive: true }));
        const path = fifo(folder);
        const reader = nodeFiles.openSync(path, nodeFiles.constants.O_RDONLY | nodeFiles.constants.O_NONBLOCK);
        t.after(() => nodeFiles.closeSync(reader));
        const clock = new FakeClock();
        const sink = new LogSink({ file: path, clock, onProblem: () => {} });
        const total = 100_000;
        for (let i = 0; i < total; i++) sink.append(`line ${i} ${'x'.repeat(i % 200)}\n`);
        assert.ok(sink.droppedLines > 0);

        let read = '';
        const buffer = Buffer.alloc(65_536);
        for (let idle = 0; idle < 3;) {
          clock.advance(10);
          try {
            const length = nodeFiles.readSync(reader, buffer);
            read += buffer.toString('latin1', 0, length);
            idle = 0;
          } catch {
            idle++;
          }
        }
        const lines = read.split('\n');
        assert.equal(lines.pop(), '');
        assert.ok(lines.every((line) => /^line \d+ x*$/.test(line)));
        assert.equal(lines.length + sink.droppedLines, total);
        await sink.close();
      },
    );

    it('survives that the reader goes away', { skip: process.platform === 'win32' }, async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'gatewright-pipe-'));
      t.after(() => rmSync(folder, { recursive: true }));
      const path = fifo(folder);
      const reader = nodeFiles.openSync(path, nodeFiles.constants.O_RDONLY | nodeFiles.constants.O_NONBLOCK);
      const problems: string[] = [];
      const sink = new LogSink({
        file: path,
        clock: new FakeClock(),
        onProblem: (_, { reason }) => problems.push(reason),
      });
      nodeFiles.closeSync(reader);
      sink.append('one\n');
      await sink.close();
      assert.deepEqual([problems, sink.droppedLines], [['EPIPE'], 1]);
    });
  });

  it('writes whole lines to standard output from several threads, whether it is a pipe, a file or a socket', async () => {
    const module = new URL('../../src/telemetry/log-sink.ts', import.meta.url).href;
    const clock = new URL('../../src/util/clock.ts', import.meta.url).href;
    const script = `
      import { Worker, isMainThread, workerData } from 'node:worker_threads';
      import { LogSink } from ${JSON.stringify(module)};
      import { systemClock } from ${JSON.stringify(clock)};
      const sink = new LogSink({ file: 'stdout', clock: systemClock, onProblem: (message) => { throw new Error(message); } });
      for (let i = 0; i < 1000; i++) sink.append(\`thread \${workerData ?? 0} line \${i} \${'x'.repeat(i % 300)}\\n\`);
      await sink.close();
    `;
    const folder = mkdtempSync(join(tmpdir(), 'gatewright-log-'));
    const path = join(folder, 'threads.mjs');
    nodeFiles.writeFileSync(
      path,
      `${script}
      if (isMainThread) for (const id of [1, 2]) new Worker(new URL(import.meta.url), { workerData: id });`,
    );
    const out = join(folder, 'out.log');
    const commands = [
      [process.execPath, path],
      ['sh', '-c', `"$0" "$1" | cat`, process.execPath, path],
      ['sh', '-c', `"$0" "$1" > "$2"; cat "$2"`, process.execPath, path, out],
    ];
    try {
      for (const [command, ...args] of commands) {
        const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'latin1' });
        assert.equal(status, 0, stderr);
        const lines = stdout.split('\n');
        assert.equal(lines.pop(), '');
        assert.equal(lines.length, 3000);
        assert.ok(lines.every((line) => /^thread \d line \d+ x*$/.test(line)));
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
