/**
 * A gateway on several threads that counts as one. The main thread never shares an event loop with a request; it sees to
 * it that all threads serve the same configuration, and that there are as many as there should be.
 */
import type { Worker } from 'node:worker_threads';
import type { LastUses } from '../consumers/last-uses.ts';
import type {
  Gateway,
  GatewayCounts,
  GatewayLog,
  GatewayStatus,
  ListenerAddress,
  Publication,
} from '../gateway/gateway.ts';
import { placeOf, urlOf } from '../gateway/places.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { Turns } from '../util/turns.ts';
import { canShareAddresses } from '../wire/listening-socket.ts';
import { acceptForThreads } from './accept-for-threads.ts';
import { type Addresses, openingsFor, planAddresses } from './addresses.ts';
import { Candidate, refusalOf } from './candidate.ts';
import { packConfig } from './config-parcel.ts';
import { inheritedAddresses, type InheritedSockets, type SharedSockets } from './inherited-sockets.ts';
import type { SomeConsumers, StagedConsumers } from './known-consumers.ts';
import { mergeStatus } from './merge-status.ts';
import { RetiredThreads } from './retired-threads.ts';
import { type Served, goneRoutes } from './served.ts';
import { ServingThread, spareThread } from './serving-thread.ts';
import { SharedState } from './shared-state.ts';
import { statusOf } from './status-of.ts';
import { ThreadSockets } from './thread-sockets.ts';
import { ThreadConsumers } from './thread-consumers.ts';
import { threadCount } from '../config/thread-count.ts';
import { ThreadSlot } from './thread-slot.ts';

export interface ThreadedGatewayEnv {
  readonly log: GatewayLog;
  readonly clock?: Clock;
  /** A thread that has begun to load its code. */
  readonly spare?: Worker;
  /** How long an event loop may stand still before its thread is replaced. Default 5 s. */
  readonly hangLimitMs?: number;
  /** See `ThreadSocketsEnv.calmMs`. Default 10 min. */
  readonly calmMs?: number;
  /** How long a thread may take to make a configuration ready. Default 30 s. */
  readonly prepareLimitMs?: number;
  /** Whether threads can have sockets at one address; by default what the platform says. */
  readonly mayShare?: boolean;
  /** By the name of the listener. */
  readonly inherited?: ReadonlyMap<string, InheritedSockets>;
  /** Told of what happens to threads. */
  onEvent?(kind: string, about: Readonly<Record<string, unknown>>): void;
}

const hangLimitMs = 5_000;
const prepareLimitMs = 30_000;
const calmMs = 600_000;
const superviseEveryMs = 250;

export class ThreadedGateway implements Gateway {
  /** Until it starts. */
  private first: Publication | null;
  private readonly env: ThreadedGatewayEnv;
  private readonly clock: Clock;
  readonly shared: SharedState;
  private readonly sockets: ThreadSockets;
  private slots: ThreadSlot[] = [];
  private readonly retired = new RetiredThreads();
  private readonly consumers = new ThreadConsumers(() => [...this.liveThreads(), ...this.retired.all]);
  /** Those that are being made ready. */
  private readonly unborn = new Set<ServingThread>();
  private spare: Worker | null;
  private served: Served | null = null;
  private readonly stopSupervising: () => void;
  /** Changes are made one after another, and no thread begins meanwhile. */
  private readonly turns = new Turns();
  private committing: Promise<void> = Promise.resolve();
  private isStopping = false;

  constructor(first: Publication, env: ThreadedGatewayEnv) {
    this.first = first;
    this.env = env;
    this.clock = env.clock ?? systemClock;
    const threads = 32 + 8 * Math.max(threadCount(first.config), threadCount({ threads: 'auto' }));
    this.shared = new SharedState(threads, { clock: this.clock, log: env.log });
    this.spare = env.spare ?? null;
    this.sockets = new ThreadSockets({
      log: env.log,
      clock: this.clock,
      threads: () => this.slots.map(({ live }) => live),
      served: () => this.served,
      alone: (work) => this.turns.alone(work),
      calmMs: env.calmMs ?? calmMs,
    });
    this.stopSupervising = this.clock.every(superviseEveryMs, () => this.supervise());
  }

  start(): Promise<readonly ListenerAddress[]> {
    const { first } = this;
    this.first = null;
    return first === null ? Promise.reject(new Error('the gateway was started already')) : this.apply(first);
  }

  apply(publication: Publication): Promise<readonly ListenerAddress[]> {
    const { database } = publication.config.quotas;
    const change = (): ReturnType<typeof this.apply> => this.change(publication);
    return this.turns.alone(() => this.shared.quotas.turnTo(database, this.served === null, change));
  }

