/** Costs that the response tells, keys by a function, and what operators see of it: on two threads and real sockets. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, suite, test } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { limitIndexOf } from '../../src/admin/limit-index.ts';
import { loadDocument } from '../../src/workers/load-document.ts';
import { folderWith } from '../support/command.ts';
import { flood } from '../support/flood.ts';
import { proxyTo } from '../support/gateway.ts';
import { RawUpstream } from '../support/raw-upstream.ts';
import { type Answer, TestThreads, ask, toldConfig } from '../support/threaded.ts';

const root = join(import.meta.dirname, '../..');
const contract = JSON.stringify(join(root, 'src/contract.ts'));

const tenantKey = `import { defineLimitKey } from ${contract};
export default defineLimitKey(({ requestHeaders }) => {
  const tenant = requestHeaders.get('x-tenant');
  if (tenant === 'broken') throw new Error('told to');
  if (tenant === 'later') return Promise.reject(new Error('late')) as never;
  if (tenant === 'number') return 7 as never;
  return tenant?.slice(0, 3);
});
`;

/** Of the response, before its body or behind it. */
type Place = 'header' | 'trailer';

/** Each request is answered with what it says itself that it has used. */
async function metered(
  t: TestContext,
  rateLimit: object,
  place: Place = 'header',
  more: readonly { readonly compress: object }[] = [],
): Promise<TestThreads> {
  const upstream = await RawUpstream.start(t, {
    onRequest: ({ fields }) => {
      const used = fields.find(([name]) => name.toLowerCase() === 'x-use')?.[1];
      const told = used === undefined ? '' : `x-tokens-used: ${used}\r\n`;
      if (place === 'trailer') return `${chunkedHead}2\r\nok\r\n0\r\n${told}\r\n`;
      return `HTTP/1.1 ${used === undefined ? '503 Busy' : '200 OK'}\r\n${told}content-length: 2\r\n\r\nok`;
    },
  });
  const config = proxyTo(upstream.url, { route: { policies: [...more, { rateLimit }, { use: './told.mjs' }] } });
  return TestThreads.start(t, { ...toldConfig(), ...config, threads: 2 });
}

const chunkedHead = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n';
const cost = { before: 10, after: 'response-header:x-tokens-used' };
const laterCost = { before: 10, after: 'response-trailer:X-Tokens-Used' };

