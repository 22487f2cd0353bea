import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, it } from 'node:test';
import { type TLSSocket, type TlsOptions, connect, createServer } from 'node:tls';
import type { TlsProblem } from '../../src/wire/tls/certificate-store.ts';
import { TlsFileError } from '../../src/wire/tls/pem-source.ts';
import { type TargetTls, UpstreamTls, type UpstreamTlsConfig } from '../../src/wire/tls/upstream-tls.ts';
import { makeCertificate } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';

const authority = makeCertificate({ commonName: 'authority', isAuthority: true });
const server = makeCertificate({ altNames: ['DNS:catalog.internal', 'IP:127.0.0.1'], issuer: authority });
const gateway = makeCertificate({ commonName: 'gateway', issuer: authority });

interface Target {
  readonly port: number;
  /** The server's side of every connection whose handshake is complete. */
  readonly connections: TLSSocket[];
}

async function serve(t: TestContext, options: TlsOptions = {}): Promise<Target> {
  const connections: TLSSocket[] = [];
  const sockets: Socket[] = [];
  const tlsServer = createServer({ cert: server.cert, key: server.key, ...options }, (socket) => {
    connections.push(socket);
    socket.on('error', () => {});
    socket.write('hello');
  });
  tlsServer.on('tlsClientError', () => {});
  tlsServer.on('connection', (socket: Socket) => sockets.push(socket));
  tlsServer.listen(0, '127.0.0.1');
  await once(tlsServer, 'listening');
  t.after(() => {
    tlsServer.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (tlsServer.address() as AddressInfo).port, connections };
}

const env = { baseDir: '/nowhere', clock: new FakeClock(), watch: () => () => {} };

function upstream(config: UpstreamTlsConfig): UpstreamTls {
  return new UpstreamTls(config, { ...env, report: (problem) => assert.fail(problem.message) });
}

/**
 * Resolves when the target is verified and has sent something, and its session has arrived if the handshake made one. With
 * TLS 1.3 the session comes after the handshake: before the first data on Node 26, a turn of the event loop later on Node 24.
 */
async function dial(t: TestContext, target: TargetTls, port: number): Promise<TLSSocket> {
  const socket = connect({ ...target.connectOptions(), host: '127.0.0.1', port });
  target.attach(socket);
  t.after(() => socket.destroy());
  let hasSession = false;
  socket.once('session', () => {
    hasSession = true;
  });
  await once(socket, 'secureConnect');
  await once(socket, 'data');
  if (!socket.isSessionReused() && !hasSession) await once(socket, 'session');
  return socket;
}

const refusedWith = (code: string) => (error: NodeJS.ErrnoException) => {
  assert.equal(error.code, code);
  return true;
};

describe('TLS to an upstream', () => {
  it('trusts whom the configured authority vouches for, under the name of the target', async (t) => {
    const { port, connections } = await serve(t);
    const socket = await dial(t, upstream({ ca: authority.cert }).target('catalog.internal'), port);
    assert.equal(socket.authorized, true);
    assert.equal(connections[0].servername, 'catalog.internal');
    assert.equal((await dial(t, upstream({ ca: authority.cert }).target('127.0.0.1'), port)).authorized, true);
    assert.equal(connections[1].servername, false, 'an IP address is no server name');
  });

  it('trusts nobody else by default, whatever the environment says', async (t) => {
    const { port, connections } = await serve(t);
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    t.after(() => {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    });
    const stranger = makeCertificate({ isAuthority: true });
    await assert.rejects(
      dial(t, upstream({}).target('catalog.internal'), port),
      refusedWith('UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    );
    await assert.rejects(
      dial(t, upstream({ ca: stranger.cert }).target('catalog.internal'), port),
      refusedWith('UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    );
    await assert.rejects(
      dial(t, upstream({ ca: authority.cert }).target('orders.internal'), port),
      refusedWith('ERR_TLS_CERT_ALTNAME_INVALID'),
    );
    await assert.rejects(
      dial(t, upstream({ ca: authority.cert }).target('127.0.0.2'), port),
      refusedWith('ERR_TLS_CERT_ALTNAME_INVALID'),
    );
    for (const connection of connections) assert.equal(connection.bytesRead, 0, 'nothing was sent to a stranger');
  });

  it('asks for serverName and checks it, instead of the host of the target', async (t) => {
    const { port, connections } = await serve(t);
    const tls = upstream({ ca: authority.cert, serverName: 'catalog.internal' });
    await dial(t, tls.target('127.0.0.1'), port);
    await dial(t, tls.target('whatever.example'), port);
    assert.deepEqual(
      connections.map(({ servername }) => servername),
      ['catalog.internal', 'catalog.internal'],
    );
    await assert.rejects(
      dial(t, upstream({ ca: authority.cert, serverName: 'orders.internal' }).target('catalog.internal'), port),
      refusedWith('ERR_TLS_CERT_ALTNAME_INVALID'),
    );
  });

  it('accepts any certificate only when told to be insecure', async (t) => {
    const { port } = await serve(t);
    const socket = await dial(t, upstream({ insecure: true }).target('orders.internal'), port);
    assert.equal(socket.authorized, false);
  });

  it('identifies itself by its own certificate', async (t) => {
    const { port, connections } = await serve(t, { requestCert: true, rejectUnauthorized: true, ca: [authority.cert] });
    const tls = upstream({ ca: authority.cert, cert: gateway.cert, key: gateway.key });
    await dial(t, tls.target('catalog.internal'), port);
    assert.equal(connections[0].getPeerX509Certificate()?.subject, 'CN=gateway');
  });

  it('speaks HTTP/1.1 over TLS 1.2 at least', async (t) => {
    const { port } = await serve(t, { ALPNProtocols: ['h2', 'http/1.1'] });
    const target = upstream({ ca: authority.cert }).target('catalog.internal');
    assert.equal((await dial(t, target, port)).alpnProtocol, 'http/1.1');
    const old = await serve(t, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
    await assert.rejects(dial(t, target, old.port), (error: NodeJS.ErrnoException) => /SSL/.test(error.code ?? ''));
  });

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`resumes the session of a target with the same target only (${maxVersion})`, async (t) => {
      const { port } = await serve(t, { maxVersion });
      const tls = upstream({ ca: authority.cert });
      const target = tls.target('catalog.internal');
      assert.equal((await dial(t, target, port)).isSessionReused(), false);
      for (let i = 0; i < 3; i++) {
        const again = await dial(t, target, port);
        assert.deepEqual([again.isSessionReused(), again.authorized], [true, true]);
      }
      assert.equal((await dial(t, tls.target('catalog.internal'), port)).isSessionReused(), false);
    });
  }

  it('forgets the session of a connection that failed', async (t) => {
    const { port } = await serve(t);
    const target = upstream({ ca: authority.cert }).target('catalog.internal');
    const socket = await dial(t, target, port);
    assert.notEqual(target.connectOptions().session, undefined);
    socket.destroy(new Error('reset'));
    await once(socket, 'close').catch(() => {});
    assert.equal(target.connectOptions().session, undefined);
  });

  it('refuses files that cannot be used, and names them', () => {
    for (const [config, file] of [
      [{ ca: 'missing.pem' }, '/nowhere/missing.pem'],
      [{ ca: '-----BEGIN NOTHING-----' }, 'tls.ca'],
      [{ cert: gateway.cert, key: server.key }, 'tls.cert'],
      [{ cert: gateway.cert }, 'tls.cert'],
      [{ key: 'gw.key' }, '/nowhere/gw.key'],
    ] as const) {
      assert.throws(
        () => upstream(config),
        (error: unknown) => error instanceof TlsFileError && error.file === file,
      );
    }
  });

  it('takes over files that have changed, and keeps what it has when they are bad', async (t) => {
    const { port } = await serve(t);
    const folder = mkdtempSync(join(tmpdir(), 'gatewright-tls-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const ca = join(folder, 'ca.pem');
    writeFileSync(ca, makeCertificate({ isAuthority: true }).cert);
    const problems: TlsProblem[] = [];
    let filesChanged = (): void => assert.fail('nobody watches');
    const tls = new UpstreamTls(
      { ca: 'ca.pem' },
      {
        baseDir: folder,
        clock: new FakeClock(),
        report: (problem) => problems.push(problem),
        watch: (files, onChange) => {
          assert.deepEqual(files, [ca]);
          filesChanged = onChange;
          return () => {};
        },
      },
    );
    const target = tls.target('catalog.internal');
    await assert.rejects(dial(t, target, port));
    writeFileSync(ca, authority.cert);
    filesChanged();
    await dial(t, target, port);
    writeFileSync(ca, 'garbage');
    filesChanged();
    assert.deepEqual(
      problems.map(({ file }) => file),
      [ca],
    );
    assert.equal((await dial(t, target, port)).isSessionReused(), true);
    writeFileSync(ca, authority.cert);
    filesChanged();
    assert.equal((await dial(t, target, port)).isSessionReused(), false, 'a new context begins anew');
  });

  it('stops watching when it is closed, and when it could not be made', () => {
    const clock = new FakeClock();
    const report = (): void => {};
    new UpstreamTls({ ca: authority.cert }, { baseDir: '/nowhere', clock, report }).close();
    assert.throws(() => new UpstreamTls({ ca: 'missing.pem' }, { baseDir: '/nowhere', clock, report }));
    assert.equal(clock.running, 0);
  });
});
