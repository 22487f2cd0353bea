/** Limits in a store that is reached by TLS: who is believed to be the store, and what becomes of requests if it is not. */
import assert from 'node:assert/strict';
import { type TestContext, suite, test } from 'node:test';
import { eventually } from '../support/changes.ts';
import { makeCertificate } from '../support/certificates.ts';
import { TestGateway } from '../support/gateway.ts';
import { unlessInstalled } from '../support/needed-programs.ts';
import { makeAuthority, startTlsRedis } from '../support/redis-tls.ts';
import { ask } from '../support/threaded.ts';

interface Wanted {
  readonly url: string;
  readonly tls?: object;
  readonly limit?: object;
}

async function startOne(t: TestContext, { url, tls = {}, limit = {} }: Wanted) {
  const gateway = await TestGateway.start(t, {
    telemetry: { accessLog: false },
    listeners: { web: { host: '127.0.0.1', port: 0 } },
    stores: { shared: { type: 'redis', url, timeout: '2s', tls } },
    routes: {
      all: {
        policies: [{ rateLimit: { rate: '3/1h', by: 'route', store: 'shared', ...limit } }],
        respond: { body: 'hello' },
      },
    },
  });
  const statuses = async (count: number): Promise<number[]> => {
    const seen = [];
    for (let i = 0; i < count; i++) seen.push((await ask(gateway.address())).status);
    return seen;
  };
  const totals = async () => (await gateway.gateway.status()).limits;
  const told = (): string[] => gateway.log.filter(({ level }) => level === 'warn').map(({ message }) => message);
  return { statuses, totals, told };
}

suite('a limit in a store that is reached by TLS', { skip: unlessInstalled('redis-server') }, () => {
  for (const mode of ['exact', 'lease']) {
    test(`is counted there: ${mode}`, async (t) => {
      const { server, port, ca } = await startTlsRedis(t);
      const url = `rediss://localhost:${port}`;
      const { statuses, totals, told } = await startOne(t, { url, tls: { ca }, limit: { mode } });
      assert.deepEqual(await statuses(4), [200, 200, 200, 429]);
      const { askedOfStores, storeFailures } = await totals();
      assert.ok(askedOfStores > 0);
      assert.equal(storeFailures, 0);
      assert.notEqual(await server.ask('DBSIZE'), ':0\r\n');
      assert.deepEqual(told(), []);
    });
  }

  test('is not where an unknown authority vouches for it: it is counted here, and the log says why', async (t) => {
    const { server, port } = await startTlsRedis(t);
    const { statuses, totals, told } = await startOne(t, {
      url: `rediss://127.0.0.1:${port}`,
      tls: { ca: makeAuthority('another').cert },
    });
    assert.deepEqual(await statuses(4), [200, 200, 200, 429]);
    const { askedOfStores, decidedLocally } = await totals();
    assert.deepEqual([askedOfStores, decidedLocally], [0, 4]);
    assert.equal(await server.ask('DBSIZE'), ':0\r\n');
    assert.equal(told().length, 1, told().join('\n'));
    assert.match(told()[0], /^the store cannot be reached: its certificate is not trusted \([A-Z_]+\); see `tls\.ca`$/);
  });

  test('is not trusted by the authorities of the system alone', async (t) => {
    const { port } = await startTlsRedis(t);
    const limit = { onStoreFailure: 'closed' };
    const { statuses, told } = await startOne(t, { url: `rediss://127.0.0.1:${port}`, limit });
    assert.deepEqual(await statuses(2), [503, 503]);
    assert.match(told().join('\n'), /its certificate is not trusted/);
  });

  test('is not where its certificate is for another name, unless that name is the one to be asked for', async (t) => {
    const { port, ca } = await startTlsRedis(t, { altNames: ['DNS:redis.internal'] });
    for (const host of ['127.0.0.1', 'localhost']) {
      const url = `rediss://${host}:${port}`;
      const refused = await startOne(t, { url, tls: { ca }, limit: { onStoreFailure: 'closed' } });
      assert.deepEqual(await refused.statuses(2), [503, 503]);
      assert.match(refused.told().join('\n'), /its certificate is for another name \(\w+\); see `tls\.serverName`$/);
    }
    const { statuses, totals } = await startOne(t, {
      url: `rediss://127.0.0.1:${port}`,
      tls: { ca, serverName: 'redis.internal' },
    });
    assert.deepEqual(await statuses(4), [200, 200, 200, 429]);
    assert.equal((await totals()).decidedLocally, 0);
  });

  test('is presented a certificate where it asks for one', async (t) => {
    const { port, ca, authority } = await startTlsRedis(t, { asksClients: true });
    const url = `rediss://127.0.0.1:${port}`;
    const limit = { onStoreFailure: 'closed' };
    const nobody = await startOne(t, { url, tls: { ca }, limit });
    assert.deepEqual(await nobody.statuses(2), [503, 503]);
    assert.match(nobody.told().join('\n'), /cannot be reached: .*CERTIFICATE_REQUIRED/);
    const { cert, key } = makeCertificate({ commonName: 'gateway', issuer: authority });
    const env = await startOne(t, { url, tls: { ca, cert, key }, limit });
    assert.deepEqual(await env.statuses(4), [200, 200, 200, 429]);
    assert.ok(!env.told().join('\n').includes('PRIVATE KEY'));
  });

  test('is not read by a server that does without', async (t) => {
    const { server, ca } = await startTlsRedis(t);
    const limit = { onStoreFailure: 'closed' };
    const url = `rediss://127.0.0.1:${server.port}`;
    const { statuses, told } = await startOne(t, { url, tls: { ca }, limit });
    assert.deepEqual(await statuses(2), [503, 503]);
    await eventually(() => told().length === 1, 'the problem to be told');
    assert.match(told()[0], /the store cannot be reached/);
  });
});
