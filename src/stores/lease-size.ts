import type { LimitRule, StoreLease } from '../contract.ts';

/** How many may come at once. */
function capacityOf(rule: LimitRule): number {
  return rule.algorithm === 'gcra' ? rule.capacity : rule.limit;
}

/** How many permits of a key a thread has in hand at most, if no request costs more. @param threads of the machine. */
export function leaseOfThread(lease: StoreLease, rule: LimitRule, threads: number): number {
  const ofMachine = 'size' in lease ? lease.size : Math.floor(rule.limit * lease.share);
  return Math.max(1, Math.floor(Math.min(ofMachine, capacityOf(rule)) / threads));
}

/**
 * How many permits of a key a machine has in hand at most.
 * @param cost what each request takes at least: of what is dearer than a lease a thread gets as much as it needs.
 */
export function mostInHand(lease: StoreLease, rule: LimitRule, threads: number, cost: number): number {
  return threads * Math.max(leaseOfThread(lease, rule, threads), cost);
}
