/** SECURITY.md, section B, at real sockets: nobody else can say who calls. Each test names the row that it holds. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, describe, it } from 'node:test';
import { type ProxySettings, TestGateway, proxyTo } from '../support/gateway.ts';
import { headerPolicy } from '../support/header-policy.ts';
import { policyOf } from '../support/inline-policy.ts';
import { fieldValues } from '../support/message-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

describe('what a client says of who calls, beside a policy that authenticates', () => {
  const key = 'CANARY-0123456789abcdef';
  const hash = `sha256:${createHash('sha256').update(key).digest('hex')}`;
  const callers: readonly string[] = [
    'x-consumer',
    'x-consumer-groups',
    'x-consumer-username',
    'x-consumer-custom-id',
    'x-credential-identifier',
    'x-authenticated-userid',
    'x-authenticated-groups',
    'x-userinfo',
    'remote-user',
    'x-remote-user',
  ];
  const spoofed = callers.map((name) => `${name}: evil\r\n`).join('');
  const withKey = `x-api-key: ${key}\r\n`;

  async function startWith(t: TestContext, policies: NonNullable<ProxySettings['route']>['policies'], listener = {}) {
    const upstream = await RawUpstream.start(t);
    const consumers = { ann: { groups: ['gold'], apiKeys: [{ hash }] }, lone: {} };
    const gateway = await TestGateway.start(
      t,
      { ...proxyTo(upstream.url, { listener, route: { policies } }), consumers },
      { modules: { './genuine.ts': headerPolicy('genuine', { consumer: null }), './naming.ts': naming } },
    );
    const client = await RawClient.connect(t, gateway.address());
    const forward = async (fields: string) => {
      const index = upstream.requests.length;
      client.write(`GET / HTTP/1.1\r\nhost: api.example.com\r\n${fields}\r\n`);
      const { status } = await client.response();
      return { status, fields: status === 200 ? (await upstream.request(index)).fields : [] };
    };
    return { upstream, client, forward };
  }

  const naming = policyOf({
    onRequest(exchange) {
      exchange.consumer = { name: 'ann', groups: [] };
    },
  });
  const setting = { headers: { request: { set: { 'x-tenant': 'acme' } } } };
  const believing = { trustedProxies: ['127.0.0.0/8'] };

  for (const [who, listener] of [
    ['anybody', {}],
    ['a trusted proxy', believing],
  ] as const) {
    it(`GHSA-7r4p-vjf4-gxv4: is taken away before the gateway says who calls, from ${who}`, async (t) => {
      const { forward } = await startWith(t, [{ apiKey: {} }], listener);
      const { fields } = await forward(spoofed + withKey);
      assert.deepEqual(fieldValues(fields, 'x-consumer'), ['ann']);
      assert.deepEqual(fieldValues(fields, 'x-consumer-groups'), ['gold']);
      assert.doesNotMatch(JSON.stringify(fields), /evil|CANARY/);
    });

    it(`GHSA-7r4p-vjf4-gxv4: is taken away also where the gateway has nothing to say instead, from ${who}`, async (t) => {
      const { forward } = await startWith(t, [{ anyOf: ['apiKey', { use: './genuine.ts' }] }], listener);
      const { status, fields } = await forward(`${spoofed}x-genuine: valid\r\n`);
      assert.equal(status, 200);
      for (const name of callers) assert.deepEqual(fieldValues(fields, name), [], name);
      assert.doesNotMatch(JSON.stringify(fields), /evil/);
    });
  }

  it('GHSA-7r4p-vjf4-gxv4: is no word of anybody who has not authenticated where nobody has to', async (t) => {
    const { forward } = await startWith(t, [{ apiKey: { optional: true } }]);
    const { status, fields } = await forward(spoofed);
    assert.equal(status, 200);
    assert.doesNotMatch(JSON.stringify(fields), /evil/);
  });

  it("GHSA-7r4p-vjf4-gxv4: is nobody's word either when a trusted proxy has passed it on for somebody unknown", async (t) => {
    const { forward } = await startWith(t, [{ apiKey: { optional: true } }], believing);
    const { status, fields } = await forward(spoofed);
    assert.equal(status, 200);
    assert.doesNotMatch(JSON.stringify(fields), /evil/);
  });

  it("GHSA-7r4p-vjf4-gxv4: does not stand beside what a policy of somebody's own says of who calls", async (t) => {
    const policies = [{ use: './naming.ts' }, { apiKey: { optional: true } }];
    const { forward } = await startWith(t, policies, believing);
    const { fields } = await forward(spoofed);
    assert.deepEqual(fieldValues(fields, 'x-consumer'), ['ann']);
    assert.doesNotMatch(JSON.stringify(fields), /evil/);
  });

  it('GHSA-f59h-q822-g45g: folds by an underscore onto nothing that a policy tells', async (t) => {
    const { forward } = await startWith(t, [{ use: './genuine.ts' }, setting], { limits: { underscores: 'keep' } });
    const { status, fields } = await forward(
      'x_told_by_genuine: evil\r\nX-Told_By-Genuine: evil\r\nx_tenant: evil\r\nx-genuine: valid\r\nx_other: kept\r\n',
    );
    assert.equal(status, 200);
    assert.doesNotMatch(JSON.stringify(fields), /evil/);
    assert.deepEqual(fieldValues(fields, 'x-told-by-genuine'), ['yes']);
    assert.deepEqual(fieldValues(fields, 'x-tenant'), ['acme']);
    assert.deepEqual(fieldValues(fields, 'x_other'), ['kept']);
  });

  it('CVE-2025-12642: does not come behind the body, in trailers that no policy has seen', async (t) => {
    const { upstream, client } = await startWith(t, [{ use: './genuine.ts' }]);
    const body = `10000\r\n${'x'.repeat(65_536)}\r\n0\r\nx-told-by-genuine: evil\r\nx-other: evil\r\n\r\n`;
    client.write(`POST / HTTP/1.1\r\nhost: x\r\nx-genuine: valid\r\ntransfer-encoding: chunked\r\n\r\n${body}`);
    assert.equal((await client.response()).status, 200);
    const { framing, trailers } = await upstream.request();
    assert.deepEqual([framing, trailers], ['chunked', []]);
    assert.doesNotMatch(upstream.bytes, /evil/);
  });

  it('CVE-2024-45410: `Connection` takes nothing away of what the gateway says of who calls', async (t) => {
    const { forward } = await startWith(t, [{ apiKey: {} }]);
    const names = callers.flatMap((name) => [name, name.toUpperCase()]).join(', ');
    const { fields } = await forward(`Connection: ${names}\r\n${spoofed}${withKey}`);
    assert.deepEqual(fieldValues(fields, 'x-consumer'), ['ann']);
    assert.deepEqual(fieldValues(fields, 'x-consumer-groups'), ['gold']);
    assert.doesNotMatch(JSON.stringify(fields), /evil/);
  });

  it('CVE-2024-45410: `Connection` takes no credential out of what is verified, nor past what conceals it', async (t) => {
    const { upstream, forward } = await startWith(t, [{ apiKey: {} }]);
    for (const fields of [`Connection: x-api-key\r\n${withKey}`, `${withKey}Connection: close, X-Api-Key\r\n`]) {
      const { status } = await forward(fields);
      assert.ok(status === 200 || status === 401, String(status));
    }
    assert.doesNotMatch(upstream.bytes, /CANARY/);
  });

  it('GHSA-f59h-q822-g45g: folds onto none of its names by an underscore, even where those are kept', async (t) => {
    for (const listener of [
      {},
      { limits: { underscores: 'keep' } },
      { ...believing, limits: { underscores: 'keep' } },
    ] as const) {
      const { forward } = await startWith(t, [{ apiKey: {} }], listener);
      const variants = callers.flatMap((name) => [name.replace('-', '_'), name.replaceAll('-', '_')]);
      const { fields } = await forward(variants.map((name) => `${name}: evil\r\n`).join('') + withKey);
      assert.doesNotMatch(JSON.stringify(fields), /evil/);
      assert.deepEqual(fieldValues(fields, 'x-consumer'), ['ann']);
    }
  });
});
