import {
  type Authenticator,
  type Credential,
  type Exchange,
  type InnerPolicy,
  type MaybePromise,
  type Policy,
  type PolicyEnv,
  Refusal,
  type RefusalKind,
  type Reply,
  definePolicy,
} from '../contract.ts';
import { z } from '../util/schema.ts';
import { type AuthCounters, authCounters } from './authentication/auth-counters.ts';
import { accept, removeOwnHeaders } from './authentication/authenticating.ts';
import { type Asked, refuse } from './authentication/refuse.ts';

/** More ways than anybody has; every request without a credential is looked at by all of them. */
const maxWays = 16;

/**
 * If no way succeeds, the first of these that there is decides. That attempts are damped goes before everything: other ways
 * in must not be a way around it. That nobody can tell goes before what could be told: the credential may be the right one.
 */
const order: readonly RefusalKind[] = ['damped', 'unavailable', 'invalid', 'missing'];

interface Way {
  /** How the configuration calls it. */
  readonly name: string;
  readonly authenticator: Authenticator;
  /** What it asks for where none of its credentials was sent. */
  readonly asked: Asked;
}

/** The ways of those policies here that are such a policy themselves: one in another is the same as one long list. */
const waysOf = new WeakMap<Policy, readonly Way[]>();

/**
 * The first way that succeeds counts, whatever those before it have found. None is ever skipped because of what it might
 * find (CVE-2021-21378: what one way did not ask for was taken for what another had verified).
 */
export const anyOf = definePolicy({
  name: 'anyOf',
  summary: 'Authenticates in one of several ways: the first policy of the list that succeeds says who calls.',
  options: z
    .array(z.unknown())
    .min(2, { error: 'name at least two policies; one alone needs no anyOf' })
    .max(maxWays, { error: `name at most ${maxWays} policies` }),
  provides: ['consumer'],
  combines: true,
  objectionTo({ name, provides = [] }, options) {
    if (!provides.includes('consumer')) return `${name} does not authenticate, so it is no way to`;
    if (isOptional(options)) {
      return `${name} is optional, which would let everybody in; write the policies below each other, all of them optional, if nobody has to be known`;
    }
    return null;
  },
  create(_options, env, inner) {
    const ways = inner.flatMap(waysIn);
    const around = { env, counters: authCounters(env) };
    const policy: Policy = {
      ...hooksOf(inner.map((one) => one.policy)),
      onRequest: (exchange) => tryFrom(0, exchange, ways, none, around),
    };
    waysOf.set(policy, ways);
    return policy;
  },
});

const none: readonly Refusal[] = [];

function isOptional(options: unknown): boolean {
  return typeof options === 'object' && options !== null && 'optional' in options && options.optional === true;
}

function waysIn({ name, policy }: InnerPolicy): readonly Way[] {
  const { authenticator } = policy;
  const ways = waysOf.get(policy);
  if (ways !== undefined) return ways;
  if (authenticator === undefined) throw new Error(`${name} does not authenticate, so it is no way to`);
  return [{ name, authenticator, asked: { challenge: authenticator.challenge } }];
}

interface Around {
  readonly env: PolicyEnv;
  readonly counters: AuthCounters;
}

/** Stays synchronous until a way does not. The first way costs nothing more than it does alone. */
function tryFrom(
  index: number,
  exchange: Exchange,
  ways: readonly Way[],
  refusals: readonly Refusal[],
  around: Around,
): MaybePromise<Reply | undefined> {
  if (index === ways.length) return refuseAll(exchange, ways, refusals, around);
  const verdict = ways[index].authenticator.authenticate(exchange);
  return verdict instanceof Promise
    ? verdict.then((settled) => judge(settled, index, exchange, ways, refusals, around))
    : judge(verdict, index, exchange, ways, refusals, around);
}

function judge(
  verdict: Credential | Refusal,
  index: number,
  exchange: Exchange,
  ways: readonly Way[],
  refusals: readonly Refusal[],
  around: Around,
): MaybePromise<Reply | undefined> {
  const { env, counters } = around;
  if (!(verdict instanceof Refusal)) {
    counters.accepted.add();
    countGuesses(exchange, refusals, env);
    return pass(exchange, ways, index, verdict);
  }
  // The request is not one for the upstream at all.
  if (verdict.kind === 'answered') {
    counters.answered.add();
    return refuse(exchange, verdict, [ways[index].asked], env);
  }
  return tryFrom(index + 1, exchange, ways, [...refusals, verdict], around);
}

