/** Opens the sockets that listeners accept on, on one thread or on several at the same address. */
import { connect, Server, type Socket } from 'node:net';
import { renameSync, rmSync, statSync } from 'node:fs';

export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

export interface ListenOptions {
  /**
   * Other threads of this process listen at the same address (`SO_REUSEPORT`); the kernel spreads connections over
   * them. An address that somebody outside this process has is not shared: see `assertFree`.
   */
  readonly shared?: boolean;
}

/** Connections that the kernel may hold for us; a burst of clients must not meet a full queue. */
const backlog = 4096;

/** Where every thread can have a socket of its own at one address (`reusePort` of `server.listen`). */
export const canShareAddresses = ['linux', 'freebsd', 'dragonfly', 'sunos', 'aix'].includes(process.platform);

/** Where a Unix socket is made before it is moved to its place. */
let unixSockets = 0;

/**
 * A server that listens and has nobody yet to take its connections.
 * @throws {Error} with a `code` such as `EADDRINUSE`.
 */
export async function openServer(address: ListenAddress, { shared = false }: ListenOptions = {}): Promise<Server> {
  if ('path' in address) return openUnixServer(address.path);
  return listen(new Server(), { ...address, reusePort: shared });
}

function listen(server: Server, options: object): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...options, backlog }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

/**
 * With `SO_REUSEPORT` a second gateway would get half of the connections of the first instead of an error. So before the
 * threads share an address, this finds out whether it is free.
 * @returns the port: the one asked for, or the one that the kernel chose for 0.
 */
export async function assertFree(address: { readonly host: string; readonly port: number }): Promise<number> {
  const server = await listen(new Server(), address);
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Listens under another name and moves the socket to its place, so that there is no moment at which nobody listens there
 * when one process or thread takes over from another. A socket on which nobody listens any longer is replaced.
 */
async function openUnixServer(path: string): Promise<Server> {
  const draft = `${path}.${process.pid}.${++unixSockets}`;
  rmSync(draft, { force: true });
  const server = await listen(new Server(), { path: draft });
  renameSync(draft, path);
  return server;
}

/** @throws {Error} with the code `EADDRINUSE` when somebody listens at a path, or when something else is there. */
export async function assertUnixFree(path: string): Promise<void> {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket() || (await answers(path))) {
    throw Object.assign(new Error(`${path} is in use`), { code: 'EADDRINUSE' });
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
