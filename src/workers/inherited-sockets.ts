/** Sockets that listen already when the gateway starts, and those that it gives to the process that follows. */
import type { Server } from 'node:net';
import type { GatewayConfig } from '../config/schema.ts';
import { placeOf } from '../gateway/places.ts';
import type { Addresses } from './addresses.ts';

/** Sockets of one listener that listen already: from a process before this one, or from whoever has started it. */
export interface InheritedSockets {
  readonly port: number;
  readonly sockets: readonly InheritedSocket[];
  /** Whether threads can have sockets of their own at the address as well. */
  readonly mayShare: boolean;
}

export interface InheritedSocket {
  /** Accepts from now on, which it had better not before there is somebody to serve. */
  accept(): Server;
  /** Nobody is going to accept. */
  close(): void;
}

/** What this gateway listens on at one place. */
export interface SharedSockets extends Omit<InheritedSockets, 'sockets'> {
  readonly servers: readonly Server[];
}

/** By place. @param inherited by the name of the listener. */
export function inheritedAddresses(
  inherited: ReadonlyMap<string, InheritedSockets>,
  listeners: GatewayConfig['listeners'],
): Addresses {
  return new Map(
    Array.from(inherited, ([name, { port, mayShare }]) => {
      const acceptedBy = listeners[name].unix !== null ? 'one-thread' : mayShare ? 'threads' : 'main-thread';
      return [placeOf(name, listeners[name]), { port, acceptedBy }] as const;
    }),
  );
}
