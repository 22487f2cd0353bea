/** What the policies of a thread are given. */
import type { PolicyServices, StoreShare } from '../compile/policies.ts';
import { ConsumerIndex } from '../consumers/consumer-index.ts';
import type {
  AttemptDamping,
  CallRequest,
  CallResponse,
  Counter,
  DocumentSource,
  LimitStore,
  PolicyCounterLabels,
  PolicyCounterName,
  RemoteDocument,
  SharedMemory,
} from '../contract.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { threadCount } from '../config/thread-count.ts';
import { Shedding, type SheddingTotals } from '../proxy/shedding.ts';
import { NotedTexts } from '../stores/noted-texts.ts';
import { type AttemptTotals, type DampingMemory, SharedDamping } from '../stores/shared-damping.ts';
import { RedisConnection } from '../stores/redis-connection.ts';
import { RedisStore } from '../stores/redis-store.ts';
import { StoreOutages } from '../stores/store-outages.ts';
import { ThreadMetrics } from '../telemetry/metrics/thread-metrics.ts';
import { Keep, type Lease, identityOf } from '../util/keep.ts';
import { type BanMemory, SharedBans } from '../stores/shared-bans.ts';
import {
  type LimitCapacity,
  type LimitMemory,
  type LimitTotals,
  SharedLimits,
  createLimitMemory,
} from '../stores/shared-limits.ts';
import { HttpCaller, type HttpCallerEnv } from '../wire/call/http-caller.ts';
import type { GatewayCounts, ProtectionTotals } from './gateway.ts';
import { redisSettings } from './redis-settings.ts';
import { type DocumentHolder, RemoteDocuments } from './remote-documents.ts';

/** Memory that the services of all threads have in common. */
export interface ServicesMemory {
  /** See `NotedTexts`. */
  readonly noted: SharedArrayBuffer;
  readonly damping: DampingMemory;
  readonly limits: LimitMemory;
  /** See `Shedding`. */
  readonly shedding: SharedArrayBuffer;
  /** Of the connections of clients, by their addresses. */
  readonly connections: LimitMemory;
  readonly bans: BanMemory;
  /** See `StoreOutages`. */
  readonly outages: SharedArrayBuffer;
}

/**
 * Who has connections, and who has opened some lately. There is room for more clients with connections than a listener has
 * connections by default, so that none has to be forgotten.
 */
const connectionCapacity: LimitCapacity = { rates: 131_072, windows: 1, logs: 1, permits: 32_768 };

/** @param threads how many may live at a time. */
export function createServicesMemory(threads: number): ServicesMemory {
  return {
    noted: NotedTexts.create(threads),
    damping: SharedDamping.create(threads),
    limits: createLimitMemory(threads),
    shedding: Shedding.createTotals(),
    connections: createLimitMemory(threads, connectionCapacity),
    bans: SharedBans.create(threads),
    outages: StoreOutages.create(),
  };
}

/** What was counted of all threads since the start, besides what status and series have. */
export function countsIn({ noted, damping, shedding }: ServicesMemory): Pick<GatewayCounts, 'evicted' | 'shed'> {
  return {
    evicted: { damping: SharedDamping.evictedIn(damping), noted: NotedTexts.evictedIn(noted) },
    shed: Shedding.countsIn(shedding),
  };
}

/** Of all threads, since the start. */
export function protectionTotals(connections: SharedLimits, bans: SharedBans): ProtectionTotals {
  const { refused: connectionsRefused, evicted } = connections.totals;
  return { connectionsRefused, addressesForgotten: evicted, bans: bans.totals };
}

export interface ServicesEnv extends HttpCallerEnv {
  /** What other threads have as well; by default they share nothing. */
  readonly memory?: ServicesMemory;
  /** A number that no other living thread has. */
  readonly seat?: number;
  /** A line in the application log. */
  info(message: string, about: Readonly<Record<string, string>>): void;
  /** Who fetches documents for all threads; by default each for itself. */
  readonly documents?: DocumentHolder;
  /** What policies count in; by default nobody reads it. */
  readonly metrics?: ThreadMetrics;
}

/** What the policies of one thread are given. */
export class LocalServices implements PolicyServices {
  readonly consumers: ConsumerIndex;
  /** What is kept while configurations come and go. */
  private readonly keep = new Keep();
  private readonly env: ServicesEnv;
  private readonly caller: HttpCaller;
  private readonly ownDocuments: RemoteDocuments;
  private readonly documents: DocumentHolder;
  private memory: ServicesMemory | null;
  private noted: NotedTexts | null = null;
  private attempts: SharedDamping | null = null;
  private counted: SharedLimits | null = null;
  private metrics: ThreadMetrics | null;
  private readonly closing = new Set<Promise<void>>();
  private arrivals: SharedLimits | null = null;
  private banned: SharedBans | null = null;

