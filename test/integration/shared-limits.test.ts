/** Limits in a real Redis that several gateways have in common, and what becomes of requests while it is in a bad way. */
import assert from 'node:assert/strict';
import { type TestContext, suite, test } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { type FloodAnswer, flood } from '../support/flood.ts';
import { TestGateway } from '../support/gateway.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { eventually } from '../support/changes.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { mostForCertain } from '../support/most-for-certain.ts';
import { ask } from '../support/threaded.ts';
import { RedisServer } from '../support/redis-server.ts';
import { SlowProxy } from '../support/slow-proxy.ts';

const longSeconds = Number(process.env['GATEWRIGHT_EXACTNESS'] ?? 0);
const isLong = longSeconds > 0;
/** Not whole ones: the end should not fall on that of a window. */
const seconds = isLong ? longSeconds : 1.6;

type LimitUse = Readonly<Record<string, object>>;

function configFor(url: string, limits: readonly LimitUse[], store: object = {}): ConfigInput {
  return {
    telemetry: { accessLog: false },
    listeners: { web: { host: '127.0.0.1', port: 0 } },
    stores: { shared: { type: 'redis', url, ...store } },
    routes: {
      all: {
        policies: [
          { use: './stamp.ts', options: { name: 'x-before' } },
          ...limits,
          { use: './stamp.ts', options: { name: 'x-after' } },
        ],
        respond: { body: 'hello' },
      },
    },
  };
}

/** What two gateways let pass that have many times as many requests as they may. */
async function hammerTwo(t: TestContext, options: object) {
  const redis = await RedisServer.start(t);
  // A machine that eight people share may stand still for longer than a store may usually take.
  const config = configFor(redis.url, [{ rateLimit: { by: 'route', store: 'shared', ...options } }], {
    timeout: '5s',
  });
  const gateways = [await GatewayProcess.start(t, config), await GatewayProcess.start(t, config)];
  // 128 at once, a dozen times what the limit allows.
  const pace = isLong ? {} : { everyMs: 30 };
  const plan = { connections: 16, pipelined: 4, forMs: seconds * 1000, ...pace };
  const all = await Promise.all(gateways.map(({ address }) => flood(() => address, plan)));
  const answers = all.flat();
  const passed = all.map((some) => some.filter(({ status }) => status === 200));
  const admitted = passed.flat().map((answer: FloodAnswer) => ({
    beforeMs: Number(answer.field('x-before')),
    afterMs: Number(answer.field('x-after')),
  }));
  const begunMs = Math.min(...admitted.map(({ beforeMs }) => beforeMs));
  const spanMs = Math.max(...admitted.map(({ afterMs }) => afterMs)) - begunMs;
  // All that was there had been used when the last of them was refused, and the first was decided before this.
  const refused = answers.filter(({ status }) => status === 429).map((one) => Number(one.field('x-before')));
  const leastSpanMs = Math.max(...refused) - Math.min(...admitted.map(({ afterMs }) => afterMs));
  return { answers, admitted, spanMs, leastSpanMs, passed };
}

interface Case {
  readonly options: object;
  readonly limit: number;
  readonly capacity: number;
  /** The most within any second. */
  readonly most: number;
  /** Takes its time, and shows what the others do. */
  readonly long?: boolean;
}

const exact: readonly Case[] = [
  { options: { rate: '200/1s' }, limit: 200, capacity: 200, most: 399 },
  { options: { rate: '200/1s', burst: 20 }, limit: 200, capacity: 21, most: 220, long: true },
  { options: { rate: '200/1s', algorithm: 'sliding-window' }, limit: 200, capacity: 200, most: 200 },
];

