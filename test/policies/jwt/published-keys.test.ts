/** Keys that an issuer publishes, and what becomes of requests when it does not behave. */
import assert from 'node:assert/strict';
import { suite, test, type TestContext } from 'node:test';
import { eventually, settle } from '../../support/changes.ts';
import { TestIssuer, type IssuerMood } from '../../support/test-issuer.ts';
import { TestThreads } from '../../support/threaded.ts';
import { answerTo, tokenConfig, TokenGateway } from '../../support/token-gateway.ts';
import { hmacToken, signingPair, tokenOf } from '../../support/tokens.ts';

const now = 1_800_000_000;
const exp = now + 36_000;

async function begin(t: TestContext, options: Readonly<Record<string, unknown>> = {}) {
  const issuer = await TestIssuer.start(t);
  const gateway = await TokenGateway.start(t, { issuer: issuer.url, jwks: issuer.jwks, ...options }, { now });
  /** Lets time pass for the gateway until it fetches the keys again. */
  const untilFetched = async (): Promise<void> => {
    const { fetches } = issuer;
    for (let seconds = 0; seconds < 700 && issuer.fetches === fetches; seconds++) {
      gateway.clock.advance(1_000);
      await settle();
    }
    assert.ok(issuer.fetches > fetches);
  };
  return { issuer, gateway, untilFetched };
}

suite('keys that an issuer publishes', () => {
  test('are fetched when the gateway starts, and the first requests wait for them', async (t) => {
    const { issuer, gateway } = await begin(t);
    const answers = await Promise.all([1, 2, 3].map((n) => gateway.bearer(issuer.token({ exp, n }))));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200],
    );
    assert.deepEqual(issuer.asked, ['/jwks']);
  });

  test('are found by asking the issuer where they are', async (t) => {
    const { issuer, gateway } = await begin(t, { jwks: undefined });
    assert.equal((await gateway.bearer(issuer.token({ exp }))).status, 200);
    assert.deepEqual(issuer.asked, ['/.well-known/openid-configuration', '/jwks']);
  });

  test('are not taken from an issuer that calls itself something else', async (t) => {
    const issuer = await TestIssuer.start(t);
    const name = `${issuer.url}/`;
    const gateway = await TokenGateway.start(t, { issuer: name }, { now });
    const answer = await gateway.bearer(tokenOf(issuer.pairs[0], { iss: name, exp }));
    assert.equal(answer.status, 503);
    assert.equal(issuer.fetches, 0);
  });

  test('may change: new ones count as soon as a token names one, old ones no longer', async (t) => {
    const { issuer, gateway } = await begin(t);
    const [first] = issuer.pairs;
    const old = issuer.token({ exp });
    assert.equal((await gateway.bearer(old)).status, 200);
    issuer.pairs = [signingPair('ES256', 'key-2')];
    const fresh = issuer.token({ exp });
    assert.equal((await gateway.bearer(old)).status, 200, 'nobody has told the gateway yet');
    assert.equal((await gateway.bearer(fresh)).status, 401, 'it is too early to ask again');
    gateway.clock.advance(10_000);
    assert.equal((await gateway.bearer(fresh)).status, 200);
    assert.equal(issuer.fetches, 2);
    assert.equal((await gateway.bearer(old)).status, 401, 'what was remembered does not outlive its key');
    assert.equal((await gateway.bearer(issuer.token({ exp, n: 2 }, first))).status, 401);
  });

  test('that are still there keep what was verified with them', async (t) => {
    const { issuer, gateway, untilFetched } = await begin(t);
    const [first] = issuer.pairs;
    const old = issuer.token({ exp });
    assert.equal((await gateway.bearer(old)).status, 200);
    issuer.pairs = [first, signingPair('RS256', 'key-2')];
    await untilFetched();
    await eventually(async () => (await gateway.bearer(issuer.token({ exp }))).status === 200, 'the new key to count');
    assert.equal((await gateway.bearer(old)).status, 200);
  });

  test('may be others under the same name', async (t) => {
    const { issuer, gateway } = await begin(t);
    const old = issuer.token({ exp });
    assert.equal((await gateway.bearer(old)).status, 200);
    issuer.pairs = [signingPair('ES256', 'key-1')];
    gateway.clock.advance(10_000);
    assert.equal((await gateway.bearer(issuer.token({ exp }))).status, 200);
    assert.equal((await gateway.bearer(old)).status, 401);
  });

  test('that name a secret are not used (CVE-2022-23541): everybody can read it', async (t) => {
    const { issuer, gateway } = await begin(t);
    assert.equal((await gateway.bearer(issuer.token({ exp }))).status, 200);
    const k = Buffer.alloc(32, 7);
    const jwk = { kty: 'oct', k: k.toString('base64url'), kid: 'shared', alg: 'HS256' };
    issuer.pairs = [{ ...issuer.pairs[0], jwk }];
    gateway.clock.advance(10_000);
    const forged = hmacToken(k, { iss: issuer.url, exp }, { alg: 'HS256', kid: 'shared' });
    assert.equal((await gateway.bearer(forged)).status, 401);
    assert.equal(issuer.fetches, 2);
    const warnings = gateway.gateway.log.filter(({ level }) => level === 'warn');
    assert.match(JSON.stringify(warnings), /shared.*a secret that is published is none/);
  });

  for (const [what, jwk] of [
    ['for encryption', { use: 'enc' }],
    ['for other operations', { key_ops: ['encrypt'] }],
    ['for another algorithm', { alg: 'RSA-OAEP' }],
    ['for another type of key', { alg: 'RS256' }],
    ['without a point on the curve', { x: Buffer.alloc(32, 1).toString('base64url') }],
    ['with a kid that is too long', { kid: 'k'.repeat(257) }],
    ['private', { d: 'AAAA' }],
  ] as const) {
    test(`that are ${what} are not used`, async (t) => {
      const { issuer, gateway } = await begin(t);
      assert.equal((await gateway.bearer(issuer.token({ exp }))).status, 200);
      const pair = { ...issuer.pairs[0], kid: 'odd' };
      issuer.pairs = [issuer.pairs[0], { ...pair, jwk: { ...pair.jwk, kid: 'odd', ...jwk } }];
      gateway.clock.advance(10_000);
      assert.equal((await gateway.bearer(issuer.token({ exp }))).status, 401);
      assert.equal((await gateway.bearer(issuer.token({ exp }, issuer.pairs[0]))).status, 200);
      assert.equal(issuer.fetches, 2);
    });
  }
});

