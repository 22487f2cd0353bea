import assert from 'node:assert/strict';
import { argon2Sync, createHash } from 'node:crypto';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, suite, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import type { Policy, Reply } from '../../src/contract.ts';
import { PasswordVerifier } from '../../src/policies/authentication/password-verifier.ts';
import { basicAuth } from '../../src/policies/basic-auth.ts';
import { FakeEnv, FakeExchange, type FakeRequest, createPolicy } from '../support/fake-exchange.ts';

const password = 'CANARY correct horse!';
const bcrypt = hashSync(password, 4);
const sha1 = `{SHA}${createHash('sha1').update(password).digest('base64')}`;
const argon2id = argon2idOf(password);

function argon2idOf(text: string): string {
  const nonce = Buffer.from('0123456789abcdef');
  const parameters = { message: text, nonce, parallelism: 1, tagLength: 32, memory: 64, passes: 2 };
  const [salt, tag] = [nonce, argon2Sync('argon2id', parameters)].map((octets) =>
    octets.toString('base64').replaceAll('=', ''),
  );
  return `$argon2id$v=19$m=64,t=2,p=1$${salt}$${tag}`;
}

const basic = (user: string, secret: string): string => `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;

function consumer(name: string, hash: string, groups: readonly string[] = []) {
  const none = { apiKeys: [], hmac: [], signing: [], jwt: [], certificates: [] };
  return { name, groups, basic: { user: name, password: hash }, ...none };
}

function start(options: object = {}, hash = bcrypt) {
  const env = new FakeEnv();
  env.consumers.replace([consumer('ann', hash, ['gold'])]);
  return { env, policy: createPolicy(basicAuth, options, env) };
}

async function ask(policy: Policy, authorization: string | readonly string[] = [], more: FakeRequest = {}) {
  const exchange = new FakeExchange({ headers: { authorization }, ...more });
  const reply = ((await policy.onRequest?.(exchange)) as Reply | undefined) ?? null;
  return { exchange, reply, status: reply?.status ?? 200 };
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'gatewright-htpasswd-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

suite('basicAuth', () => {
  for (const [form, hash] of Object.entries({ bcrypt, argon2id, sha1 })) {
    test(`lets a consumer pass whose password has this hash, and nobody else: ${form}`, async () => {
      const { policy } = start({}, hash);
      const { exchange, status } = await ask(policy, basic('ann', password));
      assert.equal(status, 200);
      assert.deepEqual(exchange.consumer, { name: 'ann', groups: ['gold'] });
      assert.deepEqual([exchange.credential?.method, exchange.credential?.subject], ['basicAuth', 'ann']);
      assert.equal(exchange.requestHeaders.has('authorization'), false);
      assert.equal((await ask(policy, basic('ann', `${password}.`))).status, 401);
      assert.equal((await ask(policy, basic('bob', password))).status, 401);
      assert.equal((await ask(policy)).status, 401);
    });
  }

  test('asks for UTF-8, and reads it', async () => {
    const { policy, env } = start({ realm: 'a "b"' });
    env.consumers.replace([consumer('zoë', hashSync('пароль€', 4))]);
    const { reply } = await ask(policy);
    assert.deepEqual(reply?.headers, [['www-authenticate', String.raw`Basic realm="a \"b\"", charset="UTF-8"`]]);
    assert.equal((await ask(policy, basic('zoë', 'пароль€'))).status, 200);
    // The same name in another normal form, and letters that only look alike, are others.
    assert.equal((await ask(policy, basic('zoe\u0308', 'пароль€'))).status, 401);
    assert.equal((await ask(policy, basic('zоë', 'пароль€'))).status, 401);
  });

  test('takes one spelling of a user and a password', async () => {
    const { policy } = start();
    const right = basic('ann', password);
    const wrong: (string | readonly string[])[] = [
      [right, right],
      [right, 'Bearer x'],
      right.replace(/=+$/, ''),
      `${right}=`,
      right.replace('Basic ', 'Basic\t'),
      `${right}, Basic x`,
      'Basic',
      'Basic ',
      'Basic ====',
      'Basic YW5u',
      `Basic ${Buffer.from(`ann:${password}\0`).toString('base64')}`,
      `Basic ${Buffer.from(`a\u0000nn:${password}`).toString('base64')}`,
      `Basic ${Buffer.from([0x61, 0xff, 0x3a, 0x62]).toString('base64')}`,
      `Basic ${Buffer.from(`\uFEFFann:${password}`).toString('base64')}`,
      `Basic ${Buffer.from(`ann:${password}`).toString('base64url')}!`,
      basic('ann', 'x'.repeat(5000)),
      basic('a'.repeat(300), 'x'),
      basic('', ''),
      basic('ANN', password),
    ];
    const answers = new Set<string>();
    for (const value of wrong) {
      const { reply } = await ask(policy, value, { clientIp: `192.0.2.${answers.size}` });
      const { reason, ...shown } = reply!;
      assert.ok(!String(reason).includes('CANARY'));
      if (shown.status === 401) answers.add(JSON.stringify(shown));
      else assert.equal(shown.status, 429);
    }
    assert.equal(answers.size, 1);
    assert.equal((await ask(policy, right.replace('Basic', 'bAsIc'))).status, 200);
  });

  test('leaves credentials of other kinds alone, where it lets them pass', async () => {
    const { policy } = start({ optional: true });
    const { exchange, status } = await ask(policy, 'Bearer token');
    assert.equal(status, 200);
    assert.equal(exchange.requestHeaders.get('authorization'), 'Bearer token');
    assert.equal((await ask(policy, basic('ann', 'wrong'))).status, 401);
  });

  test('verifies a password once in five minutes, as long as its hash stays the same', async (t) => {
    const { policy, env } = start();
    const verify = t.mock.method(PasswordVerifier.prototype, 'verify');
    const right = basic('ann', password);
    await ask(policy, right);
    const onRequest = policy.onRequest?.(new FakeExchange({ headers: { authorization: right } }));
    assert.equal(onRequest, undefined, 'synchronous');
    assert.equal(verify.mock.callCount(), 1);
    env.nowMs += 299_999;
    await ask(policy, right);
    assert.equal(verify.mock.callCount(), 1);
    env.nowMs += 1;
    await ask(policy, right);
    assert.equal(verify.mock.callCount(), 2);
    env.consumers.replace([consumer('ann', bcrypt, ['silver'])]);
    assert.deepEqual((await ask(policy, right)).exchange.consumer?.groups, ['silver']);
    assert.equal(verify.mock.callCount(), 2);
    env.consumers.replace([consumer('ann', hashSync('another', 4))]);
    assert.equal((await ask(policy, right)).status, 401);
    env.consumers.replace([]);
    assert.equal((await ask(policy, right)).status, 401);
  });

  test('does the same work for users who are not there as for wrong passwords', async (t) => {
    for (const hash of [hashSync('x', 5), argon2id, sha1]) {
      const { policy } = start({}, hash);
      await ask(policy, basic('ann', 'to learn what hashes are like here'));
      const verify = t.mock.method(PasswordVerifier.prototype, 'verify');
      const [wrong, unknown] = [await ask(policy, basic('ann', 'wrong')), await ask(policy, basic('nobody', 'wrong'))];
      assert.deepEqual({ ...wrong.reply }, { ...unknown.reply });
      const [shape, other] = verify.mock.calls.map((call) =>
        call.arguments[1].replace(/(?<=^\$2b\$\d\d\$|\{SHA\}|\$)[^$]{20,}$/, (end) => '.'.repeat(end.length)),
      );
      assert.equal(verify.mock.callCount(), 2);
      assert.equal(other, shape);
      verify.mock.restore();
    }
  });

  test('never takes a hash for a password that cannot be verified', async () => {
    const { policy } = start({}, '$apr1$x$y');
    assert.equal((await ask(policy, basic('ann', '$apr1$x$y'))).status, 401);
  });

  test('slows down and refuses who guesses, and nobody else; who was verified lately passes', async (t) => {
    const { policy, env } = start();
    const right = basic('ann', password);
    await ask(policy, right, { clientIp: '192.0.2.1' });
    const statuses: number[] = [];
    let waited = 0;
    for (let n = 0; n < 14; n++) {
      const before = env.nowMs;
      statuses.push((await ask(policy, basic('ann', `wrong ${n}`), { clientIp: '192.0.2.1' })).status);
      waited += env.nowMs - before;
    }
    assert.deepEqual(statuses, [...Array<number>(10).fill(401), ...Array<number>(4).fill(429)]);
    assert.ok(waited > 1_000, String(waited));
    const refused = await ask(policy, basic('ann', `${password}.`), { clientIp: '192.0.2.1' });
    const [name, seconds] = refused.reply?.headers?.[0] ?? [];
    assert.equal(name, 'retry-after');
    assert.ok(Number(seconds) > 280 && Number(seconds) <= 300, String(seconds));
    assert.equal((await ask(policy, right, { clientIp: '192.0.2.1' })).status, 200, 'verified lately');
    env.nowMs += 299_000;
    assert.equal((await ask(policy, right, { clientIp: '192.0.2.2' })).status, 200, 'another client');
    for (let n = 0; n < 12; n++) await ask(policy, basic('ann', `wrong ${n}`), { clientIp: '192.0.2.3' });
    const verify = t.mock.method(PasswordVerifier.prototype, 'verify');
    assert.equal((await ask(policy, right, { clientIp: '192.0.2.3' })).status, 429, 'a guess, although it is known');
    assert.equal((await ask(policy, right, { clientIp: '192.0.2.4' })).status, 200);
    assert.equal(verify.mock.callCount(), 0);
  });

  test('answers 503 when too many passwords are being verified, and verifies the same one once', async (t) => {
    const { policy } = start();
    const gate = Promise.withResolvers<boolean>();
    const run = t.mock.method(PasswordVerifier.prototype as unknown as { askThread(): Promise<boolean> }, 'askThread');
    run.mock.mockImplementation(() => gate.promise);
    const attempts = Array.from({ length: 70 }, (_, n) =>
      ask(policy, basic(`user ${n}`, 'x'), { clientIp: `198.51.100.${n}` }),
    );
    const same = Array.from({ length: 5 }, () => ask(policy, basic('user 0', 'x'), { clientIp: '203.0.113.1' }));
    await new Promise((resolve) => setImmediate(resolve));
    gate.resolve(false);
    const statuses = (await Promise.all([...attempts, ...same])).map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 503).length, 70 - 65);
    assert.deepEqual(statuses.slice(70), [401, 401, 401, 401, 401]);
    assert.equal(run.mock.callCount(), 65);
  });

  test('fails closed when a password cannot be verified, and recovers', async (t) => {
    const { policy } = start();
    const run = t.mock.method(PasswordVerifier.prototype as unknown as { askThread(): Promise<boolean> }, 'askThread');
    run.mock.mockImplementation(() => Promise.reject(new Error('gone')));
    assert.equal((await ask(policy, basic('ann', password))).reply?.code, 'AUTH_UNAVAILABLE');
    run.mock.restore();
    assert.equal((await ask(policy, basic('ann', password))).status, 200);
  });
});

suite('a file of users', () => {
  const create = async (env: FakeEnv, options: object): Promise<Policy> =>
    basicAuth.create(basicAuth.options.parse(options), env, []);

  test('is read again when it changes, and stays as it was when it cannot be read', async (t) => {
    const file = join(await folder(t), 'users');
    const write = async (text: string, ageSeconds: number): Promise<void> => {
      await writeFile(file, text);
      const changedAt = Date.now() / 1000 - ageSeconds;
      await utimes(file, changedAt, changedAt);
    };
    await write(`# users\r\n\r\nann:${bcrypt}\r\nbob:${sha1}\n`, 100);
    const env = new FakeEnv();
    env.epochMs = Date.now();
    env.consumers.replace([consumer('ann', sha1, ['gold']), consumer('carl', sha1)]);
    const policy = await create(env, { htpasswd: file });
    const ann = await ask(policy, basic('ann', password));
    assert.deepEqual(ann.exchange.consumer, { name: 'ann', groups: ['gold'] });
    const bob = await ask(policy, basic('bob', password));
    assert.deepEqual([bob.status, bob.exchange.consumer, bob.exchange.credential?.subject], [200, null, 'bob']);
    assert.equal((await ask(policy, basic('carl', password))).status, 401, 'the file is all there is');

    await write(`carl:${sha1}\n`, 50);
    env.nowMs += 1_000;
    assert.equal((await ask(policy, basic('ann', password))).status, 401, 'removed, although verified lately');
    assert.equal((await ask(policy, basic('carl', password))).status, 200);

    for (const text of [`carl:${sha1}\ndora:CANARY\n`, `carl:${sha1}\ncarl:${sha1}\n`, 'CANARY\n']) {
      await write(text, 40 + text.length);
      env.nowMs += 1_000;
      assert.equal((await ask(policy, basic('carl', password))).status, 200);
    }
    await rm(file);
    env.nowMs += 1_000;
    assert.equal((await ask(policy, basic('carl', password))).status, 200);
    env.nowMs += 1_000;
    assert.equal((await ask(policy, basic('carl', password))).status, 200);
    assert.equal(env.warnings.length, 4, env.warnings.join('\n'));
    assert.match(env.warnings[0], /line 2: this is no hash/);
    assert.ok(!env.warnings.join('').includes('CANARY'));
  });

  test('is not read while somebody still writes it', async (t) => {
    const file = join(await folder(t), 'users');
    await writeFile(file, `ann:${bcrypt}\n`);
    const env = new FakeEnv();
    env.epochMs = Date.now();
    const policy = await create(env, { htpasswd: file });
    await writeFile(file, 'bob');
    await utimes(file, (env.epochMs + 1_000) / 1000, (env.epochMs + 1_000) / 1000);
    env.nowMs += 1_000;
    assert.equal((await ask(policy, basic('ann', password))).status, 200);
    await writeFile(file, `bob:${bcrypt}\n`);
    await utimes(file, (env.epochMs + 1_500) / 1000, (env.epochMs + 1_500) / 1000);
    env.nowMs += 1_000;
    assert.equal((await ask(policy, basic('bob', password))).status, 401);
    env.nowMs += 1_000;
    assert.equal((await ask(policy, basic('bob', password))).status, 200);
    assert.deepEqual(env.warnings, []);
  });

  test('may stand beside consumers', async (t) => {
    const file = join(await folder(t), 'users');
    await writeFile(file, `bob:${bcrypt}\n`);
    const env = new FakeEnv();
    env.consumers.replace([consumer('ann', sha1)]);
    const policy = await create(env, { htpasswd: file, consumers: true });
    assert.equal((await ask(policy, basic('ann', password))).status, 200);
    assert.equal((await ask(policy, basic('bob', password))).status, 200);
  });

  test('is refused when it is loaded if a line could let nobody in, without showing what is in it', async (t) => {
    const file = join(await folder(t), 'users');
    const cases: [text: string, message: RegExp][] = [
      ['ann:$apr1$CANARY$x', /line 1: hashes of MD5 are not verified/],
      [`ann:${bcrypt}\n\nbob:CANARY`, /line 3: this is no hash/],
      ['ann:$2y$31$CANARY', /line 1: a bcrypt hash has a cost from 04 to 16/],
      ['ann:$argon2id$v=19$m=9999999,t=1,p=1$c29tZXNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAA', /1 GiB of memory at most/],
      ['ann:$argon2i$v=19$CANARY', /only argon2id/],
      ['CANARY', /line 1: write a user, a colon/],
      [`:${bcrypt}`, /line 1: write a user, a colon/],
      [`ann:${bcrypt}\nann:${bcrypt}`, /line 2: the same user/],
    ];
    for (const [text, message] of cases) {
      await writeFile(file, text);
      await assert.rejects(create(new FakeEnv(), { htpasswd: file }), (error: Error) => {
        assert.match(error.message, message);
        assert.ok(!error.message.includes('CANARY'));
        return true;
      });
    }
    await assert.rejects(create(new FakeEnv(), { htpasswd: join(file, 'missing') }), /missing/);
    assert.throws(() => basicAuth.options.parse({ consumers: false }), /nobody could log in/);
  });
});
