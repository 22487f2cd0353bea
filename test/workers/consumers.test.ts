/** Consumers on the threads that serve: known to all of them, changed together, and their uses put together. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it, type TestContext } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { ConsumerRecord } from '../../src/consumers/consumer-record.ts';
import { type Answer, TestThreads, ask } from '../support/threaded.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Says in `x-thread` who answers, and in `x-who` whose the key in `x-key` is. */
const whoPolicy = `import { createHash } from 'node:crypto';
import { threadId } from 'node:worker_threads';
import { z } from ${JSON.stringify(join(root, 'src/util/schema.ts'))};
export default {
  name: 'who', summary: 'Is part of a test.', options: z.strictObject({}),
  create(options, { consumers }) {
    return {
      onResponse(exchange) {
        const what = exchange.requestHeaders.get('x-do');
        if (what === 'exit') process.exit(9);
        const key = exchange.requestHeaders.get('x-key') ?? '';
        const found = consumers.byApiKey(createHash('sha256').update(key).digest('hex'));
        found?.used();
        exchange.responseHeaders.set('x-thread', String(threadId));
        exchange.responseHeaders.set('x-version', found === undefined ? 'nobody' : found.consumer.name + ' ' + found.consumer.groups);
      },
    };
  },
};
`;

const digestOf = (key: string): string => createHash('sha256').update(key).digest('hex');

function consumer(name: string, key: string, groups: string[] = []): ConsumerRecord {
  const apiKeys = [{ digest: digestOf(key), label: '', expiresAt: null }];
  return { name, groups, apiKeys, basic: null, hmac: [], signing: [], jwt: [], certificates: [] };
}

function config(consumers: ConfigInput['consumers'], policies: string[] = ['./who.ts']): ConfigInput {
  return {
    telemetry: { accessLog: false },
    threads: 2,
    listeners: { web: { host: '127.0.0.1', port: 0 } },
    routes: { all: { policies: policies.map((use) => ({ use })), respond: { body: 'hello' } } },
    consumers,
  };
}

const written = (key: string, groups: string[] = []) => ({ groups, apiKeys: [{ hash: `sha256:${digestOf(key)}` }] });

function start(t: TestContext, first: ConfigInput): Promise<TestThreads> {
  return TestThreads.start(t, first, { files: { 'who.ts': whoPolicy } });
}

/** What each of two threads says. */
async function both(threads: TestThreads, key: string): Promise<string[]> {
  const byThread = new Map<string, string>();
  for (let asked = 0; byThread.size < 2; asked++) {
    assert.ok(asked < 200, 'two threads answer');
    const answer: Answer = await ask(threads.address(), `x-key: ${key}\r\n`);
    assert.equal(answer.status, 200, answer.text);
    byThread.set(answer.thread, answer.version);
  }
  return [...byThread.values()];
}

describe('consumers on several threads', () => {
  it('come with the configuration, and change with it', async (t) => {
    const threads = await start(t, config({ a: written('key-a'), b: written('key-b', ['gold']) }));
    assert.deepEqual(await both(threads, 'key-a'), ['a ', 'a ']);
    assert.deepEqual(await both(threads, 'key-b'), ['b gold', 'b gold']);
    await threads.apply(config({ b: written('key-b2', ['silver']), c: written('key-a') }));
    assert.deepEqual(await both(threads, 'key-a'), ['c ', 'c ']);
    assert.deepEqual(await both(threads, 'key-b'), ['nobody', 'nobody']);
    assert.deepEqual(await both(threads, 'key-b2'), ['b silver', 'b silver']);
  });

  it('change by themselves, for all threads when the change is done', async (t) => {
    const threads = await start(t, config({ a: written('key-a') }));
    await threads.gateway.changeConsumers({ removed: [], records: [consumer('b', 'key-b', ['gold'])] });
    assert.deepEqual(await both(threads, 'key-b'), ['b gold', 'b gold']);
    await threads.gateway.changeConsumers({ removed: ['a'], records: [consumer('b', 'key-b2')] });
    assert.deepEqual(await both(threads, 'key-a'), ['nobody', 'nobody']);
    assert.deepEqual(await both(threads, 'key-b'), ['nobody', 'nobody']);
    assert.deepEqual(await both(threads, 'key-b2'), ['b ', 'b ']);
  });

  it('stay as they are when the configuration is refused', async (t) => {
    const threads = await start(t, config({ a: written('key-a') }));
    const bad = `import { workerData } from 'node:worker_threads';
export default { name: 'bad', summary: 'x', options: (await import(${JSON.stringify(join(root, 'src/util/schema.ts'))})).z.strictObject({}),
  create() { if (workerData?.file === undefined) throw new Error('not here'); return {}; } };`;
    await threads.write('bad.ts', bad);
    await assert.rejects(threads.apply(config({ b: written('key-a') }, ['./who.ts', './bad.ts'])), /not here/);
    assert.deepEqual(await both(threads, 'key-a'), ['a ', 'a ']);
    await threads.gateway.changeConsumers({ removed: [], records: [consumer('c', 'key-c')] });
    assert.deepEqual(await both(threads, 'key-c'), ['c ', 'c ']);
  });

  it('are all known to a thread that takes the place of another', async (t) => {
    const threads = await start(t, config({ a: written('key-a'), b: written('key-b') }));
    await threads.gateway.changeConsumers({ removed: ['b'], records: [consumer('c', 'key-c')] });
    await ask(threads.address(), 'x-do: exit\r\n');
    await threads.logged('a serving thread was replaced');
    assert.deepEqual(await both(threads, 'key-a'), ['a ', 'a ']);
    assert.deepEqual(await both(threads, 'key-b'), ['nobody', 'nobody']);
    assert.deepEqual(await both(threads, 'key-c'), ['c ', 'c ']);
    await threads.gateway.changeConsumers({ removed: ['c'], records: [] });
    assert.deepEqual(await both(threads, 'key-c'), ['nobody', 'nobody']);
  });

  it('are known to have been used, also by threads that have ended', async (t) => {
    const threads = await start(t, config({ a: written('key-a'), b: written('key-b') }));
    const idOf = (key: string): string => digestOf(key).slice(0, 12);
    const before = Date.now();
    await both(threads, 'key-a');
    const uses = await threads.gateway.lastUses();
    const usedAt = uses.of('a', idOf('key-a'));
    assert.ok(usedAt !== null && usedAt >= before && usedAt <= Date.now(), `${usedAt}`);
    assert.equal(uses.of('b', idOf('key-b')), null);
    await both(threads, 'key-b');
    // Other code, so that the threads are replaced; those before tell at their end.
    await threads.write('who.ts', `${whoPolicy}\n// another version\n`);
    await threads.apply(config({ a: written('key-a'), b: written('key-b') }));
    await threads.gateway.stop(0);
    assert.ok(uses.of('b', idOf('key-b')) !== null);
    assert.deepEqual(
      Array.from(uses.takeChanged(), ({ consumer: name, id }) => [name, id]),
      [
        ['a', idOf('key-a')],
        ['b', idOf('key-b')],
      ],
    );
    assert.deepEqual([...uses.takeChanged()], []);
  });
});