/** Whatever credentials the request has, looked at or not, go no further, nor what it says in the name of any way. */
function pass(exchange: Exchange, ways: readonly Way[], index: number, credential: Credential): undefined {
  for (const { authenticator } of ways) removeOwnHeaders(exchange, authenticator);
  for (const { authenticator } of ways) authenticator.conceal(exchange);
  // Last: `oidc` tells its access token in the header in which a client would have sent one for `jwt`.
  accept(exchange, credential, ways[index].authenticator);
}

/**
 * Who guesses at the password of an account must not be able to hide that behind another credential, be it a good one or
 * one that nobody can tell about.
 */
function countGuesses({ clientIp }: Exchange, refusals: readonly Refusal[], { damping }: PolicyEnv): void {
  for (const { kind, account } of refusals) if (kind === 'invalid' && account !== '') damping.failed(clientIp, account);
}

/** @param refusals one for each way. */
function refuseAll(
  exchange: Exchange,
  ways: readonly Way[],
  refusals: readonly Refusal[],
  { env, counters }: Around,
): MaybePromise<Reply> {
  const kind = order.find((one) => refusals.some((refusal) => refusal.kind === one)) ?? 'missing';
  counters[kind].add();
  const ofKind = refusals.filter((refusal) => refusal.kind === kind);
  // A login, or the words of an authorisation server, say more than a challenge.
  const reply = ofKind.find((refusal) => refusal.reply !== null)?.reply ?? null;
  const reason = ways.map(({ name }, index) => `${name}: ${refusals[index].reason}`).join('; ');
  // Only what was sent is told to be wrong (RFC 6750, section 3.1: no error code where there was no token).
  const asked = ways.map((way, index) => (refusals[index].kind === 'invalid' ? way.authenticator : way.asked));
  // One of them is counted with the answer.
  const counted = kind === 'invalid' && reply === null ? ofKind.find(({ account }) => account !== '') : undefined;
  countGuesses(
    exchange,
    refusals.filter((refusal) => refusal !== counted),
    env,
  );
  const isGuess = ofKind.some((refusal) => refusal.isGuess);
  return refuse(exchange, new Refusal(kind, reason, reply, counted?.account ?? '', isGuess), asked, env);
}

/** What the ways do besides authenticating, such as renewing a session with the response, whichever of them has succeeded. */
function hooksOf(policies: readonly Policy[]): Policy {
  if (policies.some((policy) => policy.transformRequest !== undefined || policy.transformResponse !== undefined)) {
    throw new Error('what changes bodies cannot be one of several ways to authenticate');
  }
  const sending = policies.filter((policy) => policy.onUpstreamRequest !== undefined);
  const responding = policies.filter((policy) => policy.onResponse !== undefined).toReversed();
  const finishing = policies.filter((policy) => policy.onFinish !== undefined);
  const buffering = policies.filter((policy) => (policy.buffersRequest ?? 0) > 0);
  const buffersRequest = Math.max(0, ...buffering.map((policy) => policy.buffersRequest!));
  const buffersResponse = Math.max(0, ...policies.map((policy) => policy.buffersResponse ?? 0));
  return {
    ...(buffersRequest > 0 && {
      buffersRequest,
      buffersFor: (exchange) => buffering.some((policy) => policy.buffersFor?.(exchange) ?? true),
    }),
    ...(buffersResponse > 0 && { buffersResponse }),
    ...(sending.length > 0 && {
      onUpstreamRequest: (exchange, request) =>
        inTurn(sending, (policy) => policy.onUpstreamRequest!(exchange, request)),
    }),
    ...(responding.length > 0 && {
      onResponse: (exchange) => inTurn(responding, (policy) => policy.onResponse!(exchange)),
    }),
    ...(finishing.length > 0 && {
      onFinish: (exchange, outcome) => finishing.forEach((policy) => policy.onFinish!(exchange, outcome)),
    }),
  };
}

function inTurn(policies: readonly Policy[], call: (policy: Policy) => MaybePromise<void>): MaybePromise<void> {
  for (const [index, policy] of policies.entries()) {
    const result = call(policy);
    if (result instanceof Promise) return result.then(() => inTurn(policies.slice(index + 1), call));
  }
}
