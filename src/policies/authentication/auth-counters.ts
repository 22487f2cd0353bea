/** What policies that find out who calls, or who of them may, say of it in the metrics. */
import type { Counter, PolicyEnv, RefusalKind } from '../../contract.ts';

/**
 * - `accepted`: who calls is known, and may
 * - `anonymous`: it had no credential, and needs none
 * - `forbidden`: who calls is known, and may not
 * - the rest as in `RefusalKind`
 */
type AuthResult = 'accepted' | 'anonymous' | 'forbidden' | RefusalKind;

export type AuthCounters = Readonly<Record<AuthResult, Counter>>;

export function authCounters(env: Pick<PolicyEnv, 'counter' | 'label'>): AuthCounters {
  const counter = (result: AuthResult): Counter => env.counter('gatewright_auth_total', { policy: env.label, result });
  return {
    accepted: counter('accepted'),
    anonymous: counter('anonymous'),
    forbidden: counter('forbidden'),
    missing: counter('missing'),
    invalid: counter('invalid'),
    unavailable: counter('unavailable'),
    damped: counter('damped'),
    answered: counter('answered'),
  };
}
