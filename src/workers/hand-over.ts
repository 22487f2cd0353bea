/**
 * Moves sockets that listen from thread to thread when threads are replaced, or become more or fewer. A socket is never
 * closed for it: that would reset the connections that wait in its queue. Where there are too few, others are opened.
 */
import type { Server } from 'node:net';
import type { GatewayLog } from '../gateway/gateway.ts';
import type { ServingThread } from './serving-thread.ts';

export interface HandOverEnv {
  readonly log: GatewayLog;
  /** Where a listener is: one of those before the change, or one of those of now. */
  placeOf(listener: string, when: 'before' | 'now'): string;
  /** What is called at a place from now on; undefined where nobody listens any longer. */
  nameAt(place: string): string | undefined;
  /** Another socket at a place. */
  open(place: string): Promise<Server>;
  /** Nobody is there to take it. */
  keep(place: string, server: Server): void;
}

export class HandOver {
  private readonly env: HandOverEnv;
  /** The threads that serve, by their number; null where there is none at the moment. */
  private readonly heirs: () => readonly (ServingThread | null)[];
  /** The places that each thread has got sockets for. */
  private readonly got = new Map<ServingThread, Set<string>>();

  constructor(env: HandOverEnv, heirs: () => readonly (ServingThread | null)[]) {
    this.env = env;
    this.heirs = heirs;
  }

  /** What a thread that leaves accepts with goes to another one. */
  async inherit(from: ServingThread, heir: number): Promise<void> {
    for (const [place, servers] of await this.release(from, 0, 'before')) {
      for (const server of servers) this.give(place, server, heir);
    }
  }

  /** Gives a socket to a thread, or if it is not there to the next one. */
  give(place: string, server: Server, heir: number): void {
    const name = this.env.nameAt(place);
    if (name === undefined) {
      server.close();
      return;
    }
    const heirs = this.heirs();
    for (let step = 0; step < heirs.length; step++) {
      const thread = heirs[(heir + step) % heirs.length];
      if (thread === null) continue;
      try {
        thread.adopt(name, server);
      } catch (error) {
        this.env.log.error('a socket could not be handed over', { listener: name, error });
        continue;
      }
      this.note(thread, place);
      return;
    }
    this.env.keep(place, server);
  }

  /**
   * Sees to it that each of these threads has a socket at each of these places: one that another thread has too many of,
   * or a new one.
   */
  async provide(threads: readonly number[], places: readonly string[]): Promise<void> {
    const lacking = threads.flatMap((heir) => {
      const thread = this.heirs()[heir];
      const lacks = (place: string): boolean => thread !== null && this.got.get(thread)?.has(place) !== true;
      return places.filter(lacks).map((place) => ({ heir, place }));
    });
    if (lacking.length === 0) return;
    const spare = await this.collectSpare(new Set(lacking.map(({ heir }) => heir)));
    for (const { heir, place } of lacking) {
      const server = spare.get(place)?.pop() ?? (await this.tryOpen(place));
      if (server !== null) this.give(place, server, heir);
    }
    for (const [place, servers] of spare) {
      for (const [index, server] of servers.entries()) this.give(place, server, index);
    }
  }

  /** Of threads that have several sockets at a place, as they get from those that are given up, all but one. */
  private async collectSpare(without: ReadonlySet<number>): Promise<Map<string, Server[]>> {
    const spare = new Map<string, Server[]>();
    for (const [heir, thread] of this.heirs().entries()) {
      if (thread === null || without.has(heir)) continue;
      for (const [place, servers] of await this.release(thread, 1, 'now')) {
        spare.set(place, [...(spare.get(place) ?? []), ...servers]);
      }
    }
    return spare;
  }

  private async release(
    from: ServingThread,
    kept: number,
    when: 'before' | 'now',
  ): Promise<(readonly [string, readonly Server[]])[]> {
    try {
      const released = await from.ask({ kind: 'release', kept });
      return released.map(([name, servers]) => [this.env.placeOf(name, when), servers]);
    } catch (error) {
      // It has died, or hangs and its sockets are of no use.
      this.env.log.error('a thread has not handed over what it accepts with', { thread: from.thread, error });
      await from.kill(error instanceof Error ? error : undefined);
      return [];
    }
  }

  private async tryOpen(place: string): Promise<Server | null> {
    try {
      return await this.env.open(place);
    } catch (error) {
      // The other threads accept there all the same.
      this.env.log.error('a thread has no socket of its own', { listener: this.env.nameAt(place), error });
      return null;
    }
  }

  private note(thread: ServingThread, place: string): void {
    const places = this.got.get(thread);
    if (places === undefined) this.got.set(thread, new Set([place]));
    else places.add(place);
  }
}
