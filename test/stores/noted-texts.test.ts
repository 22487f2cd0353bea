import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { PolicyEnv } from '../../src/contract.ts';
import { NotedTexts } from '../../src/stores/noted-texts.ts';
import { proxyTo, TestGateway } from '../support/gateway.ts';
import { policyOf } from '../support/inline-policy.ts';
import { RawUpstream } from '../support/raw-upstream.ts';
import { ask, TestThreads } from '../support/threaded.ts';

suite('NotedTexts', () => {
  test('says of several that note a text who was the first, until its time is over', () => {
    let nowMs = 0;
    const buffer = NotedTexts.create(2, { capacity: 64 });
    const [a, b] = [0, 1].map((seat) => new NotedTexts(buffer, seat, () => nowMs).named('nonces'));
    assert.equal(a.has('x'), false);
    assert.equal(a.add('x', 100), true);
    assert.equal(b.add('x', 100), false);
    assert.equal(b.has('x'), true);
    nowMs = 100;
    assert.equal(b.has('x'), false);
    assert.equal(b.add('x', 200), true);
    assert.equal(a.add('x', 200), false);
  });

  test('keeps it as long as anybody asked for', () => {
    let nowMs = 0;
    const noted = new NotedTexts(NotedTexts.create(1, { capacity: 64 }), 0, () => nowMs).named('sessions');
    noted.add('x', 100);
    noted.add('x', 300);
    noted.add('x', 200);
    nowMs = 299;
    assert.equal(noted.has('x'), true);
    nowMs = 300;
    assert.equal(noted.has('x'), false);
  });

  test('never takes the text of one name for that of another (CVE-2023-35941)', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '1', ':', '2') });
    fc.assert(
      fc.property(text, text, text, text, (name, value, otherName, otherValue) => {
        fc.pre(name !== otherName || value !== otherValue);
        const noted = new NotedTexts(NotedTexts.create(1, { capacity: 16 }), 0, () => 0);
        noted.named(name).add(value, 1);
        assert.equal(noted.named(otherName).has(otherValue), false);
      }),
    );
  });

  test('forgets those that end first when there are too many, and counts them', () => {
    const all = new NotedTexts(NotedTexts.create(1, { capacity: 8 }), 0, () => 0);
    const noted = all.named('n');
    for (let n = 1; n <= 1000; n++) assert.equal(noted.add(`text ${n}`, n), true);
    const kept = Array.from({ length: 1000 }, (_, n) => n + 1).filter((n) => noted.has(`text ${n}`));
    assert.ok(kept.length <= 32 && kept.every((n) => n > 900), String(kept));
    assert.equal(all.evicted, 1000 - kept.length);
  });
});

suite('env.sharedMemory', () => {
  test('is one for all policies and configurations of a gateway', async (t) => {
    const upstream = await RawUpstream.start(t);
    const seen: boolean[] = [];
    const modules = {
      './once.ts': {
        ...policyOf({}),
        create: (_options: unknown, env: PolicyEnv) => {
          seen.push(env.sharedMemory('once').add('x', env.now() + 60_000));
          return {};
        },
      },
    };
    const config = proxyTo(upstream.url, { route: { policies: [{ use: './once.ts' }] } });
    const gateway = await TestGateway.start(t, config, { modules });
    await gateway.apply(config, modules);
    assert.deepEqual(seen, [true, false]);
  });

  test('is one for all threads', async (t) => {
    const once = `import { threadId } from 'node:worker_threads';
import { z } from ${JSON.stringify(new URL('../../src/util/schema.ts', import.meta.url).pathname)};
export default {
  name: 'once', summary: 'Lets each path pass once.', options: z.strictObject({}),
  create(options, env) {
    const noted = env.sharedMemory('paths');
    return {
      onRequest: (exchange) => ({ status: noted.add(exchange.path, env.now() + 60_000) ? 201 : 409, headers: [['x-thread', String(threadId)]] }),
    };
  },
};
`;
    const threads = await TestThreads.start(
      t,
      {
        telemetry: { accessLog: false },
        threads: 2,
        listeners: { web: { host: '127.0.0.1', port: 0 } },
        routes: { all: { policies: [{ use: './once.ts' }], respond: { body: '' } } },
      },
      { files: { 'once.ts': once } },
    );
    const used = new Set<string>();
    for (let path = 0; path < 50 && used.size < 2; path++) {
      const answers = await Promise.all(Array.from({ length: 8 }, () => ask(threads.address(), '', `/${path}`)));
      const count = (wanted: number): number => answers.filter(({ status }) => status === wanted).length;
      assert.deepEqual([count(201), count(409)], [1, 7]);
      // That both threads have answered for one path is what makes it a test of both.
      for (const { thread } of answers) if (new Set(answers.map((one) => one.thread)).size === 2) used.add(thread);
    }
    assert.equal(used.size, 2);
  });
});
