/**
 * What `defineLimitKey` infers. There is nothing to run: the type checker fails when a line that is expected to be wrong is
 * not, or one that is right is.
 */
import { defineLimitKey } from '../../src/contract.ts';

export const right = defineLimitKey(({ requestHeaders, consumer, values, params }) => {
  const tenant: string | undefined = requestHeaders.get('x-tenant');
  const known: string | number | undefined = values.get('tenant');
  return tenant ?? params['tenant'] ?? consumer?.groups[0] ?? (typeof known === 'string' ? known : undefined);
});

// @ts-expect-error: it cannot wait.
export const waiting = defineLimitKey(async ({ host }) => host);

// @ts-expect-error: a key is text.
export const number = defineLimitKey(({ port }) => port);

export const changing = defineLimitKey((request) => {
  // @ts-expect-error: there is nothing that it may change.
  request.consumer = null;
  // @ts-expect-error: likewise.
  request.requestHeaders.set('x-a', '1');
  return undefined;
});