const moods: readonly IssuerMood[] = ['breaks-off', 'garbage', 'fails', 'empty', 'huge', 'redirects'];

suite('an issuer that does not behave', () => {
  for (const mood of moods) {
    test(`(${mood}) does not keep known tokens and keys from counting`, async (t) => {
      const { issuer, gateway, untilFetched } = await begin(t);
      const known = issuer.token({ exp });
      assert.equal((await gateway.bearer(known)).status, 200);
      issuer.mood = mood;
      const unknown = tokenOf(signingPair('ES256', 'key-9'), { iss: issuer.url, exp });
      for (let round = 0; round < 3; round++) {
        await untilFetched();
        assert.equal((await gateway.bearer(known)).status, 200);
        assert.equal((await gateway.bearer(issuer.token({ exp, round }))).status, 200);
        assert.equal((await gateway.bearer(unknown)).status, 401);
      }
      const warnings = gateway.gateway.log.filter(({ message }) => message === 'a document cannot be fetched');
      assert.equal(warnings.length, 1);
      issuer.mood = 'well';
      issuer.pairs.push(signingPair('ES256', 'key-2'));
      await untilFetched();
      await eventually(
        async () => (await gateway.bearer(issuer.token({ exp }))).status === 200,
        'the new key to count',
      );
    });

    test(`(${mood}) from the start is nobody's fault who calls: 503, and then 200`, async (t) => {
      const issuer = await TestIssuer.start(t);
      issuer.mood = mood;
      const gateway = await TokenGateway.start(t, { issuer: issuer.url, jwks: issuer.jwks }, { now });
      const token = issuer.token({ exp });
      const answer = await gateway.bearer(token);
      assert.equal(answer.status, 503);
      assert.match(answer.text, /AUTH_UNAVAILABLE/);
      assert.ok(!answer.text.includes(String(issuer.port)), 'nothing of whom the gateway asks');
      assert.equal((await gateway.bearer('garbage')).status, 401, 'what nobody would accept needs no keys');
      issuer.mood = 'well';
      gateway.clock.advance(10_000);
      assert.equal((await gateway.bearer(token)).status, 200);
    });
  }

  test('that hangs lets no request wait longer than its time-out', async (t) => {
    const { issuer, gateway } = await begin(t, { jwks: undefined });
    const known = issuer.token({ exp });
    assert.equal((await gateway.bearer(known)).status, 200);
    issuer.mood = 'hangs';
    gateway.clock.advance(10_000);
    const count = issuer.asked.length;
    const waiting = [1, 2, 3].map((n) =>
      gateway.bearer(tokenOf(signingPair('ES256', `key-${n}x`), { iss: issuer.url, exp })),
    );
    await eventually(() => issuer.asked.length > count, 'the issuer to be asked');
    assert.equal((await gateway.bearer(known)).status, 200);
    assert.equal((await gateway.bearer(issuer.token({ exp, n: 4 }))).status, 200);
    gateway.clock.advance(5_100);
    for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 401);
    assert.equal(issuer.asked.length, count + 1);
  });

  test('that is gone is like one that hangs, only sooner', async (t) => {
    const { issuer, gateway } = await begin(t);
    const known = issuer.token({ exp });
    assert.equal((await gateway.bearer(known)).status, 200);
    await issuer.stop();
    gateway.clock.advance(700_000);
    assert.equal((await gateway.bearer(known)).status, 200);
    assert.equal((await gateway.bearer(issuer.token({ exp, n: 2 }))).status, 200);
    assert.equal((await gateway.bearer(tokenOf(signingPair('ES256', 'k'), { iss: issuer.url, exp }))).status, 401);
  });

  test('is asked once per cooldown, however many keys nobody knows are named', async (t) => {
    const { issuer, gateway } = await begin(t);
    const known = issuer.token({ exp });
    assert.equal((await gateway.bearer(known)).status, 200);
    const stranger = signingPair('ES256', 'x');
    for (let round = 0; round < 3; round++) {
      gateway.clock.advance(10_000);
      const flood = Array.from({ length: 40 }, (_, n) =>
        gateway.bearer(tokenOf(stranger, { iss: issuer.url, exp }, { alg: 'ES256', kid: `k${round}-${n}` })),
      );
      for (const { status } of await Promise.all(flood)) assert.equal(status, 401);
      assert.equal((await gateway.bearer(known)).status, 200);
    }
    assert.equal(issuer.fetches, 4);
  });

  test('is not asked because of tokens that could not be accepted anyway', async (t) => {
    const { issuer, gateway } = await begin(t, { audience: 'api', typ: 'at+jwt' });
    const pair = signingPair('ES256', 'x');
    const good = { iss: issuer.url, exp, aud: 'api' };
    const header = { alg: 'ES256', kid: 'x', typ: 'at+jwt' };
    await issuer.untilFetched(1);
    gateway.clock.advance(10_000);
    for (const token of [
      tokenOf(pair, { ...good, exp: now }, header),
      tokenOf(pair, { ...good, aud: 'other' }, header),
      tokenOf(pair, { ...good, iss: 'https://other.test' }, header),
      tokenOf(pair, { ...good, nbf: exp }, header),
      tokenOf(pair, good, { ...header, typ: 'JWT' }),
      tokenOf(pair, good, { ...header, jku: issuer.jwks }),
      `${tokenOf(pair, good, header)}=`,
    ]) {
      assert.equal((await gateway.bearer(token)).status, 401);
    }
    assert.equal(issuer.fetches, 1);
    assert.equal((await gateway.bearer(tokenOf(pair, good, header))).status, 401);
    assert.equal(issuer.fetches, 2);
  });
});

