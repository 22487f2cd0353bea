/** TLS on the side of the clients: what `tls.createServer` needs, from what the configuration says. */
import { constants, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { SecureContextOptions, Server, TLSSocket, TlsOptions } from 'node:tls';
import type { Clock } from '../../util/clock.ts';
import type { CertificateGroup } from './certificate-index.ts';
import { type CertificateSources, CertificateStore, type TlsProblem } from './certificate-store.ts';
import { type WatchFiles, pollFiles } from '../file-watch.ts';
import { PemSource } from './pem-source.ts';
import { SessionTickets } from './session-tickets.ts';

/** As in the configuration. Certificates and keys are names of PEM files, or PEM text. */
export interface ListenerTlsConfig {
  /** The first is shown to clients that ask for no name, or for an unknown one. */
  readonly certificates: readonly { readonly cert: string; readonly key: string }[];
  readonly minVersion?: '1.2' | '1.3' | undefined;
  readonly clientAuth?: { readonly ca: string; readonly require: boolean } | undefined;
}

export interface ListenerTlsEnv {
  /** What relative names of files are relative to. */
  readonly baseDir: string;
  readonly clock: Clock;
  /** Called once for each problem when it appears: at the start, and when a file was replaced by a bad one. */
  readonly report: (problem: TlsProblem) => void;
  /** How long a client may take for its handshake. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** The protocols that are spoken behind TLS (RFC 7301), preferred first. Default HTTP/1.1, and 1.0 for old clients. */
  readonly protocols?: readonly string[];
  /**
   * At least 32 random bytes that all threads of the process share, so that a client resumes its session on whichever
   * thread it comes to. By default every listener has its own.
   */
  readonly ticketSecret?: Uint8Array;
  /** Told of each handshake that failed, with the code of the error. */
  readonly onHandshakeError?: (code: string, peerAddress: string | undefined) => void;
  readonly watch?: WatchFiles;
}

export interface ListenerTls {
  readonly options: TlsOptions;
  readonly store: CertificateStore;
  /** Call with every server made of the options: keeps it up to date and its sockets from taking the process down. */
  attach(server: Server): void;
  /** Stops watching the files. Servers go on with what they have. */
  close(): void;
}

const ticketCheckPeriodMs = 60_000;

/**
 * The suites of Mozilla's "intermediate" profile, AES-128 first because it is the cheapest that nobody has reason to
 * doubt: forward secrecy and authenticated encryption only.
 */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** ChaCha20 is taken when the client puts it first: it has no AES in hardware. Nobody needs renegotiation. */
const secureOptions = constants.SSL_OP_PRIORITIZE_CHACHA | constants.SSL_OP_NO_RENEGOTIATION;

/**
 * Reads the certificates and prepares the options. Bad files are reported and leave the other certificates serving; while
 * there is no usable certificate at all, or no authority to verify clients with, every handshake is refused.
 */
export function createListenerTls(config: ListenerTlsConfig, env: ListenerTlsEnv): ListenerTls {
  const { clock } = env;
  const tickets = new SessionTickets(
    env.ticketSecret ?? randomBytes(32),
    { minVersion: config.minVersion ?? '1.2', requiresClientCertificate: config.clientAuth?.require ?? false },
    clock,
  );
  const sources = sourcesOf(config, env.baseDir);
  // Watching begins before reading, so that nothing is missed in between.
  const stopWatching = (env.watch ?? pollFiles(clock))(sources.files, () => {
    store.reload();
    refresh();
  });
  const store = new CertificateStore({
    certificates: sources.certificates,
    clientCa: sources.clientCa,
    clock,
    report: env.report,
    contextOptions: (group, clientCa) => contextOptions(config, tickets, group, clientCa),
  });
  const servers = new Set<Server>();
  const refresh = (): void => {
    for (const server of servers) server.setSecureContext(store.defaultContextOptions());
  };
  const stopRotating = clock.every(ticketCheckPeriodMs, () => {
    if (tickets.rotate()) refresh();
  });

  return {
    options: {
      ...store.defaultContextOptions(),
      SNICallback(this: TLSSocket, serverName, done) {
        done(null, store.contextFor(serverName, this));
      },
      ALPNProtocols: [...(env.protocols ?? ['http/1.1', 'http/1.0'])],
      handshakeTimeout: env.handshakeTimeoutMs ?? 10_000,
      requestCert: config.clientAuth !== undefined,
      rejectUnauthorized: config.clientAuth?.require ?? false,
    },
    store,
    attach(server) {
      servers.add(server);
      server.on('close', () => servers.delete(server));
      guardHandshakes(server, env.onHandshakeError);
    },
    close() {
      stopWatching();
      stopRotating();
    },
  };
}

interface Sources {
  readonly certificates: readonly CertificateSources[];
  readonly clientCa: PemSource | null;
  readonly files: readonly string[];
}

function sourcesOf({ certificates, clientAuth }: ListenerTlsConfig, baseDir: string): Sources {
  const pairs = certificates.map(({ cert, key }, index) => ({
    cert: new PemSource(cert, baseDir, `certificates[${index}].cert`),
    key: new PemSource(key, baseDir, `certificates[${index}].key`),
  }));
  const clientCa = clientAuth === undefined ? null : new PemSource(clientAuth.ca, baseDir, 'clientAuth.ca');
  const all = [...pairs.flatMap(({ cert, key }) => [cert, key]), ...(clientCa === null ? [] : [clientCa])];
  return { certificates: pairs, clientCa, files: all.filter(({ isFile }) => isFile).map(({ file }) => file) };
}

function contextOptions(
  config: ListenerTlsConfig,
  tickets: SessionTickets,
  group: CertificateGroup,
  clientCa: string | null,
): SecureContextOptions {
  return {
    cert: group.map(({ certPem }) => certPem),
    key: group.map(({ keyPem }) => keyPem),
    // An empty list and not none, which would mean that every public authority vouches for clients.
    ca: clientCa === null ? [] : [clientCa],
    minVersion: config.minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    ciphers,
    honorCipherOrder: true,
    secureOptions,
    ...tickets.options(clientCa),
  };
}

/**
 * Before a handshake is complete nobody else listens to its sockets: an error that a client provokes there would take
 * the process down (CVE-2025-59465), and a failed handshake would leave its connection open.
 */
function guardHandshakes(server: Server, onError: ListenerTlsEnv['onHandshakeError']): void {
  server.on('connection', (socket: Socket) => socket.on('error', ignore));
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    onError?.(error.code ?? error.name, socket.remoteAddress);
    socket.destroy();
  });
}

/** The connection that failed is closed by whoever owns it; there is nothing to add. */
function ignore(): void {}
