/**
 * Where connections of clients come in: plain or TLS, with or without the PROXY protocol in front.
 *
 * What accepts is always a plain `net.Server`; TLS and the PROXY protocol are done with what it has accepted. So a
 * listener can change all of its settings without closing its socket, and the socket can move to another thread, with the
 * connections that wait in its accept queue.
 */
import type { AddressInfo, Server, Socket } from 'node:net';
import { Server as TlsServer, TLSSocket } from 'node:tls';
import type { Peer } from '../contract.ts';
import { errors } from '../errors.ts';
import { PROBLEM_MEDIA_TYPE, problemDetails } from '../http/problem.ts';
import { statusText } from '../http/status-text.ts';
import { canonicalIp } from '../util/ip-set.ts';
import { adoptSocket } from './accepted-socket.ts';
import { type Admission, LocalAdmission } from './admission.ts';
import type { ClientGate, TurnedAway } from './client-gate.ts';
import type { ServerConnectionOptions } from './connection-home.ts';
import { type ListenAddress, type ListenOptions, openServer, UnixSocket } from './listening-socket.ts';
import { awaitProxyHeader } from './proxy-greeting.ts';
import type { ProxiedConnection } from './proxy-protocol.ts';
import { ServerConnection } from './server-connection.ts';
import { Timer, type TimerWheel } from './timer-wheel.ts';
import type { ListenerTls } from './tls/listener-tls.ts';
import { peerCertificate } from './tls/peer-certificate.ts';

export interface ListenerSettings extends ServerConnectionOptions {
  readonly tls: ListenerTls | null;
  /** Clients speak TLS, but not to this process: it is terminated before connections come here. */
  readonly tlsTerminated?: boolean;
  readonly proxyProtocol: boolean;
  /** Beyond it, clients are turned away. */
  readonly maxConnections: number;
  /** Who may have a connection; everybody if there is none. */
  readonly gate?: ClientGate;
  readonly handshakeMs: number;
}

/** Time for a client that is turned away to read why and to leave. */
const turnAwayMs = 2_000;
/** Those that come in such numbers that they are more than this are closed at once. */
const mostTurnedAway = 1_024;

/** Enough turns of the event loop to accept what has been waiting. */
const lastAcceptMs = 100;

const full: TurnedAway = { code: 'TOO_MANY_CONNECTIONS', retrySeconds: 1 };

