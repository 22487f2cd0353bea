import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { ConsumerRecord } from '../../src/consumers/consumer-record.ts';
import { apiKey } from '../../src/policies/api-key.ts';
import { createPolicy, FakeEnv, FakeExchange, type FakeRequest, runThrough } from '../support/fake-exchange.ts';

const key = 'gw_0123456789abcdef';
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

function consumer(name: string, keys: readonly string[], expiresAt: number | null = null): ConsumerRecord {
  const apiKeys = keys.map((text) => ({ digest: digestOf(text), label: '', expiresAt }));
  return { name, groups: [], apiKeys, basic: null, hmac: [], signing: [], jwt: [], certificates: [] };
}

function start(options: unknown = {}, records = [consumer('ann', [key])]) {
  const env = new FakeEnv();
  env.consumers.replace(records);
  const policy = createPolicy(apiKey, options, env);
  const send = async (request: FakeRequest) => {
    const exchange = new FakeExchange(request);
    const { reply, status, headers } = await runThrough([policy], exchange);
    return { exchange, reply, status, headers, consumer: exchange.consumer?.name };
  };
  return { env, policy, send };
}

suite('apiKey', () => {
  test('says whose key it is, and takes it out of the request', async () => {
    const { send } = start();
    for (let time = 0; time < 3; time++) {
      const { exchange, status, consumer: name } = await send({ headers: { 'X-Api-Key': key, 'x-other': '1' } });
      assert.deepEqual([status, name], [200, 'ann']);
      assert.deepEqual([...exchange.requestHeaders], [['x-other', '1']]);
      assert.deepEqual(exchange.credential, {
        method: 'apiKey',
        subject: 'ann',
        consumer: exchange.consumer,
        claims: {},
        scopes: [],
      });
    }
  });

  test('makes one credential for a key, however often and on however many routes it is used', async () => {
    const { env, send } = start();
    const first = await send({ headers: { 'x-api-key': key } });
    const second = new FakeExchange({ query: `k=${key}` });
    await runThrough([createPolicy(apiKey, { query: 'k' }, env)], second);
    assert.equal(second.credential, first.exchange.credential);
  });

  test('leaves the key where it is with forward', async () => {
    const { send } = start({ header: 'x-api-key', query: 'key', cookie: 'key', forward: true });
    const headers = await send({ headers: { 'x-api-key': key } });
    assert.equal(headers.exchange.requestHeaders.get('x-api-key'), key);
    assert.equal((await send({ query: `key=${key}` })).exchange.query, `key=${key}`);
    assert.equal(
      (await send({ headers: { cookie: `key=${key}` } })).exchange.requestHeaders.get('cookie'),
      `key=${key}`,
    );
  });

  test('lets requests without a key pass with optional, and none with a wrong one', async () => {
    const { send } = start({ optional: true });
    const anonymous = await send({});
    assert.deepEqual([anonymous.status, anonymous.consumer], [200, undefined]);
    assert.equal((await send({ headers: { 'x-api-key': 'wrong' } })).status, 401);
    assert.equal((await send({ headers: { 'x-api-key': '' } })).status, 401);
  });

  test('finds the key in the query under each spelling of its name, and removes it under all', async () => {
    const { send } = start({ query: 'api_key' });
    for (const query of [
      `a=1&api_key=${key}&b=%7e`,
      `a=1&b=%7e&api%5Fkey=${key}`,
      `%61pi_key=%67${key.slice(1)}&a=1&b=%7e`,
    ]) {
      const { exchange, status, consumer: name } = await send({ query });
      assert.deepEqual([status, name, exchange.query], [200, 'ann', 'a=1&b=%7e']);
    }
    for (const query of [`API_KEY=${key}`, `api_key[]=${key}`, `x;api_key=${key}`, '']) {
      assert.equal((await send({ query })).status, 401, query);
    }
  });

  test('finds the key in a cookie, and leaves the others', async () => {
    const { send } = start({ cookie: 'key' });
    const headers = [
      ['Cookie', `a=1; key=${key}; b=2`],
      ['cookie', 'c=3'],
    ] as const;
    const { exchange, status } = await send({ headers });
    assert.equal(status, 200);
    assert.deepEqual(
      [...exchange.requestHeaders],
      [
        ['cookie', 'a=1; b=2'],
        ['cookie', 'c=3'],
      ],
    );
    assert.equal((await send({ headers: { cookie: `Key=${key}` } })).status, 401);
    assert.equal((await send({ headers: { cookie: `key="${key}"` } })).status, 401);
  });

  test('refuses a key that is there twice, whether or not it is the same', async () => {
    const { send } = start({ header: 'x-api-key', query: 'key', cookie: 'key' });
    const requests: FakeRequest[] = [
      { headers: { 'x-api-key': [key, key] } },
      { headers: { 'x-api-key': [key, 'other'] } },
      { headers: { 'x-api-key': `${key}, ${key}` } },
      { headers: { 'x-api-key': `${key},` } },
      { query: `key=${key}&k%65y=${key}` },
      { headers: { cookie: `key=${key}; key=${key}` } },
      { headers: { cookie: [`key=${key}`, `key=${key}`] } },
      { headers: { 'x-api-key': key }, query: `key=${key}` },
      { headers: { 'x-api-key': key }, query: 'key=' },
      { headers: { 'x-api-key': key, cookie: `key=${key}` } },
      { headers: { cookie: `key=${key}` }, query: `key=${key}` },
    ];
    for (const request of requests) assert.equal((await send(request)).status, 401, JSON.stringify(request));
    assert.equal((await send({ headers: { 'x-api-key': key } })).status, 200);
  });

  test('takes nothing for a key that only looks like it', async () => {
    const { send } = start({ header: 'x-api-key', query: 'key' });
    const lookAlikes = [
      key.toUpperCase(),
      ` ${key}`,
      `${key} `,
      key.slice(0, -1),
      `${key}0`,
      `Bearer ${key}`,
      key.replace('a', '\u0430'),
      key.replace('0', '\uff10'),
      `${key}\u200b`,
      `\ufeff${key}`,
      `${key}\0`,
      key.normalize('NFKD') + '\u0301',
    ];
    for (const text of lookAlikes) {
      assert.equal((await send({ query: `key=${encodeURIComponent(text)}` })).status, 401, text);
    }
    for (const text of ['é', '\u00a0', 'x'.repeat(100_000), 'a'.repeat(513)]) {
      assert.equal((await send({ headers: { 'x-api-key': text } })).status, 401);
    }
  });

  test('accepts exactly the keys that there are', async () => {
    const keys = fc.uniqueArray(fc.stringMatching(/^[\x21-\x2b\x2d-\x7e]{1,40}$/), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(keys, fc.stringMatching(/^[\x20-\x7e]{1,40}$/), async (known, other) => {
        const { send } = start(
          { query: 'k' },
          known.map((one, index) => consumer(`c${index}`, [one])),
        );
        for (const [index, one] of known.entries()) {
          assert.equal((await send({ query: `k=${encodeURIComponent(one)}` })).consumer, `c${index}`);
        }
        const expected = known.includes(other) ? 200 : 401;
        assert.equal((await send({ query: `k=${encodeURIComponent(other)}` })).status, expected);
      }),
    );
  });

  test('accepts two keys of a consumer, and none that has expired', async () => {
    const { env, send } = start({}, [consumer('ann', [key, 'second'], 1_700_000_001_000)]);
    const statuses = async () => [
      (await send({ headers: { 'x-api-key': key } })).status,
      (await send({ headers: { 'x-api-key': 'second' } })).status,
    ];
    assert.deepEqual(await statuses(), [200, 200]);
    env.nowMs = 999;
    assert.deepEqual(await statuses(), [200, 200]);
    env.nowMs = 1000;
    assert.deepEqual(await statuses(), [401, 401]);
  });

  test('no longer accepts a key that was accepted, once it is removed', async () => {
    const { env, send } = start();
    assert.equal((await send({ headers: { 'x-api-key': key } })).status, 200);
    env.consumers.replace([consumer('ann', ['another'])]);
    assert.equal((await send({ headers: { 'x-api-key': key } })).status, 401);
    env.consumers.replace([consumer('bob', [key])]);
    assert.equal((await send({ headers: { 'x-api-key': key } })).consumer, 'bob');
  });

  test('gives all who are refused the same answer', async () => {
    const { send } = start({ realm: 'the "api"' }, [consumer('old', ['expired'], 1)]);
    const answers = await Promise.all(
      [undefined, 'expired', 'unknown', 'a,b', '', 'x'.repeat(1000)].map(async (text) => {
        const { status, headers } = await send({ headers: text === undefined ? {} : { 'x-api-key': text } });
        return { status, headers: [...headers] };
      }),
    );
    const expected = { status: 401, headers: [['www-authenticate', String.raw`ApiKey realm="the \"api\""`]] };
    for (const answer of answers) assert.deepEqual(answer, expected);
  });

  test('refuses options that no request could meet', () => {
    const bad: unknown[] = [
      { header: 'x-consumer' },
      { header: 'x-forwarded-for' },
      { header: 'content-length' },
      { header: 'a b' },
      { query: '' },
      { cookie: 'a;b' },
      { realm: 'a\nb' },
    ];
    for (const options of bad) assert.equal(apiKey.options.safeParse(options).success, false, JSON.stringify(options));
  });
});
