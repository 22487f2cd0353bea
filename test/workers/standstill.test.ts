/** A thread works on one request for seconds; who comes meanwhile is served by the others. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { StandstillWatch } from '../../src/workers/standstill-watch.ts';
import type { ThreadedGatewayEnv } from '../../src/workers/threaded-gateway.ts';
import type { Scope } from '../support/scope.ts';
import { type Answer, ask, Clients, TestThreads, toldConfig } from '../support/threaded.ts';

const accepting = 'a thread stands still: the main thread accepts connections for those that do not';
const givenBack = 'threads accept connections for themselves again';

/** Keeps its thread busy for as long as `x-busy` says. */
const busyPolicy = `import { z } from ${JSON.stringify(new URL('../../src/util/schema.ts', import.meta.url).pathname)};
export default {
  name: 'busy', summary: 'Blocks the event loop.', options: z.strictObject({}),
  create: () => ({
    onRequest(exchange) {
      const ms = Number(exchange.requestHeaders.get('x-busy') ?? 0);
      for (const untilMs = performance.now() + ms; performance.now() < untilMs; );
    },
  }),
};
`;

const config = (threads = 2): ConfigInput =>
  toldConfig({
    threads,
    routes: { all: { policies: [{ use: './told.mjs' }, { use: './busy.ts' }], respond: { body: 'hello' } } },
  });

const start = (t: Scope, env: Partial<ThreadedGatewayEnv> = {}, threads = 2): Promise<TestThreads> =>
  TestThreads.start(t, config(threads), { ...env, files: { 'busy.ts': busyPolicy } });

/** A request that keeps its thread busy for so long. */
class Work {
  isDone = false;
  readonly answer: Promise<Answer>;

  constructor(threads: TestThreads, ms: number) {
    this.answer = ask(threads.address(), `x-busy: ${ms}\r\n`).finally(() => (this.isDone = true));
  }
}

/**
 * Has a thread work until the main thread accepts for all. On a machine with more to do it looks less often, and so it may take
 * several times.
 * @returns what was being worked on then.
 */
async function workUntilAccepting(threads: TestThreads, round = 1): Promise<Work> {
  for (;;) {
    const work = new Work(threads, longMs);
    const isOver = await Promise.race([
      work.answer.then(() => true),
      threads.logged(accepting, round, 60_000).then(() => false),
    ]);
    if (!isOver || threads.log.filter(({ message }) => message === accepting).length >= round) return work;
  }
}

/** Once one thread of them does not answer any more. */
async function untilSilent(threads: TestThreads, work: Work): Promise<void> {
  while (!work.isDone) {
    const status = await threads.gateway.status();
    if (status.threads.some(({ state }) => state === 'silent')) return;
  }
  assert.fail('the thread was not seen to stand still');
}

/** Whoever comes now is answered before the work is done, which is waited for. */
async function assertServedBefore(work: Work, threads: TestThreads): Promise<void> {
  const answers = await Promise.all(Array.from({ length: 32 }, () => ask(threads.address())));
  assert.equal(work.isDone, false);
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  await work.answer;
}

/** Long enough to be seen, and shorter than a thread may hang. */
const longMs = 2_500;

describe('a thread that stands still', { timeout: 90_000 }, () => {
  it('lets nobody wait who comes while it does, once it has for a second', async (t) => {
    const threads = await start(t);
    const first = await workUntilAccepting(threads);
    assert.equal((await first.answer).status, 200);
    const work = new Work(threads, longMs);
    await untilSilent(threads, work);
    const answers = await Promise.all(Array.from({ length: 32 }, () => ask(threads.address())));
    for (let i = 0; i < 32; i++) answers.push(await ask(threads.address()));
    assert.equal(work.isDone, false, 'nobody has waited for it');
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    const busy = await work.answer;
    assert.equal(answers.filter(({ thread }) => thread === busy.thread).length, 0);
    assert.equal(threads.log.filter(({ message }) => message === accepting).length, 1);
  });

  it('has connections accepted elsewhere at once where the main thread does so anyway', async (t) => {
    const threads = await start(t, { mayShare: false });
    const work = new Work(threads, longMs);
    await untilSilent(threads, work);
    await assertServedBefore(work, threads);
  });

  it('gets its sockets back when none has stood still for a while, and none is lost on the way', async (t) => {
    const threads = await start(t, { calmMs: 500 });
    const clients = new Clients(16, () => threads.address());
    for (let round = 1; round <= 2; round++) {
      await (
        await workUntilAccepting(threads, round)
      ).answer;
      await threads.logged(givenBack, round);
    }
    await clients.stop();
    assert.deepEqual(clients.failures, []);
    // Each accepts for itself: the main thread would hand them on in turn.
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(threads.address())));
    assert.equal(new Set(answers.map(({ thread }) => thread)).size, 2);
  });

  it('is replaced if it hangs, and its successor gets connections from the main thread', async (t) => {
    const threads = await start(t, { hangLimitMs: 6_000 });
    void ask(threads.address(), 'x-do: hang\r\n');
    await threads.logged(accepting);
    await threads.logged('a serving thread was replaced');
    const work = new Work(threads, longMs);
    await untilSilent(threads, work);
    await assertServedBefore(work, threads);
  });

  it('keeps what it accepts with where it is alone, and while the configuration changes', async (t) => {
    const threads = await start(t, {}, 1);
    assert.equal((await new Work(threads, 1_200).answer).status, 200);
    assert.deepEqual(
      threads.log.filter(({ message }) => message === accepting),
      [],
    );
    await threads.apply(config(2));
    const work = await workUntilAccepting(threads);
    await threads.apply(config(3));
    await work.answer;
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask(threads.address())));
    assert.equal(new Set(answers.map(({ thread }) => thread)).size, 3, 'in turn');
  });
});

describe('the watch for threads that stand still', () => {
  const looks = (watch: StandstillWatch, threads: { beats: number }[], count: number): ({ beats: number } | null)[] =>
    Array.from({ length: count }, () => watch.look(threads));

  it('tells once of one that has no beat for a second of looks', () => {
    const watch = new StandstillWatch();
    const [one, other] = [{ beats: 7 }, { beats: 0 }];
    looks(watch, [one, other], 1);
    for (let i = 0; i < 60; i++) {
      other.beats++;
      assert.equal(watch.look([one, other]), i === 39 ? one : null);
      assert.equal(watch.isStill(one), i >= 2);
      assert.equal(watch.isStill(other), false);
    }
    one.beats++;
    assert.equal(watch.look([one, other]), null);
    assert.equal(watch.isStill(one), false);
    assert.deepEqual(looks(watch, [one], 40).lastIndexOf(one), 39);
  });

  it('knows nothing of one that it has not seen', () => {
    const watch = new StandstillWatch();
    assert.equal(watch.isStill({ beats: 0 }), false);
  });
});