function answerTo({ code, retrySeconds }: TurnedAway): string {
  const { status } = errors[code];
  const body = problemDetails(code, '');
  return (
    `HTTP/1.1 ${status} ${statusText(status)}\r\ncontent-type: ${PROBLEM_MEDIA_TYPE}\r\nretry-after: ${retrySeconds}\r\n` +
    `connection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  );
}

export class Listener {
  /** What holds for the next request, on connections that are open already as well. */
  settings: ListenerSettings;
  private readonly wheel: TimerWheel;
  private readonly admission: Admission;
  private turnedAway = 0;
  /** What accepts: none before it listens and after it was closed, several when it took some over. */
  private readonly servers = new Set<Server>();
  private unixSocket: UnixSocket | null = null;
  /** Does the handshakes of those settings; null for plain connections. */
  private tlsServer: TlsServer | null = null;
  private readonly connections = new Set<ServerConnection>();
  /** Connections over TCP that are not served yet, because their PROXY header or TLS handshake is not complete. */
  private readonly handshaking = new Map<string, Socket>();
  /** What proxies said of connections that are still shaking hands, by their remote end. */
  private readonly greeted = new Map<string, ProxiedConnection>();
  /** Accepted and not closed: also those that are shaking hands, and those that are turned away. */
  private readonly sockets = new Set<Socket>();
  /** What was accepted before `open`; null afterwards. */
  private early: Socket[] | null = [];
  /** How long it waits for last requests since it drains; null before that. */
  private drainIdleMs: number | null = null;
  private readonly drained = Promise.withResolvers<void>();

  /** @param admission counts connections against the limit; by default those of this listener alone. */
  constructor(settings: ListenerSettings, wheel: TimerWheel, admission: Admission = new LocalAdmission()) {
    this.settings = settings;
    this.wheel = wheel;
    this.admission = admission;
    this.tlsServer = this.makeTlsServer(settings.tls);
  }

  /**
   * Begins to accept. Connections are not served before `open`.
   * @returns the port, which the kernel chose if the configured one is 0; 0 for a Unix socket.
   */
  async listen(address: ListenAddress, options: ListenOptions = {}): Promise<number> {
    if ('path' in address) {
      this.unixSocket = await UnixSocket.open(address.path);
      this.adopt(this.unixSocket.server);
      return 0;
    }
    const server = await openServer(address, options);
    this.adopt(server);
    return (server.address() as AddressInfo).port;
  }

  /** Accepts from a server that listens already, beside others that it may have. */
  adopt(server: Server): void {
    this.servers.add(server);
    // Half-open, because a client may finish sending before it has been answered. What is read too early would be lost.
    Object.assign(server, { allowHalfOpen: true, noDelay: true, pauseOnConnect: this.early !== null });
    // A connection that the kernel could not hand over (ENOBUFS, ENFILE) is the client's loss, and not the end of us.
    server.on('error', ignoreError);
    server.on('connection', (socket: Socket) => this.accept(socket));
  }

  /** Serves from now on. @throws {Error} when a Unix socket cannot be moved to its place. */
  open(): void {
    const { early } = this;
    this.early = null;
    for (const server of this.servers) Object.assign(server, { pauseOnConnect: false });
    for (const socket of early ?? []) this.accept(socket);
    this.unixSocket?.takePlace();
  }

  /**
   * Stops accepting without closing what accepts: whoever gets the servers goes on. Connections stay, and so do Unix
   * sockets, which cannot be handed to another thread.
   * @param kept how many of the servers it keeps.
   */
  release(kept = 0): Server[] {
    const released = [...this.servers].filter((server) => typeof server.address() !== 'string').slice(kept);
    for (const server of released) {
      this.servers.delete(server);
      server.removeAllListeners();
    }
    return released;
  }

  /**
   * Makes everything of other settings that can fail.
   * @returns what puts them to use, for new connections and, but for the protocols in front of HTTP, for the next requests
   * on open ones.
   */
  prepare(settings: ListenerSettings): () => void {
    const isSameTls = settings.tls === this.settings.tls;
    const tlsServer = isSameTls ? this.tlsServer : this.makeTlsServer(settings.tls);
    return () => {
      this.settings = settings;
      if (tlsServer === this.tlsServer) return;
      // It never listened itself; closed, it is no longer told of new certificates.
      this.tlsServer?.close();
      this.tlsServer = tlsServer;
    };
  }

  get openConnections(): number {
    return this.sockets.size;
  }

  /** The connections that are being served. */
  get served(): Iterable<ServerConnection> {
    return this.connections;
  }

  /**
   * Stops accepting and lets every connection finish what it is doing. Resolves when the last one is closed.
   * @param idleMs how long connections on which nothing is asked for may stay open: another request on them, sent while
   * they were being closed, would be lost. It is served, as the last one.
   */
  drain(idleMs = 0): Promise<void> {
    this.drainIdleMs = idleMs;
    for (const connection of this.connections) connection.drain(idleMs);
    // They have not asked for anything yet.
    if (idleMs === 0) for (const socket of this.handshaking.values()) socket.destroy();
    this.tlsServer?.close();
    this.closeServers(idleMs);
    return this.drained.promise;
  }

  /** Breaks off whatever is still open. */
  destroy(): void {
    for (const connection of this.connections) connection.socket.destroy();
    for (const socket of this.sockets) socket.destroy();
    for (const socket of this.early ?? []) socket.destroy();
  }

  /** Takes a connection that was accepted here or elsewhere. */
  accept(accepted: Socket): void {
    if (this.early !== null) {
      accepted.on('error', ignoreError);
      this.early.push(accepted);
      return;
    }
    const isPlain = this.tlsServer === null && !this.settings.proxyProtocol;
    const socket = isPlain ? adoptSocket(accepted) : accepted;
    this.admit(socket);
    // One that was accepted elsewhere, or too early, has not begun to read. TLS reads for itself.
    if (socket.isPaused() && (this.tlsServer === null || this.settings.proxyProtocol)) socket.resume();
  }

  /** Somebody else may have taken a Unix socket's place: what waits in the old one's queue is taken first. */
  private closeServers(idleMs: number): void {
    const close = (): void => {
      for (const server of this.servers) server.close();
      this.servers.clear();
      this.unixSocket?.close();
      this.noteClosed();
    };
    if (idleMs === 0 || this.servers.size === 0) close();
    else this.wheel.arm(new Timer(close), lastAcceptMs);
  }

  private makeTlsServer(tls: ListenerTls | null): TlsServer | null {
    if (tls === null) return null;
    const server = new TlsServer(tls.options);
    tls.attach(server);
    server.on('secureConnection', (socket: TLSSocket) => {
      socket.allowHalfOpen = true;
      this.serve(socket, this.greeted.get(remoteEnd(socket)) ?? null);
    });
    return server;
  }

  /** A client that leaves before the end of the handshake must not hold its place until the time for that is over. */
  private shakeHands(tlsServer: TlsServer, socket: Socket): void {
    socket.allowHalfOpen = false;
    tlsServer.emit('connection', socket);
  }

  private admit(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => {
      this.sockets.delete(socket);
      this.noteClosed();
    });
    // Before any handshake: an error on a raw socket that nobody listens to ends the process (CVE-2025-59465).
    socket.on('error', ignoreError);
    if (!this.admission.tryEnter(this.settings.maxConnections)) {
      this.turnAway(socket, full);
      return;
    }
    // What is turned away leaves at once: it must not take the place of somebody who is not.
    const leave = callOnce(() => this.admission.leave());
    socket.on('close', leave);
    if (this.settings.proxyProtocol) {
      this.noteHandshake(socket);
      this.greet(socket, leave);
      return;
    }
    if (!this.hasEntered(socket, addressOf(socket), leave)) return;
    this.noteHandshake(socket);
    if (this.tlsServer === null) this.serve(socket, null);
    else this.shakeHands(this.tlsServer, socket);
  }

  /** @param leave to be called for one that may not. @returns whether the client with this address may come in. */
  private hasEntered(socket: Socket, address: string, leave: () => void): boolean {
    const { gate } = this.settings;
    if (gate === undefined) return true;
    const refusal = gate.enter(address);
    if (refusal !== null) {
      leave();
      this.turnAway(socket, refusal);
      return false;
    }
    // The same gate, whatever the settings are by then.
    socket.on('close', () => gate.leave(address));
    return true;
  }

  private noteClosed(): void {
    if (this.drainIdleMs !== null && this.servers.size === 0 && this.sockets.size === 0) this.drained.resolve();
  }

  private noteHandshake(socket: Socket): void {
    if ((this.tlsServer === null && !this.settings.proxyProtocol) || socket.remoteAddress === undefined) return;
    const end = remoteEnd(socket);
    this.handshaking.set(end, socket);
    socket.on('close', () => this.handshaking.delete(end));
  }

  /** Over TLS without an answer: the handshake alone would cost more than most requests do. */
  private turnAway(socket: Socket, why: TurnedAway): void {
    if (this.tlsServer !== null || this.turnedAway >= mostTurnedAway) {
      socket.destroy();
      return;
    }
    this.turnedAway++;
    socket.end(answerTo(why));
    // Data that nobody reads would reset the connection before the client has read the answer.
    socket.resume();
    const timer = new Timer(() => socket.destroy());
    this.wheel.arm(timer, turnAwayMs);
    socket.on('close', () => {
      this.turnedAway--;
      timer.disarm();
    });
  }

  private greet(socket: Socket, leave: () => void): void {
    const { tlsServer } = this;
    awaitProxyHeader(socket, this.wheel, this.settings.handshakeMs, (proxied) => {
      if (!this.hasEntered(socket, proxied?.sourceAddress ?? addressOf(socket), leave)) return;
      if (tlsServer === null) {
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
      this.shakeHands(tlsServer, socket);
    });
  }

  private serve(socket: Socket, proxied: ProxiedConnection | null): void {
    const isSecure = socket instanceof TLSSocket || this.settings.tlsTerminated === true;
    const connection = new ServerConnection(socket, describePeer(socket, proxied), this.wheel, this, isSecure);
    this.connections.add(connection);
    if (this.handshaking.size > 0) this.handshaking.delete(remoteEnd(socket));
    // It waited to be accepted, or shook hands, when the draining began: it gets as long as the others.
    if (this.drainIdleMs !== null) connection.drain(this.drainIdleMs);
  }

  onConnectionClosed(connection: ServerConnection): void {
    this.connections.delete(connection);
  }
}

function ignoreError(): void {}

function callOnce(call: () => void): () => void {
  let isCalled = false;
  return () => {
    if (isCalled) return;
    isCalled = true;
    call();
  };
}

/** Canonical; empty for a Unix socket. */
function addressOf({ remoteAddress = '' }: Socket): string {
  return canonicalIp(remoteAddress) ?? remoteAddress;
}

function remoteEnd(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

function describePeer(socket: Socket, proxied: ProxiedConnection | null): Peer {
  const certificate = socket instanceof TLSSocket ? peerCertificate(socket) : null;
  if (proxied !== null) return { address: proxied.sourceAddress, port: proxied.sourcePort, certificate };
  return { address: addressOf(socket), port: socket.remotePort ?? 0, certificate };
}
