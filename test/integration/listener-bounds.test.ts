/** A listener lets go of every socket that it has accepted, however little the other side does. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { makeCertificate } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

async function certificateFiles(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'gatewright-listener-'));
  t.after(() => rm(folder, { recursive: true }));
  const { cert, key } = makeCertificate();
  const files = { cert: join(folder, 'site.pem'), key: join(folder, 'site.key') };
  await writeFile(files.cert, cert);
  await writeFile(files.key, key);
  return files;
}

describe('a client beyond the limit of connections', () => {
  it('is shown out when it does not leave after it was turned away', async (t) => {
    const upstream = await RawUpstream.start(t);
    const clock = new FakeClock();
    const config = proxyTo(upstream.url, { listener: { limits: { connections: 1 } } });
    const gateway = await TestGateway.start(t, config, { clock });
    const first = await RawClient.connect(t, gateway.address());
    first.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    assert.equal((await first.response()).status, 200);

    const second = await RawClient.connect(t, gateway.address());
    assert.equal((await second.response()).status, 503);
    assert.equal(second.closed, false, 'its own side is still open');
    clock.advance(3000);
    // Only now that the gateway has let go is what is written answered by a reset.
    for (let tries = 0; tries < 1000 && !second.closed; tries++) {
      second.write('x');
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(second.closed);
    first.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    assert.equal((await first.response()).status, 200);
  });
});

describe('a gateway that is stopped without grace', () => {
  for (const [what, settings] of [
    ['has not said on whose behalf it comes', { proxyProtocol: true }],
    ['has not begun its handshake', { tls: true }],
    ['has not begun its handshake behind the PROXY protocol', { proxyProtocol: true, tls: true }],
  ] as const) {
    it(`does not wait for a client that ${what}`, async (t) => {
      const tls = 'tls' in settings && { tls: { certificates: [await certificateFiles(t)] } };
      const listener = { ...('proxyProtocol' in settings && { proxyProtocol: true }), ...tls };
      // Time stands still, so only the stop can end the connection.
      const gateway = await TestGateway.start(t, proxyTo('http://127.0.0.1:1', { listener }), {
        clock: new FakeClock(),
      });
      const client = await RawClient.connect(t, gateway.address());
      if ('proxyProtocol' in settings && 'tls' in settings) client.write('PROXY UNKNOWN\r\n');
      await new Promise((resolve) => setImmediate(resolve));
      const begun = performance.now();
      await gateway.gateway.stop(0);
      assert.ok(performance.now() - begun < 5000, 'well before the time for a handshake is over');
      await client.untilEnded();
    });
  }
});
