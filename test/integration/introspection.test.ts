/** introspection at real sockets: what clients, upstreams, the authorisation server and logs get to see. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { brokenServices, nobodyAt } from '../support/broken-services.ts';
import { settle } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { type RequestMessage, fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream, type UpstreamScript, ok } from '../support/raw-upstream.ts';
import { makeTlsFiles } from '../support/tls-files.ts';

const secret = 'CANARY-client-secret';
const good = 'CANARY-good-token';
const consumers: ConfigInput['consumers'] = { ann: { groups: ['gold'], jwt: { sub: 'ann' } } };

/** Knows one token. */
function authorise({ body, startLine, fields }: Pick<RequestMessage, 'body' | 'startLine' | 'fields'>): string {
  const basic = `Basic ${Buffer.from(`gateway:${secret}`).toString('base64')}`;
  if (!startLine.startsWith('POST /introspect ') || fieldValues(fields, 'authorization')[0] !== basic) {
    return 'HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n';
  }
  const active = new URLSearchParams(body).get('token') === good;
  return ok(JSON.stringify(active ? { active, sub: 'ann', scope: 'read', username: 'Ann' } : { active }));
}

const asking = (url: string, more: object = {}) => ({
  introspection: { url: `${url}/introspect`, clientId: 'gateway', clientSecret: secret, ...more },
});

async function start(t: TestContext, script: UpstreamScript = { onRequest: authorise }, options: object = {}) {
  const clock = new FakeClock();
  const server = await RawUpstream.start(t, script);
  const upstream = await RawUpstream.start(t);
  const config = proxyTo(upstream.url, { route: { policies: [asking(server.url, options)] } });
  const gateway = await TestGateway.start(t, { ...config, consumers }, { clock });
  const client = await RawClient.connect(t, gateway.address());
  const write = (fields: string, target = '/'): void => {
    client.write(`GET ${target} HTTP/1.1\r\nhost: api.example.com\r\n${fields}\r\n`);
  };
  const send = async (fields: string, target?: string) => {
    write(fields, target);
    return client.response();
  };
  return { clock, server, upstream, gateway, client, write, send };
}

const bearer = (token: string): string => `authorization: Bearer ${token}\r\n`;

