/**
 * The promise of the limits, on real threads and sockets: over any window no more than the limit and its burst, and no less
 * than could be, by what the gateway itself tells of the moments before and after. A few seconds, with GATEWRIGHT_EXACTNESS=20
 * as many as that, with ten thousand keys and eight threads. What can be seen from outside is in exactness-matrix.test.ts.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, suite, test } from 'node:test';
import { type FloodAnswer, flood } from '../support/flood.ts';
import { type Admitted, mostForCertain } from '../support/most-for-certain.ts';
import { TestThreads, ask, toldConfig } from '../support/threaded.ts';

const root = join(import.meta.dirname, '../..');
const longSeconds = Number(process.env['GATEWRIGHT_EXACTNESS'] ?? 0);
/** Not whole ones: the end should not fall on that of a window. */
const seconds = longSeconds > 0 ? longSeconds : 1.5;

/** Says in a response when its request had come, by the clock that all threads share, when it was here, and on which thread. */
const stamp = `import { threadId } from 'node:worker_threads';
import { z } from ${JSON.stringify(join(root, 'src/util/schema.ts'))};
export default {
  name: 'stamp', summary: 'Says when.', options: z.strictObject({}),
  create: (_, env) => ({
    onRequest(exchange) {
      exchange.setInResponse('x-before', String(exchange.startedAt));
      exchange.setInResponse('x-after', String(env.now()));
      exchange.setInResponse('x-thread', String(threadId));
    },
  }),
};
`;

interface Limited {
  readonly limit: number;
  readonly windowMs: number;
  /** How many at once. */
  readonly capacity: number;
  /** The most within any window. */
  readonly most: number;
  readonly keys: number;
  readonly threads: number;
  readonly options: object;
}

async function hammer(t: TestContext, { keys, threads: count, options }: Limited) {
  const policies = [{ rateLimit: { by: 'header:x-key', ...options } }, { use: './stamp.ts' }];
  const config = toldConfig({ threads: count, routes: { all: { policies, respond: { body: 'hello' } } } });
  const threads = await TestThreads.start(t, config, { files: { 'stamp.ts': stamp } });
  const answers = await flood(() => threads.address(), {
    connections: 16 * count,
    pipelined: 4,
    forMs: seconds * 1000,
    ...(longSeconds > 0 ? {} : { everyMs: 30 }),
    fields: (index) => `x-key: ${index % keys}\r\n`,
  });
  return { answers, admitted: admittedOf(answers), totals: (await threads.gateway.status()).limits };
}

function admittedOf(answers: readonly FloodAnswer[]): Admitted[] {
  return answers
    .filter(({ status }) => status === 200)
    .map((answer) => ({ beforeMs: Number(answer.field('x-before')), afterMs: Number(answer.field('x-after')) }));
}

const kinds: readonly Omit<Limited, 'keys' | 'threads'>[] = [
  { limit: 200, windowMs: 1000, capacity: 200, most: 399, options: { rate: '200/1s' } },
  { limit: 200, windowMs: 1000, capacity: 21, most: 220, options: { rate: '200/1s', burst: 20 } },
  { limit: 200, windowMs: 1000, capacity: 200, most: 200, options: { rate: '200/1s', algorithm: 'sliding-window' } },
];

