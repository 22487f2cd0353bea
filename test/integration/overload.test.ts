import assert from 'node:assert/strict';
import { suite, test, type TestContext } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { definePolicy } from '../../src/contract.ts';
import { z } from '../../src/util/schema.ts';
import { eventually } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type GatewayOptions, TestGateway } from '../support/gateway.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Answer, TestThreads, ask } from '../support/threaded.ts';

/** Who calls, as the header `x-as` says: groups, between commas. */
const saying = definePolicy({
  name: 'saying',
  summary: 'Believes everybody.',
  options: z.strictObject({}),
  provides: ['consumer'],
  create: () => ({
    onRequest(exchange) {
      const groups = exchange.requestHeaders.get('x-as');
      if (groups !== undefined) {
        exchange.consumer = { name: 'somebody', groups: groups.split(',') };
      }
    },
  }),
});

/** Takes whole bodies. */
const keeping = definePolicy({
  name: 'keeping',
  summary: 'Keeps bodies.',
  options: z.strictObject({}),
  create: () => ({ buffersRequest: 1_000_000, onRequest: () => undefined }),
});

const respond = { body: 'hello' };

function config(changes: ConfigInput = {}): ConfigInput {
  return {
    telemetry: { accessLog: false },
    listeners: { web: { host: '127.0.0.1', port: 0 } },
    overload: { retryAfter: '7s' },
    routes: {
      low: { match: { path: '/low' }, importance: 'low', respond },
      normal: { match: { path: '/normal' }, respond },
      high: { match: { path: '/high' }, importance: 'high', respond },
      critical: { match: { path: '/critical' }, importance: 'critical', respond },
    },
    ...changes,
  };
}

/** A gateway that has so much of its memory in use as the test says. */
class Filled {
  readonly gateway: TestGateway;
  private readonly clock: FakeClock;
  private readonly memory: { share: number };

  private constructor(gateway: TestGateway, clock: FakeClock, memory: { share: number }) {
    this.gateway = gateway;
    this.clock = clock;
    this.memory = memory;
  }

  static async start(t: TestContext, input: ConfigInput, modules: GatewayOptions['modules'] = {}): Promise<Filled> {
    const clock = new FakeClock();
    const memory = { share: 0.5 };
    const gateway = await TestGateway.start(t, input, { clock, modules, memoryShare: () => memory.share });
    return new Filled(gateway, clock, memory);
  }

  fill(share: number): void {
    this.memory.share = share;
    this.clock.advance(3_000);
  }

  pass(ms: number): void {
    this.clock.advance(ms);
  }

  async statuses(path: string, count = 1, fields = ''): Promise<number[]> {
    const answers: number[] = [];
    for (let i = 0; i < count; i++) answers.push((await this.ask(path, fields)).status);
    return answers;
  }

  ask(path: string, fields = ''): Promise<Answer> {
    return ask(this.gateway.address(), fields, path);
  }
}

const of = (statuses: readonly number[], status: number): number => statuses.filter((one) => one === status).length;

