/** A rate limit in front of a login: a flood of guesses at real sockets, and somebody who has the password. */
import assert from 'node:assert/strict';
import { type TestContext, suite, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { limitIndexOf } from '../../src/admin/limit-index.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { metricsText } from '../../src/gateway/metrics-text.ts';
import { fieldValues } from '../support/message-parser.ts';
import { allSamples, parseMetrics } from '../support/metrics-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { TestThreads } from '../support/threaded.ts';

const password = 'correct horse';
const login = (secret: string): string =>
  `GET /login HTTP/1.1\r\nhost: x\r\nauthorization: Basic ${Buffer.from(`ben:${secret}`).toString('base64')}\r\n\r\n`;

/** Of policies of the route, by what came of it. */
async function counted({ gateway }: TestThreads, family: string): Promise<Readonly<Record<string, number>>> {
  const reading = { status: await gateway.status(), counts: gateway.counted(2000), control: null };
  const samples = allSamples(parseMetrics(metricsText(reading, 'prometheus'), 'prometheus'));
  return Object.fromEntries(
    Array.from(samples, ([key, value]) => [key, value] as const).flatMap(([key, value]) => {
      const [, policy, result] = /^(.*)\{route="login",policy="(?:.*)",result="(.*)"\}$/.exec(key) ?? [];
      return policy === family ? [[result, value]] : [];
    }),
  );
}

/** Sends all of them one after the other on a connection, and then reads what comes back. */
async function flood(t: TestContext, threads: TestThreads, localAddress: string, secrets: readonly string[]) {
  const client = await RawClient.connect(t, { ...threads.address(), localAddress });
  for (const secret of secrets) client.write(login(secret));
  const answers = [];
  for (const _ of secrets) answers.push(await client.response());
  return answers;
}

suite('a limit in front of a login', () => {
  test('refuses a flood of guesses without looking at them, and lets in who comes from elsewhere', async (t) => {
    const allowed = 4;
    const input: ConfigInput = {
      telemetry: { accessLog: false },
      threads: 2,
      listeners: { web: { host: '127.0.0.1', port: 0 } },
      consumers: { ben: { basic: { password: hashSync(password, 4) } } },
      routes: {
        login: {
          match: { path: '/login' },
          policies: [{ rateLimit: { rate: `${allowed}/1h`, by: 'ip', name: 'login' } }, { basicAuth: {} }],
          respond: { body: 'welcome' },
        },
      },
    };
    const threads = await TestThreads.start(t, input);
    const guesses = Array.from({ length: 50 }, (_, i) => (i % 7 === 6 ? password : `guess ${i}`));
    const flooding = Promise.all(Array.from({ length: 6 }, () => flood(t, threads, '127.0.0.2', guesses)));
    const [good] = await flood(t, threads, '127.0.0.3', [password]);
    assert.equal(good.status, 200);

    const answers = (await flooding).flat();
    const refused = answers.filter(({ status }) => status === 429);
    assert.equal(answers.length - refused.length, allowed);
    for (const { fields, body } of refused) {
      assert.equal((JSON.parse(body) as { code: string }).code, 'RATE_LIMITED');
      assert.ok(Number(fieldValues(fields, 'retry-after')[0]) > 0);
      assert.deepEqual(fieldValues(fields, 'www-authenticate'), []);
    }
    assert.deepEqual(await counted(threads, 'gatewright_ratelimit_total'), {
      allowed: allowed + 1,
      refused: refused.length,
    });
    const { config } = await threads.publication(input);
    const [{ identity }] = limitIndexOf(config).limits;
    const [{ address, refused: times }, ...rest] = threads.gateway.shared.limits.refusedMost(identity, 10);
    assert.deepEqual([address, times, rest], ['127.0.0.2', refused.length, []]);
    // What was let pass, and nothing else, has come to the policy that verifies.
    const verified = Object.values(await counted(threads, 'gatewright_auth_total'));
    assert.equal(
      verified.reduce((sum, count) => sum + count, 0),
      allowed + 1,
    );
    assert.ok((await threads.gateway.status()).authentication.failed <= allowed);

    // Even with the password, from there.
    assert.equal((await flood(t, threads, '127.0.0.2', [password]))[0].status, 429);
    assert.equal((await flood(t, threads, '127.0.0.3', [password]))[0].status, 200);
  });
});