  private get addresses(): ListenerAddress[] {
    const { listeners, open } = this.served ?? { listeners: {}, open: new Map() as Addresses };
    return Object.entries(listeners).map(([name, listener]) => {
      return { name, url: urlOf(listener, open.get(placeOf(name, listener))!.port) };
    });
  }

  /** Whether every thread serves. */
  get isComplete(): boolean {
    return this.slots.length > 0 && this.slots.every(({ live }) => live !== null);
  }

  /** How many threads serve nobody new and still finish what they have begun. */
  get retiring(): number {
    return this.retired.size;
  }

  // ---- changes -----------------------------------------------------------------------------------------------------

  private async change(publication: Publication): Promise<readonly ListenerAddress[]> {
    if (this.isStopping) throw wasStopped();
    const { config } = publication;
    const { listeners, routes } = config;
    const known = this.served?.open ?? inheritedAddresses(this.env.inherited ?? new Map(), listeners);
    const open = await planAddresses(listeners, known, this.env.mayShare ?? canShareAddresses);
    const opened: string[] = [];
    try {
      this.shared.permits.assign([...known.keys(), ...open.keys()]);
      await acceptForThreads(this.sockets.acceptor, listeners, open, known, opened);
      const parcel = { ...publication, config: packConfig({ ...config, consumers: [] }) };
      const consumers = this.consumers.stage(config.consumers);
      await this.move({ parcel, listeners, open, routes }, consumers, known, threadCount(config));
    } catch (error) {
      for (const place of opened) this.sockets.acceptor.close(place);
      await Promise.all(Array.from(this.unborn, (thread) => thread.kill()));
      this.unborn.clear();
      throw error;
    }
    this.shared.begin(config);
    const { acceptor } = this.sockets;
    for (const place of acceptor.places) if (!open.has(place)) acceptor.close(place);
    acceptor.resume();
    return this.addresses;
  }

  /** Threads change while they serve; where there is none yet, or its code is not the right one, a new one begins. */
  private async move(next: Served, consumers: StagedConsumers, known: Addresses, count: number): Promise<void> {
    const isSameCode = this.served?.parcel.codeDigest === next.parcel.codeDigest;
    const slots = Array.from({ length: count }, (_, number) => this.slots[number] ?? this.createSlot(number));
    // From nothing, the first thread serves while the others still load their code.
    const isFirst = this.served === null && known.size === 0;
    const candidates = slots.slice(0, isFirst ? 1 : count).map((slot) => {
      return new Candidate(slot, isSameCode && slot.live !== null ? slot.live : this.spawn(slot.number));
    });
    const limitMs = this.env.prepareLimitMs ?? prepareLimitMs;
    const results = await Promise.allSettled(
      candidates.map((candidate, number) => {
        const parcel = { ...next.parcel, consumers: consumers.parcelFor(candidate.thread) };
        return candidate.prepare(
          parcel,
          openingsFor(number, next.listeners, next.open, this.shared.permits, known),
          limitMs,
        );
      }),
    );
    for (const { thread } of candidates) this.unborn.delete(thread);
    const refusal = this.isStopping ? wasStopped() : refusalOf(candidates, results);
    if (refusal !== null) {
      await Promise.all(candidates.map((candidate) => candidate.abort()));
      throw refusal;
    }
    this.committing = this.commit(next, consumers, known, slots, candidates);
    await this.committing;
    if (!isFirst) return;
    await Promise.all(slots.slice(1).map((slot) => this.begin(slot)));
    if (this.isStopping) throw wasStopped();
  }

  /** From here on nothing is refused: what goes wrong with a thread is its slot's to put right. */
  private async commit(
    next: Served,
    consumers: StagedConsumers,
    known: Addresses,
    slots: ThreadSlot[],
    candidates: readonly Candidate[],
  ): Promise<void> {
    const { served: before } = this;
    const surplus = this.slots.slice(slots.length);
    [this.slots, this.served] = [slots, next];
    const commits = candidates.map((candidate) => candidate.commit());
    await Promise.all(commits.map(({ done }) => done));
    const handOver = this.sockets.createHandOver(before?.listeners ?? {});
    const leaving: ServingThread[] = [];
    for (const [number, thread] of [
      ...commits.map((commit) => commit.before),
      ...surplus.map((slot) => slot.close()),
    ].entries()) {
      if (thread === null) continue;
      await handOver.inherit(thread, number % slots.length);
      leaving.push(thread);
    }
    if (before === null) {
      this.sockets.takeInherited(this.env.inherited ?? new Map(), next.listeners);
      this.sockets.giveShared(handOver, known);
    }
    const isNew = candidates.flatMap(({ isServing }, number) => (isServing ? [] : [number]));
    const places = [...known].flatMap(([place, { acceptedBy }]) => {
      return acceptedBy === 'threads' && next.open.has(place) && !this.sockets.has(place) ? [place] : [];
    });
    await handOver.provide(isNew, places);
    for (const thread of leaving) this.retired.add(thread, slots.length);
    await this.consumers.commit(consumers, candidates, this.retired.all);
    this.retired.endRoutes(goneRoutes(before, next), next.parcel.revision);
  }

