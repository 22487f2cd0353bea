/** A control plane without threads: it reads real configurations, and tests say what becomes of them. */
import { BanControl } from '../../src/admin/ban-control.ts';
import { SharedBans } from '../../src/stores/shared-bans.ts';
import { ConsumerBook } from '../../src/admin/consumer-book.ts';
import { ConsumerControl } from '../../src/admin/consumer-control.ts';
import type {
  ControlEvent,
  ControlPlane,
  ReloadCause,
  ReloadOutcome,
  ReplaceOptions,
  Revision,
} from '../../src/admin/control-plane.ts';
import type { LoadResult } from '../../src/config/load.ts';
import type { GatewayConfig, PolicyUse } from '../../src/config/schema.ts';
import type { PolicyDefinition } from '../../src/contract.ts';
import { LastUses } from '../../src/consumers/last-uses.ts';
import { SharedLimits, createLimitMemory } from '../../src/stores/shared-limits.ts';
import type { SomeConsumers } from '../../src/workers/known-consumers.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { GatewayCounts, GatewayStatus } from '../../src/gateway/gateway.ts';
import { CountedSeries } from '../../src/telemetry/metrics/counted-series.ts';
import { ThreadMetrics } from '../../src/telemetry/metrics/thread-metrics.ts';
import { type TestOptions, loadText } from '../config/load-text.ts';

export class FakeControlPlane implements ControlPlane {
  isReady = true;
  readonly version = '1.2.3';
  readonly startedAt = Date.UTC(2026, 0, 1);
  revision: Revision = { number: 1, digest: 'd-1', appliedAt: this.startedAt, cause: 'start' };
  findings: ControlPlane['findings'];
  /** What was asked of it. */
  readonly asked: unknown[] = [];
  /** What `reload` answers with, or throws. */
  onReload: (() => ReloadOutcome) | null = null;
  private loaded: LoadResult;
  private readonly options: TestOptions;
  private readonly listeners = new Set<(event: ControlEvent) => void>();

  private readonly metricsMemory = ThreadMetrics.create();
  private readonly series = new CountedSeries();

  private constructor(loaded: LoadResult, options: TestOptions) {
    this.loaded = loaded;
    this.options = options;
    this.series.add(this.metricsMemory);
    this.findings = { refused: false, problems: loaded.problems };
  }

  static async load(text: string, options: TestOptions = {}): Promise<FakeControlPlane> {
    const loaded = await loadText(text, options);
    if (loaded.config === null) throw new Error(JSON.stringify(loaded.problems));
    const control = new FakeControlPlane(loaded, options);
    (await control.book.prepare(loaded.config)).commit();
    return control;
  }

  get config(): GatewayConfig {
    return this.loaded.config!;
  }

  get secrets(): readonly string[] {
    return this.loaded.secrets;
  }

  get subscribers(): number {
    return this.listeners.size;
  }

  redact(text: string): string {
    return this.loaded.redact(text);
  }

  definitionOf({ name, module }: PolicyUse): PolicyDefinition | null {
    return module === null ? (this.loaded.policies.get(name) ?? null) : null;
  }

  readonly limits = new SharedLimits(
    createLimitMemory(1, { rates: 64, windows: 64, logs: 64, permits: 64 }),
    0,
    new FakeClock(),
  );

  /** All that a gateway would have been told of consumers. */
  readonly told: SomeConsumers[] = [];
  readonly uses = new LastUses();

  readonly bans = new BanControl(new SharedBans(SharedBans.create(1), 0, new FakeClock()), (about) =>
    this.tell('ban', about),
  );

  private readonly book = new ConsumerBook({ wallNow: () => this.startedAt });
  readonly consumers = new ConsumerControl({
    book: this.book,
    gateway: {
      changeConsumers: async (change) => void this.told.push(change),
      lastUses: async () => this.uses,
    },
    clock: new FakeClock(),
    inTurn: (work) => work(),
    onProblem: (error) => {
      throw error;
    },
    onChange: (consumer, what) => this.tell('consumer', { consumer, what }),
  });

  async status(): Promise<GatewayStatus> {
    const { upstreams, listeners } = this.config;
    const numbers = { connections: 3, inFlight: 2 };
    return {
      threads: [
        {
          thread: 0,
          state: 'serving',
          revision: 1,
          startedAt: this.startedAt,
          restarts: 0,
          served: 9,
          stallMs: 1.5,
          heapBytes: 12_345_678,
          overload: { lagMs: 260, memory: 0.42, refused: { low: 1, normal: 0.25, high: 0 } },
          ...numbers,
        },
      ],
      listeners: Object.keys(listeners).map((name) => ({ name, url: 'http://127.0.0.1:8080', connections: 3 })),
      upstreams: Object.entries(upstreams).map(([name, { targets }]) => ({
        name,
        targets: targets.map(({ url, weight }) => ({ url, weight, ...numbers })),
      })),
      authentication: { failed: 12, slowed: 4, refused: 1 },
      limits: {
        refused: 7,
        wouldRefuse: 3,
        evicted: 2,
        gaveUp: 0,
        askedOfStores: 40,
        storeFailures: 5,
        decidedLocally: 4,
      },
      quotas: { database: '/var/lib/quotas.db', writtenAt: 1_700_000_000_000, failures: 0, problem: null },
      overload: { low: 31, normal: 6, high: 0, bodies: 2 },
      protection: {
        connectionsRefused: 5,
        addressesForgotten: 0,
        bans: { made: 2, requests: 6, connections: 8, evicted: 0 },
      },
    };
  }

  readonly reloads = { applied: 2, refused: 1 };
  /** What threads count in. */
  readonly metrics = new ThreadMetrics(this.metricsMemory);

  counted(): GatewayCounts {
    const shed = [{ importance: 'low', reason: 'lag', count: 31 } as const];
    return { ...this.series.read(this.config.telemetry.metrics.maxSeries, 0), evicted: { damping: 5, noted: 6 }, shed };
  }

  async reload(cause: ReloadCause): Promise<ReloadOutcome> {
    this.asked.push({ reload: cause });
    return this.onReload?.() ?? { result: 'unchanged', revision: this.revision, problems: [] };
  }

  async replace(text: string, options: ReplaceOptions): Promise<ReloadOutcome> {
    this.asked.push({ replace: text, ...options });
    const { ifMatch, format, dryRun } = options;
    if (ifMatch !== null && ifMatch !== this.revision.digest) {
      return { result: 'conflict', revision: this.revision, problems: [] };
    }
    const loaded = await loadText(text, { ...this.options, format });
    const { problems } = loaded;
    if (!dryRun) this.findings = { refused: loaded.config === null, problems };
    if (loaded.config === null) return { result: 'refused', revision: this.revision, problems };
    if (dryRun) return { result: 'valid', revision: this.revision, problems };
    this.loaded = loaded;
    const number = this.revision.number + 1;
    this.revision = { number, digest: `d-${number}`, appliedAt: this.startedAt, cause: 'api' };
    return { result: 'applied', revision: this.revision, problems };
  }

  subscribe(listener: (event: ControlEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Something happens. */
  tell(kind: string, about: Readonly<Record<string, unknown>> = {}): void {
    for (const listener of this.listeners) listener({ kind, at: this.startedAt, about });
  }
}
