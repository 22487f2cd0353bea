/** Certificates of a running gateway, whose files change. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { connect } from 'node:tls';
import { makeCertificate } from '../support/certificates.ts';
import { eventually } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestGateway, proxyTo } from '../support/gateway.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

/** The common name of the certificate that a client is shown who asks for this host. */
async function commonNameFor(t: TestContext, gateway: TestGateway, servername: string): Promise<string> {
  const { port } = new URL(gateway.url());
  const socket = connect({ host: '127.0.0.1', port: Number(port), servername, rejectUnauthorized: false });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}

describe('a certificate that could not be used at the start', () => {
  it('does not keep the others from serving, and is served once its file is corrected', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'gatewright-certificates-'));
    t.after(() => rm(folder, { recursive: true }));
    const write = async (name: string, cert: string, key: string) => {
      const files = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
      await writeFile(files.cert, cert);
      await writeFile(files.key, key);
      return files;
    };
    const [a, b] = ['a.example', 'b.example'].map((name) =>
      makeCertificate({ commonName: name, altNames: [`DNS:${name}`] }),
    );
    // The bad one comes first, where the default of the listener is.
    const certificates = [await write('b', 'damaged', b.key), await write('a', a.cert, a.key)];
    const upstream = await RawUpstream.start(t);
    const clock = new FakeClock(Date.now());
    const gateway = await TestGateway.start(t, proxyTo(upstream.url, { listener: { tls: { certificates } } }), {
      clock,
    });
    assert.equal(await commonNameFor(t, gateway, 'a.example'), 'a.example');
    assert.equal(await commonNameFor(t, gateway, 'b.example'), 'a.example');
    assert.deepEqual(
      gateway.log.filter(({ level }) => level === 'error').map(({ level, about }) => [level, about['file']]),
      [['error', certificates[0].cert]],
    );

    await write('b', b.cert, b.key);
    let shown = '';
    for (let looks = 0; looks < 100 && shown !== 'b.example'; looks++) {
      clock.advance(2000);
      shown = await commonNameFor(t, gateway, 'b.example');
    }
    assert.equal(shown, 'b.example');
    assert.equal(await commonNameFor(t, gateway, 'a.example'), 'a.example');
  });
});

it('a client that fails to shake hands is in the log of the gateway, with why', async (t) => {
  const { cert, key } = makeCertificate({ commonName: 'a.example', altNames: ['DNS:a.example'] });
  const gateway = await TestGateway.start(
    t,
    proxyTo('http://127.0.0.1:1', { listener: { tls: { certificates: [{ cert, key }] } } }),
  );
  const client = await RawClient.connect(t, gateway.address());
  client.write('GET / HTTP/1.1\r\nhost: a.example\r\n\r\n');
  await client.untilEnded();
  await eventually(() => gateway.log.length > 0, 'a line in the log');
  const [{ level, message, about }] = gateway.log;
  assert.deepEqual(
    [level, message, about['listener'], about['code'], about['client']],
    ['info', 'a TLS handshake failed', 'web', 'ERR_SSL_HTTP_REQUEST', '127.0.0.1'],
  );
});
