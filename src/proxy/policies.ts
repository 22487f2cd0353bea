/** Station 4: the `onRequest` hooks in declared order. A reply ends the way here; a promise interrupts it. */
import type { MaybePromise, Reply } from '../contract.ts';
import { collectRequest } from './body-sinks.ts';
import type { ProxyExchange } from './exchange.ts';
import { failPolicy, failure } from './failure.ts';
import { Forward } from './forward.ts';
import { whenSettled } from './pending-hook.ts';
import { redirectLocation } from './rewrite.ts';
import type { PolicyChain } from './route.ts';
import { sendReply } from './respond.ts';

/** Runs the hooks from the given one on, then does what the route is for. */
export function runRequestPolicies(exchange: ProxyExchange, from: number): void {
  const { chain } = exchange.chosen;
  const steps = chain.onRequest;
  for (let i = from; i < steps.length; i++) {
    const step = steps[i];
    if (step.buffersRequest > 0) {
      // Those before it may have nothing to do here and still have their part in a 413.
      exchange.reached = step.position;
      if (!hasItsBody(exchange, step, () => runRequestPolicies(exchange, i))) return;
    }
    exchange.reached = step.position + 1;
    let result: MaybePromise<Reply | undefined | void>;
    try {
      result = step.hook(exchange);
    } catch (error) {
      failPolicy(exchange, step.policy, error);
      return;
    }
    if (result === undefined) continue;
    if (result instanceof Promise) waitForPolicy(exchange, step.policy, result, i + 1);
    else answer(exchange, step.policy, result);
    return;
  }
  exchange.reached = chain.length;
  exchange.trace?.note('policies');
  // A policy may have lowered the limit below what is there already.
  if (exchange.isBodyTooLarge) exchange.fail('BODY_TOO_LARGE', 'body over the limit of a policy');
  else act(exchange);
}

/** @returns whether the policy has what it takes of the body. If not, `goOn` is called once it has, unless that fails. */
function hasItsBody(exchange: ProxyExchange, step: PolicyChain['onRequest'][number], goOn: () => void): boolean {
  try {
    if (step.buffersFor?.(exchange) === false) return true;
  } catch (error) {
    failPolicy(exchange, step.policy, error);
    return false;
  }
  const { shedding } = exchange.around;
  if (shedding.isMemoryShort && !exchange.bodyCollected && exchange.requestBody === null) {
    const refusal = shedding.refusalOfBody(exchange.chosen, exchange.stream.bodyLength);
    if (refusal !== null) {
      sendReply(exchange, refusal);
      return false;
    }
  }
  return collectRequest(exchange, step.buffersRequest, goOn);
}

function waitForPolicy(
  exchange: ProxyExchange,
  policy: string,
  pending: Promise<Reply | undefined | void>,
  next: number,
): void {
  whenSettled(
    exchange,
    pending,
    (reply) => {
      if (reply === undefined) runRequestPolicies(exchange, next);
      else answer(exchange, policy, reply);
    },
    (error) => failPolicy(exchange, policy, error),
  );
}

/** A policy without types may return anything. What is no reply lets nothing through (fail closed). */
function answer(exchange: ProxyExchange, policy: string, reply: Reply): void {
  exchange.trace?.note('policies', policy);
  try {
    sendReply(exchange, reply);
  } catch (error) {
    failPolicy(exchange, policy, error);
  }
}

/** What the route is for. */
function act(exchange: ProxyExchange): void {
  const { action } = exchange.chosen;
  switch (action.kind) {
    case 'forward':
      if (isLastHop(exchange)) {
        answerAsLastHop(exchange);
        return;
      }
      exchange.forward = new Forward(exchange, action);
      exchange.forward.start();
      return;
    case 'redirect': {
      const location = redirectLocation(action.to, exchange.params, exchange.query, exchange);
      if (location === null) exchange.fail('BAD_REWRITE', 'bad redirect');
      else sendReply(exchange, { status: action.status, headers: [['location', location]] });
      return;
    }
    case 'reply':
      if (exchange.methodRefused) refuseMethod(exchange, exchange.route.methods ?? []);
      else sendReply(exchange, action.reply);
      return;
  }
}

/**
 * RFC 9110, section 7.6.2: OPTIONS and TRACE go no further than their Max-Forwards says. Counts this hop; what is no
 * number goes nowhere. TRACE goes nowhere unless the route asks for it: it would bring back to the client whatever policies
 * have added for the upstream alone (cross-site tracing, CVE-2004-2320).
 */
function isLastHop(exchange: ProxyExchange): boolean {
  const { method, requestHeaders } = exchange;
  if (method !== 'OPTIONS' && method !== 'TRACE') return false;
  if (method === 'TRACE' && !exchange.route.methods?.includes('TRACE')) return true;
  const given = requestHeaders.getAll('max-forwards');
  if (given.length === 0) return false;
  const left = given.length === 1 && /^[0-9]{1,9}$/.test(given[0]) ? Number(given[0]) : 0;
  requestHeaders.set('max-forwards', String(left - 1));
  return left === 0;
}

/** What the gateway knows of the route is all it can say; it does not send anybody's request back to him. */
function answerAsLastHop(exchange: ProxyExchange): void {
  const { methods } = exchange.route;
  if (exchange.method === 'TRACE') exchange.fail('NOT_IMPLEMENTED', 'TRACE that goes no further');
  else sendReply(exchange, { status: 200, headers: methods === null ? [] : [['allow', methods.join(', ')]] });
}

/** RFC 9110, section 15.5.6: a 405 says what would be allowed. */
function refuseMethod(exchange: ProxyExchange, allowed: readonly string[]): void {
  sendReply(exchange, { ...failure('METHOD_NOT_ALLOWED'), headers: [['allow', allowed.join(', ')]] });
}
