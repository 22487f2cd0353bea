/** Several threads that count as one gateway: how they share addresses, and what happens when one dies or hangs. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { ListenError } from '../../src/gateway/gateway.ts';
import { eventually } from '../support/changes.ts';
import { freePort, takenPort } from '../support/free-port.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Answer, ask, TestThreads, toldConfig, toldPolicy } from '../support/threaded.ts';
import { makeTlsFiles } from '../support/tls-files.ts';

const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

/** Asks until that many threads have answered. */
async function threadsOf(threads: TestThreads, count: number, listener = 'web'): Promise<Set<string>> {
  const seen = new Set<string>();
  await eventually(async () => {
    const { status, thread, text } = await ask(threads.address(listener));
    assert.equal(status, 200, text);
    seen.add(thread);
    return seen.size >= count;
  }, `answers of ${count} threads`);
  return seen;
}

describe('a gateway on several threads', () => {
  it('serves one port, which the kernel has chosen, and counts as one', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ threads: 3 }));
    assert.match(threads.url(), /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    await threadsOf(threads, 3);
    const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.connect(t, threads.address())));
    await Promise.all(clients.map((client) => client.write(get).response()));
    const status = await threads.gateway.status();
    assert.deepEqual(
      status.threads.map(({ thread, state, revision, restarts }) => [thread, state, revision, restarts]),
      [0, 1, 2].map((thread) => [thread, 'serving', 1, 0]),
    );
    assert.deepEqual(
      status.listeners.map(({ name, connections }) => [name, connections]),
      [['web', 12]],
    );
    assert.ok(status.threads.reduce((sum, { served }) => sum + served, 0) >= 12);
  });

  it('has as many connections as a listener may have, not as many for each thread, also after one has died', async (t) => {
    const web = { host: '127.0.0.1', port: 0, limits: { connections: 6 } };
    const threads = await TestThreads.start(t, toldConfig({ threads: 3, listeners: { web } }));
    const connectAll = async (count: number): Promise<{ served: RawClient[]; away: number }> => {
      const served: RawClient[] = [];
      for (let i = 0; i < count; i++) {
        const client = await RawClient.connect(t, threads.address());
        const { status } = await client.write(get).response();
        assert.ok(status === 200 || status === 503);
        if (status === 200) served.push(client);
      }
      return { served, away: count - served.length };
    };
    const first = await connectAll(20);
    assert.deepEqual([first.served.length, first.away], [6, 14]);
    first.served[0].write('GET / HTTP/1.1\r\nhost: x\r\nx-do: exit\r\n\r\n');
    await first.served[0].untilEnded();
    await eventually(() => threads.gateway.isComplete, 'three threads');
    for (const client of first.served) client.destroy();
    await eventually(async () => {
      const { served } = await connectAll(1);
      return served.length === 1;
    }, 'places that were left');
    await eventually(async () => (await threads.gateway.status()).listeners[0].connections <= 1, 'clients that left');
    const second = await connectAll(20);
    assert.ok(second.served.length >= 5 && second.served.length <= 6, `${second.served.length} were served`);
  });

  it('is refused an address that another gateway has, although threads share theirs', async (t) => {
    const first = await TestThreads.start(t, toldConfig());
    const port = Number(new URL(first.url()).port);
    const second = await TestThreads.create(t, toldConfig({ listeners: { web: { host: '127.0.0.1', port } } }));
    await assert.rejects(second.gateway.start(), ListenError);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(first.address())));
    assert.ok(answers.every(({ status }) => status === 200));
  });

  it('changes nothing when an address of another configuration is taken', async (t) => {
    const port = await takenPort(t);
    const threads = await TestThreads.start(t, toldConfig());
    const listeners = { web: { host: '127.0.0.1', port: 0 }, free: { host: '127.0.0.1', port: 0 } };
    await assert.rejects(
      threads.apply(toldConfig({ listeners: { ...listeners, taken: { host: '127.0.0.1', port } } })),
      new ListenError(`listener taken cannot listen on http://127.0.0.1:${port}: the address is in use`),
    );
    const status = await threads.gateway.status();
    assert.deepEqual(
      [status.listeners.map(({ name }) => name), status.threads.map(({ revision }) => revision)],
      [['web'], [1, 1]],
    );
    assert.equal((await ask(threads.address())).status, 200);
  });

  it('refuses, on all threads, what one of them cannot make', async (t) => {
    const threads = await TestThreads.start(t, toldConfig());
    const broken = toldConfig({ routes: { all: { policies: [{ use: './told.mjs' }], respond: { body: 'new' } } } });
    // It can be made where it is tried, and on one thread.
    await threads.write(
      'told.mjs',
      toldPolicy('2', {
        atTopLevel: "import { writeFileSync } from 'node:fs';",
        inCreate: `const made = ${JSON.stringify(join(threads.folder, 'made'))};
    // In one step: two threads that looked first would both find that they may.
    try {
      if (serves) writeFileSync(made, '', { flag: 'wx' });
    } catch {
      throw new Error('once is enough');
    }`,
      }),
    );
    await assert.rejects(threads.apply(broken), /once is enough/);
    const status = await threads.gateway.status();
    assert.deepEqual(
      status.threads.map(({ revision }) => revision),
      [1, 1],
    );
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(threads.address())));
    assert.ok(answers.every(({ text, version }) => text.endsWith('hello') && version === '1'));
  });

  it('makes changes one after another, however fast they come, and serves the last', async (t) => {
    const threads = await TestThreads.start(t, toldConfig());
    const bodies = ['a', 'b', 'c', 'd', 'e'];
    const base = toldConfig({ threads: 2, listeners: { web: { host: '127.0.0.1', port: 0 } } });
    for (const body of bodies) await threads.apply({ ...base, routes: { all: { respond: { body } } } });
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(threads.address())));
    assert.ok(answers.every(({ text }) => text.endsWith('e')));
    assert.deepEqual(
      (await threads.gateway.status()).threads.map(({ revision }) => revision),
      [6, 6],
    );
  });

  it('goes from one thread to three and back without losing a connection or a socket', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ threads: 1 }));
    const kept = await RawClient.connect(t, threads.address());
    const { fields } = await kept.write(get).response();
    const first = fields.find(([name]) => name === 'x-thread')![1];
    for (let round = 0; round < 2; round++) {
      await threads.apply(toldConfig({ threads: 3 }));
      const seen = await threadsOf(threads, 3);
      assert.ok(seen.has(first), 'the thread that was there serves on');
      await threads.apply(toldConfig({ threads: 1 }));
      const answers = await Promise.all(Array.from({ length: 30 }, () => ask(threads.address())));
      assert.deepEqual([...new Set(answers.map(({ status, thread }) => `${status} ${thread}`))], [`200 ${first}`]);
    }
    assert.equal((await kept.write(get).response()).status, 200);
    assert.equal(listeningSockets(Number(new URL(threads.url()).port)), 3, 'as many as there were threads at most');
  });
});

