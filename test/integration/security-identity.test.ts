/** SECURITY.md, section B, at real sockets: nobody else can say who the client is. Each test names the row that it holds. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import type { Policy } from '../../src/contract.ts';
import { type ProxySettings, TestGateway, proxyTo } from '../support/gateway.ts';
import { policyOf } from '../support/inline-policy.ts';
import { fieldValue, fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

async function start(t: TestContext, settings: ProxySettings = {}, hooks?: Policy) {
  const upstream = await RawUpstream.start(t);
  const policies = hooks === undefined ? [] : [{ use: './hooks.ts' }];
  const config = proxyTo(upstream.url, { ...settings, route: { policies, ...settings.route } });
  const gateway = await TestGateway.start(
    t,
    config,
    hooks === undefined ? {} : { modules: { './hooks.ts': policyOf(hooks) } },
  );
  const client = await RawClient.connect(t, gateway.address());
  /** The fields that the upstream got for a request with these. */
  const forward = async (fields: string) => {
    const index = upstream.requests.length;
    client.write(`GET / HTTP/1.1\r\nhost: api.example.com\r\n${fields}\r\n`);
    await client.response();
    return (await upstream.request(index)).fields;
  };
  return { upstream, gateway, client, forward };
}

/** What the gateway itself says of a client on loopback that asked for `api.example.com`. */
const ownFields = {
  'x-forwarded-for': '127.0.0.1',
  'x-forwarded-proto': 'http',
  'x-forwarded-host': 'api.example.com',
  'x-forwarded-port': '80',
  forwarded: 'for=127.0.0.1;host=api.example.com;proto=http;by=_gatewright',
};

const claims: readonly (readonly [name: string, value: string])[] = [
  ['X-Forwarded-For', '6.6.6.6'],
  ['X-Forwarded-Proto', 'https'],
  ['X-Forwarded-Host', 'evil.example'],
  ['X-Forwarded-Port', '443'],
  ['X-Forwarded-Server', 'evil.example'],
  ['X-Forwarded-Prefix', '/evil'],
  ['Forwarded', 'for=6.6.6.6'],
  ['X-Real-IP', '6.6.6.6'],
  ['X-Client-IP', '6.6.6.6'],
  ['True-Client-IP', '6.6.6.6'],
  ['CF-Connecting-IP', '6.6.6.6'],
  ['X-Authenticated-Userid', 'evil'],
  ['X-Credential-Identifier', 'evil'],
  ['X-Consumer', 'evil'],
  ['X-Consumer-Username', 'evil'],
  ['X-Userinfo', 'evil'],
  ['X-Envoy-Original-Path', '/public'],
  ['X-Envoy-Internal', 'true'],
  ['Remote-User', 'evil'],
  ['X-Original-URL', '/evil'],
  ['Proxy', 'http://evil.example'],
];

