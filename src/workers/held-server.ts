/**
 * A server that was handed to this process listening accepts from the first moment, before there is anybody to take its
 * connections. What it accepts until then is held.
 */
import type { Server, Socket } from 'node:net';

const held = new WeakMap<Server, Socket[]>();

/** To be called as soon as there is the server, before the event loop turns. */
export function hold(server: Server): Server {
  const sockets: Socket[] = [];
  held.set(server, sockets);
  // What is read before somebody wants it would be lost.
  Object.assign(server, { pauseOnConnect: true, allowHalfOpen: true });
  server.on('error', ignore);
  server.on('connection', (socket: Socket) => {
    socket.on('error', ignore);
    sockets.push(socket);
  });
  return server;
}

/** Takes the server over from whoever held it. @returns the connections that it has accepted so far. */
export function heldBy(server: Server): readonly Socket[] {
  const sockets = held.get(server);
  if (sockets === undefined) return [];
  held.delete(server);
  server.removeAllListeners('connection');
  server.removeAllListeners('error');
  return sockets;
}

function ignore(): void {}