/** How many sockets of this machine listen at a port of the loopback interface. */
function listeningSockets(port: number): number {
  const wanted = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .filter((line) => line.includes(` ${wanted} 00000000:0000 0A `)).length;
}

describe('a thread that dies', () => {
  for (const harm of ['exit', 'throw'] as const) {
    it(`is replaced within a second, and nobody else is touched (${harm})`, async (t) => {
      const threads = await TestThreads.start(t, toldConfig());
      const bystanders = await connectionsToBoth(t, threads);
      const [[victim]] = bystanders;
      const begunAt = performance.now();
      const asked = bystanders.find(([thread]) => thread === victim)![1];
      asked.write(`GET / HTTP/1.1\r\nhost: x\r\nx-do: ${harm}\r\n\r\n`);
      await threads.logged('a serving thread was replaced');
      const tookMs = performance.now() - begunAt;
      t.diagnostic(`back after ${Math.round(tookMs)} ms`);
      assert.ok(tookMs < 5_000, `${tookMs} ms`);
      const [died] = await threads.logged('a serving thread died and is replaced');
      assert.equal(died.level, 'error');
      assert.deepEqual(threads.events, ['thread-died', 'thread-replaced']);
      for (const [thread, client] of bystanders) {
        if (thread !== victim) assert.equal((await client.write(get).response()).status, 200);
      }
      const seen = await threadsOf(threads, 2);
      assert.ok(!seen.has(victim));
      const restarts = (await threads.gateway.status()).threads.map((thread) => thread.restarts);
      assert.equal(
        restarts.reduce((sum, count) => sum + count),
        1,
      );
    });
  }

  it('is replaced when it hangs', async (t) => {
    const threads = await TestThreads.start(t, toldConfig(), { hangLimitMs: 1_000 });
    const hanging = ask(threads.address(), 'x-do: hang\r\n');
    await threads.logged('a serving thread hangs and is replaced');
    await threads.logged('a serving thread was replaced');
    assert.equal((await hanging).status, 0);
    await threadsOf(threads, 2);
    assert.equal(threads.log.filter(({ message }) => message.includes('hangs')).length, 1);
  });

  it('is replaced later each time, when it dies again and again', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ threads: 1 }));
    const times: number[] = [];
    for (let death = 1; death <= 4; death++) {
      const begunAt = performance.now();
      await ask(threads.address(), 'x-do: exit\r\n');
      await threads.logged('a serving thread was replaced', death);
      times.push(performance.now() - begunAt);
    }
    t.diagnostic(`back after ${times.map(Math.round).join(', ')} ms`);
    // At once, then after 100, 200 and 400 ms.
    assert.ok(times[3] > 400 && times[2] > 200 && times[1] > 100);
  });

  it('begins with what is served by then, when the configuration changes meanwhile', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ threads: 2 }));
    await ask(threads.address(), 'x-do: exit\r\n');
    await threads.apply(
      toldConfig({ routes: { all: { policies: [{ use: './told.mjs' }], respond: { body: 'new' } } } }),
    );
    await eventually(() => threads.gateway.isComplete, 'both threads to serve');
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask(threads.address())));
    assert.deepEqual([...new Set(answers.map(({ text }) => text.slice(-3)))], ['new']);
  });

  it('takes no change with it that is being made: the only thread cannot vouch for what it has died of', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ threads: 1 }), {
      files: { 'trap.ts': trap },
    });
    const routes = (body: string) => ({ all: { policies: [{ use: './trap.ts' }], respond: { body } } });
    await threads.apply(toldConfig({ threads: 1, routes: routes('old') }));
    writeFileSync(join(threads.folder, 'armed'), '');
    await assert.rejects(threads.apply(toldConfig({ threads: 1, routes: routes('new') })), /thread 0 ended while/);
    rmSync(join(threads.folder, 'armed'));
    await threads.logged('a serving thread was replaced');
    assert.ok((await ask(threads.address())).text.endsWith('old'));
  });

  it('is not waited for without end when it makes a policy that never comes back', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ threads: 2 }), {
      prepareLimitMs: 1_000,
      hangLimitMs: 60_000,
    });
    await threads.write('told.mjs', toldPolicy('2', { inCreate: 'if (serves) for (;;);' }));
    await assert.rejects(threads.apply(toldConfig()), /has not answered within 1 s/);
    assert.equal((await ask(threads.address())).version, '1');
    await threads.write('told.mjs', toldPolicy('3'));
    await threads.apply(toldConfig());
    assert.equal((await ask(threads.address())).version, '3');
  });
});