describe('what a client says about itself', () => {
  it('CVE-2024-45806, GHSA-7r4p-vjf4-gxv4, CVE-2023-27487: is removed before the gateway says what is true', async (t) => {
    const { forward } = await start(t);
    for (const spelling of [(name: string) => name, (name: string) => name.toUpperCase()]) {
      const fields = await forward(claims.map(([name, value]) => `${spelling(name)}: ${value}\r\n`).join(''));
      for (const [name] of claims) {
        const expected = ownFields[name.toLowerCase() as keyof typeof ownFields];
        assert.deepEqual(fieldValues(fields, name.toLowerCase()), expected === undefined ? [] : [expected], name);
      }
      assert.doesNotMatch(JSON.stringify(fields), /evil|6\.6\.6\.6/);
    }
  });

  it("CVE-2024-45410: `Connection` takes none of the gateway's own fields away", async (t) => {
    const { forward } = await start(t);
    const fields = await forward(
      `Connection: keep-alive, ${Object.keys(ownFields).join(', ')}, via, x-consumer, x-mine\r\nX-Mine: 1\r\nX-Consumer: evil\r\n`,
    );
    for (const [name, value] of Object.entries(ownFields)) assert.equal(fieldValue(fields, name), value);
    assert.equal(fieldValue(fields, 'via'), '1.1 gatewright');
    assert.deepEqual([fieldValues(fields, 'x-mine'), fieldValues(fields, 'x-consumer')], [[], []]);
  });

  it('CVE-2024-45410: `Connection` takes nothing away that a policy has set', async (t) => {
    const { forward } = await start(
      t,
      {},
      { onRequest: ({ requestHeaders }) => requestHeaders.set('x-tenant', 'acme') },
    );
    const fields = await forward('Connection: x-tenant\r\nX-Tenant: evil\r\n');
    assert.deepEqual(fieldValues(fields, 'x-tenant'), ['acme']);
  });

  it('GHSA-f59h-q822-g45g: names with underscores are dropped, so none can fold onto a guarded one', async (t) => {
    const { forward } = await start(t);
    const fields = await forward(
      'Remote_User: evil\r\nX_Forwarded_For: 6.6.6.6\r\nX-Consumer_Username: evil\r\nContent_Length: 5\r\n',
    );
    assert.doesNotMatch(JSON.stringify(fields), /_(?!gatewright)|evil|6\.6\.6\.6/);
  });

  it('names with underscores are kept where the listener says so, but guarded ones never', async (t) => {
    const { forward } = await start(t, { listener: { limits: { underscores: 'keep' } } });
    const fields = await forward('X_Mine: 1\r\nX-Consumer_Username: evil\r\n');
    assert.equal(fieldValue(fields, 'x_mine'), '1');
    assert.doesNotMatch(JSON.stringify(fields), /evil/);
  });

  it('CVE-2022-24112: requests that were sent ahead have the same peer as the first', async (t) => {
    const { client, upstream } = await start(t);
    const one = 'GET / HTTP/1.1\r\nhost: api.example.com\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n';
    client.write(one + one + one);
    for (let i = 0; i < 3; i++) await client.response();
    for (const { fields } of upstream.requests) {
      assert.equal(fieldValue(fields, 'x-forwarded-for'), '127.0.0.1');
      assert.deepEqual(fieldValues(fields, 'x-real-ip'), []);
    }
  });

  it('is believed when it comes from a trusted proxy', async (t) => {
    const { forward } = await start(t, { listener: { trustedProxies: ['127.0.0.0/8'] } });
    const fields = await forward('X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 192.0.2.9\r\n');
    assert.equal(fieldValue(fields, 'x-forwarded-for'), '192.0.2.9, 127.0.0.1');
    assert.equal(fieldValue(fields, 'x-forwarded-proto'), 'https');
    assert.equal(fieldValue(fields, 'x-real-ip'), '192.0.2.9');
  });
});

interface SpoofedCase {
  readonly name: string;
  readonly must: string;
  readonly headers?: Readonly<Record<string, string>>;
}

