/**
 * Sockets that listen already when the process starts: from systemd (socket activation, `sd_listen_fds(3)`), or from a
 * gateway that this process takes over from (see upgrade.ts).
 */
import { Server } from 'node:net';
import type { GatewayConfig, ListenerConfig } from '../config/schema.ts';
import { ListenError } from '../gateway/gateway.ts';
import type { InheritedSockets } from '../workers/threaded-gateway.ts';
import { isTakingOver, takeOver } from './take-over.ts';

type Listeners = GatewayConfig['listeners'];

export interface ClaimedSockets {
  /** By the name of the listener. */
  readonly listeners: ReadonlyMap<string, InheritedSockets>;
  /** Tells the process before this one that it can go. */
  ready(): void;
}

/** The first descriptor that systemd passes. */
const firstDescriptor = 3;

/** @throws {ListenError} when a socket was passed that no listener has. */
export async function claimSockets(
  listeners: Listeners,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ClaimedSockets> {
  if (isTakingOver(env)) return takeOver(listeners);
  return { listeners: await activatedSockets(listeners, env), ready: () => {} };
}

async function activatedSockets(
  listeners: Listeners,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Map<string, InheritedSockets>> {
  const claimed = new Map<string, InheritedSockets>();
  // Meant for another process, which has passed its environment on.
  if (env['LISTEN_PID'] !== String(process.pid)) return claimed;
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  for (let index = 0; index < Number(env['LISTEN_FDS'] ?? 0); index++) {
    const server = await listenOn(firstDescriptor + index);
    const address = server.address();
    if (address === null || typeof address === 'string') {
      throw new ListenError('systemd has passed a Unix socket: listen on a port, or leave Unix sockets to the gateway');
    }
    const name = listenerOf(names[index] ?? '', address.port, listeners);
    if (name === undefined) {
      throw new ListenError(`systemd has passed a socket at port ${address.port}, which no listener has`);
    }
    // Whether it may be shared is for systemd to say, and it does not; so one thread accepts for all.
    claimed.set(name, { port: address.port, servers: [server], mayShare: false });
  }
  return claimed;
}

function listenOn(descriptor: number): Promise<Server> {
  const server = new Server({ pauseOnConnect: true });
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
