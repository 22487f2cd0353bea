/** Station 9: the end of every exchange, exactly once, whichever way it came about. */
import type { Outcome } from '../contract.ts';
import type { ProxyExchange } from './exchange.ts';

/** Told of every exchange that has ended. */
export type Observer = (exchange: ProxyExchange, outcome: Outcome) => void;

export function finish(exchange: ProxyExchange): void {
  if (exchange.finished) return;
  exchange.release();
  const { observe, traffic, meter, clock, wheel } = exchange.around;
  traffic.ended++;
  // For a histogram the microseconds do not matter that have passed since its last bytes came.
  meter.ended(exchange.route.name, exchange.method, exchange.status, wheel.turnAt - exchange.startedAt);
  const { forward } = exchange;
  if (forward !== null && forward.answeredAt !== 0) {
    meter.answered(forward.upstream.name, forward.answeredAt - forward.sentAt);
  }
  const steps = exchange.chosen.chain.onFinish;
  if (observe === null && steps.length === 0) return;
  const outcome = exchange.outcome(clock.now() - exchange.startedAt);
  for (const step of steps) {
    if (step.position >= exchange.reached) continue;
    const onFailed = (error: unknown): void => {
      exchange.around.log.defect('a policy failed', { policy: step.policy, route: exchange.route.name }, error);
    };
    try {
      // Nobody waits for this hook, but TypeScript lets it be `async`, and then it fails differently.
      const pending: unknown = step.hook(exchange, outcome);
      if (pending instanceof Promise) pending.catch(onFailed);
    } catch (error) {
      onFailed(error);
    }
  }
  if (observe !== null) observe(exchange, outcome);
}
