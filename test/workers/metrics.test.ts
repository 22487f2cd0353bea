/** What several threads count, as one, whichever of them come and go. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { metricsText } from '../../src/gateway/metrics-text.ts';
import { eventually } from '../support/changes.ts';
import { allSamples, parseMetrics } from '../support/metrics-parser.ts';
import { type Answer, TestThreads, ask, toldConfig, toldPolicy } from '../support/threaded.ts';

const answered = 'gatewright_requests_total{route="all",method="GET",status="200"}';

async function read({ gateway }: TestThreads, maxSeries = 2000): Promise<ReadonlyMap<string, number>> {
  const reading = { status: await gateway.status(), counts: gateway.counted(maxSeries), control: null };
  return allSamples(parseMetrics(metricsText(reading, 'openmetrics'), 'openmetrics'));
}

/** What was counted, once it is at least this: a response may be there before it is. */
async function counted(threads: TestThreads, atLeast: number): Promise<number> {
  let count = 0;
  await eventually(async () => {
    const now = (await read(threads)).get(answered) ?? 0;
    assert.ok(now >= count, `a counter went from ${count} to ${now}`);
    count = now;
    return count >= atLeast;
  }, `${atLeast} requests to be counted`);
  return count;
}

const askMany = (threads: TestThreads, count: number): Promise<Answer[]> =>
  Promise.all(Array.from({ length: count }, () => ask(threads.address())));

const threadsIn = (answers: readonly Answer[]): number => new Set(answers.map(({ thread }) => thread)).size;

describe('the metrics of several threads', () => {
  it('are the sum of what all of them have counted, and tell of each thread how it is', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ threads: 3 }));
    let asked = 0;
    await eventually(async () => {
      asked += 24;
      return threadsIn(await askMany(threads, 24)) === 3;
    }, 'answers of three threads');
    assert.equal(await counted(threads, asked), asked);
    const all = await read(threads);
    assert.equal(all.get('gatewright_request_duration_seconds_count{route="all"}'), asked);
    for (const thread of [0, 1, 2]) {
      assert.equal(all.get(`gatewright_thread_up{thread="${thread}"}`), 1);
      assert.ok(all.get(`gatewright_thread_heap_bytes{thread="${thread}"}`)! > 1_000_000);
    }
  });

  it('go on from where they were when a thread dies', async (t) => {
    const threads = await TestThreads.start(t, toldConfig());
    await askMany(threads, 20);
    await counted(threads, 20);
    assert.equal((await ask(threads.address(), 'x-do: exit\r\n')).status, 0);
    await threads.logged('a serving thread was replaced');
    assert.equal(await counted(threads, 20), 20);
    await askMany(threads, 20);
    assert.equal(await counted(threads, 40), 40);
    const all = await read(threads);
    const restarts = [0, 1].map((thread) => all.get(`gatewright_thread_restarts_total{thread="${thread}"}`)!);
    assert.equal(restarts[0] + restarts[1], 1);
  });

  it('go on when all threads are replaced because their code is another, and count what retired ones finish', async (t) => {
    const threads = await TestThreads.start(t, toldConfig());
    await askMany(threads, 10);
    await counted(threads, 10);
    for (let version = 2; version <= 4; version++) {
      await threads.write('told.mjs', toldPolicy(String(version)));
      await threads.apply(toldConfig());
      const answers = await askMany(threads, 10);
      assert.deepEqual(new Set(answers.map((answer) => answer.version)), new Set([String(version)]));
      assert.equal(await counted(threads, version * 10), version * 10);
    }
  });

  it('go on when there are fewer threads, and more', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ threads: 3 }));
    let asked = 0;
    for (const count of [1, 3, 2]) {
      await threads.apply(toldConfig({ threads: count }));
      await askMany(threads, 12);
      asked += 12;
      assert.equal(await counted(threads, asked), asked);
    }
  });
});
