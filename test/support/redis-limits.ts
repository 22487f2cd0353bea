/** Limits in a real redis-server, as a thread of a gateway has them. */
import type { LimiterSource, StoreFailure, StoreLease } from '../../src/contract.ts';
import { DecisionBatches } from '../../src/stores/decision-batches.ts';
import { limitScript, serverTime } from '../../src/stores/limit-script.ts';
import { RedisConnection, type RedisSettings } from '../../src/stores/redis-connection.ts';
import { LeasedLimits } from '../../src/stores/leased-limits.ts';
import { RedisLimits, type RedisLimitsEnv } from '../../src/stores/redis-limits.ts';
import { SharedLimits, createLimitMemory } from '../../src/stores/shared-limits.ts';
import type { Clock } from '../../src/util/clock.ts';
import { eventually } from './changes.ts';
import { FakeClock } from './fake-clock.ts';
import type { RedisServer } from './redis-server.ts';
import type { Scope } from './scope.ts';

interface Wanted {
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  readonly script?: string;
  readonly more?: Partial<RedisSettings>;
}

export class RedisThread {
  readonly problems: string[] = [];
  readonly connection: RedisConnection;
  readonly memory: SharedLimits;
  readonly batches: DecisionBatches;
  private readonly clock: Clock;

  static async open(t: Scope, server: Pick<RedisServer, 'url'>, wanted: Wanted = {}): Promise<RedisThread> {
    const thread = new RedisThread(server.url, wanted);
    t.after(() => thread.close());
    await thread.connection.ready;
    await thread.connection.attempted;
    await eventually(() => thread.batches.isWell, 'the store');
    return thread;
  }

  private constructor(url: string, { timeoutMs = 2_000, clock = new FakeClock(), script, more }: Wanted) {
    const settings = { url, username: undefined, password: undefined, timeoutMs, tls: null, ...more };
    this.clock = clock;
    this.connection = new RedisConnection(settings, (message) => this.problems.push(message));
    this.memory = new SharedLimits(
      createLimitMemory(1, { rates: 1024, windows: 1024, logs: 64, permits: 64 }),
      0,
      clock,
    );
    this.batches = new DecisionBatches({
      connection: this.connection,
      prefix: 'gw:',
      now: () => performance.now(),
      onAsked: (count) => this.memory.noteAsked(count),
      ...(script !== undefined && { script }),
    });
  }

  /** What limits that are decided by the store count in. */
  limits(onStoreFailure: StoreFailure = 'closed'): LimiterSource {
    return new RedisLimits(this.env(), onStoreFailure);
  }

  /** What limits that lease from it count in. */
  leased(lease: StoreLease, threads = 1, onStoreFailure: StoreFailure = 'closed'): LeasedLimits {
    return new LeasedLimits(this.env(), onStoreFailure, lease, threads);
  }

  private env(): RedisLimitsEnv {
    const { batches, memory: local, clock } = this;
    return {
      batches,
      prefix: 'gw:',
      local,
      now: () => performance.now(),
      wallNow: () => clock.wallNow(),
      onFailed: (isLocal: boolean) => local.noteStoreFailure(isLocal),
    };
  }

  close(): void {
    this.batches.close();
    this.connection.close();
  }
}

/** The time of a server, which stands still until it is set: in microseconds. */
export class ServerTime {
  /** The script with this time instead of the server's own, by which keys are forgotten: so they are not. */
  static readonly script = limitScript
    .replace(serverTime, "{0, redis.call('GET', 'test:now')}")
    .replaceAll(/'PX', format\(.*?\+ 1\)\)/g, "'PX', '3600000'");
  private readonly server: RedisServer;

  constructor(server: RedisServer) {
    this.server = server;
  }

  async set(nowUs: number): Promise<void> {
    await this.server.ask('SET', 'test:now', String(nowUs));
  }
}
