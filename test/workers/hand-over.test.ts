/** Threads are replaced by others, because code has changed, under clients that connect as fast as they can. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import type { AddressInfo } from 'node:net';
import { eventually } from '../support/changes.ts';
import { ask, Clients, TestThreads, toldConfig, toldPolicy } from '../support/threaded.ts';

const descriptors = (): number => readdirSync('/proc/self/fd').length;
const threadsOfProcess = (): number => readdirSync('/proc/self/task').length;

describe('threads whose code has changed', () => {
  it('are replaced without losing one of thousands of connections', async (t) => {
    const threads = await TestThreads.start(t, toldConfig());
    const clients = new Clients(64, () => threads.address());
    const { config } = await threads.publication(toldConfig());
    for (let replacement = 0; replacement < 4; replacement++) {
      await threads.gateway.apply({ revision: replacement + 2, config, secrets: [], codeDigest: String(replacement) });
    }
    await eventually(() => clients.answers > 2_000, 'thousands of connections', 30_000);
    await clients.stop();
    t.diagnostic(`${clients.answers} connections, ${clients.failures.length} lost`);
    assert.deepEqual(clients.failures, []);
    assert.deepEqual(
      (await threads.gateway.status()).threads.map(({ revision, restarts }) => [revision, restarts]),
      [
        [5, 0],
        [5, 0],
      ],
    );
  });

  it('are replaced without losing one where the main thread accepts', async (t) => {
    const threads = await TestThreads.start(t, toldConfig(), { mayShare: false });
    const clients = new Clients(32, () => threads.address());
    const { config } = await threads.publication(toldConfig());
    for (let replacement = 0; replacement < 3; replacement++) {
      await threads.gateway.apply({ revision: replacement + 2, config, secrets: [], codeDigest: String(replacement) });
    }
    await eventually(() => clients.answers > 500, 'hundreds of connections', 30_000);
    await clients.stop();
    assert.deepEqual(clients.failures, []);
  });

  it('leave nothing behind, however often', async (t) => {
    const plain = toldConfig({ threads: 1, routes: { all: { respond: { body: 'hello' } } } });
    const threads = await TestThreads.start(t, plain);
    const { config } = await threads.publication(plain);
    let revision = 1;
    const replace = async (times: number): Promise<readonly [threads: number, descriptors: number, bytes: number]> => {
      for (let count = 0; count < times; count++) {
        await threads.gateway.apply({ revision: ++revision, config, secrets: [], codeDigest: String(revision) });
        assert.equal((await ask(threads.address())).status, 200);
      }
      await eventually(() => threads.gateway.retiring === 0, 'the last that were replaced to end');
      globalThis.gc?.();
      return [threadsOfProcess(), descriptors(), process.memoryUsage.rss()];
    };
    const before = await replace(5);
    const after = await replace(12);
    t.diagnostic(
      `threads, descriptors, bytes: after 5 replacements ${before.join(', ')}; after 17 ${after.join(', ')}`,
    );
    assert.ok(after[0] <= before[0] + 1, 'threads');
    assert.ok(after[1] <= before[1] + 4, 'descriptors');
    assert.ok(after[2] < before[2] + 40e6, 'memory');
  });

  it('go on with the WebSockets that they have', async (t) => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    await once(server, 'listening');
    t.after(() => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    const upstreams = { u: { targets: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] } };
    const both = toldConfig({
      upstreams,
      routes: { stays: { match: { path: '/stays' }, policies: [{ use: './told.mjs' }], upstream: 'u' } },
    });
    const threads = await TestThreads.start(t, both);
    const url = threads.url().replace('http', 'ws');
    const stays = new WebSocket(`${url}/stays`);
    t.after(() => stays.terminate());
    await once(stays, 'open');
    for (const version of ['2', '3', '4']) {
      await threads.write('told.mjs', toldPolicy(version));
      await threads.apply(both);
      const echoed = once(stays, 'message') as Promise<[Buffer]>;
      stays.send(version);
      assert.equal(String((await echoed)[0]), version);
    }
    await eventually(() => threads.gateway.retiring === 1, 'all but the one with the WebSocket to end');
  });
});
