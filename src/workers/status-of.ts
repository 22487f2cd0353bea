import type { GatewayStatus } from '../gateway/gateway.ts';
import type { ServingThread } from './serving-thread.ts';

/** A thread that does not answer within this time is shown as silent. */
const timeoutMs = 500;

/** What a thread says of itself; null when there is none, or it does not answer. */
export async function statusOf(thread: ServingThread | null): Promise<GatewayStatus | null> {
  try {
    return thread === null ? null : await thread.ask({ kind: 'status' }, timeoutMs);
  } catch {
    return null;
  }
}
