/** TLS listeners on loopback that tell each client who it takes them for. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type ConnectionOptions, type PeerCertificate, type TLSSocket, connect, createServer } from 'node:tls';
import type { PeerCertificate as VerifiedCertificate } from '../../src/contract.ts';
import type { TlsProblem } from '../../src/wire/tls/certificate-store.ts';
import {
  type ListenerTls,
  type ListenerTlsConfig,
  type ListenerTlsEnv,
  createListenerTls,
} from '../../src/wire/tls/listener-tls.ts';
import { peerCertificate } from '../../src/wire/tls/peer-certificate.ts';
import type { Certificate } from './certificates.ts';
import { FakeClock } from './fake-clock.ts';

export interface TestListener {
  readonly port: number;
  readonly tls: ListenerTls;
  readonly problems: TlsProblem[];
  readonly handshakeErrors: string[];
  readonly clock: FakeClock;
  /** What the watcher would do after a change. */
  readonly filesChanged: () => void;
  readonly watched: readonly string[];
}

/** A server that tells each client who it takes it for, then echoes. */
export async function listen(
  t: TestContext,
  config: ListenerTlsConfig,
  env: Partial<ListenerTlsEnv> = {},
): Promise<TestListener> {
  const clock = new FakeClock(Date.now());
  const problems: TlsProblem[] = [];
  const handshakeErrors: string[] = [];
  let filesChanged = (): void => {};
  let watched: readonly string[] = [];
  const tls = createListenerTls(config, {
    baseDir: '/nowhere',
    clock,
    report: (problem) => problems.push(problem),
    onHandshakeError: (code) => handshakeErrors.push(code),
    watch: (files, onChange) => {
      watched = files;
      filesChanged = onChange;
      return () => {};
    },
    ...env,
  });
  const sockets = new Set<Socket>();
  const server = createServer(tls.options, (socket) => {
    socket.on('error', () => {});
    socket.write(`${JSON.stringify(peerCertificate(socket))}\n`);
    socket.on('data', (chunk) => socket.write(chunk));
  });
  server.on('connection', (socket: Socket) => sockets.add(socket));
  tls.attach(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    tls.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  return { port, tls, problems, handshakeErrors, clock, filesChanged: () => filesChanged(), watched };
}

export interface Greeting {
  readonly socket: TLSSocket;
  readonly commonName: string;
  readonly keyType: string;
  readonly isResumed: boolean;
  readonly protocol: string | null;
  readonly alpn: string | false | null;
  readonly client: VerifiedCertificate | null;
  /** For another connection. */
  readonly session: Buffer;
}

/** Connects and waits for the server's greeting and a session; rejects when the handshake is refused. */
export async function greet(t: TestContext, port: number, options: ConnectionOptions = {}): Promise<Greeting> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
  t.after(() => socket.destroy());
  const session = once(socket, 'session') as Promise<[Buffer]>;
  session.catch(() => {});
  // With TLS 1.3 the client is done before the server has seen its certificate, and learns of a refusal afterwards.
  const closed = once(socket, 'close').then(() => {
    throw Object.assign(new Error('closed without a word'), { code: 'ECONNRESET' });
  });
  closed.catch(() => {});
  const [line] = (await Promise.race([once(socket, 'data'), closed])) as [Buffer];
  const certificate = socket.getPeerCertificate(true) as Partial<PeerCertificate>;
  return {
    socket,
    commonName: String(certificate.subject?.CN),
    keyType: certificate.asn1Curve === undefined ? 'rsa' : 'ec',
    isResumed: socket.isSessionReused(),
    protocol: socket.getProtocol(),
    alpn: socket.alpnProtocol,
    client: JSON.parse(line.toString()) as VerifiedCertificate | null,
    session: socket.isSessionReused() ? Buffer.alloc(0) : (await session)[0],
  };
}

export const refused = (t: TestContext, port: number, options: ConnectionOptions = {}): Promise<void> =>
  assert.rejects(greet(t, port, options), (error: NodeJS.ErrnoException) =>
    /^(ERR_SSL_|ECONNRESET|EPIPE)/.test(error.code ?? ''),
  );

export const pair = ({ cert, key }: Certificate): { cert: string; key: string } => ({ cert, key });