suite('two gateways on one store', { skip: unlessInstalled('redis-server') }, () => {
  for (const { options, limit, capacity, most } of exact.filter(({ long = false }) => isLong || !long)) {
    test(`have one limit, exactly: ${JSON.stringify(options)}`, { timeout: 120_000 }, async (t) => {
      const { answers, admitted, spanMs, leastSpanMs, passed } = await hammerTwo(t, options);
      const inWindow = mostForCertain(admitted, 1000);
      const due = capacity + (limit * spanMs) / 1000;
      t.diagnostic(
        `${answers.length} requests in ${Math.round(spanMs)} ms, ${admitted.length} admitted (${passed.map((some) => some.length).join(' and ')}), ` +
          `at most ${inWindow} within a window, ${((100 * admitted.length) / due).toFixed(2)} % of what is due`,
      );
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200, 429]));
      assert.ok(answers.length > 5 * admitted.length, 'more came than may pass');
      assert.ok(passed.every((some) => some.length > 0));
      assert.ok(inWindow <= most, `${inWindow} within a window`);
      assert.ok(admitted.length <= due + 1, 'in all');
      const usable = limit * (1 + (most === limit ? Math.floor(leastSpanMs / 1000) : leastSpanMs / 1000)) - 1;
      if (capacity === limit) assert.ok(admitted.length >= 0.99 * usable, `only ${admitted.length} of ${usable}`);
    });
  }
});

/** The lease of a machine, by default: a twentieth of the limit. */
const leased: readonly (Case & { readonly lease: number })[] = [
  { options: { rate: '200/1s' }, limit: 200, capacity: 200, most: 399, lease: 10 },
  { options: { rate: '200/1s', burst: 20 }, limit: 200, capacity: 21, most: 220, lease: 10, long: true },
  {
    options: { rate: '200/1s', algorithm: 'sliding-window' },
    limit: 200,
    capacity: 200,
    most: 200,
    lease: 10,
    long: true,
  },
  {
    options: { rate: '200/1s', algorithm: 'sliding-window', lease: { size: 40 } },
    limit: 200,
    capacity: 200,
    most: 200,
    lease: 40,
  },
];

suite('two gateways that lease from one store', { skip: unlessInstalled('redis-server') }, () => {
  for (const { options, limit, capacity, most, lease } of leased.filter(({ long = false }) => isLong || !long)) {
    test(
      `stay within the limit and what they have in hand: ${JSON.stringify(options)}`,
      { timeout: 120_000 },
      async (t) => {
        const { answers, admitted, spanMs, leastSpanMs, passed } = await hammerTwo(t, { ...options, mode: 'lease' });
        const inWindow = mostForCertain(admitted, 1000);
        const due = capacity + (limit * spanMs) / 1000;
        t.diagnostic(
          `${answers.length} requests in ${Math.round(spanMs)} ms, ${admitted.length} admitted (${passed.map((some) => some.length).join(' and ')}), ` +
            `at most ${inWindow} within a window, ${((100 * admitted.length) / due).toFixed(2)} % of what is due`,
        );
        assert.ok(answers.length > 5 * admitted.length, 'more came than may pass');
        assert.ok(inWindow <= most + 2 * lease, `${inWindow} within a window`);
        assert.ok(admitted.length <= due + 1, 'in all no more than was leased');
        const usable = limit * (1 + (most === limit ? Math.floor(leastSpanMs / 1000) : leastSpanMs / 1000)) - 1;
        if (capacity === limit) assert.ok(admitted.length >= 0.95 * usable, `only ${admitted.length} of ${usable}`);
      },
    );
  }
});

/** Somewhat longer than a store may take, on a machine that is busy. */
const promptMs = 3_000;

async function startOne(t: TestContext, url: string, limits: readonly LimitUse[], timeout = '800ms') {
  const { routes: _, ...config } = configFor(url, [], { timeout });
  const all = { policies: [...limits], respond: { body: 'hello' } };
  const gateway = await TestGateway.start(t, { ...config, routes: { all } });
  /** The status of a request, which must come in time. */
  const status = async (): Promise<number> => {
    const begun = performance.now();
    const answer = await ask(gateway.address());
    assert.ok(performance.now() - begun < promptMs, 'nobody waits');
    return answer.status;
  };
  const statuses = async (count: number): Promise<number[]> => {
    const seen = [];
    for (let i = 0; i < count; i++) seen.push(await status());
    return seen;
  };
  const totals = async () => (await gateway.gateway.status()).limits;
  const told = (): string[] => gateway.log.filter(({ level }) => level === 'warn').map(({ message }) => message);
  const asks = async (): Promise<boolean> => {
    const before = (await totals()).askedOfStores;
    await status();
    return (await totals()).askedOfStores > before;
  };
  return { gateway, status, statuses, totals, told, asks };
}