suite('a cost that the response tells', () => {
  test('is charged in truth, over both threads, and owed before anything else passes', async (t) => {
    const threads = await metered(t, { rate: '1000/1h', by: 'global', cost });
    const use = (tokens: number) => ask(threads.address(), `x-use: ${tokens}\r\n`);
    const leftAfter = async (tokens: number): Promise<number> =>
      Number(/ratelimit: "default";r=(\d+)/i.exec((await use(tokens)).text)![1]);
    assert.equal(await leftAfter(3), 990, 'as it was estimated');
    assert.equal(await leftAfter(100), 987, 'of the one before 3');
    assert.equal(await leftAfter(10), 887);
    assert.equal((await ask(threads.address())).status, 503, 'nothing told');
    assert.equal(await leftAfter(900), 867);
    const answers = await Promise.all(Array.from({ length: 20 }, () => use(1)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([429]), 'in debt');
  });

  test('keeps its promise under load: what is known to be used is never exceeded by what is let in', async (t) => {
    const threads = await metered(t, { limit: 5000, window: '1h', algorithm: 'fixed-window', by: 'global', cost });
    const answers = await flood(() => threads.address(), {
      connections: 16,
      pipelined: 2,
      forMs: 1500,
      everyMs: 15,
      fields: (index) => `x-use: ${[0, 3, 10, 25][index % 4]}\r\n`,
    });
    const used = answers
      .filter(({ status }) => status === 200)
      .reduce((sum, answer) => sum + Number(answer.field('x-tokens-used')), 0);
    const admitted = answers.filter(({ status }) => status === 200);
    t.diagnostic(`${answers.length} requests, ${admitted.length} admitted, ${used} used of 5000`);
    assert.ok(answers.length > admitted.length, 'more came than may pass');
    assert.ok(new Set(admitted.map((answer) => answer.field('x-thread'))).size > 1, 'on both threads');
    // Those that were on their way at a time have each used at most 15 more than they were charged.
    assert.ok(used <= 5000 + 15 * 32, `${used}`);
    assert.ok(used > 5000 - 25 - 10, `${used}`);
  });
});

suite('a cost that is told behind the body', () => {
  const left = ({ text }: Answer): number => Number(/ratelimit: "default";r=(\d+)/i.exec(text)![1]);

  for (const [name, more] of [
    ['as it passes', []],
    ['that is compressed', [{ compress: { minBytes: '1B' } }]],
  ] as const) {
    test(`of a response ${name}: is charged in truth`, async (t) => {
      const threads = await metered(t, { rate: '1000/1h', by: 'global', cost: laterCost }, 'trailer', more);
      const use = (tokens: string) => ask(threads.address(), `accept-encoding: gzip\r\nx-use: ${tokens}\r\n`);
      assert.equal(left(await use('3')), 990, 'as it was estimated');
      assert.equal(left(await use('100')), 987, 'of the one before 3');
      assert.equal(left(await use('x')), 887);
      assert.equal(left(await use('1\r\nx-use: 2')), 877, 'what is no number tells nothing');
      assert.equal(left(await ask(threads.address())), 876);
      assert.equal(left(await use('0')), 866, 'where nothing is told the estimate stays');
    });
  }

  test('is not where it is told twice, before the body, or not to the end', async (t) => {
    const bodies: Readonly<Record<string, string>> = {
      '/twice': '0\r\nx-tokens-used: 1\r\nx-tokens-used: 2\r\n\r\n',
      '/cut': '5\r\nhel',
      '/framing': '0\r\nx-tokens-used: 1\r\ncontent-length: 3\r\n\r\n',
    };
    const upstream = await RawUpstream.start(t, {
      onRequest: ({ target }, connection) => {
        if (target === '/early') {
          connection.write(`${chunkedHead.slice(0, -2)}x-tokens-used: 1\r\n\r\n0\r\n\r\n`);
          return;
        }
        connection.write(`${chunkedHead}${bodies[target]}`);
        if (target === '/cut') connection.end();
      },
    });
    const rateLimit = { rate: '1000/1h', by: 'global', cost: laterCost };
    const config = proxyTo(upstream.url, { route: { policies: [{ rateLimit }] } });
    const threads = await TestThreads.start(t, { ...toldConfig(), ...config, threads: 2 });
    let expected = 990;
    for (const target of ['/twice', '/early', '/cut', '/framing']) {
      assert.equal(left(await ask(threads.address(), '', target)), expected, target);
      expected -= 10;
    }
  });
});

suite('a limit by a function', () => {
  const configWith = (options: object): ConfigInput =>
    toldConfig({
      routes: {
        all: { policies: [{ rateLimit: { rate: '2/1h', by: { use: './tenant.ts' }, ...options } }], respond: {} },
      },
    });

  test('counts each of its keys by itself, on all threads; who has none by its address', async (t) => {
    const threads = await TestThreads.start(t, configWith({}), { files: { 'tenant.ts': tenantKey } });
    const status = async (tenant: string): Promise<number> =>
      (await ask(threads.address(), tenant === '' ? '' : `x-tenant: ${tenant}\r\n`)).status;
    for (const tenant of ['abc-1', 'xyz', '']) {
      assert.deepEqual([await status(tenant), await status(tenant), await status(tenant)], [200, 200, 429], tenant);
    }
    assert.equal(await status('abc-2'), 429, 'the same tenant');
  });

  test('lets nothing pass that it could not count', async (t) => {
    const threads = await TestThreads.start(t, configWith({}), { files: { 'tenant.ts': tenantKey } });
    for (const tenant of ['broken', 'later', 'number']) {
      assert.equal((await ask(threads.address(), `x-tenant: ${tenant}\r\n`)).status, 500, tenant);
    }
    assert.equal((await ask(threads.address(), 'x-tenant: fine\r\n')).status, 200, 'both threads live');
  });

  test('is another one once its file has changed', async (t) => {
    const threads = await TestThreads.start(t, configWith({}), { files: { 'tenant.ts': tenantKey } });
    const status = async (): Promise<number> => (await ask(threads.address(), 'x-tenant: abc-1\r\n')).status;
    assert.deepEqual([await status(), await status(), await status()], [200, 200, 429]);
    await threads.write('tenant.ts', tenantKey.replace('slice(0, 3)', 'slice(0, 5)'));
    await threads.apply(configWith({}));
    assert.equal(await status(), 200, 'abc-1 is another key than abc');
  });

  test('is a problem of the configuration where it is none', async (t) => {
    const file = async (text: string): Promise<string> => {
      const folder = await folderWith(t, {
        'key.ts': text,
        'gateway.json': JSON.stringify(configWith({ by: { use: './key.ts' } })),
      });
      const { problems } = await loadDocument({ file: join(folder, 'gateway.json'), env: {} });
      return problems.map(({ code, message, path }) => `${code} ${path.slice(2).join('.')} ${message}`).join();
    };
    const at = 'POLICY_LOAD policies.0.rateLimit.by.use';
    assert.equal(
      await file('export default async () => "x";'),
      `${at} ./key.ts: its default export is a function that cannot answer at once: a limit cannot wait for its key`,
    );
    assert.match(await file('export default 7;'), /^POLICY_LOAD .* \.\/key\.ts: its default export is not a /);
    assert.match(await file('throw new Error("no");'), /it cannot be loaded: no/);
    assert.equal(await file('export default () => "x";'), '');
  });

  test('is refused as a bare function, with what to do', async (t) => {
    const text = `export default { routes: { a: { policies: [{ rateLimit: { rate: '1/1s', by: () => 'x' } }], respond: {} } } };`;
    const folder = await folderWith(t, { 'gateway.config.ts': text });
    const { problems } = await loadDocument({ file: join(folder, 'gateway.config.ts'), env: {} });
    assert.match(
      problems.map(({ message }) => message).join(),
      /a configuration is data, which all threads get: put a function into a file of its own, and write \{use: \.\/file\.ts\}/,
    );
  });
});

suite('what operators see of limits', () => {
  test('is what all threads have done, and what is left', async (t) => {
    const rateLimit = { rate: '5/1h', by: 'header:x-key', name: 'keyed' };
    const config = toldConfig({ routes: { all: { policies: [{ rateLimit }], respond: {} } } });
    const threads = await TestThreads.start(t, config);
    for (let i = 0; i < 8; i++) await ask(threads.address(), 'x-key: a\r\n');
    await ask(threads.address(), 'x-key: b\r\n');
    const [limit] = limitIndexOf((await threads.publication(config)).config).limits;
    const { limits } = threads.gateway.shared;
    assert.deepEqual(limits.countOf(limit.identity), { admitted: 6, refused: 3, wouldRefuse: 0 });
    const [{ identity, rule }] = limit.tiers;
    assert.equal(limits.consumption(identity, rule, 'a').remaining, 0);
    assert.equal(limits.consumption(identity, rule, 'b').remaining, 4);
    limits.forgetKey(identity, rule, 'a');
    assert.equal((await ask(threads.address(), 'x-key: a\r\n')).status, 200);
  });
});
