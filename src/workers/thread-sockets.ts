/**
 * Who accepts connections while threads come, go and stand still. Usually each thread does for itself. The kernel gives each of
 * their sockets its share of the connections, also that of a thread which works on one request for seconds, and nobody else
 * can take them from there. So once a thread has stood still for long, the main thread accepts in place of all of them,
 * and hands on to those that turn, until none has for a while. See docs/decisions/who-accepts.md.
 */
import type { Server, Socket } from 'node:net';
import type { GatewayConfig } from '../config/schema.ts';
import type { GatewayLog } from '../gateway/gateway.ts';
import { placeOf } from '../gateway/places.ts';
import type { Clock } from '../util/clock.ts';
import { openServer } from '../wire/listening-socket.ts';
import { Acceptor } from './acceptor.ts';
import { type Addresses, listenerAt } from './addresses.ts';
import { HandOver } from './hand-over.ts';
import type { InheritedSockets, SharedSockets } from './inherited-sockets.ts';
import type { Served } from './served.ts';
import type { ServingThread } from './serving-thread.ts';
import { StandstillWatch } from './standstill-watch.ts';

export interface ThreadSocketsEnv {
  readonly log: GatewayLog;
  readonly clock: Clock;
  /** The threads that serve, by their number; null where there is none at the moment. */
  threads(): readonly (ServingThread | null)[];
  served(): Served | null;
  /** Has something done while nothing else changes. */
  alone(work: () => Promise<void>): Promise<void>;
  /** For how long no thread may have stood still until they accept for themselves again. */
  readonly calmMs: number;
}

export class ThreadSockets {
  readonly acceptor = new Acceptor((place, socket) => this.handToThread(place, socket));
  private readonly env: ThreadSocketsEnv;
  private readonly watch = new StandstillWatch();
  private readonly stopLooking: () => void;
  private turn = 0;
  /** When a thread has last stood still for long, while the main thread accepts for that; null otherwise. */
  private stalledAt: number | null = null;
  private isGivingBack = false;
  /** Another process has a share in them. */
  private isShared = false;
  private isClosed = false;

  constructor(env: ThreadSocketsEnv) {
    this.env = env;
    this.stopLooking = env.clock.every(StandstillWatch.lookEveryMs, () => this.look());
  }

  /** Whether a new thread need not accept at a place, because the main thread does. */
  has(place: string): boolean {
    return this.stalledAt !== null && this.acceptor.accepts(place);
  }

  nameAt(place: string): string | undefined {
    const served = this.env.served();
    return served === null ? undefined : listenerAt(place, served.listeners);
  }

  createHandOver(from: GatewayConfig['listeners']): HandOver {
    const now = (): Served => this.env.served()!;
    return new HandOver(
      {
        log: this.env.log,
        placeOf: (name, when) => placeOf(name, (when === 'before' ? from : now().listeners)[name]),
        nameAt: (place) => this.nameAt(place),
        open: (place) => {
          const { host } = now().listeners[this.nameAt(place)!];
          return openServer({ host, port: now().open.get(place)!.port }, { shared: true });
        },
        keep: (place, server) => this.acceptor.adopt(place, server),
      },
      () => this.env.threads(),
    );
  }

  takeInherited(inherited: ReadonlyMap<string, InheritedSockets>, listeners: GatewayConfig['listeners']): void {
    for (const [name, { sockets }] of inherited) {
      for (const socket of sockets) this.acceptor.adopt(placeOf(name, listeners[name]), socket.accept());
    }
  }

  /** Gives threads what the main thread has accepted with in their place. */
  giveShared(handOver: HandOver, addresses: Addresses): void {
    for (const place of this.acceptor.places) {
      if (addresses.get(place)?.acceptedBy !== 'threads') continue;
      for (const [index, server] of this.acceptor.release(place).entries()) handOver.give(place, server, index);
    }
  }

