/** Guessing at real sockets: what it comes to for whoever guesses, and for everybody else. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, describe, it } from 'node:test';
import { hashSync } from 'bcryptjs';
import type { ConfigInput } from '../../src/config/schema.ts';
import { type Clock, systemClock } from '../../src/util/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';
import { TestThreads, ask, toldConfig } from '../support/threaded.ts';

const key = 'the-right-key';
const password = 'the right password';
const consumers = {
  ann: {
    apiKeys: [{ hash: `sha256:${createHash('sha256').update(key).digest('hex')}` }],
    basic: { password: hashSync(password, 4) },
  },
};

describe('guessing of keys', () => {
  it('is slowed down and refused on all threads, while the right key is let in', async (t) => {
    const policies = [{ use: './told.mjs' }, { apiKey: {} }];
    const config = toldConfig({ consumers, routes: { all: { policies, respond: { body: 'hello' } } } });
    const threads = await TestThreads.start(t, config);
    const guess = (n: number) => ask(threads.address(), `x-api-key: guess-${n}\r\n`);
    const first = await Promise.all(Array.from({ length: 40 }, (_, n) => guess(n)));
    assert.ok(first.every(({ status }) => status === 401 || status === 429));

    const refusing = new Set<string>();
    for (let n = 0; n < 200 && refusing.size < 2; n++) {
      const { status, thread, text } = await guess(n);
      assert.equal(status, 429);
      assert.match(text, /\r\nretry-after: (?:29\d|300)\r\n/i);
      assert.match(text, /"code":"TOO_MANY_ATTEMPTS"/);
      refusing.add(thread);
      const right = await ask(threads.address(), `x-api-key: ${key}\r\n`);
      assert.equal(right.status, 200);
    }
    assert.equal(refusing.size, 2, 'both threads refuse');
    const { authentication } = await threads.gateway.status();
    assert.ok(authentication.failed >= 20 && authentication.failed <= 40, JSON.stringify(authentication));
    assert.ok(authentication.refused >= refusing.size);
  });

  it('does not pile up replies that wait', async (t) => {
    const clock = new FakeClock();
    const { gateway, ask: send } = await start(t, [{ apiKey: {} }], {}, clock);
    const guess = (count: number) => Promise.all(Array.from({ length: count }, () => send('x-api-key: wrong\r\n')));
    await guess(5);
    const answers = guess(14);
    // All but the first are to wait. Eight do, for as long as the clock stands still; the others are answered at once.
    await gateway.observation(5 + 14 - 8 - 1);
    const { authentication } = await gateway.gateway.status();
    assert.equal(authentication.slowed, 13);
    assert.equal(gateway.observations.length, 5 + 14 - 8);
    clock.advance(2_100);
    assert.ok((await answers).every((status) => status === 401));
    assert.ok(gateway.observations.slice(-8).every(({ durationMs }) => durationMs >= 100));
  });
});

describe('guessing of passwords', () => {
  it('locks nobody out who has another address', async (t) => {
    const { send } = await start(t, [{ basicAuth: {} }], { trustedProxies: ['127.0.0.1'] });
    const login = (clientIp: string, secret: string) => {
      const value = Buffer.from(`ann:${secret}`).toString('base64');
      return send(`x-forwarded-for: ${clientIp}\r\nauthorization: Basic ${value}\r\n`);
    };
    const guesses = await Promise.all(Array.from({ length: 16 }, (_, n) => login('192.0.2.66', `guess ${n}`)));
    assert.ok(guesses.every(({ status }) => status === 401));
    const refused = await login('192.0.2.66', password);
    assert.equal(refused.status, 429, 'not even the right one');
    assert.match(fieldValues(refused.fields, 'retry-after').join(), /^(?:29\d|300)$/);
    assert.equal((await login('192.0.2.1', password)).status, 200);
    const [owner, guesser] = await Promise.all(['192.0.2.1', '192.0.2.66'].map((ip) => login(ip, password)));
    assert.equal(owner.status, 200);
    assert.equal(guesser.status, 429, 'although nothing had to be verified');
  });
});

async function start(
  t: TestContext,
  policies: NonNullable<NonNullable<ConfigInput['routes']>[string]['policies']>,
  listener: object = {},
  clock: Clock = systemClock,
) {
  const upstream = await RawUpstream.start(t);
  const config = proxyTo(upstream.url, { listener, route: { policies } });
  const gateway = await TestGateway.start(t, { ...config, consumers }, { clock });
  const send = async (fields: string) => {
    const client = await RawClient.connect(t, gateway.address());
    client.write(`GET / HTTP/1.1\r\nhost: x\r\n${fields}\r\n`);
    return client.response();
  };
  return { upstream, gateway, send, ask: async (fields: string) => (await send(fields)).status };
}
