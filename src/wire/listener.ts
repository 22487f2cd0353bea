/** A socket that we accept on: plain or TLS, with or without the PROXY protocol in front. */
import { Server, type Socket } from 'node:net';
import { Server as TlsServer, TLSSocket } from 'node:tls';
import type { Peer } from '../contract.ts';
import { PROBLEM_MEDIA_TYPE, problemDetails } from '../http/problem.ts';
import { canonicalIp } from '../util/ip-set.ts';
import { adoptSocket } from './accepted-socket.ts';
import { awaitProxyHeader } from './proxy-greeting.ts';
import type { ProxiedConnection } from './proxy-protocol.ts';
import { ServerConnection, type ServerConnectionOptions } from './server-connection.ts';
import type { RequestHandler } from './server-stream.ts';
import { Timer, type TimerWheel } from './timer-wheel.ts';
import type { ListenerTls } from './tls/listener-tls.ts';
import { peerCertificate } from './tls/peer-certificate.ts';

export interface ListenerOptions {
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
  readonly tls: ListenerTls | null;
  readonly proxyProtocol: boolean;
  readonly maxConnections: number;
  readonly handshakeMs: number;
  readonly limits: ServerConnectionOptions['limits'];
  readonly timeouts: ServerConnectionOptions['timeouts'];
}

/** Connections that the kernel may hold for us; a burst of clients must not meet a full queue. */
const backlog = 4096;

/** Time for a client that is turned away to read why and to leave. */
const turnAwayMs = 2_000;

const overloadedBody = problemDetails('TOO_MANY_CONNECTIONS', '');
const overloaded =
  `HTTP/1.1 503 Service Unavailable\r\ncontent-type: ${PROBLEM_MEDIA_TYPE}\r\nretry-after: 1\r\n` +
  `connection: close\r\ncontent-length: ${overloadedBody.length}\r\n\r\n${overloadedBody}`;

export class Listener {
  private readonly options: ListenerOptions;
  private readonly wheel: TimerWheel;
  private readonly server: Server;
  /** Does the handshakes; the same as `server` unless a PROXY header comes before them. */
  private readonly tlsServer: TlsServer | null;
  private readonly connections = new Set<ServerConnection>();
  private readonly connectionOptions: ServerConnectionOptions;
  /** Connections over TCP that are not served yet, because their PROXY header or TLS handshake is not complete. */
  private readonly handshaking = new Map<string, Socket>();
  /** What proxies said of connections that are still shaking hands, by their remote end. */
  private readonly greeted = new Map<string, ProxiedConnection>();
  /** Accepted and not closed: also those that are shaking hands, and those that are turned away. */
  private readonly sockets = new Set<Socket>();
  private draining = false;

  constructor(options: ListenerOptions, handler: RequestHandler, wheel: TimerWheel) {
    this.options = options;
    this.wheel = wheel;
    this.connectionOptions = {
      limits: options.limits,
      timeouts: options.timeouts,
      secure: options.tls !== null,
      handler,
      onConnectionClosed: (connection) => this.connections.delete(connection),
    };
    // Half-open, because a client may finish sending before it has been answered.
    const socketOptions = { allowHalfOpen: true, noDelay: true };
    this.tlsServer = options.tls === null ? null : new TlsServer({ ...options.tls.options, ...socketOptions });
    if (this.tlsServer !== null) options.tls?.attach(this.tlsServer);
    this.tlsServer?.on('secureConnection', (socket: TLSSocket) =>
      this.serve(socket, this.greeted.get(remoteEnd(socket)) ?? null),
    );
    if (this.tlsServer !== null && !options.proxyProtocol) this.server = this.tlsServer;
    else this.server = new Server(socketOptions);
    const isAdoptable = options.tls === null && !options.proxyProtocol;
    // A connection that the kernel could not hand over (ENOBUFS, ENFILE) is the client's loss, and not the end of us.
    this.server.on('error', ignoreError);
    this.server.on('connection', (socket: Socket) => this.admit(isAdoptable ? adoptSocket(socket) : socket));
  }

  /**
   * Begins to accept.
   * @returns the port, which the kernel chose if the configured one is 0; 0 for a Unix socket.
   */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ ...this.options.address, backlog }, () => {
        this.server.off('error', reject);
        const address = this.server.address();
        resolve(address === null || typeof address === 'string' ? 0 : address.port);
      });
    });
  }

  get openConnections(): number {
    return this.sockets.size;
  }

  /** Stops accepting and lets every connection finish what it is doing. Resolves when the last one is closed. */
  drain(): Promise<void> {
    this.draining = true;
    for (const connection of this.connections) connection.drain();
    // They have not asked for anything yet.
    for (const socket of this.handshaking.values()) socket.destroy();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /** Breaks off whatever is still open. */
  destroy(): void {
    for (const connection of this.connections) connection.socket.destroy();
    for (const socket of this.sockets) socket.destroy();
  }

  private admit(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    // Before any handshake: an error on a raw socket that nobody listens to ends the process (CVE-2025-59465).
    socket.on('error', ignoreError);
    if (this.sockets.size > this.options.maxConnections) {
      this.turnAway(socket);
      return;
    }
    this.noteHandshake(socket);
    if (this.options.proxyProtocol) this.greet(socket);
    else if (this.tlsServer === null) this.serve(socket, null);
  }

  private noteHandshake(socket: Socket): void {
    if ((this.tlsServer === null && !this.options.proxyProtocol) || socket.remoteAddress === undefined) return;
    const end = remoteEnd(socket);
    this.handshaking.set(end, socket);
    socket.on('close', () => this.handshaking.delete(end));
  }

  private turnAway(socket: Socket): void {
    if (this.tlsServer !== null) {
      socket.destroy();
      return;
    }
    socket.end(overloaded);
    // Data that nobody reads would reset the connection before the client has read the answer.
    socket.resume();
    const timer = new Timer(() => socket.destroy());
    this.wheel.arm(timer, turnAwayMs);
    socket.on('close', () => timer.disarm());
  }

  private greet(socket: Socket): void {
    awaitProxyHeader(socket, this.wheel, this.options.handshakeMs, (proxied) => {
      if (this.tlsServer === null) {
        this.serve(socket, proxied);
        socket.resume();
        return;
      }
      // The TLS socket to come has the same remote end; that is all it can be recognised by.
      if (proxied !== null) {
        const end = remoteEnd(socket);
        this.greeted.set(end, proxied);
        socket.on('close', () => this.greeted.delete(end));
      }
      this.tlsServer.emit('connection', socket);
    });
  }

  private serve(socket: Socket, proxied: ProxiedConnection | null): void {
    const connection = new ServerConnection(socket, describePeer(socket, proxied), this.wheel, this.connectionOptions);
    this.connections.add(connection);
    if (this.handshaking.size > 0) this.handshaking.delete(remoteEnd(socket));
    if (this.draining) connection.drain();
  }
}

function ignoreError(): void {}

function remoteEnd(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

function describePeer(socket: Socket, proxied: ProxiedConnection | null): Peer {
  const certificate = socket instanceof TLSSocket ? peerCertificate(socket) : null;
  if (proxied !== null) return { address: proxied.sourceAddress, port: proxied.sourcePort, certificate };
  const address = socket.remoteAddress ?? '';
  return { address: canonicalIp(address) ?? address, port: socket.remotePort ?? 0, certificate };
}
