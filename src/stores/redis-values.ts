/** Values in Redis or Valkey: what outlives the process and is shared with other machines. */
import type { ValueStore } from '../contract.ts';
import type { RedisConnection } from './redis-connection.ts';

export class RedisValues implements ValueStore {
  private readonly connection: Pick<RedisConnection, 'ask'>;
  private readonly prefix: string;

  /** @param prefix put before every key, so that others can use the same database. */
  constructor(connection: Pick<RedisConnection, 'ask'>, prefix: string) {
    this.connection = connection;
    this.prefix = prefix;
  }

  get(key: string): Promise<string | null> {
    return this.connection.ask((commands) => commands.get(this.prefix + key));
  }

  async set(key: string, value: string, ttlMs: number, when: 'always' | 'absent' | 'present'): Promise<boolean> {
    const condition = conditions[when];
    const options = {
      expiration: { type: 'PX', value: Math.max(1, Math.floor(ttlMs)) },
      ...(condition !== null && { condition }),
    } as const;
    const answer = await this.connection.ask((commands) => commands.set(this.prefix + key, value, options));
    return answer !== null;
  }

  async delete(key: string): Promise<void> {
    await this.connection.ask((commands) => commands.del(this.prefix + key));
  }
}

/** `NX` and `XX`: the server itself looks and sets in one step. */
const conditions = { always: null, absent: 'NX', present: 'XX' } as const;
