/** basicAuth at the real program: what clients, upstreams, logs and operators get to see. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { hashSync } from 'bcryptjs';
import { Command, folderWith } from '../support/command.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const password = 'CANARY-pässword';
const key = 'CANARY-key-0123456789';
const bcrypt = hashSync(password, 4);
const basic = (user: string, secret: string): string =>
  `authorization: Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}\r\n`;
/** A secret in any spelling in which it may have been written down. */
const spellings = [password, key, bcrypt, Buffer.from(`ann:${password}`).toString('base64'), 'CANARY', 'Q0FOQVJZ'];

describe('basicAuth', () => {
  it('tells the upstream who calls, and neither the password nor what the client claims', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, {
      ...proxyTo(upstream.url, { route: { policies: [{ basicAuth: {} }] } }),
      consumers: { app: { groups: ['gold'], basic: { user: 'ann', password: bcrypt } } },
    });
    const client = await RawClient.connect(t, gateway.address());
    for (let n = 0; n < 2; n++) {
      client.write(`GET / HTTP/1.1\r\nhost: x\r\nx-consumer: root\r\n${basic('ann', password)}\r\n`);
      assert.equal((await client.response()).status, 200);
      const { fields } = await upstream.request(n);
      assert.deepEqual(fieldValues(fields, 'x-consumer'), ['app']);
      assert.deepEqual(fieldValues(fields, 'authorization'), []);
    }
  });

  it('answers everybody without a good password with the same bytes', async (t) => {
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.start(t, {
      ...proxyTo(upstream.url, {
        listener: { trustedProxies: ['127.0.0.1'] },
        route: { policies: [{ basicAuth: {} }] },
      }),
      consumers: { ann: { basic: { password: bcrypt } } },
    });
    const right = basic('ann', password);
    const causes = [
      '',
      basic('ann', 'wrong'),
      basic('nobody', password),
      basic('Ann', password),
      basic('\u0430nn', password),
      basic('ann', password.normalize('NFD')),
      basic('ann', password.replace('A', '\u0410')),
      basic('', ''),
      right + right,
      right.trimEnd() + ',\r\n',
      right.replace('Basic', 'Bearer'),
      right.replace('Basic ', 'Basic'),
      'authorization: Basic\r\n',
      'authorization: \r\n',
      `authorization: Basic ${Buffer.from(`ann:${password}`, 'latin1').toString('base64')}\r\n`,
      `proxy-${right}`,
    ];
    const answers = new Set<string>();
    for (const [index, fields] of causes.entries()) {
      const client = await RawClient.connect(t, gateway.address());
      client.write(`GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 192.0.2.${index}\r\n${fields}\r\n`);
      const response = await client.response();
      const others = response.fields.filter(([name]) => name.toLowerCase() !== 'date');
      answers.add(JSON.stringify([response.startLine, others, response.body]));
    }
    assert.equal(answers.size, 1, [...answers].join('\n'));
    assert.match([...answers][0], /401 Unauthorized.*"www-authenticate","Basic realm=\\"api\\", charset=\\"UTF-8\\""/);
    assert.equal(upstream.requests.length, 0);
  });
});

describe('credentials', () => {
  it('are in no log, no error and no answer of the admin API', async (t) => {
    const folder = await folderWith(t, { users: `bob:${bcrypt}\n` });
    const upstream = await RawUpstream.start(t);
    const log = join(folder, 'access.log');
    const htpasswd = join(folder, 'users');
    const gateway = await Command.serve(t, {
      threads: 1,
      telemetry: { accessLog: { file: log, redact: [], headers: ['authorization', 'x-api-key', 'cookie'] } },
      upstreams: { u: { targets: [upstream.url] } },
      consumers: {
        ann: {
          basic: { password: bcrypt },
          apiKeys: [{ hash: `sha256:${createHash('sha256').update(key).digest('hex')}` }],
        },
      },
      routes: {
        password: { match: { path: '/password' }, policies: [{ basicAuth: { forward: true } }], upstream: 'u' },
        file: { match: { path: '/file' }, policies: [{ basicAuth: { htpasswd } }], upstream: 'u' },
        key: { match: { path: '/key' }, policies: [{ apiKey: { query: 'k' } }], upstream: 'u' },
        mistaken: { match: { path: '/mistaken' }, policies: [{ apiKey: {} }], upstream: 'u' },
      },
    });
    const client = await RawClient.connect(t, gateway.address());
    let answers = '';
    const send = async (target: string, fields: string): Promise<number> => {
      client.write(`GET ${target} HTTP/1.1\r\nhost: x\r\n${fields}\r\n`);
      const response = await client.response();
      answers += JSON.stringify(response);
      return response.status;
    };
    assert.equal(await send('/password', basic('ann', password)), 200);
    assert.equal(await send('/password', basic('ann', `${password}!`)), 401);
    assert.equal(await send('/password', basic(password, 'in the wrong field')), 401);
    assert.equal(await send('/file', basic('bob', password)), 200);
    assert.equal(await send(`/key?k=${key}`, ''), 200);
    assert.equal(await send(`/key?k=${key}%20`, ''), 401);
    assert.equal(await send('/mistaken', `x-api-key: ${basic('ann', password).slice(15)}`), 401);
    assert.equal(await send('/mistaken', `x-api-key: ${key}\r\n`), 200);
    assert.equal(await send('/nowhere', basic('ann', password)), 404);
    await writeFile(htpasswd, `bob:${password}\n`);
    const deadline = Date.now() + 20_000;
    while (!gateway.stderr.includes('the users that were known before count')) {
      assert.ok(Date.now() < deadline, gateway.stderr);
      assert.equal(await send('/file', basic('bob', password)), 200);
    }
    for (const path of ['status', 'snapshot', 'routes', 'upstreams', 'problems']) {
      const response = await fetch(`${gateway.admin}/api/v1/${path}`);
      assert.equal(response.status, 200);
      answers += await response.text();
    }
    assert.match(answers, /"authentication":\{"failed":4/);
    gateway.kill('SIGTERM');
    await gateway.untilExit();
    const written = `${await readFile(log, 'utf8')}${gateway.stdout}${gateway.stderr}${answers}`;
    assert.match(written, /line 1: this is no hash/);
    for (const secret of spellings) assert.ok(!written.includes(secret), `${secret} is in ${written.slice(0, 20_000)}`);
  });
});
