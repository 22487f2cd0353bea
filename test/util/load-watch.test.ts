import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type LoadThresholds, LoadWatch, lookEveryMs } from '../../src/util/load-watch.ts';

/** An event loop whose turns take as long as the test says, and memory likewise. */
class Loop {
  memory = 0;
  reads = 0;
  readonly watch: LoadWatch;
  thresholds: LoadThresholds = { lagMs: 200, memory: 0.9 };
  private nowMs = 1_000;

  constructor() {
    this.watch = new LoadWatch(this.nowMs, () => {
      this.reads++;
      return this.memory;
    });
  }

  /** For so long every look is late by so much. */
  run(ms: number, lagMs: number): number {
    const untilMs = this.nowMs + ms;
    while (this.nowMs < untilMs) this.turn(lagMs);
    return this.watch.level;
  }

  turn(lagMs: number): boolean {
    this.nowMs += lookEveryMs + lagMs;
    return this.watch.look(this.nowMs, this.thresholds);
  }
}

suite('the load of a thread', () => {
  test('is nothing while the event loop is punctual, or late by less than the threshold', () => {
    const loop = new Loop();
    assert.equal(loop.run(60_000, 0), 0);
    assert.equal(loop.run(60_000, 199), 0);
    assert.equal(loop.watch.lagMs, 199);
  });

  test('is not raised by long turns with punctual ones between them', () => {
    const loop = new Loop();
    for (let i = 0; i < 100; i++) {
      // As long as a thread may hang, and then two as long as anything that is not an overload.
      for (const lagMs of [4_900, 0, 600, 0, 600, 3, 0]) loop.turn(lagMs);
    }
    assert.equal(loop.watch.level, 0);
  });

  test('rises within some hundred milliseconds and the longer the higher, up to all but the most important', () => {
    const loop = new Loop();
    assert.equal(loop.run(440, 200), 0, 'after two looks');
    assert.ok(loop.run(220, 200) > 0, 'after three');
    const levels = Array.from({ length: 40 }, () => loop.run(660, 220));
    for (const [index, level] of levels.entries()) assert.ok(index === 0 || level === 3 || level > levels[index - 1]);
    assert.equal(levels.at(-1), 3);
    assert.ok(levels[3] < 1, 'all of one class are refused only after seconds');
  });

  test('rises over seconds, however late the event loop is', () => {
    for (const lagMs of [200, 400, 1_000, 2_000]) {
      const loop = new Loop();
      let before = 0;
      for (let ms = 0; ms < 20_000; ms += lagMs + lookEveryMs) {
        loop.turn(lagMs);
        assert.ok(loop.watch.level - before <= 1);
        if (ms < 1_500) assert.ok(loop.watch.level < 1, `${lagMs} ms late, after ${ms}`);
        before = loop.watch.level;
      }
      assert.ok(before > 1, `${lagMs} ms late: ${before}`);
    }
  });

  test('falls slowly below half of the threshold, and stays where it is between', () => {
    const loop = new Loop();
    const high = loop.run(5_000, 300);
    assert.ok(high > 0.5);
    assert.equal(loop.run(20_000, 150), high);
    assert.ok(loop.run(2_000, 0) > 0);
    assert.equal(loop.run(30_000, 0), 0);
  });

  test('goes by the memory that is in use: nothing at the threshold, everything where there is none left', () => {
    const loop = new Loop();
    for (const [memory, level] of [
      [0.5, 0],
      [0.9, 0],
      [0.92, 0.6],
      [0.95, 1.5],
      [1, 3],
      [1.2, 3],
      [0.89, 0],
    ]) {
      loop.memory = memory;
      assert.ok(Math.abs(loop.run(2_600, 0) - level) < 1e-9, String(memory));
    }
  });

  test('tells which of the two the level comes from', () => {
    const loop = new Loop();
    loop.memory = 0.95;
    loop.run(2_600, 0);
    assert.equal(loop.watch.reason, 'memory');
    loop.run(20_000, 300);
    assert.deepEqual([loop.watch.level, loop.watch.reason], [3, 'lag']);
    loop.memory = 1;
    loop.run(60_000, 0);
    assert.deepEqual([loop.watch.level, loop.watch.reason], [3, 'memory']);
  });

  test('does not mind garbage that comes and goes', () => {
    const loop = new Loop();
    for (let i = 0; i < 50; i++) {
      loop.memory = i % 4 === 0 ? 0.6 : 0.99;
      loop.run(520, 0);
      assert.equal(loop.watch.level, 0);
    }
  });

  test('looks only at what has a threshold', () => {
    const loop = new Loop();
    loop.memory = 1;
    loop.thresholds = { lagMs: 200, memory: null };
    assert.equal(loop.run(5_000, 0), 0);
    assert.equal(loop.reads, 0);
    loop.thresholds = { lagMs: null, memory: 0.9 };
    assert.equal(loop.run(20_000, 3_000), 3, 'memory');
    loop.memory = 0;
    assert.equal(loop.run(30_000, 3_000), 0, 'and not lag');
  });

  test('of memory is asked for twice a second at most', () => {
    const loop = new Loop();
    loop.run(10_000, 0);
    assert.ok(loop.reads <= 20, String(loop.reads));
  });
});