describe("headers that were made to pass for the gateway's", () => {
  const cases = readFileSync(new URL('../corpora/request-targets.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as SpoofedCase)
    .filter(({ must }) => must === 'strip-or-literal');

  for (const { name, headers: spoofed = {} } of cases) {
    it(`do not arrive: ${name}`, async (t) => {
      const { forward } = await start(t);
      // The address of the client of this test would be no lie.
      const headers = Object.fromEntries(
        Object.entries(spoofed).map(([field, value]) => [field, value.replace('127.0.0.1', '6.6.6.6')]),
      );
      const fields = await forward(
        Object.entries(headers)
          .map(([field, value]) => `${field}: ${value}\r\n`)
          .join(''),
      );
      for (const [field, value] of Object.entries(headers)) {
        const fold = (text: string): string => text.toLowerCase().replaceAll('_', '-');
        const arrived = fields.filter(([found]) => fold(found) === fold(field)).map(([, found]) => found);
        assert.ok(!arrived.includes(value), `${field}: ${arrived.join()}`);
      }
      for (const [field, value] of Object.entries(ownFields)) assert.equal(fieldValue(fields, field), value);
    });
  }
});

describe('a policy', () => {
  for (const value of ['a\r\nx-evil: 1', 'a\nx-evil: 1', 'a\0', '\u{10d0a}']) {
    it(`CVE-2026-31908, CVE-2023-27491: cannot copy ${JSON.stringify(value)} into a header`, async (t) => {
      const { client, upstream, gateway } = await start(
        t,
        {},
        { onRequest: ({ requestHeaders }) => requestHeaders.set('x-copied', value) },
      );
      client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
      assert.equal((await client.response()).status, 500);
      assert.equal((await gateway.observation()).code, 'POLICY_FAILED');
      assert.equal(upstream.bytes, '');
    });
  }

  it('CVE-2023-27488: lets nothing through when it fails', async (t) => {
    const failures: readonly Policy[] = [
      {
        onRequest: () => {
          throw new Error('broken');
        },
      },
      { onRequest: () => Promise.reject(new Error('broken')) },
      {
        onUpstreamRequest: () => {
          throw new Error('broken');
        },
      },
      { onUpstreamRequest: () => Promise.reject(new Error('broken')) },
    ];
    for (const hooks of failures) {
      const { client, upstream, gateway } = await start(t, {}, hooks);
      client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
      const response = await client.response();
      assert.equal(response.status, 500);
      assert.doesNotMatch(response.body, /broken/, 'the client is not told why');
      assert.equal(upstream.bytes, '');
      assert.match(JSON.stringify(gateway.log), /a policy failed/);
    }
  });

  it('CVE-2023-27488: keeps a response back when it fails on it', async (t) => {
    for (const hook of [
      () => {
        throw new Error('broken');
      },
      () => Promise.reject(new Error('broken')),
    ]) {
      const { client } = await start(t, {}, { onResponse: hook });
      client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
      const response = await client.response();
      assert.equal(response.status, 500);
      assert.doesNotMatch(response.body, /^ok$/);
      // The connection is in a known state.
      client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
      assert.equal((await client.response()).status, 500);
    }
  });
});

describe('secrets', () => {
  it('CVE-2022-29266: what a client is told of a failure is constant', async (t) => {
    const { gateway } = await start(t);
    const canary = 'canary-4711';
    const bodies = new Set<string>();
    for (const request of [
      `GET /${canary} HTTP/1.1\r\nhost: ${canary} \0\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: localhost\r\nauthorization: ${canary}\x01\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: localhost\r\n${canary} : x\r\n\r\n`,
      `POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n${canary}\r\n`,
    ]) {
      const client = await RawClient.connect(t, gateway.address());
      const response = await client.write(request).response();
      assert.equal(response.status, 400);
      bodies.add(response.body);
    }
    assert.equal(bodies.size, 1);
    assert.doesNotMatch([...bodies].join(), new RegExp(canary));
  });

  it('CVE-2025-62232: credentials are in no log, whatever becomes of the request', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'gatewright-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'access.log');
    const canary = 'canary-4711';
    const secret = `authorization: Bearer ${canary}\r\ncookie: session=${canary}\r\nproxy-authorization: ${canary}\r\n`;
    const upstream = await RawUpstream.start(t, {
      onRequest: ({ target }, connection) => (target === '/' ? connection.reset() : connection.end('junk')),
    });
    const gateway = await TestGateway.open({ ...proxyTo(upstream.url), telemetry: { accessLog: { file } } });
    const endings = [
      'GET /?token=canary-4711 HTTP/1.1',
      'GET /junk?a=1&token=canary-4711 HTTP/1.1',
      'GET /%00?token=canary-4711 HTTP/1.1',
    ];
    for (const line of endings) {
      const client = await RawClient.connect(t, gateway.address());
      client.write(`${line}\r\nhost: localhost\r\n${secret}\r\n`);
      assert.ok((await client.response()).status >= 400);
    }
    await gateway.gateway.stop(0);
    const log = await readFile(file, 'utf8');
    assert.equal(log.trim().split('\n').length, endings.length);
    assert.doesNotMatch(log + JSON.stringify(gateway.log), new RegExp(canary));
  });
});
