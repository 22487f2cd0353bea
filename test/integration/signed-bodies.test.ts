/** messageSignature and the bodies of requests: whose are kept in memory, and what may change while they arrive. */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { type TestContext, describe, it } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { settle } from '../support/changes.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const secret = 'a shared secret that is long enough';
const key = 'an-api-key-that-is-long-enough';
const sha256 = (text: string, encoding: 'hex' | 'base64') => createHash('sha256').update(text).digest(encoding);
const consumers: ConfigInput['consumers'] = {
  mobile: { hmac: { keyId: 'mobile-1', secret } },
  web: { apiKeys: [{ hash: `sha256:${sha256(key, 'hex')}` }] },
};

type Policies = NonNullable<NonNullable<ConfigInput['routes']>[string]['policies']>;

async function start(t: TestContext, policies: Policies = [{ messageSignature: {} }]) {
  const upstream = await RawUpstream.start(t);
  const config: ConfigInput = { ...proxyTo(upstream.url, { route: { policies } }), consumers };
  const gateway = await TestGateway.start(t, config);
  const client = await RawClient.connect(t, gateway.address());
  const refuses = async (): Promise<void> => {
    assert.equal((await client.response()).status, 401);
    assert.equal(upstream.requests.length, 0);
  };
  return { upstream, gateway, config, client, refuses };
}

/** The fields of a signed POST with this body. */
function signatureFor(body: string): string {
  const digest = `sha-256=:${sha256(body, 'base64')}:`;
  const created = Math.floor(Date.now() / 1000);
  const input = `("@method" "@authority" "@path" "@query" "content-digest");created=${created};keyid="mobile-1"`;
  const base = [
    '"@method": POST',
    '"@authority": x',
    '"@path": /',
    '"@query": ?',
    `"content-digest": ${digest}`,
    `"@signature-params": ${input}`,
  ].join('\n');
  const mac = createHmac('sha256', secret).update(base, 'latin1').digest('base64');
  return `content-digest: ${digest}\r\nsignature-input: s=${input}\r\nsignature: s=:${mac}:\r\n`;
}

const head = (length: number, fields: string): string =>
  `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n${fields}\r\n`;

describe('the body of a request', () => {
  for (const [who, fields] of [
    ['has no signature', ''],
    ['has one of nobody', signatureFor('x').replace('mobile-1', 'mobile-2')],
    [
      'has one that does not hold',
      signatureFor('x').replace('content-digest: sha-256=:', 'content-digest: sha-256=:A'),
    ],
    ['has one that is none', 'signature-input: s\r\nsignature: s\r\n'],
  ] as const) {
    it(`is not waited for, and not kept, where it ${who}`, async (t) => {
      const { client, refuses } = await start(t);
      client.write(head(900_000, fields));
      await refuses();
    });
  }

  it('is that of the digest where the signature holds', async (t) => {
    const { client, upstream } = await start(t);
    const fields = signatureFor('the body');
    client.write(head(8, fields));
    await settle();
    client.write('the body');
    assert.equal((await client.response()).status, 200);
    assert.equal((await upstream.request()).body, 'the body');
    const [again, other] = ['the body', 'the b0dy'];
    for (const body of [again, other]) {
      client.write(`${head(8, fields)}${body}`);
      assert.equal((await client.response()).status, 401, body);
    }
  });

  it('does not keep alive a key that is taken back while it arrives', async (t) => {
    const { client, gateway, refuses } = await start(t);
    client.write(`${head(8, signatureFor('the body'))}the `);
    await settle();
    await gateway.gateway.changeConsumers({ isComplete: false, removed: ['mobile'], records: [] });
    client.write('body');
    await refuses();
  });

  it('may be as large as others like where another way in succeeds', async (t) => {
    const { client, upstream } = await start(t, [{ anyOf: ['apiKey', { messageSignature: { maxBody: '1KiB' } }] }]);
    client.write(`${head(5000, `x-api-key: ${key}\r\n`)}${'x'.repeat(5000)}`);
    assert.equal((await client.response()).status, 200);
    assert.equal((await upstream.request()).body.length, 5000);
  });
});
