/** Functions of the user's own that limits count by. */
import type { Exchange, HeaderList } from '../contract.ts';

/**
 * A request as a function of the user's own sees it. There is nothing in it that it may change.
 */
export type RequestView = Readonly<
  Pick<
    Exchange,
    | 'listener'
    | 'protocol'
    | 'scheme'
    | 'peer'
    | 'clientIp'
    | 'method'
    | 'host'
    | 'port'
    | 'origin'
    | 'path'
    | 'query'
    | 'params'
    | 'route'
    | 'consumer'
    | 'credential'
    | 'requestId'
    | 'searchParams'
    | 'cookies'
  > & {
    requestHeaders: Pick<HeaderList, 'get' | 'getAll' | 'has' | typeof Symbol.iterator>;
    values: ReadonlyMap<string, string | number>;
  }
>;

/**
 * Whom a limit counts a request to; undefined: its address. Called for each request, so it must be quick, and it cannot wait.
 * What it throws is answered with 500: a request that is not counted does not pass.
 */
export type LimitKeyFunction = (request: RequestView) => string | undefined;

/** Declares a function that a limit counts by, in a file of its own: `by: {use: ./key.ts}`. */
export function defineLimitKey(key: LimitKeyFunction): LimitKeyFunction {
  return key;
}
