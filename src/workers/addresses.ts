/**
 * Who accepts connections for which listener. Where the platform allows it every thread has a socket of its own at the
 * same address, and the kernel spreads connections over them. A Unix socket cannot be shared, nor handed over once it is
 * open, so one thread serves it. What neither holds for is accepted by the main thread, which hands the connections on.
 */
import type { GatewayConfig, ListenerConfig } from '../config/schema.ts';
import { listenError, type Opening, placeOf } from '../gateway/places.ts';
import { assertFree, assertUnixFree } from '../wire/listening-socket.ts';
import type { ConnectionPermits } from './connection-permits.ts';
import type { Openings } from './messages.ts';

type Listeners = GatewayConfig['listeners'];

/** One address that is listened on. */
export interface Address {
  /** The one that the kernel has chosen if the configured one is 0; 0 for a Unix socket. */
  readonly port: number;
  /** Who accepts: each thread for itself, one thread, or the main thread for all. */
  readonly acceptedBy: 'threads' | 'one-thread' | 'main-thread';
}

/** By place (`placeOf`). */
export type Addresses = ReadonlyMap<string, Address>;

/** Serves Unix sockets. */
const unixThread = 0;

/**
 * Finds the addresses of all listeners, and makes sure that those that are new are free.
 * @param known those that are open, and those whose sockets somebody has handed to this process.
 * @param mayShare whether threads can have sockets at one address.
 * @throws {ListenError}
 */
export async function planAddresses(listeners: Listeners, known: Addresses, mayShare: boolean): Promise<Addresses> {
  const addresses = new Map<string, Address>();
  for (const [name, listener] of Object.entries(listeners)) {
    const place = placeOf(name, listener);
    addresses.set(place, known.get(place) ?? (await findAddress(name, listener, known, mayShare)));
  }
  return addresses;
}

async function findAddress(
  name: string,
  listener: ListenerConfig,
  known: Addresses,
  mayShare: boolean,
): Promise<Address> {
  const { unix, host, port } = listener;
  try {
    if (unix !== null) {
      await assertUnixFree(unix);
      return { port: 0, acceptedBy: 'one-thread' };
    }
    // An address that overlaps with one of ours, `0.0.0.0` with `127.0.0.1`, is ours to have.
    const isOurs = port !== 0 && Array.from(known.values()).some((address) => address.port === port);
    const free = isOurs ? port : await assertFree({ host, port });
    return { port: free, acceptedBy: mayShare ? 'threads' : 'main-thread' };
  } catch (error) {
    throw listenError(name, listener, port, error);
  }
}

/**
 * How the listeners of one thread get what accepts for them.
 * @param counters where connections are counted.
 * @param given the places whose sockets the thread is going to be handed. Unix sockets cannot be.
 */
export function openingsFor(
  thread: number,
  listeners: Listeners,
  addresses: Addresses,
  counters: Pick<ConnectionPermits, 'counterAt'>,
  given: Pick<Addresses, 'has'> = new Map(),
): Openings {
  const openings: Record<string, Opening> = {};
  for (const [name, listener] of Object.entries(listeners)) {
    const place = placeOf(name, listener);
    const { port, acceptedBy } = addresses.get(place)!;
    const isOwn = acceptedBy === 'threads' ? !given.has(place) : acceptedBy === 'one-thread' && thread === unixThread;
    const counter = counters.counterAt(place);
    openings[name] = isOwn ? { kind: 'listen', shared: true, port, counter } : { kind: 'wait', port, counter };
  }
  return openings;
}

/** The name of the listener at a place. */
export function listenerAt(place: string, listeners: Listeners): string | undefined {
  return Object.keys(listeners).find((name) => placeOf(name, listeners[name]) === place);
}
