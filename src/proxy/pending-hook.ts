/** What a hook that returned a promise interrupts, and what becomes of it when the promise is settled, or never is. */
import type { ProxyExchange } from './exchange.ts';
import { failDefect } from './failure.ts';

/**
 * Goes on when the promise is fulfilled. It may come too late: the client may have left, or another response may have
 * been begun meanwhile. At `timeouts.total` it is given up, for which the policy is to blame.
 */
export function whenSettled<T>(
  exchange: ProxyExchange,
  pending: Promise<T>,
  goOn: (value: T) => void,
  onFailed: (error: unknown) => void,
): void {
  const { answers } = exchange;
  const isTooLate = (): boolean => exchange.finished || exchange.answers !== answers;
  exchange.armDeadline(() => onFailed(new Error('the promise of a hook was not settled within timeouts.total')));
  pending.then(
    (value) => {
      if (isTooLate()) return;
      exchange.around.wheel.beginTurn();
      exchange.disarmDeadline();
      try {
        goOn(value);
      } catch (error) {
        failDefect(exchange, error);
      }
    },
    (error: unknown) => {
      if (isTooLate()) return;
      exchange.around.wheel.beginTurn();
      exchange.disarmDeadline();
      onFailed(error);
    },
  );
}