suite('limits under load', () => {
  for (const kind of kinds) {
    for (const threads of longSeconds > 0 ? [2, 8] : [2]) {
      test(`${JSON.stringify(kind.options)} on ${threads} threads`, async (t) => {
        const { limit, windowMs, capacity } = kind;
        const { answers, admitted, totals } = await hammer(t, { ...kind, keys: 1, threads });
        const most = mostForCertain(admitted, windowMs);
        const spanMs =
          Math.max(...admitted.map(({ afterMs }) => afterMs)) - Math.min(...admitted.map(({ beforeMs }) => beforeMs));
        const due = capacity + (limit * spanMs) / windowMs;
        // All that was there had been used when the last of them was refused, and the first was decided before this.
        const refused = answers.filter(({ status }) => status === 429).map((one) => Number(one.field('x-before')));
        const leastSpanMs = Math.max(...refused) - Math.min(...admitted.map(({ afterMs }) => afterMs));
        t.diagnostic(
          `${answers.length} requests in ${Math.round(spanMs)} ms, ${admitted.length} admitted, at most ${most} within a window, ` +
            `${((100 * admitted.length) / due).toFixed(2)} % of what is due`,
        );
        assert.ok(answers.length > 5 * admitted.length, 'more came than may pass');
        assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200, 429]));
        assert.ok(new Set(answers.filter(({ status }) => status === 200).map((one) => one.field('x-thread'))).size > 1);
        assert.ok(most <= kind.most, `${most} within a window`);
        assert.ok(admitted.length <= due + 1, 'in all');
        assert.deepEqual([totals.evicted, totals.gaveUp], [0, 0]);
        assert.equal(totals.refused, answers.length - admitted.length);
        // What is not asked for while a busy machine stands still is there later, if the bucket has room for it.
        const least = kind.most === limit ? 1 + Math.floor(leastSpanMs / windowMs) : 1 + leastSpanMs / windowMs;
        const usable = limit * least - 1;
        if (capacity === limit) assert.ok(admitted.length >= 0.99 * usable, `only ${admitted.length} of ${usable}`);
      });
    }
  }

  test('ten keys have ten times as much, and each no more than its own', { timeout: 120_000 }, async (t) => {
    const keys = longSeconds > 0 ? 10_000 : 10;
    const perKey = longSeconds > 0 ? 2 : 20;
    const options = { rate: `${perKey}/1h`, headers: 'standard' };
    const { admitted, answers } = await hammer(t, {
      limit: perKey,
      windowMs: 3_600_000,
      capacity: perKey,
      most: perKey,
      keys,
      threads: 2,
      options,
    });
    t.diagnostic(`${answers.length} requests, ${admitted.length} admitted`);
    // An hour's worth, and what the few seconds have brought back of it.
    assert.ok(admitted.length >= Math.min(keys * perKey, answers.length) * 0.99);
    assert.ok(admitted.length <= keys * perKey * (1 + (seconds + 1) / 3600) + keys);
  });
});

suite('limits on threads that come and go', () => {
  test('count on when the configuration is another one', async (t) => {
    const configFor = (body: string, rate = '5/1h') =>
      toldConfig({ routes: { all: { policies: [{ rateLimit: { rate } }], respond: { body } } } });
    const threads = await TestThreads.start(t, configFor('one'));
    for (let i = 0; i < 3; i++) assert.equal((await ask(threads.address())).status, 200);
    await threads.apply(configFor('two'));
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push((await ask(threads.address())).status);
    assert.deepEqual(answers, [200, 200, 429, 429]);
    await threads.apply(configFor('three', '2/1h'));
    assert.equal((await ask(threads.address())).status, 200, 'another rate is another limit');
  });

  test('get back what a thread held that has died', { timeout: 60_000 }, async (t) => {
    const limited = [{ concurrency: { limit: 3, by: 'global' } }, { use: './told.mjs' }];
    const config = toldConfig({
      threads: 1,
      routes: {
        limited: { match: { path: '/limited' }, policies: limited, respond: { body: 'hello' } },
        free: { match: { path: '/free' }, policies: [{ use: './told.mjs' }], respond: { body: 'hello' } },
      },
    });
    const threads = await TestThreads.start(t, config);
    for (let round = 0; round < 2; round++) {
      const held = Array.from({ length: 3 }, () => ask(threads.address(), 'x-do: hold\r\n', '/limited'));
      const refused = async (): Promise<boolean> => (await ask(threads.address(), '', '/limited')).status === 429;
      while (!(await refused()));
      assert.ok(await refused(), 'all three are held');
      await ask(threads.address(), 'x-do: exit\r\n', '/free');
      assert.deepEqual([...new Set((await Promise.all(held)).map(({ status }) => status))], [0]);
      while ((await ask(threads.address(), '', '/limited')).status !== 200);
    }
  });
});
