/** Every built-in balancer by the name that `balance` in a configuration gives it. */
import type { BalancerDefinition } from '../contract.ts';
import { roundRobin } from './round-robin.ts';
import { weightedRoundRobin } from './weighted-round-robin.ts';

export const balancers: ReadonlyMap<string, BalancerDefinition> = new Map(
  [roundRobin, weightedRoundRobin].map((balancer) => [balancer.name, balancer]),
);
