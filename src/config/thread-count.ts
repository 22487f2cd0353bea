import { availableParallelism } from 'node:os';
import type { GatewayConfig } from './schema.ts';

/** How many threads serve: `auto` is one for each core that the process may use. */
export function threadCount({ threads }: Pick<GatewayConfig, 'threads'>): number {
  return threads === 'auto' ? availableParallelism() : threads;
}