  /**
   * Takes what accepts to the main thread, which goes on accepting for the threads, so that another process can be given
   * a share in it.
   * @returns by place. A Unix socket is not there, only that there is one: it cannot be shared.
   */
  async share(): Promise<ReadonlyMap<string, SharedSockets>> {
    this.isShared = true;
    await this.take();
    return new Map(
      Array.from(this.env.served()!.open, ([place, { port, acceptedBy }]) => {
        const servers = this.acceptor.serversAt(place);
        return [place, { port, servers, mayShare: acceptedBy !== 'main-thread' }] as const;
      }),
    );
  }

  /** Gives the threads back what was taken from them to be shared. */
  reclaim(): void {
    this.isShared = false;
    const served = this.env.served();
    if (served !== null && this.stalledAt === null) {
      this.giveShared(this.createHandOver(served.listeners), served.open);
    }
  }

  /** Stops accepting on the main thread. */
  close(): void {
    this.isClosed = true;
    this.stopLooking();
    for (const place of this.acceptor.places) this.acceptor.close(place);
  }

  /** Threads take turns. One that stands still would let a connection wait, so it is left out as long as others turn. */
  private handToThread(place: string, socket: Socket): boolean {
    const live = this.liveThreads();
    const name = this.nameAt(place);
    if (live.length === 0 || name === undefined) return false;
    let chosen = (this.turn + 1) % live.length;
    for (let step = 1; step < live.length && this.watch.isStill(live[chosen]); step++) {
      chosen = (chosen + 1) % live.length;
    }
    this.turn = chosen;
    live[chosen].accept(name, socket);
    return true;
  }

  private liveThreads(): ServingThread[] {
    return this.env.threads().filter((thread) => thread !== null);
  }

  private look(): void {
    const live = this.liveThreads();
    const stalled = this.watch.look(live);
    // Where there is but one, nobody else could serve what it does not accept.
    if (stalled !== null && live.length > 1) this.change(() => this.acceptForAll(stalled));
    if (!this.isCalm() || this.isShared || this.isGivingBack) return;
    this.isGivingBack = true;
    this.change(() => this.giveBack().finally(() => (this.isGivingBack = false)));
  }

  private change(work: () => Promise<void>): void {
    this.env.alone(work).catch((error: unknown) => {
      this.env.log.error('sockets could not be moved', { error });
    });
  }

  /** Whether threads can accept for themselves again. */
  private isCalm(): boolean {
    const { clock, calmMs } = this.env;
    return this.stalledAt !== null && clock.now() - this.stalledAt >= calmMs;
  }

  private async acceptForAll({ thread }: ServingThread): Promise<void> {
    if (this.isClosed) return;
    if (this.stalledAt === null) {
      const about = { thread };
      this.env.log.warn('a thread stands still: the main thread accepts connections for those that do not', about);
    }
    this.stalledAt = this.env.clock.now();
    await this.take();
  }

  private async giveBack(): Promise<void> {
    if (this.isClosed || this.isShared || !this.isCalm()) return;
    this.stalledAt = null;
    const { env } = this;
    const { listeners, open } = env.served()!;
    const places = this.acceptor.places.filter((place) => open.get(place)?.acceptedBy === 'threads');
    const handOver = this.createHandOver(listeners);
    this.giveShared(handOver, open);
    // One that has died took what it accepted with along.
    await handOver.provide([...env.threads().keys()], places);
    env.log.info('threads accept connections for themselves again', {});
  }

  /** Takes what all threads accept with to the main thread. One that stands still gives it as soon as it turns. */
  private async take(): Promise<void> {
    const { listeners } = this.env.served()!;
    await Promise.all(
      this.liveThreads().map(async (thread) => {
        for (const [name, servers] of await this.release(thread)) {
          for (const server of servers) {
            if (this.isClosed) server.close();
            else this.acceptor.adopt(placeOf(name, listeners[name]), server);
          }
        }
      }),
    );
  }

  private async release(
    thread: ServingThread,
  ): Promise<readonly (readonly [name: string, servers: readonly Server[]])[]> {
    try {
      return await thread.ask({ kind: 'release', kept: 0 });
    } catch (error) {
      // It has died. If it only did not answer in time, what it gives later would have no owner.
      await thread.kill(error instanceof Error ? error : undefined);
      return [];
    }
  }
}
