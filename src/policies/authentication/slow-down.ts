/** Makes attempts wait that follow on failed ones, and never many at a time. */
import type { AttemptDamping, PolicyEnv } from '../../contract.ts';

/** Of each thread: an exchange that waits holds a connection and a few kilobytes. */
const mostWaiting = 512;
/** Whoever has more attempts under way at once is not kept from anything by one that waits. */
const mostOfClient = 8;

/** Who waits, for all routes of a thread. */
class Waiting {
  private static readonly all = new WeakMap<AttemptDamping, Waiting>();
  private readonly byClient = new Map<string, number>();
  private total = 0;

  static of(damping: AttemptDamping): Waiting {
    let waiting = Waiting.all.get(damping);
    if (waiting === undefined) {
      waiting = new Waiting();
      Waiting.all.set(damping, waiting);
    }
    return waiting;
  }

  enter(clientIp: string): boolean {
    const own = this.byClient.get(clientIp) ?? 0;
    if (this.total >= mostWaiting || own >= mostOfClient) return false;
    this.total++;
    this.byClient.set(clientIp, own + 1);
    return true;
  }

  leave(clientIp: string): void {
    this.total--;
    const own = this.byClient.get(clientIp)! - 1;
    if (own > 0) this.byClient.set(clientIp, own);
    else this.byClient.delete(clientIp);
  }
}

/**
 * @param delayMs what `AttemptDamping.look` says.
 * @returns When the time is over; undefined when there is nothing to wait for, or as many wait as may: a flood of attempts
 * must not pile up here.
 */
export function slowDown(
  env: Pick<PolicyEnv, 'damping' | 'wait'>,
  clientIp: string,
  delayMs: number,
): Promise<void> | undefined {
  if (delayMs <= 0) return undefined;
  const waiting = Waiting.of(env.damping);
  if (!waiting.enter(clientIp)) return undefined;
  return env.wait(delayMs).finally(() => waiting.leave(clientIp));
}
