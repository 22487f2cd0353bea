/** How failures turn into replies. */
import type { Reply } from '../contract.ts';
import { errors, type ErrorCode } from '../errors.ts';
import type { ProxyExchange } from './exchange.ts';

const replies: ReadonlyMap<string, Reply> = new Map(
  Object.entries(errors).map(([code, { status }]) => [code, Object.freeze({ status, code: code as ErrorCode })]),
);

/** The reply that reports a failure and says nothing else. */
export function failure(code: ErrorCode): Reply {
  return replies.get(code)!;
}

/** A policy that throws is a defect, and it may be the one that guards: nothing is let through (fail closed). */
export function failPolicy(exchange: ProxyExchange, policy: string, error: unknown): void {
  exchange.around.log.defect('a policy failed', { policy, route: exchange.route.name }, error);
  exchange.forward?.cancel();
  exchange.fail('POLICY_FAILED', 'a policy failed');
}

/** What cannot happen has happened. It must not take those with it that have nothing to do with this exchange. */
export function failDefect(exchange: ProxyExchange, error: unknown): void {
  exchange.around.log.defect('a request could not be handled', { route: exchange.route.name }, error);
  exchange.forward?.cancel();
  exchange.fail('INTERNAL', 'a defect');
}

/** Nothing goes to an upstream without the credential that belongs to it (fail closed). */
export function failUnauthenticated(exchange: ProxyExchange): void {
  exchange.forward?.cancel();
  exchange.fail('UPSTREAM_AUTH_UNAVAILABLE', 'no credential for the upstream');
}
