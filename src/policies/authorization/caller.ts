/** Who has been found to call, for policies that decide what he may. */
import {
  type Credential,
  type Exchange,
  type MaybePromise,
  type PolicyEnv,
  Refusal,
  type Reply,
} from '../../contract.ts';
import { errors } from '../../errors.ts';
import { refuse } from '../authentication/refuse.ts';

/** What was verified; null for nobody. A policy of one's own may just have named a consumer. */
export function callerOf({ credential, consumer }: Exchange): Credential | null {
  if (credential !== null) return credential.consumer === consumer ? credential : { ...credential, consumer };
  return consumer === null ? null : { method: '', subject: consumer.name, consumer, claims: {}, scopes: [] };
}

const nobody = new Refusal('missing', 'nobody is known to call');

/** The 401 that whatever could have authenticated the request would have given. */
export function refuseNobody(exchange: Exchange, env: PolicyEnv): MaybePromise<Reply> {
  return refuse(exchange, nobody, env.earlierAuthenticators(), env);
}

/** @param reason for the log only: a constant, with nothing of the caller in it. */
export function forbidden(reason: string): Reply {
  return Object.freeze({ status: errors.FORBIDDEN.status, code: 'FORBIDDEN', reason });
}
