/** The listeners of a gateway that are open, and how they change with its configuration: by difference, not anew. */
import type { Server, Socket } from 'node:net';
import type { GatewayConfig, ListenerConfig } from '../config/schema.ts';
import type { Clock } from '../util/clock.ts';
import { type Keep, type Lease, identityOf } from '../util/keep.ts';
import type { Admission } from '../wire/admission.ts';
import { Listener, type ListenerSettings } from '../wire/listener.ts';
import { assertUnixFree } from '../wire/listening-socket.ts';
import type { RequestHandler } from '../wire/server-stream.ts';
import { Timer, type TimerWheel } from '../wire/timer-wheel.ts';
import { createListenerTls, type ListenerTls } from '../wire/tls/listener-tls.ts';
import { drainGraceMs, type GatewayLog, type ListenerAddress } from './gateway.ts';
import { type GateServices, ListenerGate } from './listener-gate.ts';
import { listenError, type Opening, placeOf, urlOf } from './places.ts';

export interface ListenersEnv {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly keep: Keep;
  readonly log: GatewayLog;
  /** See `ListenerTlsEnv`. */
  readonly ticketSecret: Uint8Array;
  /** No certificate is read: where TLS is configured, it is terminated before connections come here. */
  readonly tlsTerminated: boolean;
  handlerFor(listener: string): RequestHandler;
  /** What clients are told apart by, and who is turned away. */
  readonly services: GateServices;
  /** See `Opening.counter`. */
  readonly admission?: ((counter: number) => Admission) | undefined;
}

/** A change that was made ready: everything is open that has to be, and nothing has changed for those who are served. */
export interface ListenersChange {
  readonly addresses: readonly ListenerAddress[];
  commit(): void;
  abort(): void;
}

interface OpenListener {
  readonly address: ListenerAddress;
  readonly listener: Listener;
  readonly tls: Lease<ListenerTls> | null;
}

interface ReadyListener extends OpenListener {
  readonly configure: () => void;
}

/** While it is removed, clients may still ask once more on connections that are open: see `Listener.drain`. */
const idleMs = 5_000;

export class OpenListeners {
  private readonly env: ListenersEnv;
  /** By where they listen, so that one that is only called differently stays open. */
  private open = new Map<string, OpenListener>();
  /** Removed from the configuration, with connections left. */
  private readonly leaving = new Set<Listener>();

  constructor(env: ListenersEnv) {
    this.env = env;
  }

  /** @throws {ListenError} when one of those that are new cannot be opened; then none is. */
  async prepare(config: GatewayConfig, openingOf: (name: string) => Opening): Promise<ListenersChange> {
    const next = new Map<string, ReadyListener>();
    const opened: Listener[] = [];
    const leases: Lease<ListenerTls>[] = [];
    const undo = (): void => {
      for (const listener of opened) {
        void listener.drain();
        listener.destroy();
      }
      for (const lease of leases) lease.release();
    };
    for (const [name, listenerConfig] of Object.entries(config.listeners)) {
      const place = placeOf(name, listenerConfig);
      const known = this.open.get(place);
      const opening: Opening =
        known === undefined ? openingOf(name) : { kind: 'wait', port: portOf(known.address.url) };
      try {
        const tls = this.leaseTls(name, listenerConfig, config.baseDir);
        if (tls !== null) leases.push(tls);
        const gate = new ListenerGate(place, listenerConfig, this.env.services);
        const settings = settingsOf(listenerConfig, tls?.value ?? null, this.env.handlerFor(name), gate);
        const listener = known?.listener ?? new Listener(settings, this.env.wheel, this.admissionOf(opening));
        if (known === undefined) opened.push(listener);
        const configure = listener.prepare(settings);
        const port = await bind(listener, listenerConfig, opening);
        next.set(place, { listener, tls, configure, address: { name, url: urlOf(listenerConfig, port) } });
      } catch (error) {
        undo();
        throw listenError(name, listenerConfig, opening.port, error);
      }
    }
    return {
      addresses: Array.from(next.values(), ({ address }) => address),
      commit: () => this.move(next),
      abort: undo,
    };
  }

  private admissionOf({ counter }: Opening): Admission | undefined {
    return counter === undefined ? undefined : this.env.admission?.(counter);
  }

