/**
 * Accepts on the main thread and hands each connection to a thread: where threads cannot accept for themselves, and for
 * as long as there is none that could.
 */
import type { Server, Socket } from 'node:net';
import { openServer } from '../wire/listening-socket.ts';
import { heldBy } from './held-server.ts';

/** Takes a connection that was accepted at a place (`placeOf`) and has not been read from. */
export type TakeConnection = (place: string, socket: Socket) => boolean;

/** Connections that wait while no thread serves, as many as the kernel would hold; after that they are turned away. */
const mostWaiting = 4096;

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
    const held = heldBy(server);
    server.on('error', ignore);
    server.on('connection', (socket: Socket) => this.accept(place, socket));
    for (const socket of held) this.accept(place, socket);
  }

  get places(): string[] {
    return [...this.servers.keys()];
  }

  /** A thread serves again. */
  resume(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const [place, socket] of waiting) if (!socket.destroyed) this.accept(place, socket);
  }

  serversAt(place: string): Server[] {
    return [...(this.servers.get(place) ?? [])];
  }

  /** Stops accepting at a place without closing what accepts there: whoever gets the servers goes on. */
  release(place: string): Server[] {
    const servers = this.serversAt(place);
    this.servers.delete(place);
    for (const server of servers) server.removeAllListeners();
    return servers;
  }

  close(place: string): void {
    for (const server of this.servers.get(place) ?? []) server.close();
    this.servers.delete(place);
    const isHere = ([at]: readonly [place: string, socket: Socket]): boolean => at === place;
    for (const [, socket] of this.waiting.filter(isHere)) socket.destroy();
    this.waiting = this.waiting.filter((waits) => !isHere(waits));
  }

  private accept(place: string, socket: Socket): void {
    try {
      if (this.take(place, socket)) return;
    } catch {
      // It was broken off before it could be handed over.
      socket.destroy();
      return;
    }
    socket.on('error', ignore);
    if (this.waiting.length < mostWaiting) this.waiting.push([place, socket]);
    else socket.destroy();
  }
}

function ignore(): void {}
