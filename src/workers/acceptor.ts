/** Accepts on the main thread and hands each connection to a thread, where threads cannot accept for themselves. */
import type { Server, Socket } from 'node:net';
import { openServer } from '../wire/listening-socket.ts';

/** Takes a connection that was accepted at a place (`placeOf`) and has not been read from. */
export type TakeConnection = (place: string, socket: Socket) => boolean;

/** Connections that wait while no thread serves: after that, clients are better told at once. */
const mostWaiting = 1024;

export class Acceptor {
  private readonly take: TakeConnection;
  private readonly servers = new Map<string, Set<Server>>();
  private waiting: (readonly [place: string, socket: Socket])[] = [];

  /** @param take returns false when no thread can take it at the moment; then it waits for `resume`. */
  constructor(take: TakeConnection) {
    this.take = take;
  }

  async listen(place: string, address: { readonly host: string; readonly port: number }): Promise<void> {
    this.adopt(place, await openServer(address));
  }

  accepts(place: string): boolean {
    return this.servers.has(place);
  }

  /** Accepts from a server that listens already. */
  adopt(place: string, server: Server): void {
    const beside = this.servers.get(place);
    if (beside === undefined) this.servers.set(place, new Set([server]));
    else beside.add(server);
    // Whoever gets the connection begins to read; what was read here would be lost.
    Object.assign(server, { pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    server.on('error', () => {});
    server.on('connection', (socket: Socket) => {
      if (!this.take(place, socket)) this.keepWaiting(place, socket);
    });
  }

  get places(): string[] {
    return [...this.servers.keys()];
  }

  /** A thread serves again. */
  resume(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const [place, socket] of waiting) {
      if (!socket.destroyed && !this.take(place, socket)) this.keepWaiting(place, socket);
    }
  }

  serversAt(place: string): Server[] {
    return [...(this.servers.get(place) ?? [])];
  }

  close(place: string): void {
    for (const server of this.servers.get(place) ?? []) server.close();
    this.servers.delete(place);
  }

  private keepWaiting(place: string, socket: Socket): void {
    if (this.waiting.length < mostWaiting) this.waiting.push([place, socket]);
    else socket.destroy();
  }
}