  // ---- sockets -----------------------------------------------------------------------------------------------------

  /** See `ThreadSockets.share`. */
  shareSockets(): Promise<ReadonlyMap<string, SharedSockets>> {
    return this.turns.alone(() => this.sockets.share());
  }

  /** Gives the threads back what was taken from them to be shared. */
  reclaimSockets(): Promise<void> {
    return this.turns.alone(() => Promise.resolve(this.sockets.reclaim()));
  }

  // ---- consumers ---------------------------------------------------------------------------------------------------

  /** Changes some consumers, for all threads before it resolves. Nothing else of what serves is touched. */
  changeConsumers(change: SomeConsumers): Promise<void> {
    return this.turns.alone(() => this.consumers.change(change));
  }

  /** When credentials were last used, as of now. */
  async lastUses(): Promise<LastUses> {
    await this.consumers.collect();
    return this.consumers.uses;
  }

  // ---- threads -----------------------------------------------------------------------------------------------------

  async status(): Promise<GatewayStatus> {
    const answers = await Promise.all(this.slots.map(({ live }) => statusOf(live)));
    const threads = this.slots.map((slot, index) => slot.status(answers[index]?.threads[0] ?? null));
    const own = answers.filter((answer) => answer !== null);
    return mergeStatus(threads, own, this.addresses, this.shared.totals);
  }

  counted(maxSeries: number): GatewayCounts {
    return this.shared.counted(maxSeries);
  }

  private liveThreads(): ServingThread[] {
    return this.slots.flatMap(({ live }) => (live === null ? [] : [live]));
  }

  private supervise(): void {
    for (const slot of this.slots) slot.supervise();
    this.retired.supervise(this.clock.now(), this.env.hangLimitMs ?? hangLimitMs, this.env.log);
  }

  /** @param idleMs see `Listener.drain`. */
  async stop(graceMs: number, idleMs = 0): Promise<void> {
    this.isStopping = true;
    await Promise.all(Array.from(this.unborn, (thread) => thread.kill()));
    // Sockets and threads that are just changing hands belong to nobody.
    await this.committing;
    this.sockets.close();
    const serving = this.slots.map((slot) => slot.close());
    await Promise.all([
      ...serving.map((thread) => thread?.stop(graceMs, idleMs)),
      this.retired.stop(graceMs, idleMs),
      this.spare?.terminate(),
    ]);
    this.stopSupervising();
    this.shared.close();
  }

  private createSlot(number: number): ThreadSlot {
    return new ThreadSlot(number, {
      clock: this.clock,
      log: this.env.log,
      hangLimitMs: this.env.hangLimitMs ?? hangLimitMs,
      begin: (slot) => this.turns.shared(() => this.begin(slot)),
      onEvent: (kind, about) => this.env.onEvent?.(kind, about),
    });
  }

  /** A thread begins in the place of one that was lost. */
  private async begin(slot: ThreadSlot): Promise<boolean> {
    const isWanted = (): boolean => !this.isStopping && this.slots.includes(slot) && slot.live === null;
    if (!isWanted()) return false;
    const { parcel, listeners, open } = this.served!;
    const candidate = new Candidate(slot, this.spawn(slot.number));
    try {
      const limitMs = this.env.prepareLimitMs ?? prepareLimitMs;
      const consumers = this.consumers.all();
      await candidate.prepare(
        { ...parcel, consumers },
        openingsFor(slot.number, listeners, open, this.shared.permits, this.sockets),
        limitMs,
      );
    } catch (error) {
      await candidate.abort();
      throw error;
    } finally {
      this.unborn.delete(candidate.thread);
    }
    if (!isWanted()) {
      await candidate.abort();
      return false;
    }
    this.consumers.note(candidate.thread);
    await candidate.commit().done;
    this.sockets.acceptor.resume();
    return true;
  }

  private spawn(number: number): ServingThread {
    const worker = this.spare ?? spareThread();
    this.spare = null;
    const birth = this.shared.birthOf(number);
    const thread = new ServingThread(worker, birth, this.clock.now());
    void thread.ended.then(() => this.shared.leave(birth));
    this.consumers.follow(thread);
    this.unborn.add(thread);
    return thread;
  }
}

function wasStopped(): Error {
  return new Error('the gateway was stopped');
}
