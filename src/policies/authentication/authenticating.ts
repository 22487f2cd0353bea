/** What all policies that authenticate have in common: what becomes of the request once its credential was looked at. */
import type { Authenticator, Credential, Exchange, MaybePromise, Policy, PolicyEnv, Reply } from '../../contract.ts';
import { Refusal } from '../../contract.ts';
import { z } from '../../util/schema.ts';
import { authCounters } from './auth-counters.ts';
import { refuse } from './refuse.ts';

/** Options that each of these policies has. */
export const commonOptions = {
  forward: z
    .boolean()
    .default(false)
    .describe('Send the credential on to the upstream. By default it is taken out of the request.'),
  optional: z
    .boolean()
    .default(false)
    .describe(
      'Let requests without any credential of this kind pass as nobody. One that does not hold is still refused.',
    ),
};

/** Makes a policy of what verifies. */
export function authenticating(
  authenticator: Authenticator,
  { forward, optional }: { readonly forward: boolean; readonly optional: boolean },
  env: Pick<PolicyEnv, 'damping' | 'wait' | 'counter' | 'label'>,
): Policy {
  const counters = authCounters(env);
  const goOn = (exchange: Exchange, verdict: Credential | Refusal): MaybePromise<Reply | undefined> => {
    const isKnown = !(verdict instanceof Refusal);
    if (!isKnown && (verdict.kind !== 'missing' || !optional)) {
      counters[verdict.kind].add();
      return refuse(exchange, verdict, [authenticator], env);
    }
    (isKnown ? counters.accepted : counters.anonymous).add();
    removeOwnHeaders(exchange, authenticator);
    // Before the upstream is told anything, which may be told where the credential was.
    if (!forward) authenticator.conceal(exchange);
    if (isKnown) accept(exchange, verdict, authenticator);
    // A load balancer that is trusted with the address of the client passes on whatever else the client says of itself.
    else exchange.identify(null);
    return undefined;
  };
  return {
    secretFields: authenticator.secretFields ?? [],
    authenticator: forward ? withoutConcealing(authenticator) : authenticator,
    onRequest(exchange): MaybePromise<Reply | undefined> {
      const verdict = authenticator.authenticate(exchange);
      return verdict instanceof Promise ? verdict.then((settled) => goOn(exchange, settled)) : goOn(exchange, verdict);
    },
  };
}

/** For each way to authenticate that the request could have taken, before it is told to the upstream which one it was. */
export function removeOwnHeaders(exchange: Exchange, { ownHeaders = none }: Authenticator): void {
  for (const name of ownHeaders) exchange.requestHeaders.remove(name);
}

const none: readonly string[] = [];

/** The request is somebody's from here on. */
export function accept(exchange: Exchange, credential: Credential, authenticator: Authenticator): void {
  // Of a module that was built against another copy of the gateway: what it refuses is not to pass for a credential.
  if ('kind' in credential) throw new TypeError('a refusal is not one of this gateway');
  exchange.identify(credential);
  authenticator.tell?.(exchange, credential);
}

function withoutConcealing(authenticator: Authenticator): Authenticator {
  return {
    challenge: authenticator.challenge,
    invalidChallenge: authenticator.invalidChallenge ?? authenticator.challenge,
    ownHeaders: authenticator.ownHeaders ?? none,
    authenticate: (exchange) => authenticator.authenticate(exchange),
    conceal() {},
    tell: (exchange, credential) => authenticator.tell?.(exchange, credential),
  };
}
