/** Whose a token is, and what is remembered of that. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { ConsumerRecord } from '../../../src/consumers/consumer-record.ts';
import type { Policy } from '../../../src/contract.ts';
import { jwt } from '../../../src/policies/jwt.ts';
import { FakeEnv, FakeExchange } from '../../support/fake-exchange.ts';
import { signingPair, tokenOf } from '../../support/tokens.ts';

const pair = signingPair('ES256', 'k');
const claims = { iss: 'https://issuer.test', sub: 'alice', client: 'shop', exp: 1_700_000_300 };
const token = tokenOf(pair, claims);

function consumer(name: string, conditions: ConsumerRecord['jwt'][number] | null = null, groups: string[] = []) {
  const jwtConditions = conditions === null ? [] : [conditions];
  return { name, groups, apiKeys: [], basic: null, hmac: [], signing: [], jwt: jwtConditions, certificates: [] };
}

async function create(env: FakeEnv, options: object = {}): Promise<Policy> {
  return jwt.create(jwt.options.parse({ keys: [{ jwk: pair.jwk }], ...options }), env, []);
}

async function send(policy: Policy, text = token) {
  const exchange = new FakeExchange({ headers: { authorization: `Bearer ${text}` } });
  const waited = policy.onRequest!(exchange);
  const isRemembered = !(waited instanceof Promise);
  const reply = await waited;
  const { credential } = exchange;
  return { status: reply?.status ?? 200, name: exchange.consumer?.name ?? null, credential, isRemembered };
}

suite('whose a token is', () => {
  test('is the consumer whose conditions its claims meet, or nobody', async () => {
    const env = new FakeEnv();
    env.consumers.replace([consumer('shop', { client: 'shop' }), consumer('ann', { sub: 'ann' })]);
    const policy = await create(env);
    assert.equal((await send(policy)).name, 'shop');
    assert.equal((await send(policy, tokenOf(pair, { ...claims, client: 'x', sub: 'ann' }))).name, 'ann');
    const nobody = await send(policy, tokenOf(pair, { ...claims, client: 'x' }));
    assert.deepEqual([nobody.status, nobody.name, nobody.credential?.subject], [200, null, 'alice']);
  });

  test('is said by a claim, where that is asked for', async () => {
    const env = new FakeEnv();
    env.consumers.replace([consumer('alice'), consumer('shop', { sub: 'alice' })]);
    assert.equal((await send(await create(env, { consumerBy: 'sub' }))).name, 'alice');
    assert.equal((await send(await create(env, { consumerBy: 'client' }))).name, 'shop');
    assert.equal((await send(await create(env, { consumerBy: 'azp' }))).name, null);
  });

  test('is found out again when the consumers change, without another look at the signature', async () => {
    const env = new FakeEnv();
    env.consumers.replace([consumer('shop', { client: 'shop' })]);
    const policy = await create(env);
    assert.equal((await send(policy)).name, 'shop');
    env.consumers.replace([consumer('store', { client: 'shop' }, ['gold'])]);
    const changed = await send(policy);
    assert.deepEqual([changed.name, changed.isRemembered], ['store', true]);
    assert.deepEqual(changed.credential?.consumer?.groups, ['gold']);
    env.consumers.replace([]);
    assert.equal((await send(policy)).name, null);
  });
});

suite('what is remembered of a token', () => {
  test('is one credential, without a promise, for all routes that accept the same', async () => {
    const env = new FakeEnv();
    const one = await create(env, { forwardClaims: { 'x-user': 'sub' } });
    const first = await send(one);
    assert.ok(!first.isRemembered);
    for (const policy of [one, await create(env), await create(env, { optional: true, forward: true })]) {
      const again = await send(policy);
      assert.ok(again.isRemembered);
      assert.equal(again.credential, first.credential);
    }
  });

  test('is not taken for what others accept', async () => {
    const env = new FakeEnv();
    await send(await create(env));
    for (const [options, status] of [
      [{ issuer: 'https://other.test' }, 401],
      [{ audience: 'api' }, 401],
      [{ scopes: ['read'] }, 403],
      [{ claims: { sub: 'bob' } }, 401],
      [{ typ: 'at+jwt' }, 401],
      [{ keys: [{ jwk: signingPair('ES256', 'k').jwk }] }, 401],
      [{ algorithms: ['RS256'], keys: [{ jwk: signingPair('RS256', 'k').jwk }] }, 401],
    ] as const) {
      assert.equal((await send(await create(env, options))).status, status, JSON.stringify(options));
    }
  });

  test('ends with the token, also when the clock was put forward', async () => {
    const env = new FakeEnv();
    const policy = await create(env);
    await send(policy);
    env.epochMs = 1_700_000_299_999;
    assert.ok((await send(policy)).isRemembered);
    env.epochMs++;
    assert.equal((await send(policy)).status, 401);
  });

  test('does not begin before the token holds, when the clock was put back', async () => {
    const env = new FakeEnv();
    const policy = await create(env);
    const text = tokenOf(pair, { ...claims, nbf: 1_700_000_000 });
    assert.equal((await send(policy, text)).status, 200);
    env.epochMs = 1_699_999_999_999;
    assert.equal((await send(policy, text)).status, 401);
  });

  test('is of a few spellings only: one token does not fill the memory', async () => {
    const env = new FakeEnv();
    const policy = await create(env);
    const text = tokenOf(pair, claims);
    for (const [blanks, status] of [
      [1, 200],
      [4, 200],
      [5, 401],
      [10_000, 401],
    ] as const) {
      const answer = await send(policy, `${' '.repeat(blanks - 1)}${text}`);
      assert.equal(answer.status, status, `${blanks}`);
    }
  });

  test('is verified once, however many requests with it come at the same time', async () => {
    const policy = await create(new FakeEnv());
    const results = await Promise.all(Array.from({ length: 50 }, () => send(policy)));
    assert.equal(new Set(results.map(({ credential }) => credential)).size, 1);
  });
});