describe('introspection', () => {
  it('tells the upstream who calls, and not with which token', async (t) => {
    const { send, upstream, server } = await start(t, undefined, { forwardClaims: { 'x-user': 'username' } });
    const claimed = 'x-consumer: root\r\nx-consumer-groups: admins\r\nx-user: root\r\nX-User: root\r\n';
    for (let i = 0; i < 3; i++) assert.equal((await send(bearer(good) + claimed)).status, 200);
    for (const { fields } of upstream.requests) {
      assert.deepEqual(fieldValues(fields, 'x-consumer'), ['ann']);
      assert.deepEqual(fieldValues(fields, 'x-consumer-groups'), ['gold']);
      assert.deepEqual(fieldValues(fields, 'x-user'), ['Ann']);
    }
    assert.doesNotMatch(upstream.bytes, /CANARY/);
    assert.equal(server.requests.length, 1);
  });

  it('answers everybody whose token does not hold with the same bytes', async (t) => {
    const { send, upstream, clock } = await start(t, undefined, { header: 'authorization', query: 'at' });
    const causes: [fields: string, target?: string][] = [
      [bearer('unknown')],
      [bearer('unknown')],
      [bearer(good.toLowerCase())],
      [bearer(`${good}=`)],
      [bearer(`${good}, ${good}`)],
      [bearer(good) + bearer(good)],
      [bearer('x'.repeat(9000))],
      [bearer('\u00d0\u00a1')],
      ['authorization: Bearer\r\n'],
      [bearer(good), `/?at=${good}`],
      ['', `/?at=${good}&at=${good}`],
      ['', `/?at=a%0d%0ax-admin:1`],
    ];
    const answers = new Set<string>();
    for (const [fields, target] of causes) {
      const response = await send(fields, target);
      assert.equal(response.status, 401, fields);
      // Long enough for the failure to be forgotten.
      clock.advance(30_000);
      const others = response.fields.filter(([name]) => name !== 'date');
      answers.add(JSON.stringify([response.startLine, others, response.body]));
    }
    assert.equal(answers.size, 1, [...answers].join('\n'));
    assert.match([...answers][0], /"www-authenticate","Bearer realm=\\"api\\", error=\\"invalid_token\\""/);
    const { status, fields } = await send('');
    assert.deepEqual([status, fieldValues(fields, 'www-authenticate')], [401, ['Bearer realm="api"']]);
    assert.equal(upstream.requests.length, 0);
  });

  it('asks once for a hundred clients that come at the same time with one token', async (t) => {
    const { gateway, server, upstream } = await start(t, {});
    const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(t, gateway.address())));
    for (const one of clients) one.write(`GET / HTTP/1.1\r\nhost: x\r\n${bearer(good)}\r\n`);
    const connection = await server.connection();
    const asked = await server.request();
    for (let i = 0; i < 10; i++) await settle();
    connection.write(authorise(asked));
    const statuses = await Promise.all(clients.map(async (one) => (await one.response()).status));
    assert.deepEqual([...new Set(statuses)], [200]);
    assert.deepEqual([server.requests.length, upstream.requests.length], [1, 100]);
  });

  for (const { name, script, hangs } of brokenServices(JSON.stringify({ active: true, sub: 'ann' }))) {
    it(`lets nobody pass when the server ${name}`, async (t) => {
      const { clock, server, upstream, write, client, gateway } = await start(t, script, { timeout: '1s' });
      write(bearer(good));
      await server.request();
      if (hangs === true) {
        await settle();
        clock.advance(1_100);
      }
      const { status, body, fields } = await client.response();
      assert.equal(status, 503);
      assert.equal((JSON.parse(body) as { code: string }).code, 'AUTH_UNAVAILABLE');
      assert.deepEqual(fieldValues(fields, 'www-authenticate'), []);
      assert.equal(upstream.requests.length, 0);
      const { reason } = await gateway.observation();
      assert.match(reason, /^the introspection endpoint: /);
      assert.doesNotMatch(reason + JSON.stringify(gateway.log) + body, /CANARY/);
      assert.equal(gateway.log.filter(({ level }) => level === 'warn').length, 1);
    });
  }

  it('lets nobody pass when the server is not there, or does not know the gateway', async (t) => {
    const upstream = await RawUpstream.start(t);
    const server = await RawUpstream.start(t, { onRequest: authorise });
    for (const [url, clientSecret] of [
      [await nobodyAt(t), secret],
      [server.url, 'wrong'],
    ]) {
      const config = proxyTo(upstream.url, { route: { policies: [asking(url, { clientSecret })] } });
      const gateway = await TestGateway.start(t, config);
      const client = await RawClient.connect(t, gateway.address());
      assert.equal((await client.write(`GET / HTTP/1.1\r\nhost: x\r\n${bearer(good)}\r\n`).response()).status, 503);
      assert.equal(gateway.log.filter(({ level }) => level === 'warn').length, 1);
    }
    assert.equal(upstream.requests.length, 0);
  });

  it('serves those it knows while the server is away, until their time is over', async (t) => {
    const { clock, send, server } = await start(t, undefined, { cacheFor: '30s' });
    assert.equal((await send(bearer(good))).status, 200);
    server.stop();
    clock.advance(29_000);
    assert.equal((await send(bearer(good))).status, 200);
    assert.equal((await send(bearer('other'))).status, 503);
    clock.advance(1_100);
    assert.equal((await send(bearer(good))).status, 503);
  });

  it('does not ask again after a reload', async (t) => {
    const { gateway, send, server, upstream } = await start(t);
    assert.equal((await send(bearer(good))).status, 200);
    const policies = [asking(server.url, { realm: 'changed' })];
    await gateway.apply({ ...proxyTo(upstream.url, { route: { policies } }), consumers });
    assert.equal((await send(bearer(good))).status, 200);
    assert.deepEqual(fieldValues((await upstream.request(1)).fields, 'x-consumer'), ['ann']);
    assert.equal(server.requests.length, 1);
  });

  it('keeps tokens and the client secret out of all logs', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'gatewright-introspection-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'access.log');
    const upstream = await RawUpstream.start(t);
    const server = await RawUpstream.start(t, { onRequest: authorise });
    const gateway = await TestGateway.open({
      ...proxyTo(upstream.url, {
        route: { policies: [asking(server.url, { header: 'x-tok', query: 'at', cookie: 'c' })] },
      }),
      consumers,
      telemetry: { accessLog: { file, redact: [], headers: ['x-tok', 'cookie', 'referer'] } },
    });
    const client = await RawClient.connect(t, gateway.address());
    const requests = [good, `${good}0`].flatMap((token) => [
      `GET /?at=${token} HTTP/1.1\r\nhost: x\r\nreferer: http://x/?at=${token}\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: x\r\nx-tok: ${token}\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: x\r\ncookie: c=${token}\r\n\r\n`,
    ]);
    for (const request of requests) await client.write(request).response();
    server.stop();
    await client.write(`GET /?at=${good}1 HTTP/1.1\r\nhost: x\r\n\r\n`).response();
    await gateway.gateway.stop(0);
    const log = await readFile(file, 'utf8');
    assert.equal(log.trimEnd().split('\n').length, requests.length + 1);
    assert.doesNotMatch(log + JSON.stringify(gateway.log), /CANARY/);
  });

  it('asks only a server that the named authority vouches for', async (t) => {
    const files = makeTlsFiles(t);
    const server = createServer({ cert: files.certPem, key: files.keyPem }, (_, response) => {
      response.end('{"active":true,"sub":"ann"}');
    });
    server.on('tlsClientError', () => {});
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close().closeAllConnections());
    const upstream = await RawUpstream.start(t);
    for (const [tls, status] of [
      [{ ca: files.cert }, 200],
      [{ ca: files.certPem }, 200],
      [{}, 503],
    ] as const) {
      const policies = [asking(`https://localhost:${(server.address() as AddressInfo).port}`, { tls })];
      const gateway = await TestGateway.start(t, proxyTo(upstream.url, { route: { policies } }));
      const client = await RawClient.connect(t, gateway.address());
      assert.equal((await client.write(`GET / HTTP/1.1\r\nhost: x\r\n${bearer(good)}\r\n`).response()).status, status);
    }
  });
});
