/** What the main thread and a serving thread say to each other: plain data, and sockets that change hands. */
import type { Server, Socket } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import type { GatewayStatus, ListenerAddress, Publication } from '../gateway/gateway.ts';
import type { ServicesMemory } from '../gateway/services.ts';
import type { Opening } from '../gateway/places.ts';
import type { CredentialUse } from '../consumers/used-credentials.ts';
import type { ConfigParcel } from './config-parcel.ts';
import type { ConsumerParcel } from './consumer-parcel.ts';

/** What a serving thread is born with. */
export interface ThreadBirth {
  /** Its number, from 0; in the access log. */
  readonly thread: number;
  /** One counter that it moves on while its event loop turns (Int32). */
  readonly heartbeat: SharedArrayBuffer;
  /** The same for all threads: see `ListenerTlsEnv`. */
  readonly ticketSecret: Uint8Array;
  /** Where connections are counted (`SharedPermits`), and as which of those who count. */
  readonly connections: SharedArrayBuffer;
  readonly seat: number;
  readonly services: ServicesMemory;
  /** What it counts in (`ThreadMetrics`): of its seat, so that nobody else does. */
  readonly metrics: SharedArrayBuffer;
  /** Its way to the `DocumentDesk`. */
  readonly documents: MessagePort;
}

/** A publication on its way to threads. */
export interface PublicationParcel extends Omit<Publication, 'config' | 'consumers'> {
  /** Without consumers. */
  readonly config: ConfigParcel;
  /** In what they differ from those that the thread knows; by each thread. */
  readonly consumers: ConsumerParcel;
}

/** By listener. Those that are open already need none. */
export type Openings = Readonly<Record<string, Opening>>;

/** What a thread is asked; each is answered. */
export type Order =
  | { readonly kind: 'prepare'; readonly publication: PublicationParcel; readonly openings: Openings }
  | { readonly kind: 'commit' }
  | { readonly kind: 'abort' }
  /** Give away what accepts, but for some servers of each listener. */
  | { readonly kind: 'release'; readonly kept: number }
  | { readonly kind: 'status' }
  /** Other consumers than those that it knows. Not while a configuration is made ready. */
  | { readonly kind: 'consumers'; readonly consumers: ConsumerParcel }
  /** Tell which credentials were used: see `UsedCredentials.take`. */
  | { readonly kind: 'uses' };

export interface OrderResults {
  readonly prepare: readonly ListenerAddress[];
  readonly commit: null;
  readonly abort: null;
  readonly release: readonly (readonly [listener: string, servers: readonly Server[]])[];
  readonly status: GatewayStatus;
  readonly consumers: null;
  readonly uses: readonly CredentialUse[];
}

export type ToThread =
  /** Comes first. */
  | { readonly kind: 'birth'; readonly birth: ThreadBirth }
  | { readonly kind: 'order'; readonly id: number; readonly order: Order }
  | { readonly kind: 'adopt'; readonly listener: string; readonly server: Server }
  | { readonly kind: 'accept'; readonly listener: string; readonly socket: Socket }
  /** Give what was begun for these routes a grace to end: see `LocalGateway.endRoutes`. */
  | { readonly kind: 'routes-gone'; readonly names: readonly string[]; readonly revision: number }
  /** Ends the thread once it is done: see `LocalGateway.stop`. */
  | { readonly kind: 'stop'; readonly graceMs: number; readonly idleMs: number };

export type FromThread =
  /** Which credentials were used, by itself: it is about to end. */
  | { readonly kind: 'uses'; readonly uses: readonly CredentialUse[] }
  | { readonly kind: 'done'; readonly id: number; readonly result: OrderResults[Order['kind']] }
  | { readonly kind: 'refused'; readonly id: number; readonly reason: string; readonly cannotListen: boolean };
