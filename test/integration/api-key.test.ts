/** apiKey at real sockets: what clients, upstreams and logs get to see. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const key = 'CANARY-0123456789abcdef';
const hash = `sha256:${createHash('sha256').update(key).digest('hex')}`;
const expiredKey = 'CANARY-expired';
const expired = {
  hash: `sha256:${createHash('sha256').update(expiredKey).digest('hex')}`,
  expires: '2020-01-01',
};
const consumers: ConfigInput['consumers'] = { ann: { groups: ['gold', 'beta'], apiKeys: [{ hash }, expired] } };

async function start(t: TestContext, options: object, more: ConfigInput = {}) {
  const upstream = await RawUpstream.start(t);
  const config = proxyTo(upstream.url, { route: { policies: [{ apiKey: options }] } });
  const gateway = await TestGateway.start(t, { ...config, consumers, ...more });
  const client = await RawClient.connect(t, gateway.address());
  const send = async (fields: string, target = '/') => {
    client.write(`GET ${target} HTTP/1.1\r\nhost: api.example.com\r\n${fields}\r\n`);
    return client.response();
  };
  return { upstream, gateway, client, send };
}

describe('apiKey', () => {
  it('tells the upstream who calls, and not with which key', async (t) => {
    const { upstream, send } = await start(t, { header: 'x-api-key', query: 'api_key', cookie: 'key' });
    const requests = [
      [`X-Api-Key: ${key}\r\n`, '/a?b=1'],
      ['', `/a?api_key=${key}&b=1`],
      ['', `/a?b=1&%61pi_key=${key}`],
      [`cookie: key=${key}\r\n`, '/a?b=1'],
    ];
    for (const [fields, target] of requests) {
      const claimed = `${fields}x-consumer: root\r\nx-consumer-groups: admins\r\n`;
      assert.equal((await send(claimed, target)).status, 200);
      const request = await upstream.request(upstream.requests.length - 1);
      assert.equal(request.startLine, 'GET /a?b=1 HTTP/1.1');
      assert.deepEqual(fieldValues(request.fields, 'x-consumer'), ['ann']);
      assert.deepEqual(fieldValues(request.fields, 'x-consumer-groups'), ['gold, beta']);
    }
    assert.ok(!upstream.connections.some(({ bytes }) => bytes.includes('CANARY')));
  });

  it('answers everybody without a good key with the same bytes', async (t) => {
    const { upstream, send } = await start(t, { header: 'x-api-key', query: 'api_key', cookie: 'key' });
    const causes: [fields: string, target?: string][] = [
      [''],
      ['x-api-key: unknown\r\n'],
      [`x-api-key: ${expiredKey}\r\n`],
      [`x-api-key: ${key.toLowerCase()}\r\n`],
      ['x-api-key:\r\n'],
      [`x-api-key: ${key}, ${key}\r\n`],
      [`x-api-key: ${key}\r\nX-API-KEY: ${key}\r\n`],
      [`x-api-key: ${key}\r\n`, `/?api_key=${key}`],
      [`x-api-key: ${key}\r\ncookie: key=${key}\r\n`],
      [`x-api-key: \u00d0\u00a1ANARY\r\n`],
      [`x-api-key: ${'x'.repeat(20_000)}\r\n`],
      ['', `/?api_key=${key}&api_key=${key}`],
      ['', '/?api_key=%D0%A1ANARY'],
      [`cookie: key=${key}; key=${key}\r\n`],
    ];
    const answers = new Set<string>();
    for (const [fields, target] of causes) {
      const response = await send(fields, target);
      assert.equal(response.status, 401, fields);
      const others = response.fields.filter(([name]) => name.toLowerCase() !== 'date');
      answers.add(JSON.stringify([response.startLine, others, response.body]));
    }
    assert.equal(answers.size, 1, [...answers].join('\n'));
    assert.match([...answers][0], /www-authenticate","ApiKey realm=\\"api\\"/);
    assert.equal(upstream.requests.length, 0);
  });

  it('keeps keys out of the access log, refused, forwarded or sent to another route', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'gatewright-keys-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'access.log');
    const upstream = await RawUpstream.start(t);
    const gateway = await TestGateway.open({
      ...proxyTo(upstream.url),
      consumers,
      routes: {
        keyed: {
          match: { path: '/keyed' },
          policies: [{ apiKey: { header: 'x-my-key', query: 'my_key', cookie: 'my', forward: true } }],
          upstream: 'service',
        },
        open: { match: { path: '/open' }, upstream: 'service' },
      },
      telemetry: { accessLog: { file, redact: [], headers: ['x-my-key', 'cookie', 'referer'] } },
    });
    const client = await RawClient.connect(t, gateway.address());
    const requests = ['/keyed', '/open', '/nowhere'].flatMap((path) => [
      `GET ${path}?my_key=${key} HTTP/1.1\r\nhost: x\r\nreferer: http://x/?my_key=${key}\r\n\r\n`,
      `GET ${path}?my%5Fkey=${key}0 HTTP/1.1\r\nhost: x\r\n\r\n`,
      `GET ${path} HTTP/1.1\r\nhost: x\r\nX-My-Key: ${key}\r\n\r\n`,
      `GET ${path} HTTP/1.1\r\nhost: x\r\nX-My-Key: ${key}0\r\n\r\n`,
      `GET ${path} HTTP/1.1\r\nhost: x\r\ncookie: my=${key}\r\n\r\n`,
    ]);
    for (const request of requests) await client.write(request).response();
    await gateway.gateway.stop(0);
    const log = await readFile(file, 'utf8');
    assert.equal(log.trimEnd().split('\n').length, requests.length);
    assert.match(log, /"query":"my_key=\*\*\*"/);
    assert.ok(!log.includes('CANARY'), log);
    assert.ok(!JSON.stringify(gateway.log).includes('CANARY'));
  });

  it('says in the log why somebody was refused', async (t) => {
    const { gateway, send } = await start(t, {});
    for (const fields of ['', `x-api-key: ${expiredKey}\r\n`, 'x-api-key: nobody\r\n']) await send(fields);
    await gateway.observation(2);
    assert.deepEqual(
      gateway.observations.map(({ code, reason }) => [code, reason]),
      [
        ['UNAUTHENTICATED', 'no API key'],
        ['UNAUTHENTICATED', 'an expired API key'],
        ['UNAUTHENTICATED', 'an unknown API key'],
      ],
    );
  });

  it('sends a redirect without the key to wherever it leads', async (t) => {
    const gateway = await TestGateway.start(t, {
      ...proxyTo([]),
      upstreams: {},
      consumers,
      routes: {
        moved: {
          match: { path: '/old/*' },
          policies: [{ apiKey: { query: 'api_key' } }],
          redirect: { to: 'https://elsewhere.example/{*}' },
        },
      },
    });
    const client = await RawClient.connect(t, gateway.address());
    client.write(`GET /old/x?api_key=${key}&a=1 HTTP/1.1\r\nhost: x\r\n\r\n`);
    const { fields } = await client.response();
    assert.deepEqual(fieldValues(fields, 'location'), ['https://elsewhere.example/x?a=1']);
  });
});