  constructor(env: ServicesEnv) {
    this.env = env;
    this.consumers = new ConsumerIndex(() => env.clock.wallNow());
    this.caller = new HttpCaller(env);
    this.ownDocuments = new RemoteDocuments({
      clock: env.clock,
      info: (message, about) => env.info(message, about),
      warn: (message, about) => env.warn(message, about),
      call: (request) => this.call(request),
    });
    this.documents = env.documents ?? this.ownDocuments;
    this.memory = env.memory ?? null;
    this.metrics = env.metrics ?? null;
  }

  /** Gives up what policies still wait for. */
  close(): void {
    this.ownDocuments.close();
    this.caller.close();
  }

  /** Resolves when what was to be told to stores that were let go is told, which takes no longer than their time-outs. */
  async settled(): Promise<void> {
    await Promise.all(this.closing);
  }

  private letGo(store: RedisStore): void {
    const closed = store.close().finally(() => this.closing.delete(closed));
    this.closing.add(closed);
  }

  sharedMemory(name: string): SharedMemory {
    const { clock, seat = 0 } = this.env;
    this.noted ??= new NotedTexts(this.ownMemory().noted, seat, () => clock.now());
    return this.noted.named(name);
  }

  get damping(): AttemptDamping {
    const { clock, seat = 0 } = this.env;
    this.attempts ??= new SharedDamping(this.ownMemory().damping, seat, () => clock.now());
    return this.attempts;
  }

  /** Attempts to authenticate, of all threads. */
  get attemptTotals(): AttemptTotals {
    return SharedDamping.totalsIn(this.ownMemory().damping);
  }

  /** Where requests that were refused for overload are counted. */
  get sheddingMemory(): SharedArrayBuffer {
    return this.ownMemory().shedding;
  }

  get sheddingTotals(): SheddingTotals {
    return Shedding.totalsIn(this.sheddingMemory);
  }

  get limits(): LimitStore {
    return this.sharedLimits();
  }

  /** Of all threads. */
  get counts(): Pick<GatewayCounts, 'evicted' | 'shed'> {
    return countsIn(this.ownMemory());
  }

  /** Decisions of the limits of all threads. */
  get limitTotals(): LimitTotals {
    return this.sharedLimits().totals;
  }

  /** What connections of clients are counted in. */
  get connections(): SharedLimits {
    const { clock, seat = 0 } = this.env;
    this.arrivals ??= new SharedLimits(this.ownMemory().connections, seat, clock);
    return this.arrivals;
  }

  get bans(): SharedBans {
    const { clock, seat = 0 } = this.env;
    this.banned ??= new SharedBans(this.ownMemory().bans, seat, clock);
    return this.banned;
  }

  private sharedLimits(): SharedLimits {
    const { clock, wheel, seat = 0 } = this.env;
    // Requests are counted as of when they were read, which is a moment that the client can check.
    const ofTurns = { now: () => wheel.turnAt, wallNow: () => clock.wallNow() };
    this.counted ??= new SharedLimits(this.ownMemory().limits, seat, ofTurns);
    return this.counted;
  }

  private ownMemory(): ServicesMemory {
    this.memory ??= createServicesMemory(1);
    return this.memory;
  }

  call(request: CallRequest): Promise<CallResponse> {
    return this.caller.call(request);
  }

  counter<Name extends PolicyCounterName>(route: string, name: Name, labels: PolicyCounterLabels<Name>): Counter {
    this.metrics ??= new ThreadMetrics(ThreadMetrics.create());
    return this.metrics.counter(route, name, labels);
  }

  document(source: DocumentSource): Lease<RemoteDocument> {
    return this.documents.lease(source);
  }

  store(name: string, document: GatewayConfig, onProblem: (message: string) => void): Lease<StoreShare> {
    const config = Object.hasOwn(document.stores, name) ? document.stores[name] : undefined;
    if (config === undefined) throw new Error(`there is no store ${JSON.stringify(name)}`);
    const threads = threadCount(document);
    const identity = identityOf('store', config, threads);
    const make = (): RedisStore => {
      const settings = redisSettings(config, this.env.clock, onProblem);
      const outage = new StoreOutages(this.ownMemory().outages, this.env.seat ?? 0).of(identity);
      return new RedisStore(new RedisConnection(settings, onProblem, outage), {
        prefix: config.prefix,
        local: this.sharedLimits(),
        clock: this.env.clock,
        threads,
      });
    };
    return this.keep.lease(identity, make, (kept) => this.letGo(kept));
  }
}
