/** One connection of a thread to Redis or Valkey, and what is kept there. */
import type { LimiterSource, StoreUse, ValueStore } from '../contract.ts';
import type { Clock } from '../util/clock.ts';
import { DecisionBatches } from './decision-batches.ts';
import { LeasedLimits } from './leased-limits.ts';
import type { RedisConnection } from './redis-connection.ts';
import { RedisLimits, type RedisLimitsEnv } from './redis-limits.ts';
import { RedisValues } from './redis-values.ts';
import type { SharedLimits } from './shared-limits.ts';

export interface RedisStoreEnv {
  /** Put before every key. */
  readonly prefix: string;
  /** What the machine counts in by itself, and where it counts what has become of decisions. */
  readonly local: SharedLimits;
  readonly clock: Clock;
  /** How many of this machine use the store. */
  readonly threads: number;
}

export class RedisStore {
  readonly values: ValueStore;
  private readonly connection: RedisConnection;
  private readonly env: RedisStoreEnv;
  private batches: DecisionBatches | null = null;
  private isClosed = false;
  private readonly leased = new Map<string, LeasedLimits>();

  constructor(connection: RedisConnection, env: RedisStoreEnv) {
    this.values = new RedisValues(connection, env.prefix);
    this.connection = connection;
    this.env = env;
  }

  /** See `RedisConnection.ready`. */
  get ready(): Promise<void> {
    return this.connection.ready;
  }

  /** Resolves when the first attempt to connect has come to something, so that a start does not begin with an outage. */
  async limits(use: StoreUse): Promise<LimiterSource> {
    await this.connection.ready;
    await this.connection.attempted;
    const env = this.limitsEnv();
    // One that is only tried is let go before it is used.
    if (this.isClosed) env.batches.close();
    if (use.lease === null) return new RedisLimits(env, use.onStoreFailure);
    // Whoever wants the same shares what is leased.
    const key = JSON.stringify(use);
    let leased = this.leased.get(key);
    if (leased === undefined) {
      this.leased.set(key, (leased = new LeasedLimits(env, use.onStoreFailure, use.lease, this.env.threads)));
      if (this.isClosed) leased.close();
    }
    return leased;
  }

  /** Gives back what is leased; resolves when the connection is closed, which takes no longer than the time-out. */
  async close(): Promise<void> {
    this.isClosed = true;
    for (const leased of this.leased.values()) leased.close();
    await this.batches?.settle();
    this.batches?.close();
    this.connection.close();
  }

  private limitsEnv(): RedisLimitsEnv {
    const { prefix, local, clock } = this.env;
    this.batches ??= new DecisionBatches({
      connection: this.connection,
      prefix,
      now: () => clock.now(),
      onAsked: (count) => local.noteAsked(count),
    });
    return {
      batches: this.batches,
      prefix,
      local,
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      onFailed: (isLocal) => local.noteStoreFailure(isLocal),
    };
  }
}