/** Ends the thread that makes it, where it serves and while the file `armed` is there. */
const trap = `import { existsSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { z } from ${JSON.stringify(new URL('../../src/util/schema.ts', import.meta.url).href)};
export default { name: 'trap', summary: 'Is part of a test.', options: z.strictObject({}), create(options, { baseDir }) {
  if (workerData?.file === undefined && existsSync(baseDir + '/armed')) process.exit(3);
  return {};
} };
`;

/** A few connections, at least one to each of two threads, with the thread that serves each. */
async function connectionsToBoth(t: TestContext, threads: TestThreads): Promise<(readonly [string, RawClient])[]> {
  const open: (readonly [string, RawClient])[] = [];
  await eventually(async () => {
    const client = await RawClient.connect(t, threads.address());
    const { fields } = await client.write(get).response();
    open.push([fields.find(([name]) => name === 'x-thread')![1], client]);
    return open.length >= 4 && new Set(open.map(([thread]) => thread)).size === 2;
  }, 'connections to both threads');
  return open;
}

describe('where threads cannot share an address', () => {
  const notShared = { mayShare: false } as const;

  it('the main thread accepts, and hands over to each in turn', async (t) => {
    const threads = await TestThreads.start(t, toldConfig(), notShared);
    const answers: Answer[] = [];
    for (let count = 0; count < 8; count++) answers.push(await ask(threads.address()));
    assert.ok(answers.every(({ status }) => status === 200));
    const perThread = Map.groupBy(answers, ({ thread }) => thread);
    assert.deepEqual(
      [...perThread.values()].map(({ length }) => length),
      [4, 4],
    );
    assert.equal(listeningSockets(Number(new URL(threads.url()).port)), 1);
  });

  it('TLS and the PROXY protocol work as anywhere else, also one behind the other', async (t) => {
    const { cert, key, certPem } = makeTlsFiles(t);
    const tls = { certificates: [{ cert, key }] };
    const port0 = { host: '127.0.0.1', port: 0 };
    const listeners = {
      secure: { ...port0, tls },
      greeted: { ...port0, proxyProtocol: true },
      both: { ...port0, proxyProtocol: true, tls },
    };
    const upstream = createServer((socket) =>
      socket.once('data', (bytes) => {
        const [, client] = /x-forwarded-for: ([^\r]*)/i.exec(String(bytes))!;
        socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${client.length}\r\nconnection: close\r\n\r\n${client}`);
      }),
    ).listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    t.after(() => upstream.close());
    const target = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
    const threads = await TestThreads.start(
      t,
      toldConfig({ listeners, upstreams: { u: { targets: [target] } }, routes: { all: { upstream: 'u' } } }),
      notShared,
    );
    const greeting = 'PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n';
    for (let round = 0; round < 4; round++) {
      const secure = await RawClient.connect(t, { ...hostOf(threads, 'secure'), ca: certPem });
      assert.equal((await secure.write(get).response()).body, '127.0.0.1');
      const greeted = await RawClient.connect(t, threads.address('greeted'));
      assert.equal((await greeted.write(greeting + get).response()).body, '203.0.113.9');
      const both = await RawClient.connectBehind(t, threads.address('both'), greeting, certPem);
      assert.equal((await both.write(get).response()).body, '203.0.113.9');
    }
  });

  it('connections wait while the only thread is being replaced', async (t) => {
    const threads = await TestThreads.start(t, toldConfig({ threads: 1 }), notShared);
    await ask(threads.address(), 'x-do: exit\r\n');
    await threads.logged('a serving thread died and is replaced');
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(threads.address())));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  });

  it('a configuration that is refused leaves no socket behind', async (t) => {
    const threads = await TestThreads.start(t, toldConfig(), notShared);
    const port = await freePort();
    await threads.write('told.mjs', toldPolicy('2', { inCreate: "if (serves) throw new Error('no');" }));
    const listeners = { web: { host: '127.0.0.1', port: 0 }, more: { host: '127.0.0.1', port } };
    await assert.rejects(threads.apply(toldConfig({ listeners })), /no/);
    assert.equal(listeningSockets(port), 0);
    assert.equal((await ask(threads.address())).status, 200);
  });
});

function hostOf(threads: TestThreads, listener: string): { readonly host: string; readonly port: number } {
  return threads.address(listener) as { host: string; port: number };
}
