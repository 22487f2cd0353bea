/**
 * A gateway on several threads that counts as one. The main thread never shares an event loop with a request; it sees to
 * it that all threads serve the same configuration, and that there are as many as there should be.
 */
import { randomBytes } from 'node:crypto';
import type { Server, Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import type { GatewayConfig } from '../config/schema.ts';
import type { Gateway, GatewayLog, GatewayStatus, ListenerAddress, Publication } from '../gateway/gateway.ts';
import { placeOf, urlOf } from '../gateway/places.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { canShareAddresses } from '../wire/listening-socket.ts';
import { Acceptor } from './acceptor.ts';
import { type Addresses, listenerAt, openingsFor, planAddresses } from './addresses.ts';
import { packConfig } from './config-parcel.ts';
import { mergeStatus } from './merge-status.ts';
import type { PublicationParcel } from './messages.ts';
import { ServingThread, ThreadLost, spareThread } from './serving-thread.ts';
import { leavingIdleMs, ThreadSlot } from './thread-slot.ts';

/** Sockets of one listener that listen already: from a process before this one, or from whoever has started it. */
export interface InheritedSockets {
  readonly port: number;
  readonly servers: readonly Server[];
  /** Whether threads can have sockets of their own at the address as well. */
  readonly mayShare: boolean;
}

export interface ThreadedGatewayEnv {
  readonly log: GatewayLog;
  readonly clock?: Clock;
  /** A thread that has begun to load its code. */
  readonly spare?: Worker;
  /** How long an event loop may stand still before its thread is replaced. Default 5 s. */
  readonly hangLimitMs?: number;
  /** Whether threads can have sockets at one address; by default what the platform says. */
  readonly mayShare?: boolean;
  /** By the name of the listener. */
  readonly inherited?: ReadonlyMap<string, InheritedSockets>;
  /** Told of what happens to threads. */
  onEvent?(kind: string, about: Readonly<Record<string, unknown>>): void;
}

/** What is served. */
interface Served {
  readonly parcel: PublicationParcel;
  readonly listeners: GatewayConfig['listeners'];
  readonly open: Addresses;
}

/** Servers that listen at a place and are looking for a thread. */
type Homeless = readonly (readonly [place: string, servers: readonly Server[]])[];

const hangLimitMs = 5_000;
const superviseEveryMs = 250;
/** A thread that does not answer within this time is shown as silent. */
const statusTimeoutMs = 500;

export class ThreadedGateway implements Gateway {
  private readonly first: Publication;
  private readonly env: ThreadedGatewayEnv;
  private readonly clock: Clock;
  private readonly ticketSecret = randomBytes(32);
  private readonly acceptor = new Acceptor((place, socket) => this.handToThread(place, socket));
  private slots: ThreadSlot[] = [];
  /** Those that are no longer wanted and still finish something. */
  private readonly leaving = new Set<ThreadSlot>();
  private spare: Worker | null;
  private served: Served | null = null;
  private stopSupervising: (() => void) | null = null;
  private turn = 0;
  /** Changes are made one after another. */
  private lastChange: Promise<unknown> = Promise.resolve();

  constructor(first: Publication, env: ThreadedGatewayEnv) {
    this.first = first;
    this.env = env;
    this.clock = env.clock ?? systemClock;
    this.spare = env.spare ?? null;
  }

  async start(): Promise<readonly ListenerAddress[]> {
    const addresses = await this.apply(this.first);
    this.stopSupervising = this.clock.every(superviseEveryMs, () => {
      for (const slot of this.slots) slot.supervise();
    });
    return addresses;
  }

  apply(publication: Publication): Promise<readonly ListenerAddress[]> {
    const change = this.lastChange.then(() => this.change(publication));
    this.lastChange = change.catch(() => {});
    return change;
  }

  private get addresses(): ListenerAddress[] {
    const { listeners, open } = this.served!;
    return Object.entries(listeners).map(([name, listener]) => {
      return { name, url: urlOf(listener, open.get(placeOf(name, listener))!.port) };
    });
  }

  /** Whether every thread serves. */
  get isComplete(): boolean {
    return this.slots.length > 0 && this.slots.every(({ live }) => live !== null);
  }

  // ---- changes -----------------------------------------------------------------------------------------------------

  private async change(publication: Publication): Promise<readonly ListenerAddress[]> {
    const { served } = this;
    const { config } = publication;
    const { listeners } = config;
    const inherited = served === null ? this.inheritedServers(listeners) : [];
    const known = served?.open ?? this.inheritedAddresses(listeners);
    const open = await planAddresses(listeners, known, this.env.mayShare ?? canShareAddresses);
    const opened = await this.openAcceptor(listeners, open, inherited);
    const parcel: PublicationParcel = { ...publication, config: packConfig(config) };
    const next = { parcel, listeners, open };
    const isSameCode = served?.parcel.codeDigest === publication.codeDigest;
    const count = threadCount(config);
    try {
      if (isSameCode && count === this.slots.length) await this.changeInPlace(next);
      else await this.changeThreads(next, count, inherited);
    } catch (error) {
      for (const place of opened) this.acceptor.close(place);
      throw error;
    }
    for (const place of this.acceptor.places) if (!open.has(place)) this.acceptor.close(place);
    this.acceptor.resume();
    return this.addresses;
  }

  /** Every thread changes while it serves. */
  private async changeInPlace(next: Served): Promise<void> {
    const threads = this.slots.flatMap(({ live }) => (live === null ? [] : [live]));
    const prepared = await Promise.allSettled(
      threads.map((thread) => {
        const openings = openingsFor(thread.thread, next.listeners, next.open);
        return thread.ask({ kind: 'prepare', publication: next.parcel, openings });
      }),
    );
    // One that was lost is replaced by one that begins with what is served then.
    const refused = prepared.find((result) => result.status === 'rejected' && !(result.reason instanceof ThreadLost));
    const order = { kind: refused === undefined ? 'commit' : 'abort' } as const;
    if (refused === undefined) this.served = next;
    await Promise.allSettled(threads.map((thread) => thread.ask(order)));
    if (refused?.status === 'rejected') throw refused.reason;
  }

  /** Every thread is replaced by a new one, which takes over the sockets that it accepts on. */
  private async changeThreads(next: Served, count: number, inherited: Homeless): Promise<void> {
    const before = this.slots;
    const slots = Array.from({ length: count }, (_, number) => before[number] ?? this.createSlot(number));
    const surplus = before.slice(count);
    const prepared = await Promise.allSettled(
      slots.map((slot, index) => {
        const given = before[index]?.live ? this.keptIn(next) : givenTo(index, inherited);
        return slot.prepare(next.parcel, openingsFor(index, next.listeners, next.open, given));
      }),
    );
    const threads = prepared.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const refused = prepared.find((result) => result.status === 'rejected');
    if (refused !== undefined) {
      await Promise.all(threads.map((thread) => thread.kill()));
      throw refused.reason;
    }
    const from = this.served?.listeners ?? {};
    this.slots = slots;
    this.served = next;
    for (const [index, thread] of threads.entries()) {
      await thread.ask({ kind: 'commit' });
      const old = slots[index].install(thread);
      if (old !== null) await this.takeOver(slots[index], old, from, index);
    }
    for (const [index, slot] of surplus.entries()) {
      if (slot.live !== null) await this.takeOver(slot, slot.live, from, index % count);
      this.leaving.add(slot);
      void slot.stop(Infinity, leavingIdleMs).then(() => this.leaving.delete(slot));
    }
    this.give(
      inherited.filter(([place]) => !this.acceptor.accepts(place)),
      0,
    );
  }

  /** Gives what a thread accepts with to its successor, and lets it finish. */
  private async takeOver(
    slot: ThreadSlot,
    old: ServingThread,
    from: GatewayConfig['listeners'],
    heir: number,
  ): Promise<void> {
    try {
      const released = await old.ask({ kind: 'release' });
      this.give(
        released.map(([name, servers]) => [placeOf(name, from[name]), servers]),
        heir,
      );
    } catch (error) {
      if (!(error instanceof ThreadLost)) throw error;
      // It is gone, and its sockets with it. Whoever begins anew opens others.
      void this.slots[heir].live?.kill(new Error('its predecessor died before it had handed over'));
    }
    if (slot.live !== old) slot.retire(old);
  }

  /** Gives servers to threads, beginning with one; those of listeners that are no more are closed. */
  private give(homeless: Homeless, first: number): void {
    for (const [place, servers] of homeless) {
      const name = listenerAt(place, this.served!.listeners);
      for (const [index, server] of servers.entries()) {
        const thread = this.slots[(first + index) % this.slots.length].live;
        if (name === undefined || thread === null) server.close();
        else thread.adopt(name, server);
      }
    }
  }

  /** The places that both are and will be listened on. */
  private keptIn({ open }: Pick<Served, 'open'>): Set<string> {
    return new Set([...(this.served?.open.keys() ?? [])].filter((place) => open.has(place)));
  }

  // ---- sockets -----------------------------------------------------------------------------------------------------

  /** The addresses whose sockets were handed to this process. */
  private inheritedAddresses(listeners: GatewayConfig['listeners']): Addresses {
    return new Map(
      Array.from(this.env.inherited ?? [], ([name, { port, mayShare }]) => {
        const acceptedBy = listeners[name].unix !== null ? 'one-thread' : mayShare ? 'threads' : 'main-thread';
        return [placeOf(name, listeners[name]), { port, acceptedBy }] as const;
      }),
    );
  }

  private inheritedServers(listeners: GatewayConfig['listeners']): Homeless {
    return Array.from(this.env.inherited ?? [], ([name, { servers }]) => [placeOf(name, listeners[name]), servers]);
  }

  /** Opens what the main thread accepts for others. @returns the places that were not open before. */
  private async openAcceptor(
    listeners: GatewayConfig['listeners'],
    open: Addresses,
    given: Homeless,
  ): Promise<string[]> {
    const opened: string[] = [];
    for (const [name, listener] of Object.entries(listeners)) {
      const place = placeOf(name, listener);
      const { acceptedBy, port } = open.get(place)!;
      if (acceptedBy !== 'main-thread' || this.acceptor.accepts(place)) continue;
      const servers = given.find(([at]) => at === place)?.[1] ?? [];
      if (servers[0] === undefined) await this.acceptor.listen(place, { host: listener.host, port });
      else this.acceptor.adopt(place, servers[0]);
      opened.push(place);
    }
    return opened;
  }

  /** Threads take turns. */
  private handToThread(place: string, socket: Socket): boolean {
    const live = this.slots.flatMap((slot) => (slot.live === null ? [] : [slot.live]));
    const name = this.served === null ? undefined : listenerAt(place, this.served.listeners);
    if (live.length === 0 || name === undefined) return false;
    this.turn = (this.turn + 1) % live.length;
    live[this.turn].accept(name, socket);
    return true;
  }

  /**
   * Takes what accepts to the main thread, which goes on accepting for the threads, so that another process can be given
   * a share in it.
   * @returns by place. A Unix socket is not there, only that there is one: it cannot be shared.
   */
  async shareSockets(): Promise<ReadonlyMap<string, InheritedSockets>> {
    const { open, listeners } = this.served!;
    for (const { live } of this.slots) {
      if (live === null) continue;
      for (const [name, servers] of await live.ask({ kind: 'release' })) {
        for (const server of servers) this.acceptor.adopt(placeOf(name, listeners[name]), server);
      }
    }
    return new Map(
      Array.from(open, ([place, { port, acceptedBy }]) => {
        const servers = this.acceptor.serversAt(place);
        return [place, { port, servers, mayShare: acceptedBy !== 'main-thread' }] as const;
      }),
    );
  }

  // ---- threads -----------------------------------------------------------------------------------------------------

  async status(): Promise<GatewayStatus> {
    const answers = await Promise.all(this.slots.map(({ live }) => this.statusOf(live)));
    const threads = this.slots.map((slot, index) => slot.status(answers[index]?.threads[0] ?? null));
    const own = answers.filter((answer) => answer !== null);
    return mergeStatus(threads, own, this.addresses);
  }

  private async statusOf(thread: ServingThread | null): Promise<GatewayStatus | null> {
    if (thread === null) return null;
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), statusTimeoutMs);
    });
    try {
      return await Promise.race([thread.ask({ kind: 'status' }), silence]);
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param idleMs see `Listener.drain`. */
  async stop(graceMs: number, idleMs = 0): Promise<void> {
    this.stopSupervising?.();
    for (const place of this.acceptor.places) this.acceptor.close(place);
    await Promise.all([...this.slots, ...this.leaving].map((slot) => slot.stop(graceMs, idleMs)));
    await this.spare?.terminate();
  }

  private createSlot(number: number): ThreadSlot {
    const { log } = this.env;
    return new ThreadSlot(number, {
      clock: this.clock,
      log,
      hangLimitMs: this.env.hangLimitMs ?? hangLimitMs,
      spawn: (thread) => this.spawn(thread),
      current: (thread) => {
        const { parcel, listeners, open } = this.served!;
        return { publication: parcel, openings: openingsFor(thread, listeners, open) };
      },
      onServing: () => this.acceptor.resume(),
      onEvent: (kind, about) => this.env.onEvent?.(kind, about),
    });
  }

  private spawn(thread: number): ServingThread {
    const worker = this.spare ?? spareThread();
    this.spare = null;
    return new ServingThread(worker, { thread, ticketSecret: this.ticketSecret }, this.clock.now());
  }
}

function threadCount({ threads }: GatewayConfig): number {
  return threads === 'auto' ? availableParallelism() : threads;
}

/** The places whose inherited sockets the thread with this number is going to be given. */
function givenTo(thread: number, inherited: Homeless): Set<string> {
  return new Set(inherited.flatMap(([place, servers]) => (thread < servers.length ? [place] : [])));
}
