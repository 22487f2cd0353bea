/** What policies are given in a test: as in a gateway, but nobody else is asked. Stores are in the memory of the test. */
import type { StoreShare } from '../compile/policies.ts';
import type { GatewayConfig } from '../config/schema.ts';
import type { ValueStore } from '../contract.ts';
import { LocalServices, type ServicesEnv } from '../gateway/services.ts';
import type { Clock } from '../util/clock.ts';
import type { Lease } from '../util/keep.ts';

export class UnsharedServices extends LocalServices {
  private readonly clock: Clock;
  private readonly shares = new Map<string, StoreShare>();

  constructor(env: ServicesEnv) {
    super(env);
    this.clock = env.clock;
  }

  override store(name: string, { stores }: GatewayConfig): Lease<StoreShare> {
    if (!Object.hasOwn(stores, name)) throw new Error(`there is no store ${JSON.stringify(name)}`);
    let share = this.shares.get(name);
    if (share === undefined) {
      const ready = Promise.resolve();
      share = { values: new MemoryValues(this.clock), ready, limits: () => Promise.resolve(this.limits) };
      this.shares.set(name, share);
    }
    return { value: share, release: () => {} };
  }
}

class MemoryValues implements ValueStore {
  private readonly values = new Map<string, { readonly value: string; readonly untilMs: number }>();
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get(key: string): Promise<string | null> {
    return Promise.resolve(this.find(key));
  }

  set(key: string, value: string, ttlMs: number, when: 'always' | 'absent' | 'present'): Promise<boolean> {
    const isThere = this.find(key) !== null;
    if ((when === 'absent' && isThere) || (when === 'present' && !isThere)) return Promise.resolve(false);
    this.values.set(key, { value, untilMs: this.clock.now() + ttlMs });
    return Promise.resolve(true);
  }

  delete(key: string): Promise<void> {
    this.values.delete(key);
    return Promise.resolve();
  }

  private find(key: string): string | null {
    const kept = this.values.get(key);
    return kept === undefined || kept.untilMs <= this.clock.now() ? null : kept.value;
  }
}