suite('a limit whose store is in a bad way', { skip: unlessInstalled('redis-server') }, () => {
  const rate = '3/1h';

  test('is counted in the memory of the machine, and in the store again when that is back', async (t) => {
    const redis = await RedisServer.start(t);
    const limits = [{ rateLimit: { rate, store: 'shared' } }];
    const { statuses, totals, told, asks } = await startOne(t, redis.url, limits);
    assert.deepEqual(await statuses(4), [200, 200, 200, 429]);
    assert.deepEqual([(await totals()).askedOfStores, (await totals()).storeFailures], [4, 0]);

    redis.hang();
    const answers = await statuses(20);
    assert.equal(answers.filter((one) => one === 200).length, 3, 'as many as the rule says, here');
    assert.deepEqual([(await totals()).askedOfStores, (await totals()).storeFailures], [5, 20], 'one has waited');
    assert.equal((await totals()).decidedLocally, 20);
    assert.equal(told().length, 1, told().join('\n'));
    redis.goOn();
    await eventually(asks, 'the store to be asked again');
    assert.deepEqual(await statuses(3), [429, 429, 429], 'what was counted there before');
    assert.equal(told().length, 2, told().join('\n'));

    await redis.kill();
    assert.deepEqual(await statuses(3), [429, 429, 429], 'what was counted here before');
    await redis.restart();
    await eventually(asks, 'the store to be asked again');
    assert.deepEqual((await statuses(4)).at(-1), 429, 'an empty store begins anew');
    assert.equal(told().length, 4, told().join('\n'));
  });

  test('lets everybody pass uncounted where that is asked for', async (t) => {
    const redis = await RedisServer.start(t);
    const limits = [{ rateLimit: { rate, store: 'shared', onStoreFailure: 'open' } }];
    const { gateway, statuses, totals } = await startOne(t, redis.url, limits);
    assert.deepEqual(await statuses(4), [200, 200, 200, 429]);
    await redis.kill();
    await eventually(async () => (await ask(gateway.address())).status === 200, 'the outage to be seen');
    assert.deepEqual(new Set(await statuses(10)), new Set([200]));
    assert.doesNotMatch((await ask(gateway.address())).text, /\r\nratelimit/i, 'nothing is known of it');
    assert.equal((await totals()).decidedLocally, 0);
  });

  test('refuses everybody where that is asked for, and charges no other limit', async (t) => {
    const redis = await RedisServer.start(t);
    const limits = [
      { rateLimit: { rate: '2/1h', name: 'here' } },
      { rateLimit: { rate, store: 'shared', onStoreFailure: 'closed', name: 'shared' } },
    ];
    const { gateway, statuses, asks, totals } = await startOne(t, redis.url, limits);
    await redis.kill();
    assert.deepEqual(await statuses(5), [503, 503, 503, 503, 503]);
    const { text } = await ask(gateway.address());
    assert.match(text, /LIMIT_STORE_UNAVAILABLE/);
    assert.match(text, /\r\nretry-after: 1\r\n/i);
    assert.equal((await totals()).refused, 0, 'which is no refusal of the limit');
    await redis.restart();
    await eventually(asks, 'the store to be asked again');
    assert.equal((await statuses(1))[0] === 503, false);
    assert.deepEqual((await statuses(2)).at(-1), 429, 'two were left, not fewer');
  });

  test('that is not enforced refuses nobody', async (t) => {
    const redis = await RedisServer.start(t);
    const limits = [{ rateLimit: { rate, store: 'shared', onStoreFailure: 'closed', enforce: false } }];
    const { statuses, totals } = await startOne(t, redis.url, limits);
    assert.deepEqual(new Set(await statuses(6)), new Set([200]));
    assert.equal((await totals()).wouldRefuse, 3);
    await redis.kill();
    assert.deepEqual(new Set(await statuses(6)), new Set([200]));
  });

  test('goes on where scripts and keys are forgotten', async (t) => {
    const redis = await RedisServer.start(t);
    const { statuses, totals } = await startOne(t, redis.url, [{ rateLimit: { rate, store: 'shared' } }]);
    assert.deepEqual(await statuses(2), [200, 200]);
    await redis.ask('SCRIPT', 'FLUSH');
    assert.deepEqual(await statuses(2), [200, 429]);
    await redis.ask('FLUSHALL');
    assert.deepEqual(await statuses(4), [200, 200, 200, 429]);
    assert.equal((await totals()).storeFailures, 0);
  });

  test('is counted here while the store has no memory left, or is only a copy', async (t) => {
    const redis = await RedisServer.start(t, ['--maxmemory-policy', 'noeviction']);
    const { statuses, totals, asks, told } = await startOne(t, redis.url, [
      { rateLimit: { rate: '1000/1h', store: 'shared', by: 'query:k' } },
    ]);
    const bad: readonly (readonly [string[], string[]])[] = [
      [
        ['CONFIG', 'SET', 'maxmemory', '1'],
        ['CONFIG', 'SET', 'maxmemory', '0'],
      ],
      [
        ['REPLICAOF', '127.0.0.1', '1'],
        ['REPLICAOF', 'NO', 'ONE'],
      ],
    ];
    for (const [index, [begin, end]] of bad.entries()) {
      await eventually(asks, 'the store to be asked');
      const before = (await totals()).decidedLocally;
      await redis.ask(...begin);
      assert.deepEqual(new Set(await statuses(5)), new Set([200]));
      assert.equal((await totals()).decidedLocally, before + 5);
      assert.equal(told().length, 2 * index + 1, told().join('\n'));
      await redis.ask(...end);
      await eventually(asks, 'the store to be asked again');
    }
  });

  test('is asked no more while it is too slow, and what it answers then is nobody’s', async (t) => {
    const redis = await RedisServer.start(t);
    const proxy = await SlowProxy.start(t, redis.port);
    const limits = [{ rateLimit: { rate: '100/1h', store: 'shared', burst: 99 } }];
    const { gateway, statuses, totals, asks } = await startOne(t, proxy.url, limits);
    assert.deepEqual(await statuses(2), [200, 200]);
    proxy.delayMs = 1_600;
    assert.deepEqual(new Set(await statuses(5)), new Set([200]));
    const { askedOfStores, decidedLocally } = await totals();
    assert.deepEqual([askedOfStores, decidedLocally], [3, 5]);
    proxy.delayMs = 0;
    await eventually(asks, 'the store to be asked again');
    const { text } = await ask(gateway.address());
    assert.match(text, /"default";r=9[1-6];/, 'each that was asked for was charged once');
  });

  test('is counted here while the store loads what it has kept', async (t) => {
    const redis = await RedisServer.start(t);
    const proxy = await SlowProxy.start(t, redis.port);
    proxy.instead = '-LOADING Redis is loading the dataset in memory\r\n';
    const { statuses, totals, asks, told } = await startOne(t, proxy.url, [{ rateLimit: { rate, store: 'shared' } }]);
    assert.deepEqual(await statuses(4), [200, 200, 200, 429]);
    assert.equal((await totals()).decidedLocally, 4);
    assert.match(told().join('\n'), /^[^\n]*LOADING[^\n]*$/, 'once');
    proxy.instead = null;
    await eventually(asks, 'the store to be asked again');
    assert.deepEqual((await statuses(3)).at(-1), 429, 'now by the store');
    assert.equal(told().length, 2, told().join('\n'));
  });

  test('is charged nothing for what another one refuses, and says so', async (t) => {
    const redis = await RedisServer.start(t);
    for (const mode of ['exact', 'lease']) {
      const limits = [
        { rateLimit: { rate: '9/1h', store: 'shared', mode, name: `${mode}-first` } },
        { rateLimit: { rate: '9/1h', name: 'here' } },
        { rateLimit: { rate: '2/1h', store: 'shared', mode, name: `${mode}-last` } },
      ];
      const { gateway, statuses } = await startOne(t, redis.url, limits, '2s');
      assert.deepEqual(await statuses(2), [200, 200]);
      for (let i = 0; i < 5; i++) {
        const { text, status } = await ask(gateway.address());
        assert.equal(status, 429);
        const told = new RegExp(`ratelimit: "${mode}-first";r=7;t=\\d+, "here";r=7;t=\\d+, "${mode}-last";r=0`, 'i');
        assert.match(text, told);
      }
    }
  });

  test('corrects what a request has cost once the response tells, for all machines', async (t) => {
    const redis = await RedisServer.start(t);
    for (const mode of ['exact', 'lease']) {
      for (const algorithm of ['gcra', 'sliding-window', 'fixed-window']) {
        const cost = { before: 10, after: 'response-header:x-used' };
        const name = `${mode}-${algorithm}`;
        const limits = [{ rateLimit: { rate: '100/1h', store: 'shared', by: 'global', mode, algorithm, name, cost } }];
        const use = async (used: number): Promise<string> => {
          const [all, store] = [
            { policies: limits, respond: { headers: { 'x-used': String(used) } } },
            { timeout: '2s' },
          ];
          const machine = await TestGateway.start(t, { ...configFor(redis.url, [], store), routes: { all } });
          const { text, status } = await ask(machine.address());
          await machine.gateway.stop(0);
          return `${status} ${/ratelimit: .*?;r=(\d+)/i.exec(text)![1]}`;
        };
        assert.equal(await use(3), '200 90', name);
        assert.equal(await use(20), '200 87', name);
        assert.equal(await use(90), '200 67', name);
        assert.equal((await use(0)).slice(0, 3), '429', `${name}: in debt`);
      }
    }
  });

  test('gives back what it has leased when the gateway stops', async (t) => {
    const redis = await RedisServer.start(t);
    const limits = [
      { rateLimit: { rate: '1000/1h', algorithm: 'fixed-window', store: 'shared', mode: 'lease', by: 'global' } },
    ];
    const first = await startOne(t, redis.url, limits, '2s');
    await first.statuses(40);
    await first.gateway.gateway.stop(0);
    const second = await startOne(t, redis.url, limits, '2s');
    const { text } = await ask(second.gateway.address());
    assert.match(text, /"default";r=959;/);
  });

  test('keeps no gateway from stopping', async (t) => {
    const redis = await RedisServer.start(t);
    const limits = [{ rateLimit: { rate: '1000/1h', store: 'shared', mode: 'lease', by: 'global' } }];
    const { gateway, statuses } = await startOne(t, redis.url, limits);
    await statuses(20);
    redis.hang();
    const begun = performance.now();
    await gateway.gateway.stop(0);
    assert.ok(performance.now() - begun < promptMs);
  });

  test('has keys that end by themselves, and nothing of what clients have sent in their names', async (t) => {
    const redis = await RedisServer.start(t);
    const limits = [
      { rateLimit: { rate: '10/10s', store: 'shared', by: 'header:x-api-key', name: 'a' } },
      { rateLimit: { rate: '10/10s', store: 'shared', by: 'route', algorithm: 'fixed-window', name: 'b' } },
      { rateLimit: { rate: '10/10s', store: 'shared', by: 'ip', algorithm: 'sliding-window', name: 'c' } },
      { quota: { limit: 10, per: 'day', store: 'shared', by: 'ip', name: 'd' } },
    ];
    const { gateway } = await startOne(t, redis.url, limits);
    assert.equal((await ask(gateway.address(), 'x-api-key: canary-secret\r\n')).status, 200);
    const keys = Array.from((await redis.ask('KEYS', '*')).matchAll(/\r\n(gw:[^\r]*)/g), ([, key]) => key);
    assert.equal(keys.length, 4);
    for (const key of keys) {
      assert.match(key, /^gw:l\/\{[\w-]{22}\}$/);
      const left = Number(/^:(-?\d+)/.exec(await redis.ask('PTTL', key))![1]);
      assert.ok(left > 0 && left < 2 * 86_400_000, `${key} ${left}`);
    }
  });
});