suite('overload, by what routes say', () => {
  test('refuses nobody up to the threshold', async (t) => {
    const filled = await Filled.start(t, config());
    filled.fill(0.9);
    assert.deepEqual(
      await filled.statuses('/low', 20),
      Array.from({ length: 20 }, () => 200),
    );
  });

  test('refuses a share, then all of the least important, then of the next, and never the most important', async (t) => {
    const filled = await Filled.start(t, config());
    // The threshold is 90 %, and the three classes share what is above.
    for (const [share, low, normal, high] of [
      [0.9 + 0.1 / 6, 20, 0, 0],
      [0.9 + 0.3 / 6, 40, 20, 0],
      [0.9 + 0.5 / 6, 40, 40, 20],
      [1, 40, 40, 40],
    ]) {
      filled.fill(share);
      const [ofLow, ofNormal, ofHigh, ofCritical, ofUnmatched] = [
        of(await filled.statuses('/low', 40), 503),
        of(await filled.statuses('/normal', 40), 503),
        of(await filled.statuses('/high', 40), 503),
        of(await filled.statuses('/critical', 40), 503),
        of(await filled.statuses('/nowhere', 40), 503),
      ];
      for (const [is, expected] of [
        [ofLow, low],
        [ofNormal, normal],
        [ofHigh, high],
        [ofUnmatched, normal],
      ]) {
        assert.ok(Math.abs(is - expected) <= 2, `${share}: ${[ofLow, ofNormal, ofHigh, ofUnmatched].join()}`);
      }
      assert.equal(ofCritical, 0);
    }
    filled.fill(0.5);
    assert.deepEqual(await filled.statuses('/low', 2), [200, 200]);
  });

  test('tells in problem details when to come again, and keeps the connection', async (t) => {
    const filled = await Filled.start(t, config());
    filled.fill(1);
    const client = await RawClient.connect(t, filled.gateway.address());
    client.write('GET /low HTTP/1.1\r\nhost: x\r\n\r\nGET /critical HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    await client.untilEnded();
    assert.match(
      client.received,
      /^HTTP\/1\.1 503 [^]*\r\nretry-after: 7\r\n[^]*"code":"OVERLOADED"[^]*HTTP\/1\.1 200 /i,
    );
    assert.match(client.received, /content-type: application\/problem\+json/i);
    assert.equal((await filled.gateway.observation()).code, 'OVERLOADED');
  });

  test('comes before every policy', async (t) => {
    const input = config();
    const counted = { rateLimit: { rate: '1/1d', by: 'global' } } as const;
    const filled = await Filled.start(t, {
      ...input,
      routes: { one: { importance: 'low', policies: [counted], respond } },
    });
    filled.fill(1);
    assert.deepEqual(await filled.statuses('/', 3), [503, 503, 503]);
    filled.fill(0.5);
    assert.deepEqual(await filled.statuses('/', 2), [200, 429]);
  });

  test('is told once when it begins and once when it is over, and counted', async (t) => {
    const filled = await Filled.start(t, config());
    const lines = (): string[] => filled.gateway.log.map(({ message }) => message);
    for (let i = 0; i < 5; i++) {
      filled.fill(1);
      filled.fill(0.5);
    }
    filled.fill(1);
    assert.deepEqual(lines(), ['overload: what is least important is refused']);
    assert.deepEqual(filled.gateway.log[0].about, { lagMs: 0, memory: '100%' });
    await filled.statuses('/low', 3);
    await filled.statuses('/high', 2);
    const status = await filled.gateway.gateway.status();
    assert.deepEqual(status.overload, { low: 3, normal: 0, high: 2, bodies: 0 });
    assert.deepEqual(
      filled.gateway.gateway.counted(100).shed.filter(({ count }) => count > 0),
      [
        { importance: 'low', reason: 'memory', count: 3 },
        { importance: 'high', reason: 'memory', count: 2 },
      ],
    );
    assert.deepEqual(status.threads[0].overload, { lagMs: 0, memory: 1, refused: { low: 1, normal: 1, high: 1 } });
    filled.fill(0.5);
    filled.pass(11_000);
    assert.deepEqual(lines(), ['overload: what is least important is refused', 'the overload is over']);
  });

  test('begins and ends with the configuration', async (t) => {
    const filled = await Filled.start(t, config({ overload: undefined }));
    filled.fill(1);
    assert.deepEqual(await filled.statuses('/low', 3), [200, 200, 200]);
    assert.equal((await filled.gateway.gateway.status()).threads[0].overload, null);
    await filled.gateway.apply(config());
    filled.fill(1);
    assert.deepEqual(await filled.statuses('/low', 1), [503]);
    await filled.gateway.apply(config({ overload: undefined }));
    assert.deepEqual(await filled.statuses('/low', 1), [200]);
    assert.equal(filled.gateway.log.at(-1)!.message, 'the overload is over');
  });

  test('leaves alone what has begun', async (t) => {
    const filled = await Filled.start(
      t,
      config({ routes: { all: { importance: 'low', policies: [{ use: './keeping.ts' }], respond } } }),
      { './keeping.ts': keeping },
    );
    const client = await RawClient.connect(t, filled.gateway.address());
    client.write('POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100000\r\n\r\nbegun');
    // The next one on the same event loop is answered after it has been looked at.
    await filled.ask('/');
    filled.fill(1);
    client.write('x'.repeat(100_000 - 5));
    await client.untilEnded();
    assert.match(client.received, /^HTTP\/1\.1 200 /);
  });
});

suite('overload, where memory is short', () => {
  test('keeps no large bodies, but of the most important', async (t) => {
    const policies = [{ use: './keeping.ts' }];
    const routes = {
      high: { match: { path: '/high' }, importance: 'high', policies, respond },
      critical: { match: { path: '/critical' }, importance: 'critical', policies, respond },
      streamed: { match: { path: '/streamed' }, importance: 'high', respond },
    } as const;
    const filled = await Filled.start(t, config({ routes }), { './keeping.ts': keeping });
    const post = async (path: string, framing: string, body: string): Promise<string> => {
      const client = await RawClient.connect(t, filled.gateway.address());
      client.write(`POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${framing}\r\n\r\n${body}`);
      await client.untilEnded();
      return client.received.slice(9, 12);
    };
    const large = 'x'.repeat(70_000);
    const sized = `content-length: ${large.length}`;
    const chunked = `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`;
    filled.fill(0.9);
    assert.equal(await post('/high', sized, large), '503');
    assert.equal(await post('/high', 'transfer-encoding: chunked', chunked), '503');
    assert.equal(await post('/high', 'content-length: 5', 'small'), '200');
    assert.equal(await post('/critical', sized, large), '200');
    assert.equal(await post('/streamed', sized, large), '200');
    assert.equal((await filled.gateway.gateway.status()).overload.bodies, 2);
    filled.fill(0.89);
    assert.equal(await post('/high', sized, large), '200');
  });
});

suite('overload, by who calls', () => {
  const policies = [{ use: './saying.ts' }];
  const groups = { batch: 'low', gold: 'high', vital: 'critical' } as const;
  const start = (t: TestContext, overload: ConfigInput['overload'] = { groups }): Promise<Filled> => {
    const routes = {
      normal: { match: { path: '/normal' }, policies, respond },
      low: { match: { path: '/low' }, importance: 'low', policies, respond },
      critical: { match: { path: '/critical' }, importance: 'critical', policies, respond },
      open: { match: { path: '/open' }, respond },
    } as const;
    return Filled.start(t, config({ overload, routes }), { './saying.ts': saying });
  };
  const lowGone = 0.9 + 0.1 / 3;
  const normalGone = 0.9 + 0.2 / 3;

  test('counts the group of the caller in place of the route, and of several the most important', async (t) => {
    const filled = await start(t);
    filled.fill(lowGone + 0.0001);
    for (const [path, as, status] of [
      ['/normal', 'batch', 503],
      ['/normal', 'other', 200],
      ['/normal', 'gold', 200],
      ['/low', 'other', 503],
      ['/low', 'batch,gold', 200],
      ['/critical', 'batch', 200],
      ['/open', 'batch', 200],
    ] as const) {
      assert.equal((await filled.ask(path, `x-as: ${as}\r\n`)).status, status, `${path} as ${as}`);
    }
    assert.equal((await filled.ask('/normal')).status, 200, 'as nobody');
    filled.fill(normalGone + 0.0001);
    for (const [path, as, status] of [
      ['/normal', 'other', 503],
      ['/normal', 'gold', 200],
      ['/low', 'gold,batch', 200],
      ['/low', 'vital', 200],
    ] as const) {
      assert.equal((await filled.ask(path, `x-as: ${as}\r\n`)).status, status, `${path} as ${as}`);
    }
    assert.equal((await filled.ask('/open')).status, 503, 'where nobody is asked who calls');
    filled.fill(1);
    assert.equal((await filled.ask('/normal', 'x-as: gold\r\n')).status, 503);
    assert.equal((await filled.ask('/normal', 'x-as: vital\r\n')).status, 200);
  });

  test('decides once: a share of a class is just that', async (t) => {
    const filled = await start(t);
    filled.fill(0.9 + 0.1 / 6);
    assert.ok(Math.abs(of(await filled.statuses('/normal', 60, 'x-as: batch\r\n'), 503) - 30) <= 2);
  });

  test('does not ask who calls when all of them are refused', async (t) => {
    const filled = await start(t, { groups: { batch: 'low', gold: 'high' } });
    filled.fill(1);
    assert.equal((await filled.ask('/normal', 'x-as: gold\r\n')).status, 503);
    // Before authentication: the class is that of the most important that might call.
    assert.equal((await filled.gateway.gateway.status()).overload.high, 1);
  });
});

/** Keeps its thread busy for as long as `x-busy` says, on one thread only. */
const busyPolicy = (schema: string): string => `import { z } from ${JSON.stringify(schema)};
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

suite('overload of a thread', () => {
  test('refuses the least important on the thread that is late, and only there, until it is punctual again', async (t) => {
    const schema = new URL('../../src/util/schema.ts', import.meta.url).pathname;
    const policies = [{ use: './busy.ts' }];
    const input: ConfigInput = {
      telemetry: { accessLog: false },
      threads: 2,
      listeners: { web: { host: '127.0.0.1', port: 0 } },
      overload: { eventLoopLag: '50ms', memory: false },
      routes: {
        work: { match: { path: '/work' }, importance: 'critical', policies, respond },
        low: { match: { path: '/low' }, importance: 'low', respond },
      },
    };
    const threads = await TestThreads.start(t, input, { files: { 'busy.ts': busyPolicy(schema) } });
    type Refused = NonNullable<
      Awaited<ReturnType<typeof threads.gateway.status>>['threads'][number]['overload']
    >['refused'];
    /** Of the thread that refuses less, and of the other one. */
    const shares = async (): Promise<Refused[]> => {
      const status = await threads.gateway.status();
      const all = status.threads.map(({ overload }) => overload?.refused ?? { low: -1, normal: -1, high: -1 });
      return all.toSorted((a, b) => a.low - b.low);
    };
    assert.deepEqual(
      await shares(),
      Array.from({ length: 2 }, () => ({ low: 0, normal: 0, high: 0 })),
    );

    // All on one connection, so on one thread; one after another, so that every turn of its event loop has one of them.
    const client = await RawClient.connect(t, threads.address());
    const work = { isDone: false };
    let answered = 0;
    const working = (async () => {
      while (!work.isDone) {
        client.write('GET /work HTTP/1.1\r\nhost: x\r\nx-busy: 90\r\n\r\n'.repeat(2));
        answered += 2;
        await client.until((received) => received.split('HTTP/1.1 200').length - 1 >= answered, 'its answers', 30_000);
      }
    })();
    const untilRefused = async (isRight: (idle: Refused, busy: Refused) => boolean): Promise<void> => {
      const look = async (): Promise<boolean> => {
        const [idle, busy] = await shares();
        // Of a thread that has not answered in time nothing is known.
        if (idle.low === -1) return false;
        assert.equal(idle.low, 0);
        return isRight(idle, busy);
      };
      await eventually(look, 'another share to be refused', 60_000);
    };
    // Half of those above the least important as well, so that it takes a while until the first of these are let in.
    await untilRefused((_, busy) => busy.normal >= 0.5);
    work.isDone = true;
    await working;
    const answers = await Promise.all(Array.from({ length: 24 }, () => ask(threads.address(), '', '/low')));
    const statuses = answers.map(({ status }) => status);
    assert.ok(of(statuses, 503) > 0 && of(statuses, 200) > 0, statuses.join());
    assert.equal(of(statuses, 503) + of(statuses, 200), 24);
    const { overload } = await threads.gateway.status();
    assert.equal(overload.low, of(statuses, 503));
    const { shed } = threads.gateway.counted(100);
    assert.deepEqual(
      shed.filter(({ count }) => count > 0),
      [{ importance: 'low', reason: 'lag', count: overload.low }],
    );
    await untilRefused((_, busy) => busy.low === 0);
    assert.equal((await ask(threads.address(), '', '/low')).status, 200);
  });
});