suite('keys on several threads', () => {
  const hour = Math.floor(Date.now() / 1000) + 3600;

  test('are fetched once for all of them, also when a key that nobody knows is named', async (t) => {
    const issuer = await TestIssuer.start(t);
    const config = tokenConfig({ issuer: issuer.url, jwks: issuer.jwks }, { threads: 2 });
    const threads = await TestThreads.start(t, config);
    const send = (token: string) => answerTo(threads.address(), `authorization: Bearer ${token}\r\n`);
    const askAll = async (count: number, tokenFor: (n: number) => string): Promise<number[]> => {
      const answers = await Promise.all(Array.from({ length: count }, (_, n) => send(tokenFor(n))));
      return [...new Set(answers.map(({ status }) => status))];
    };
    assert.deepEqual(await askAll(40, (n) => issuer.token({ exp: hour, n })), [200]);
    const stranger = signingPair('ES256', 'x');
    const unknown = (n: number): string =>
      tokenOf(stranger, { iss: issuer.url, exp: hour }, { alg: 'ES256', kid: `k${n}` });
    assert.deepEqual(await askAll(40, unknown), [401]);
    assert.equal(issuer.fetches, 1, 'it is too early to ask again');

    // Another configuration, and a thread that is lost, change nothing about that.
    await threads.apply({ ...config, routes: { ...config.routes, more: { match: { path: '/more' }, respond: {} } } });
    assert.deepEqual(await askAll(20, (n) => issuer.token({ exp: hour, n })), [200]);
    assert.equal(issuer.fetches, 1);
  });

  test('count on all of them soon after they were rotated', async (t) => {
    const issuer = await TestIssuer.start(t);
    const config = tokenConfig({ issuer: issuer.url, jwks: { url: issuer.jwks, cooldown: '1s' } }, { threads: 2 });
    const threads = await TestThreads.start(t, config);
    const send = (token: string) => answerTo(threads.address(), `authorization: Bearer ${token}\r\n`);
    const old = issuer.token({ exp: hour });
    for (let i = 0; i < 10; i++) assert.equal((await send(old)).status, 200);
    issuer.pairs = [signingPair('ES256', 'key-2')];
    const fresh = issuer.token({ exp: hour });
    await eventually(async () => (await send(fresh)).status === 200, 'the new key to count');
    assert.equal(issuer.fetches, 2);
    for (let i = 0; i < 10; i++) {
      assert.equal((await send(fresh)).status, 200);
      assert.equal((await send(old)).status, 401);
    }
    issuer.mood = 'hangs';
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(fresh)));
    for (const { status } of answers) assert.equal(status, 200);
  });
});
