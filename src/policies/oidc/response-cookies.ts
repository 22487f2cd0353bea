/** What is to be set in the browser with a response that is still to come. */
import type { Exchange } from '../../contract.ts';

interface Waiting {
  readonly values: readonly string[];
  /** Asked when the response is there: whether they are still to be set. */
  readonly isWanted: () => boolean;
}

export class ResponseCookies {
  private readonly waiting = new WeakMap<Exchange, Waiting>();

  /** Values of `Set-Cookie`; what was to be set before is forgotten. */
  put(exchange: Exchange, values: readonly string[], isWanted: () => boolean = always): void {
    this.waiting.set(exchange, { values, isWanted });
  }

  /** For `onResponse`. */
  send(exchange: Exchange): void {
    const waiting = this.waiting.get(exchange);
    if (waiting === undefined) return;
    this.waiting.delete(exchange);
    if (!waiting.isWanted()) return;
    const { responseHeaders } = exchange;
    for (const value of waiting.values) responseHeaders.add('set-cookie', value);
    // A cache in front must not give somebody's session to others, whatever the upstream says of the page.
    responseHeaders.set('cache-control', 'no-store');
  }
}

const always = (): boolean => true;
