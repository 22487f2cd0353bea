/** Keys of consumers of every kind, and what must not be made of them; by the policy alone and on several threads. */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { suite, test } from 'node:test';
import type { ConsumerDirectory, Policy, Reply, SharedMemory, SigningKey } from '../../../src/contract.ts';
import { messageSignature } from '../../../src/policies/authentication/message-signature.ts';
import { FakeEnv, FakeExchange, createPolicy } from '../../support/fake-exchange.ts';
import { proxyTo } from '../../support/gateway.ts';
import { request } from '../../support/raw-client.ts';
import { RawUpstream } from '../../support/raw-upstream.ts';
import { TestThreads } from '../../support/threaded.ts';

const pairs = {
  ed25519: generateKeyPairSync('ed25519'),
  'ecdsa-p256-sha256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'ecdsa-p384-sha384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'rsa-v1_5-sha256': generateKeyPairSync('rsa', { modulusLength: 2048 }),
};
type Algorithm = keyof typeof pairs;
const hashes: Readonly<Record<Algorithm, string | null>> = {
  ed25519: null,
  'ecdsa-p256-sha256': 'sha256',
  'ecdsa-p384-sha384': 'sha384',
  'rsa-v1_5-sha256': 'sha256',
};

class OneKey extends FakeEnv {
  readonly seen = new Set<string>();
  used = 0;
  override readonly consumers: FakeEnv['consumers'];

  constructor(key: Partial<SigningKey> & Pick<SigningKey, 'algorithm' | 'key'>) {
    super();
    const whole: SigningKey = {
      consumer: Object.freeze({ name: 'partner', groups: [] }),
      keyId: 'key-1',
      label: '',
      expiresAt: Infinity,
      used: () => void this.used++,
      ...key,
    };
    const directory: Pick<ConsumerDirectory, 'bySigningKey'> = {
      bySigningKey: (keyId) => (keyId === whole.keyId ? whole : undefined),
    };
    this.consumers = directory as FakeEnv['consumers'];
  }

  override sharedMemory(): never {
    const memory: SharedMemory = {
      add: (text) => this.seen.size !== this.seen.add(text).size,
      has: (text) => this.seen.has(text),
    };
    return memory as never;
  }
}

const publicPem = (algorithm: Algorithm): string => pairs[algorithm].publicKey.export({ type: 'spki', format: 'pem' });

/** What is signed of `GET /` at `api.example.com`. */
function baseAt(env: FakeEnv): { readonly input: string; readonly base: Buffer } {
  const created = Math.floor(env.wallNow() / 1000);
  const input = `("@method" "@authority" "@path" "@query");created=${created};keyid="key-1"`;
  const lines = ['"@method": GET', '"@authority": api.example.com', '"@path": /', '"@query": ?'];
  return { input, base: Buffer.from([...lines, `"@signature-params": ${input}`].join('\n')) };
}

function signatureOf(algorithm: Algorithm, base: Buffer): Buffer {
  return sign(hashes[algorithm], base, { key: pairs[algorithm].privateKey, dsaEncoding: 'ieee-p1363' });
}

function exchangeWith(input: string, signature: Buffer, more: Record<string, string> = {}): FakeExchange {
  const fields = { 'signature-input': `s=${input}`, signature: `s=:${signature.toString('base64')}:`, ...more };
  return new FakeExchange({ headers: fields });
}

async function reasonOf(policy: Policy, exchange: FakeExchange): Promise<string> {
  const reply = (await policy.onRequest?.(exchange)) as Reply | undefined;
  return reply?.reason ?? '';
}

