/** Requests through policies that limit. */
import type { Policy } from '../../src/contract.ts';
import { rateLimit } from '../../src/policies/rate-limit.ts';
import { FakeEnv, FakeExchange, type FakeRequest, type FakeResult, createPolicy, runThrough } from './fake-exchange.ts';

/** A `rateLimit` with these options. */
export const limited = (options: object, env = new FakeEnv()): Policy => createPolicy(rateLimit, options, env);

/** How many of these requests pass before one is refused; at most 50. */
export async function passing(policies: readonly Policy[], request: FakeRequest = {}): Promise<number> {
  for (let count = 0; count < 50; count++) {
    const { status } = await runThrough(policies, new FakeExchange(request));
    if (status === 429) return count;
  }
  return Infinity;
}

/** A request of a consumer. */
export const consumer = (name: string, ...groups: string[]) => ({ consumer: { name, groups } });
/** All fields of a name as one. */
export const field = (result: FakeResult, name: string): string => result.headers.getAll(name).join(', ');
