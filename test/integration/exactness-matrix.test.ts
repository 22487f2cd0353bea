/**
 * The promise of the limits as anybody can check it, from outside: at ten times the limit no more within any span than is
 * allowed, and no less than is due. A second for all; `npm run exactness` takes its time, with ten thousand keys and eight
 * threads.
 */
import assert from 'node:assert/strict';
import { type TestContext, after, before, suite, test } from 'node:test';
import { exactnessCases, exactnessConfig, measureExactness } from '../support/exactness.ts';
import { SuiteScope } from '../support/scope.ts';
import { TestThreads } from '../support/threaded.ts';

const cases = exactnessCases({ rate: '50/1s', keys: 100, ratePerKey: '2/1s' });

suite('limits at ten times what they allow, on two threads', { concurrency: cases.length }, () => {
  const scope = new SuiteScope();
  let threads: TestThreads;
  before(async () => {
    threads = await TestThreads.start(scope, exactnessConfig(cases, 2));
  });
  after(async () => {
    const { limits, threads: served } = await threads.gateway.status();
    await scope.end();
    assert.deepEqual([limits.evicted, limits.gaveUp], [0, 0]);
    assert.equal(served.filter((thread) => thread.served > 0).length, 2, 'both have served');
  });

  for (const one of cases) {
    test(`${one.name}: ${one.rate}, ${one.keys} keys`, { timeout: 60_000 }, async (t: TestContext) => {
      const waits = one.keys === 1 ? 1 : 0;
      const measured = await measureExactness(one, { origins: [threads.url()], seconds: 1, waits, clients: 2 });
      const { sent, admitted, refused, window, usable } = measured;
      t.diagnostic(
        `${sent} sent, ${admitted} admitted, ${window.certain} within a window, ${(100 * usable).toFixed(1)} %`,
      );
      // Where the machine stands still meanwhile, it may be a guess how much was due; never what was too much.
      assert.deepEqual(
        measured.findings.filter(({ kind, text }) => kind !== 'doubt' || !text.includes('stood still')),
        [],
      );
      assert.equal(measured.keysBeyond, 0);
      assert.equal(admitted + refused, sent);
    });
  }
});
