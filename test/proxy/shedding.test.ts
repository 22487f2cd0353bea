import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type ImportanceClass, Shedding } from '../../src/proxy/shedding.ts';

const classes: readonly ImportanceClass[] = [0, 1, 2, 3];

/** How many of a thousand requests of a class are refused. */
function refused(shedding: Shedding, importance: ImportanceClass, count = 1_000): number {
  return Array.from({ length: count }, () => shedding.refuse(importance)).filter((reply) => reply !== null).length;
}

suite('shedding', () => {
  test('refuses a growing share of the least important, then of the next, and never of the most important', () => {
    const shedding = new Shedding(Shedding.createTotals());
    let before = [0, 0, 0, 0];
    for (let level = 0; level <= 3; level += 0.125) {
      shedding.level = level;
      const now = classes.map((importance) => refused(shedding, importance));
      for (const importance of classes) {
        const expected = importance === 3 ? 0 : 1_000 * Math.min(1, Math.max(0, level - importance));
        assert.ok(Math.abs(now[importance] - expected) <= 3, `level ${level}: ${now.join()}`);
        assert.ok(now[importance] >= before[importance] - 3);
      }
      assert.ok(now[1] === 0 || now[0] === 1_000, 'the next only when there is nobody left of the least');
      before = now;
    }
  });

  test('has the same share for whoever comes at a certain beat', () => {
    const shedding = new Shedding(Shedding.createTotals());
    shedding.level = 0.3;
    for (const beat of [2, 3, 5, 10]) {
      let hit = 0;
      for (let i = 0; i < 1_000 * beat; i++) if (shedding.refuse(0) !== null && i % beat === 0) hit++;
      assert.ok(Math.abs(hit - 300) < 15, `every ${beat}th: ${hit}`);
    }
  });

  test('answers 503 with when to come again, in whole seconds', () => {
    const shedding = new Shedding(Shedding.createTotals());
    shedding.level = 3;
    shedding.retryAfterMs = 2_100;
    assert.deepEqual(shedding.refuse(0), {
      status: 503,
      code: 'OVERLOADED',
      reason: 'overload',
      headers: [['retry-after', '3']],
    });
  });

  test('counts over all threads what it refuses', () => {
    const memory = Shedding.createTotals();
    const [one, other] = [new Shedding(memory), new Shedding(memory)];
    one.level = 3;
    other.level = 1.5;
    refused(one, 2, 10);
    refused(one, 3, 10);
    refused(other, 0, 10);
    refused(other, 1, 1_000);
    const { low, normal, high, bodies } = Shedding.totalsIn(memory);
    assert.deepEqual([low, high, bodies], [10, 10, 0]);
    assert.ok(Math.abs(normal - 500) <= 3);
  });

  test('counts for what it was: a thread that is late, memory that is short, and bodies', () => {
    const memory = Shedding.createTotals();
    const shedding = new Shedding(memory);
    shedding.level = 3;
    refused(shedding, 0, 4);
    shedding.reason = 'memory';
    refused(shedding, 0, 3);
    refused(shedding, 2, 2);
    shedding.reason = 'lag';
    refused(shedding, 1, 1);
    for (const importance of classes) shedding.refusalOfBody({ importance }, -1);
    const counts = Shedding.countsIn(memory).filter(({ count }) => count > 0);
    assert.deepEqual(
      counts.map(({ importance, reason, count }) => [importance, reason, count]),
      [
        ['low', 'lag', 4],
        ['normal', 'lag', 1],
        ['low', 'memory', 3],
        ['high', 'memory', 2],
        ['low', 'body', 1],
        ['normal', 'body', 1],
        ['high', 'body', 1],
      ],
    );
    assert.deepEqual(Shedding.totalsIn(memory), { low: 7, normal: 1, high: 2, bodies: 3 });
  });
});
