/** What all threads of a gateway have in common, whichever of them come and go. */
import { randomBytes } from 'node:crypto';
import type { GatewayConfig } from '../config/schema.ts';
import type { GatewayCounts, GatewayStatus } from '../gateway/gateway.ts';
import { countsIn, createServicesMemory, protectionTotals } from '../gateway/services.ts';
import { Shedding } from '../proxy/shedding.ts';
import { QuotaKeeper } from '../stores/quota-keeper.ts';
import { SharedBans } from '../stores/shared-bans.ts';
import { SharedLimits } from '../stores/shared-limits.ts';
import { StoreOutages } from '../stores/store-outages.ts';
import { SharedDamping } from '../stores/shared-damping.ts';
import { CountedSeries } from '../telemetry/metrics/counted-series.ts';
import { ThreadMetrics } from '../telemetry/metrics/thread-metrics.ts';
import { systemClock } from '../util/clock.ts';
import { ConnectionPermits } from './connection-permits.ts';
import { DocumentDesk, type DocumentDeskEnv } from './document-desk.ts';
import type { ThreadBirth } from './messages.ts';

export class SharedState {
  readonly permits: ConnectionPermits;
  private readonly ticketSecret = randomBytes(32);
  private readonly services: ThreadBirth['services'];
  private readonly documents: DocumentDesk;
  /** The main thread's part in the limits: giving back what a dead thread held, and telling of them. */
  readonly limits: SharedLimits;
  private readonly connections: SharedLimits;
  readonly bans: SharedBans;
  private readonly series = new CountedSeries();
  /** What threads count in, by seat. A thread counts on where the one before it on its seat has ended. */
  private readonly metrics = new Map<number, SharedArrayBuffer>();
  /** Has quotas survive the process. */
  readonly quotas: QuotaKeeper;

  /** @param threads how many may live at a time. */
  constructor(threads: number, env: DocumentDeskEnv) {
    this.permits = new ConnectionPermits(threads);
    this.services = createServicesMemory(threads);
    this.documents = new DocumentDesk(env);
    this.limits = new SharedLimits(this.services.limits, threads, systemClock);
    this.quotas = new QuotaKeeper(this.services.limits.quotas, threads, { clock: systemClock, log: env.log });
    this.connections = new SharedLimits(this.services.connections, threads, systemClock);
    this.bans = new SharedBans(this.services.bans, threads, systemClock);
  }

  /**
   * What a thread is born with.
   * @throws when too many threads live.
   */
  birthOf(thread: number): Omit<ThreadBirth, 'heartbeat'> {
    const { ticketSecret, permits, services } = this;
    const seat = permits.takeSeat();
    return {
      thread,
      ticketSecret,
      connections: permits.buffer,
      seat,
      services,
      metrics: this.metricsOf(seat),
      documents: this.documents.connect(),
    };
  }

  /** What all threads have counted since the start. */
  get totals(): Pick<GatewayStatus, 'authentication' | 'limits' | 'quotas' | 'overload' | 'protection'> {
    return {
      authentication: SharedDamping.totalsIn(this.services.damping),
      limits: this.limits.totals,
      quotas: this.quotas.status,
      overload: Shedding.totalsIn(this.services.shedding),
      protection: protectionTotals(this.connections, this.bans),
    };
  }

  /** See `Gateway.counted`. */
  counted(maxSeries: number): GatewayCounts {
    return { ...this.series.read(maxSeries, systemClock.now()), ...countsIn(this.services) };
  }

  /** What serves from now on. */
  begin({ routes, upstreams }: Pick<GatewayConfig, 'routes' | 'upstreams'>): void {
    this.series.begin({
      routes: new Set(Object.keys(routes)),
      upstreams: new Set(Object.keys(upstreams)),
    });
  }

  private metricsOf(seat: number): SharedArrayBuffer {
    let memory = this.metrics.get(seat);
    if (memory === undefined) {
      memory = ThreadMetrics.create();
      this.metrics.set(seat, memory);
      this.series.add(memory);
    }
    return memory;
  }

  /** The thread that was born with it has ended. */
  leave({ seat }: Pick<ThreadBirth, 'seat'>): void {
    StoreOutages.forget(this.services.outages, seat);
    // What could not be given back is never counted twice: the seat stays empty.
    const isForgotten = [this.limits, this.connections].map((limits) => limits.forget(seat));
    if (isForgotten.every(Boolean)) this.permits.leaveSeat(seat);
  }

  /** No thread is left. */
  close(): void {
    this.documents.close();
    this.quotas.leave();
  }
}