suite('public keys of consumers', () => {
  for (const algorithm of Object.keys(pairs) as Algorithm[]) {
    test(`${algorithm}: who has the private one is the consumer, and nobody with another`, async () => {
      const env = new OneKey({ algorithm, key: publicPem(algorithm) });
      const policy = createPolicy(messageSignature, {}, env);
      const { input, base } = baseAt(env);
      const exchange = exchangeWith(input, signatureOf(algorithm, base));
      assert.equal(await reasonOf(policy, exchange), '');
      assert.equal(exchange.consumer?.name, 'partner');
      assert.equal(env.used, 1);
      for (const other of Object.keys(pairs) as Algorithm[]) {
        if (other === algorithm) continue;
        assert.match(await reasonOf(policy, exchangeWith(input, signatureOf(other, base))), /does not hold/);
      }
      // The classic: the public key, which everybody knows, as the secret of an HMAC (CVE-2015-9235).
      const forged = createHmac('sha256', publicPem(algorithm)).update(base).digest();
      assert.match(await reasonOf(policy, exchangeWith(input, forged)), /does not hold/);
      const asked = exchangeWith(`${input};alg="hmac-sha256"`, forged);
      assert.match(await reasonOf(policy, asked), /algorithm is not the one of the key/);
      assert.equal(env.used, 1);
    });
  }

  test('the other signature that ECDSA has for the same is a replay as well', async () => {
    const n = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
    const env = new OneKey({ algorithm: 'ecdsa-p256-sha256', key: publicPem('ecdsa-p256-sha256') });
    const policy = createPolicy(messageSignature, {}, env);
    const { input, base } = baseAt(env);
    const signature = signatureOf('ecdsa-p256-sha256', base);
    const s = n - BigInt(`0x${signature.subarray(32).toString('hex')}`);
    const other = Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
    assert.equal(await reasonOf(policy, exchangeWith(input, signature)), '');
    assert.match(await reasonOf(policy, exchangeWith(input, other)), /used before/);
  });

  test('one that has expired, or is none, is refused; the second is told once', async () => {
    const algorithm = 'ed25519';
    const expired = new OneKey({ algorithm, key: publicPem(algorithm), expiresAt: 1_700_000_000_000 });
    const { input, base } = baseAt(expired);
    const exchange = () => exchangeWith(input, signatureOf(algorithm, base));
    assert.match(await reasonOf(createPolicy(messageSignature, {}, expired), exchange()), /expired/);
    for (const broken of [
      { algorithm, key: 'canary' },
      { algorithm: 'none', key: publicPem(algorithm) },
      { algorithm: 'hmac-sha256', key: publicPem(algorithm) },
      { algorithm: 'hmac-sha256', key: 'base64:canary' },
    ]) {
      const env = new OneKey(broken);
      const policy = createPolicy(messageSignature, {}, env);
      assert.match(await reasonOf(policy, exchange()), /not usable/);
      assert.match(await reasonOf(policy, exchange()), /not usable/);
      assert.equal(env.warnings.length, 1);
      assert.match(env.warnings[0], /^the signing key key-1 of partner is not usable: /);
      assert.doesNotMatch(env.warnings[0], /canary/);
    }
  });

  test('a body that nobody has kept for it does not pass for none', async () => {
    const algorithm = 'ed25519';
    const env = new OneKey({ algorithm, key: publicPem(algorithm) });
    const policy = createPolicy(messageSignature, {}, env);
    const { input, base } = baseAt(env);
    for (const framing of [{ 'content-length': '5' }, { 'transfer-encoding': 'chunked' }]) {
      const exchange = exchangeWith(input, signatureOf(algorithm, base), framing);
      assert.match(await reasonOf(policy, exchange), /not there to be verified/);
    }
    assert.equal(policy.buffersRequest, 1_048_576);
  });
});

test('of many threads one takes a signature, once', async (t) => {
  const upstream = await RawUpstream.start(t);
  const secret = 'a shared secret that is long enough';
  const threads = await TestThreads.start(t, {
    ...proxyTo(upstream.url, { route: { policies: ['messageSignature'] } }),
    consumers: { partner: { hmac: { keyId: 'key-1', secret } } },
    threads: 2,
  });
  const { input, base } = baseAt({ wallNow: () => Date.now() } as FakeEnv);
  const mac = createHmac('sha256', secret).update(base).digest('base64');
  const text = `GET / HTTP/1.1\r\nhost: api.example.com\r\nsignature-input: s=${input}\r\nsignature: s=:${mac}:\r\nconnection: close\r\n\r\n`;
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async () => (await request(t, threads.address(), text)).status),
  );
  assert.deepEqual(
    statuses.toSorted((a, b) => a - b),
    [200, ...Array.from({ length: 19 }, () => 401)],
  );
  assert.equal(upstream.requests.length, 1);
});
