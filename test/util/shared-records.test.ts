import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SharedRecords } from '../../src/util/shared-records.ts';

const shape = { cells: 3, wordsPerRecord: 2, threads: 2 };

function create(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(64 + SharedRecords.byteLength(shape));
  SharedRecords.format(buffer, 64, shape);
  return buffer;
}

/** The words of a cell as a thread reads them. */
function wordsOf(records: SharedRecords, cell: number): number[] {
  const at = records.read(cell);
  const words = Array.from(records.ints.subarray(at, at + 2));
  assert.ok(records.isCurrent());
  return words;
}

function prepare(records: SharedRecords, cell: number, words: readonly number[]): void {
  records.read(cell);
  records.ints.set(words, records.spare());
}

/** Where thread `thread` notes its spare, as the layout has it. */
const spareAt = (thread: number): number => 16 + 16 + thread * 16;

describe('SharedRecords', () => {
  it('begins with zeros, and changes the cell that was read alone', () => {
    const buffer = create();
    const [first, second] = [new SharedRecords(buffer, 64, 0), new SharedRecords(buffer, 64, 1)];
    assert.deepEqual(wordsOf(first, 1), [0, 0]);
    prepare(first, 1, [7, 8]);
    assert.deepEqual(wordsOf(second, 1), [0, 0]);
    assert.ok(first.commit());
    assert.deepEqual(wordsOf(second, 1), [7, 8]);
    assert.deepEqual(wordsOf(second, 0), [0, 0]);
    assert.deepEqual(wordsOf(second, 2), [0, 0]);
  });

  it('refuses a commit, without any effect, when another thread came first', () => {
    const buffer = create();
    const [first, second] = [new SharedRecords(buffer, 64, 0), new SharedRecords(buffer, 64, 1)];
    prepare(first, 0, [1, 1]);
    prepare(second, 0, [2, 2]);
    assert.ok(second.commit());
    assert.equal(first.isCurrent(), false);
    assert.equal(first.commit(), false);
    assert.deepEqual(wordsOf(first, 0), [2, 2]);
    prepare(first, 0, [3, 3]);
    assert.ok(first.commit());
    assert.deepEqual(wordsOf(second, 0), [3, 3]);
  });

  it('refuses it also when the cell has the same record again', () => {
    const buffer = create();
    const [first, second] = [new SharedRecords(buffer, 64, 0), new SharedRecords(buffer, 64, 1)];
    const record = first.read(0);
    for (const value of [1, 2]) {
      prepare(second, 0, [value, value]);
      assert.ok(second.commit());
    }
    assert.equal(second.read(0), record);
    assert.equal(first.commit(), false);
  });

  it('gives a successor the spare of its predecessor, and several of one thread the same one', () => {
    const buffer = create();
    const predecessor = new SharedRecords(buffer, 64, 0);
    for (let i = 0; i < 5; i++) {
      prepare(predecessor, i % 3, [i, i]);
      assert.ok(predecessor.commit());
    }
    const successor = new SharedRecords(buffer, 64, 0);
    assert.equal(successor.spare(), predecessor.spare());
    prepare(successor, 0, [9, 9]);
    assert.ok(successor.commit());
    assert.equal(successor.spare(), predecessor.spare());
    assert.equal(successor.lost, 0);
  });

  it('takes a fresh record for a thread that died while it committed, until the reserve is used up', () => {
    const buffer = create();
    const ints = new Int32Array(buffer);
    const records = new SharedRecords(buffer, 64, 1);
    prepare(records, 0, [5, 6]);
    assert.ok(records.commit());
    const seen = new Set([records.spare(), records.read(0), records.read(1), records.read(2)]);
    for (let deaths = 1; deaths <= 64; deaths++) {
      const successor = new SharedRecords(buffer, 64, 0);
      assert.ok(!seen.has(successor.spare()));
      seen.add(successor.spare());
      ints[spareAt(0)] = -1;
    }
    const last = new SharedRecords(buffer, 64, 0);
    assert.equal(last.lost, 64);
    ints[spareAt(0)] = -1;
    assert.throws(() => new SharedRecords(buffer, 64, 0), RangeError);
    assert.deepEqual(wordsOf(records, 0), [5, 6]);
  });

  it('writes nothing but its header until somebody attaches, so that what is not used takes no memory', () => {
    assert.deepEqual(new Set(new Int32Array(create(), 64 + 64)), new Set([0]));
  });

  it('refuses a number that no thread has', () => {
    for (const thread of [-1, 2, 0.5, Number.NaN]) {
      assert.throws(() => new SharedRecords(create(), 64, thread), RangeError);
    }
  });
});