  private move(next: ReadonlyMap<string, ReadyListener>): void {
    const before = this.open;
    this.open = new Map(next);
    for (const { address, listener, configure } of next.values()) {
      configure();
      try {
        listener.open();
      } catch (error) {
        // Somebody has moved the folder since the socket was made in it. The others serve all the same.
        this.env.log.error('a listener is not where it should be', { listener: address.name, url: address.url, error });
      }
    }
    for (const [place, { listener, tls }] of before) {
      if (!next.has(place)) this.remove(listener);
      tls?.release();
    }
  }

  private remove(listener: Listener): void {
    this.leaving.add(listener);
    const grace = new Timer(() => listener.destroy());
    this.env.wheel.arm(grace, drainGraceMs);
    void listener.drain(idleMs).then(() => {
      grace.disarm();
      this.leaving.delete(listener);
    });
  }

  get addresses(): ListenerAddress[] {
    return Array.from(this.open.values(), ({ address }) => address);
  }

  /** Those that are open, and those that were removed and still have connections. */
  get all(): Listener[] {
    return [...Array.from(this.open.values(), ({ listener }) => listener), ...this.leaving];
  }

  connectionsOf(name: string): number {
    return this.find(name)?.openConnections ?? 0;
  }

  /** Gives a listener that is open, or made ready to be, a server that listens already. */
  adopt(name: string, server: Server): void {
    const listener = this.find(name);
    if (listener === undefined) server.close();
    else listener.adopt(server);
  }

  accept(name: string, socket: Socket): void {
    const listener = this.find(name);
    if (listener === undefined) socket.destroy();
    else listener.accept(socket);
  }

  /** Gives away what accepts, by listener. @param kept how many servers each keeps. */
  release(kept: number): (readonly [name: string, servers: Server[]])[] {
    return Array.from(this.open.values(), ({ address, listener }) => [address.name, listener.release(kept)] as const);
  }

  /** Stops accepting. Resolves when the last connection is closed. */
  async drain(idle: number): Promise<void> {
    const all = Array.from(this.open.values());
    const leaving = Array.from(this.leaving, (listener) => listener.drain(idle));
    await Promise.all([...all.map(({ listener }) => listener.drain(idle)), ...leaving]);
    for (const { tls } of all) tls?.release();
    this.open.clear();
  }

  destroy(): void {
    for (const listener of this.all) listener.destroy();
  }

  private find(name: string): Listener | undefined {
    for (const { address, listener } of this.open.values()) if (address.name === name) return listener;
    return undefined;
  }

  private leaseTls(name: string, { tls, timeouts }: ListenerConfig, baseDir: string): Lease<ListenerTls> | null {
    if (tls === undefined || this.env.tlsTerminated) return null;
    const { clock, keep, log, ticketSecret } = this.env;
    const make = (): ListenerTls =>
      createListenerTls(tls, {
        baseDir,
        clock,
        ticketSecret,
        handshakeTimeoutMs: timeouts.handshake,
        // Otherwise clients that cannot connect are seen by nobody. Of very many the log takes a few.
        onHandshakeError: (code, client = '') => log.info('a TLS handshake failed', { listener: name, code, client }),
        report: ({ severity, message, file }) =>
          log[severity === 'error' ? 'error' : 'warn'](message, { listener: name, file }),
      });
    return keep.lease(identityOf('listener tls', name, baseDir, tls, timeouts.handshake), make, (made) => made.close());
  }
}

function settingsOf(
  config: ListenerConfig,
  tls: ListenerTls | null,
  handler: RequestHandler,
  gate: ListenerGate,
): ListenerSettings {
  const { limits, timeouts } = config;
  return {
    tls,
    tlsTerminated: tls === null && config.tls !== undefined,
    proxyProtocol: config.proxyProtocol,
    maxConnections: limits.connections,
    gate,
    handshakeMs: timeouts.handshake,
    limits: { ...limits, keepUnderscores: limits.underscores === 'keep' },
    timeouts: { headMs: timeouts.head, bodyIdleMs: timeouts.bodyIdle, keepAliveMs: timeouts.keepAlive },
    handler,
  };
}

/** @returns the port. */
async function bind(listener: Listener, { unix, host }: ListenerConfig, opening: Opening): Promise<number> {
  if (opening.kind === 'wait') return opening.port;
  const { shared, port } = opening;
  if (unix !== null && !shared) await assertUnixFree(unix);
  return listener.listen(unix === null ? { host, port } : { path: unix }, { shared });
}

function portOf(url: string): number {
  return url.startsWith('unix:') ? 0 : Number(/:(\d+)$/.exec(url)?.[1] ?? 0);
}
