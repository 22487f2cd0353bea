import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createListenerTls } from '../../src/wire/tls/listener-tls.ts';
import { makeCertificate } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { greet, listen, pair, refused } from '../support/tls-listener.ts';

const dayMs = 24 * 60 * 60 * 1000;
const main = makeCertificate({ commonName: 'main', altNames: ['DNS:a.example'] });
const other = makeCertificate({ commonName: 'other', altNames: ['DNS:b.example'] });

describe('a TLS listener with client certificates', () => {
  const authority = makeCertificate({ commonName: 'clients', isAuthority: true });
  const client = makeCertificate({
    commonName: 'mobile, "x"',
    organization: 'Example',
    altNames: ['DNS:mobile.internal', 'URI:spiffe://x/y', 'IP:10.0.0.1', 'URI:spiffe://a, DNS:admin.internal'],
    issuer: authority,
  });
  const stranger = makeCertificate({ commonName: 'stranger' });
  const expired = makeCertificate({ issuer: authority, validTo: new Date(Date.now() - 1000) });
  const certificates = [pair(main), pair(other)];

  it('lets in only clients that the authority vouches for, whichever name they ask for', async (t) => {
    const { port } = await listen(t, { certificates, clientAuth: { ca: authority.cert, require: true } });
    for (const servername of ['a.example', 'b.example', '']) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        await refused(t, port, { servername, maxVersion });
        await refused(t, port, { servername, maxVersion, ...pair(stranger) });
        await refused(t, port, { servername, maxVersion, ...pair(expired) });
        assert.notEqual((await greet(t, port, { servername, maxVersion, ...pair(client) })).client, null);
      }
    }
  });

  it('tells who the client is', async (t) => {
    const { port } = await listen(t, { certificates, clientAuth: { ca: authority.cert, require: true } });
    const expected = {
      subject: 'CN=mobile\\, \\"x\\",O=Example',
      // The name with a comma stays one name (CVE-2021-44532).
      altNames: ['DNS:mobile.internal', 'URI:spiffe://x/y', 'IP:10.0.0.1', 'URI:spiffe://a, DNS:admin.internal'],
      fingerprint: createHash('sha256').update(client.der).digest('hex'),
    };
    const first = await greet(t, port, pair(client));
    assert.deepEqual(first.client, expected);
    const resumed = await greet(t, port, { ...pair(client), session: first.session });
    assert.equal(resumed.isResumed, true);
    assert.deepEqual(resumed.client, expected, 'a resumed session knows its client');
  });

  it('asks without requiring, and takes nobody for verified who is not', async (t) => {
    const { port } = await listen(t, { certificates, clientAuth: { ca: authority.cert, require: false } });
    assert.equal((await greet(t, port)).client, null);
    assert.equal((await greet(t, port, pair(stranger))).client, null);
    assert.equal((await greet(t, port, pair(expired))).client, null);
    assert.notEqual((await greet(t, port, pair(client))).client, null);
  });

  it('lets nobody in while the authorities cannot be read, and everybody out of the old ones once they change', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'gatewright-tls-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const ca = join(folder, 'clients.pem');
    const listener = await listen(t, { certificates, clientAuth: { ca, require: true } });
    assert.deepEqual(
      listener.problems.map(({ file }) => file),
      [ca],
    );
    await refused(t, listener.port, pair(client));
    await refused(t, listener.port, { servername: 'b.example', ...pair(client) });

    writeFileSync(ca, authority.cert);
    listener.filesChanged();
    const { session } = await greet(t, listener.port, pair(client));

    const successor = makeCertificate({ commonName: 'successor', isAuthority: true });
    writeFileSync(ca, 'garbage');
    listener.filesChanged();
    assert.equal((await greet(t, listener.port, pair(client))).commonName, 'main', 'the old authority stays');
    writeFileSync(ca, successor.cert);
    listener.filesChanged();
    await refused(t, listener.port, pair(client));
    await refused(t, listener.port, { ...pair(client), session });
  });

  it('reads all authorities of a bundle', async (t) => {
    const bundle = stranger.cert + authority.cert;
    const { port } = await listen(t, { certificates, clientAuth: { ca: bundle, require: true } });
    assert.notEqual((await greet(t, port, pair(client))).client, null);
  });
});

describe('session resumption', () => {
  const authority = makeCertificate({ commonName: 'clients', isAuthority: true });
  const client = makeCertificate({ issuer: authority });
  const ticketSecret = Buffer.alloc(32, 7);
  const certificates = [pair(main), pair(other)];
  const clientAuth = { ca: authority.cert, require: true };

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`on every thread that shares the secret, and after a certificate was renewed (${maxVersion})`, async (t) => {
      const first = await listen(t, { certificates, clientAuth }, { ticketSecret });
      const second = await listen(t, { certificates, clientAuth }, { ticketSecret });
      for (const servername of ['a.example', 'b.example']) {
        const options = { maxVersion, servername, ...pair(client) };
        const { session } = await greet(t, first.port, options);
        assert.equal((await greet(t, second.port, { ...options, session })).isResumed, true);
        second.filesChanged();
        assert.equal((await greet(t, second.port, { ...options, session })).isResumed, true);
      }
    });

    it(`never under other demands on clients: CVE-2022-21654 (${maxVersion})`, async (t) => {
      const rival = makeCertificate({ commonName: 'rival', isAuthority: true });
      const lax = await listen(t, { certificates, clientAuth: { ...clientAuth, require: false } }, { ticketSecret });
      const none = await listen(t, { certificates }, { ticketSecret });
      const strict = await listen(t, { certificates, clientAuth }, { ticketSecret });
      const moved = await listen(t, { certificates, clientAuth: { ca: rival.cert, require: true } }, { ticketSecret });
      for (const from of [lax, none]) {
        const { session } = await greet(t, from.port, { maxVersion });
        await refused(t, strict.port, { maxVersion, session });
      }
      const { session } = await greet(t, strict.port, { maxVersion, ...pair(client) });
      await refused(t, moved.port, { maxVersion, session, ...pair(client) });
      assert.equal((await greet(t, lax.port, { maxVersion, session, ...pair(client) })).isResumed, false);
    });

    it(`not with the keys of another day, nor without a common secret (${maxVersion})`, async (t) => {
      const listener = await listen(t, { certificates }, { ticketSecret });
      const { session } = await greet(t, listener.port, { maxVersion });
      const stranger = await listen(t, { certificates });
      assert.equal((await greet(t, stranger.port, { maxVersion, session })).isResumed, false);
      assert.equal((await greet(t, listener.port, { maxVersion, session })).isResumed, true);
      listener.clock.advance(dayMs);
      const next = await greet(t, listener.port, { maxVersion, session });
      assert.equal(next.isResumed, false);
      assert.equal((await greet(t, listener.port, { maxVersion, session: next.session })).isResumed, true);
    });
  }

  it('refuses a secret that could be guessed', () => {
    const env = { baseDir: '/', clock: new FakeClock(), report: () => {}, ticketSecret: Buffer.alloc(31) };
    assert.throws(() => createListenerTls({ certificates }, env), TypeError);
  });
});
