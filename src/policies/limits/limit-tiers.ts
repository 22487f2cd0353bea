/** Other numbers for some: what a limit is for a consumer, for a group, and for everybody else. */
import type { Consumer, LimitRule } from '../../contract.ts';

/** The name that stands for everybody else. */
export const everybody = 'default';

export interface TierRule {
  /** A consumer or a group. */
  readonly who: string;
  readonly rule: LimitRule;
}

/**
 * Which of them is for a caller: by its own name, by the first of its groups that is among them, or the one for everybody.
 * @param tiers by consumer or group, in the order in which they are written; one is for everybody.
 */
export function tierFinder<T>(tiers: ReadonlyMap<string, T>): (consumer: Consumer | null) => T {
  const others = new Map(tiers);
  const usual = others.get(everybody)!;
  others.delete(everybody);
  if (others.size === 0) return () => usual;
  const known = new WeakMap<Consumer, T>();
  return (consumer) => {
    if (consumer === null) return usual;
    let tier = known.get(consumer);
    if (tier === undefined) {
      const group = [...others.keys()].find((who) => consumer.groups.includes(who));
      tier = others.get(consumer.name) ?? (group === undefined ? usual : others.get(group)!);
      known.set(consumer, tier);
    }
    return tier;
  };
}
