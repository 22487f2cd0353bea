/**
 * Sockets that listen already when the process starts: from systemd (socket activation, `sd_listen_fds(3)`), or from a
 * gateway that this process takes over from (see upgrade.ts).
 */
import { type AddressInfo, Server } from 'node:net';
import type { GatewayConfig, ListenerConfig } from '../config/schema.ts';
import { ListenError } from '../gateway/gateway.ts';
import type { HandedBan } from '../stores/handed-bans.ts';
import { hold } from '../workers/held-server.ts';
import type { InheritedSockets } from '../workers/inherited-sockets.ts';
import { isTakingOver, takeOver } from './take-over.ts';

type Listeners = GatewayConfig['listeners'];

export interface ClaimedSockets {
  /** By the name of the listener. */
  readonly listeners: ReadonlyMap<string, InheritedSockets>;
  /** Whom the process before this one turns away. */
  readonly bans: readonly HandedBan[];
  /**
   * Tells the process before this one that it can go.
   * @param takeBans is given its bans once more, with those that it has made meanwhile.
   */
  ready(takeBans: (bans: readonly HandedBan[]) => void): void;
  /** Nobody is going to serve. */
  abandon(): void;
}

/** The first descriptor that systemd passes. */
const firstDescriptor = 3;

/** @throws {ListenError} when a socket was passed that no listener has. */
export async function claimSockets(
  listeners: Listeners,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ClaimedSockets> {
  if (isTakingOver(env)) return takeOver(listeners);
  const claimed = new Map<string, InheritedSockets>();
  try {
    await claimActivated(listeners, env, claimed);
  } catch (error) {
    closeAll(claimed);
    throw error;
  }
  return { listeners: claimed, bans: [], ready: () => {}, abandon: () => closeAll(claimed) };
}

async function claimActivated(
  listeners: Listeners,
  env: Readonly<Record<string, string | undefined>>,
  claimed: Map<string, InheritedSockets>,
): Promise<void> {
  // Meant for another process, which has passed its environment on.
  if (env['LISTEN_PID'] !== String(process.pid)) return;
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  for (let index = 0; index < Number(env['LISTEN_FDS'] ?? 0); index++) {
    const server = await listenOn(firstDescriptor + index);
    const name = nameOf(server, names[index] ?? '', listeners);
    // Whether it may be shared is for systemd to say, and it does not; so the main thread accepts for all.
    const beside = claimed.get(name)?.sockets ?? [];
    const { port } = server.address() as AddressInfo;
    const socket = { accept: () => server, close: () => void server.close() };
    claimed.set(name, { port, sockets: [...beside, socket], mayShare: false });
  }
}

function closeAll(claimed: ReadonlyMap<string, InheritedSockets>): void {
  for (const { sockets } of claimed.values()) for (const socket of sockets) socket.close();
}

/** @throws {ListenError} when no listener is meant; then the server is closed. */
function nameOf(server: Server, name: string, listeners: Listeners): string {
  const address = server.address();
  const refuse = (reason: string): never => {
    server.close();
    throw new ListenError(reason);
  };
  if (address === null || typeof address === 'string') {
    return refuse('systemd has passed a Unix socket: listen on a port, or leave Unix sockets to the gateway');
  }
  const found = listenerOf(name, address.port, listeners);
  return found ?? refuse(`systemd has passed a socket at port ${address.port}, which no listener has`);
}

function listenOn(descriptor: number): Promise<Server> {
  const server = hold(new Server());
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new ListenError(`descriptor ${descriptor} of systemd: ${error.message}`)));
    server.listen({ fd: descriptor }, () => resolve(server));
  });
}

/** By the name that `FileDescriptorName=` gives the socket; otherwise by its port. */
function listenerOf(name: string, port: number, listeners: Listeners): string | undefined {
  if (Object.hasOwn(listeners, name)) return name;
  return Object.keys(listeners).find((key) => isAtPort(listeners[key], port));
}

function isAtPort({ unix, port }: ListenerConfig, wanted: number): boolean {
  return unix === null && port === wanted;
}
