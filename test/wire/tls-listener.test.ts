import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type Socket, connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeCertificate } from '../support/certificates.ts';
import { greet, listen, pair, refused } from '../support/tls-listener.ts';

const dayMs = 24 * 60 * 60 * 1000;

/** Reads and ignores whatever comes, until the connection is closed one way or another. */
function closing(socket: Socket): Promise<unknown> {
  socket.on('error', () => {});
  socket.resume();
  return new Promise((resolve) => socket.on('close', resolve));
}

describe('a TLS listener', () => {
  const main = makeCertificate({ commonName: 'main', altNames: ['DNS:a.example', 'DNS:*.Wild.example'] });
  const other = makeCertificate({ commonName: 'other', altNames: ['DNS:b.example', 'DNS:exact.wild.example'] });
  const rsa = makeCertificate({ commonName: 'rsa', altNames: ['DNS:b.example'], keyType: 'rsa' });
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'gatewright-tls-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  function write(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  }

  it('shows the certificate for the name that the client asks for', async (t) => {
    const { port } = await listen(t, { certificates: [pair(main), pair(other)] });
    for (const [servername, commonName] of [
      ['a.example', 'main'],
      ['A.EXAMPLE', 'main'],
      ['b.example', 'other'],
      ['x.wild.example', 'main'],
      ['exact.wild.example', 'other'],
      ['x.y.wild.example', 'main'],
      ['wild.example', 'main'],
      ['unknown.example', 'main'],
      ['', 'main'],
    ] as const) {
      assert.equal((await greet(t, port, { servername })).commonName, commonName, servername);
    }
    const reversed = await listen(t, { certificates: [pair(other), pair(main)] });
    assert.equal((await greet(t, reversed.port, { servername: 'x.y.wild.example' })).commonName, 'other');
    assert.equal((await greet(t, reversed.port, { servername: 'unknown.example' })).commonName, 'other');
  });

  it('goes by the common name only where a certificate has no alternative name', async (t) => {
    const old = makeCertificate({ commonName: 'old.example' });
    const misleading = makeCertificate({ commonName: 'm.example', altNames: ['IP:127.0.0.1'] });
    const { port } = await listen(t, { certificates: [pair(main), pair(old), pair(misleading)] });
    assert.equal((await greet(t, port, { servername: 'old.example' })).commonName, 'old.example');
    assert.equal((await greet(t, port, { servername: 'm.example' })).commonName, 'main');
  });

  it('offers RSA and ECDSA for the same name, whichever the client can use', async (t) => {
    const { port } = await listen(t, { certificates: [pair(main), pair(rsa), pair(other)] });
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const client = { servername: 'b.example', maxVersion };
      assert.equal((await greet(t, port, client)).commonName, 'other', 'ECDSA is cheaper');
      assert.equal((await greet(t, port, { ...client, sigalgs: 'ECDSA+SHA256' })).commonName, 'other');
      assert.equal((await greet(t, port, { ...client, sigalgs: 'RSA-PSS+SHA256' })).commonName, 'rsa');
    }
    const both = await listen(t, { certificates: [pair(rsa), pair(other)] });
    for (const servername of ['b.example', '', 'unknown.example']) {
      const client = { servername, maxVersion: 'TLSv1.2' } as const;
      const ecdsa = await greet(t, both.port, { ...client, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' });
      assert.equal(ecdsa.commonName, 'other');
      assert.equal(
        (await greet(t, both.port, { ...client, ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' })).commonName,
        'rsa',
      );
    }
  });

  it('speaks TLS 1.2 with forward secrecy, 1.3, and HTTP/1.1 only', async (t) => {
    const { port } = await listen(t, { certificates: [pair(rsa)] });
    assert.equal((await greet(t, port)).protocol, 'TLSv1.3');
    assert.equal((await greet(t, port, { maxVersion: 'TLSv1.2' })).protocol, 'TLSv1.2');
    await refused(t, port, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' });
    await refused(t, port, { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' });
    await refused(t, port, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA' });
    assert.equal((await greet(t, port, { ALPNProtocols: ['h2', 'http/1.1'] })).alpn, 'http/1.1');
    assert.equal((await greet(t, port, { ALPNProtocols: ['http/1.0'] })).alpn, 'http/1.0');
    await refused(t, port, { ALPNProtocols: ['h2'] });
  });

  it('refuses what is older than minVersion', async (t) => {
    const { port } = await listen(t, { certificates: [pair(main)], minVersion: '1.3' });
    assert.equal((await greet(t, port)).protocol, 'TLSv1.3');
    await refused(t, port, { maxVersion: 'TLSv1.2' });
    await refused(t, port, { maxVersion: 'TLSv1.2', servername: 'a.example' });
  });

  it('leaves the other certificates serving when one is bad, and names the file', async (t) => {
    const authority = makeCertificate({ commonName: 'authority', isAuthority: true });
    const issued = makeCertificate({ altNames: ['DNS:issued.example'], issuer: authority });
    const weak = makeCertificate({ keyType: 'rsa', rsaBits: 1024 });
    const good = write('good.key', main.key);
    const cases: readonly (readonly [cert: string, key: string, blamed: string, message: RegExp])[] = [
      [join(folder, 'missing.pem'), good, join(folder, 'missing.pem'), /cannot be read: ENOENT/],
      [write('text.pem', 'hello'), good, join(folder, 'text.pem'), /holds no certificate/],
      [
        write('damaged.pem', main.cert.replace(/\n.{20}/, '\nAAAA')),
        good,
        join(folder, 'damaged.pem'),
        /damaged certificate \(number 1\)/,
      ],
      [write('a.pem', main.cert), join(folder, 'missing.key'), join(folder, 'missing.key'), /cannot be read/],
      [write('b.pem', main.cert), write('text.key', 'hello'), join(folder, 'text.key'), /no private key/],
      [
        write('c.pem', main.cert),
        write('locked.key', '-----BEGIN ENCRYPTED PRIVATE KEY-----'),
        join(folder, 'locked.key'),
        /passphrase/,
      ],
      [
        write('d.pem', main.cert),
        write('other.key', other.key),
        join(folder, 'd.pem'),
        /does not belong to the key in .*other\.key/,
      ],
      [
        write('e.pem', authority.cert + issued.cert),
        write('issued.key', issued.key),
        join(folder, 'e.pem'),
        /wrong order/,
      ],
      [write('weak.pem', weak.cert), write('weak.key', weak.key), join(folder, 'weak.pem'), /not accepted for TLS/],
    ];
    for (const [cert, key, blamed, message] of cases) {
      const listener = await listen(t, { certificates: [{ cert, key }, pair(other)] });
      assert.deepEqual(
        listener.problems.map(({ severity, file }) => [severity, file]),
        [['error', blamed]],
      );
      assert.match(listener.problems[0].message, message);
      assert.ok(!listener.problems[0].message.includes('BEGIN'));
      assert.equal((await greet(t, listener.port, { servername: 'a.example' })).commonName, 'other');
    }
  });

  it('names the place in the configuration when PEM text is bad, and quotes nothing of it', async (t) => {
    const { problems } = await listen(t, { certificates: [{ cert: main.cert, key: other.key }] });
    assert.deepEqual(
      problems.map(({ file }) => file),
      ['certificates[0].cert'],
    );
    assert.match(problems[0].message, /^certificates\[0\]\.cert does not belong to the key in certificates\[0\]\.key$/);
  });

  it('refuses every handshake while it has no certificate, and serves once there is one', async (t) => {
    const cert = join(folder, 'late.pem');
    const listener = await listen(t, { certificates: [{ cert, key: write('late.key', main.key) }] });
    await refused(t, listener.port, { servername: 'a.example' });
    writeFileSync(cert, main.cert);
    listener.filesChanged();
    assert.equal((await greet(t, listener.port, { servername: 'a.example' })).commonName, 'main');
    assert.deepEqual(listener.tls.store.problems, []);
  });

  it('warns of certificates that have expired or are not valid yet, and serves them', async (t) => {
    const expired = makeCertificate({ commonName: 'expired', validTo: new Date(Date.now() - 1000) });
    const early = makeCertificate({ commonName: 'early', validFrom: new Date(Date.now() + dayMs) });
    const { port, problems } = await listen(t, { certificates: [pair(expired), pair(early)] });
    assert.deepEqual(
      problems.map(({ severity }) => severity),
      ['warning', 'warning'],
    );
    assert.match(problems[0].message, /^certificates\[0\]\.cert has expired \(20/);
    assert.match(problems[1].message, /^certificates\[1\]\.cert is not valid yet/);
    assert.equal((await greet(t, port)).commonName, 'expired');
  });

  describe('when files change', () => {
    it('shows new certificates to new connections and leaves the old ones alone', async (t) => {
      const cert = write('site.pem', main.cert);
      const key = write('site.key', main.key);
      const listener = await listen(t, { certificates: [{ cert, key }, pair(rsa)] });
      assert.deepEqual(listener.watched, [cert, key]);
      const existing = await greet(t, listener.port, { servername: 'a.example' });

      const renewed = makeCertificate({ commonName: 'renewed', altNames: ['DNS:a.example', 'DNS:new.example'] });
      writeFileSync(cert, renewed.cert);
      writeFileSync(key, renewed.key);
      listener.filesChanged();
      for (const servername of ['a.example', 'new.example', 'unknown.example', '']) {
        assert.equal((await greet(t, listener.port, { servername })).commonName, 'renewed', servername);
      }
      existing.socket.write('still here');
      assert.equal(String((await once(existing.socket, 'data'))[0]), 'still here');
      assert.deepEqual(listener.problems, []);
    });

    it('keeps serving the old certificate when the new one is bad, says so once, and recovers', async (t) => {
      const cert = write('keeps.pem', main.cert);
      const key = write('keeps.key', main.key);
      const listener = await listen(t, { certificates: [{ cert, key }] });
      writeFileSync(cert, other.cert);
      listener.filesChanged();
      listener.filesChanged();
      assert.equal((await greet(t, listener.port)).commonName, 'main');
      assert.equal(listener.problems.length, 1);
      assert.equal(listener.problems[0].file, cert);
      assert.match(listener.problems[0].message, /stays in service$/);
      assert.equal(listener.tls.store.problems.length, 1);

      writeFileSync(key, other.key);
      listener.filesChanged();
      assert.equal((await greet(t, listener.port)).commonName, 'other');
      assert.deepEqual(listener.tls.store.problems, []);
      assert.equal(listener.problems.length, 1);
    });
  });

  describe('under attack', () => {
    it('closes connections that do not shake hands in time, and drips do not prolong it', async (t) => {
      const { port, handshakeErrors } = await listen(t, { certificates: [pair(main)] }, { handshakeTimeoutMs: 60 });
      const silent = connectTcp(port, '127.0.0.1');
      const dripping = connectTcp(port, '127.0.0.1');
      dripping.write(Buffer.from('1603010200010001fc0303', 'hex'));
      const drip = setInterval(() => dripping.write('a'), 10);
      t.after(() => clearInterval(drip));
      await Promise.all([closing(silent), closing(dripping)]);
      assert.deepEqual(handshakeErrors, ['ERR_TLS_HANDSHAKE_TIMEOUT', 'ERR_TLS_HANDSHAKE_TIMEOUT']);
    });

    it('survives garbage and resets at every point of a handshake: CVE-2025-59465', async (t) => {
      const { port, handshakeErrors } = await listen(t, { certificates: [pair(main)] });
      const hello = Buffer.from('1603010200010001fc0303', 'hex');
      for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(2000, 0x16), hello, Buffer.alloc(0)]) {
        const socket = connectTcp(port, '127.0.0.1');
        const closed = closing(socket);
        await once(socket, 'connect');
        await new Promise((resolve) => socket.write(bytes, resolve));
        if (bytes.length === 0 || bytes === hello) socket.resetAndDestroy();
        await closed;
      }
      assert.equal((await greet(t, port)).commonName, 'main');
      assert.ok(handshakeErrors.length >= 2, handshakeErrors.join());
      assert.ok(
        handshakeErrors.every((code) => /^(ERR_SSL_|ECONNRESET)/.test(code)),
        handshakeErrors.join(),
      );
    });

    it('allows no renegotiation', async (t) => {
      const { port } = await listen(t, { certificates: [pair(main)] });
      const { socket } = await greet(t, port, { maxVersion: 'TLSv1.2' });
      const error = await new Promise((resolve) => {
        socket.on('error', resolve);
        socket.renegotiate({}, resolve);
      });
      assert.match(String(error), /renegotiation/i);
    });
  });

  it('stops its timers when it is closed', async (t) => {
    const { tls, clock } = await listen(t, { certificates: [pair(main)] });
    tls.close();
    assert.equal(clock.running, 0);
  });
});
