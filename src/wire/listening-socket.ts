/** Opens the sockets that listeners accept on, on one thread or on several at the same address. */
import { connect, Server, type Socket } from 'node:net';
import { renameSync, rmSync, statSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

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

/**
 * A server that listens and has nobody yet to take its connections.
 * @throws {Error} with a `code` such as `EADDRINUSE`.
 */
export function openServer(
  address: { readonly host: string; readonly port: number },
  { shared = false }: ListenOptions = {},
): Promise<Server> {
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

/** How many were made by this thread. */
let unixSockets = 0;

/**
 * A Unix socket that listens under another name until it takes its place. So there is no moment at which nobody listens
 * there when one thread or process takes over from another, and one that is given up before leaves what was there alone.
 */
export class UnixSocket {
  readonly server: Server;
  private readonly path: string;
  private readonly draft: string;
  private inode = -1;

  private constructor(server: Server, path: string, draft: string) {
    this.server = server;
    this.path = path;
    this.draft = draft;
  }

  static async open(path: string): Promise<UnixSocket> {
    const draft = `${path}.${process.pid}.${threadId}.${++unixSockets}`;
    rmSync(draft, { force: true });
    return new UnixSocket(await listen(new Server(), { path: draft }), path, draft);
  }

  /** From now on clients find this one. A socket on which nobody listens any longer is replaced. */
  takePlace(): void {
    if (this.inode !== -1) return;
    renameSync(this.draft, this.path);
    this.inode = statSync(this.path).ino;
  }

  /** Closes it, and removes it from its place unless another one has taken that. */
  close(): void {
    this.server.close();
    if (statSync(this.path, { throwIfNoEntry: false })?.ino === this.inode) rmSync(this.path, { force: true });
  }
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
