/** Station 8: the `onResponse` hooks, inner to outer, then head and body to the client. */
import type { Reply } from '../contract.ts';
import { ALT_SVC, DEBUG, kindBits } from '../http/field-kind.ts';
import { PROBLEM_MEDIA_TYPE, problemDetails, proxyStatus } from '../http/problem.ts';
import { HeaderFields } from '../http/header-fields.ts';
import { statusText } from '../http/status-text.ts';
import type { ResponseHead } from '../wire/message-head.ts';
import { CollectingSink, discard } from './body-sinks.ts';
import type { ProxyExchange } from './exchange.ts';
import { failPolicy } from './failure.ts';
import { addFieldsToCome } from './fields-to-come.ts';
import { finish } from './finish.ts';
import { whenSettled } from './pending-hook.ts';
import type { Step } from './route.ts';
import { TransformSink, openTransforms, type Transform } from './transforms.ts';

/**
 * Answers with a response that the gateway makes itself.
 * @throws for a reply that no message can be made of, before anything was done.
 */
export function sendReply(exchange: ProxyExchange, reply: Reply): void {
  if (exchange.finished || exchange.headSent) return;
  assertFinal(reply.status);
  begin(exchange, reply.status, statusText(reply.status), HeaderFields.from(reply.headers ?? []));
  addFieldsToCome(exchange, exchange.responseHeaders);
  exchange.responseBody = null;
  exchange.bodyLength = -1;
  if (reply.code !== undefined) exchange.code = reply.code;
  if (reply.reason !== undefined) exchange.reason = reply.reason;
  if (reply.body === undefined && reply.code !== undefined) describeFailure(exchange, reply, exchange.responseHeaders);
  else setBody(exchange, reply.body ?? '');
  if (exchange.chosen.chain.buffersResponse > 0) exchange.responseBody ??= Buffer.from(exchange.bodyText!, 'latin1');
  runResponsePolicies(exchange, 0);
}

function begin(exchange: ProxyExchange, status: number, text: string, headers: HeaderFields): void {
  exchange.answers++;
  exchange.status = status;
  exchange.givenStatus = status;
  exchange.statusText = text;
  exchange.responseHeaders = headers;
}

/** What is no status of a final response (RFC 9110, section 15) would be taken for something else by the client. */
function assertFinal(status: number): void {
  if (!(status >= 200 && status <= 999) || !Number.isInteger(status)) {
    throw new RangeError(`${String(status)} is not the status of a response`);
  }
}

function describeFailure(exchange: ProxyExchange, reply: Reply, headers: HeaderFields): void {
  const code = reply.code!;
  headers.set('content-type', PROBLEM_MEDIA_TYPE);
  const status = proxyStatus(code);
  if (status !== undefined) headers.set('proxy-status', status);
  setBody(exchange, problemDetails(code, exchange.requestId, reply.detail, reply.status));
}

function setBody(exchange: ProxyExchange, body: string | Uint8Array): void {
  if (typeof body !== 'string') {
    exchange.bodyText = null;
    exchange.responseBody = body;
  } else if (Buffer.byteLength(body) === body.length) {
    // ASCII is the same in latin1, and text leaves together with the head.
    exchange.bodyText = body;
  } else {
    exchange.bodyText = null;
    exchange.responseBody = Buffer.from(body);
  }
}

/** The upstream's alternatives are not the gateway's (RFC 7838), and how the gateway works only itself can say. */
export function dropUpstreamFields(headers: HeaderFields): void {
  if (headers.mayHave(notFromUpstream)) headers.removeWhere(isNotFromUpstream);
}

function isNotFromUpstream(kind: number): boolean {
  return kind === ALT_SVC || kind === DEBUG;
}

const notFromUpstream = kindBits(isNotFromUpstream);

/** Passes on the response of the upstream. @param bodyText the whole body; null when it is still to come. */
export function respondFromUpstream(exchange: ProxyExchange, head: ResponseHead, bodyText: string | null): void {
  if (exchange.finished) return;
  begin(exchange, head.status, head.statusText, head.headers);
  // Before the policies, which may name alternatives of the gateway's own.
  dropUpstreamFields(head.headers);
  addFieldsToCome(exchange, head.headers);
  exchange.bodyText = bodyText;
  if (bodyText === null) exchange.keepRoute();
  exchange.bodyLength = head.contentLength;
  const maxBytes = exchange.chosen.chain.buffersResponse;
  if (maxBytes > 0) collectResponse(exchange, maxBytes);
  else runResponsePolicies(exchange, 0);
}

function collectResponse(exchange: ProxyExchange, maxBytes: number): void {
  const { bodyText } = exchange;
  const onWhole = (body: Buffer): void => {
    exchange.responseBody = body;
    runResponsePolicies(exchange, 0);
  };
  const onTooLarge = (): void => {
    exchange.forward?.cancel();
    exchange.fail('UPSTREAM_RESPONSE_TOO_LARGE', 'body over what a policy may buffer');
  };
  if (bodyText === null && exchange.bodyLength <= maxBytes) {
    exchange.forward!.sink = new CollectingSink(maxBytes, onWhole, onTooLarge);
  } else if (bodyText === null || bodyText.length > maxBytes) onTooLarge();
  else onWhole(Buffer.from(bodyText, 'latin1'));
}

function runResponsePolicies(exchange: ProxyExchange, from: number): void {
  const steps = exchange.chosen.chain.onResponse;
  for (let i = from; i < steps.length; i++) {
    const step = steps[i];
    if (!exchange.hasInResponse(step.position)) continue;
    try {
      const pending = step.hook(exchange);
      if (pending instanceof Promise) {
        waitForPolicy(exchange, step, pending, i + 1);
        return;
      }
      assertFinal(exchange.status);
    } catch (error) {
      failResponsePolicy(exchange, step, error);
      return;
    }
  }
  sendResponse(exchange);
}

function waitForPolicy(exchange: ProxyExchange, step: Step<unknown>, pending: Promise<void>, next: number): void {
  if (exchange.bodyText === null) exchange.forward?.hold();
  whenSettled(
    exchange,
    pending.then(() => assertFinal(exchange.status)),
    () => runResponsePolicies(exchange, next),
    (error) => failResponsePolicy(exchange, step, error),
  );
}

/** The hook that failed and those that ran before it do not get a second chance; the 500 goes out with the others. */
function failResponsePolicy(exchange: ProxyExchange, step: Step<unknown>, error: unknown): void {
  exchange.failedAt = step.position;
  failPolicy(exchange, step.policy, error);
}

function sendResponse(exchange: ProxyExchange): void {
  const { stream, status, bodyText, responseHeaders } = exchange;
  const { buffersResponse, transformResponse } = exchange.chosen.chain;
  exchange.trace?.tell(responseHeaders);
  if (status !== exchange.givenStatus) exchange.statusText = statusText(status);
  if (exchange.method === 'HEAD' || status === 204 || status === 304) {
    sendBodiless(exchange);
    return;
  }
  // Where bodies are buffered there was one; if there is none any longer, a policy has taken it away.
  const whole = exchange.responseBody ?? (buffersResponse > 0 ? '' : bodyText);
  const isReplaced = whole !== null && bodyText === null;
  if (transformResponse.length > 0) {
    const fail = failResponsePolicy.bind(null, exchange);
    const transforms = openTransforms(exchange, transformResponse, fail);
    if (transforms === null) return;
    if (transforms.length > 0) {
      if (isReplaced) dropUpstreamBody(exchange);
      sendTransformed(exchange, transforms, whole);
      return;
    }
  }
  exchange.headSent = true;
  if (whole === null) {
    stream.sendHead(status, exchange.statusText, responseHeaders, exchange.bodyLength);
    exchange.forward!.continueWith(null);
    return;
  }
  if (isReplaced) dropUpstreamBody(exchange);
  stream.sendWhole(status, exchange.statusText, responseHeaders, whole);
  finish(exchange);
}

function sendBodiless(exchange: ProxyExchange): void {
  exchange.headSent = true;
  if (exchange.bodyText === null) dropUpstreamBody(exchange);
  const { stream, status, responseHeaders } = exchange;
  stream.sendBodiless(status, exchange.statusText, responseHeaders, lengthWithoutBody(exchange));
  finish(exchange);
}

/**
 * What a response without a body may say of its length: what the body would have to GET, or nothing (RFC 9110, section
 * 8.6). Policies that buffer or transform could have changed it; whoever does so removes `content-length`.
 */
function lengthWithoutBody(exchange: ProxyExchange): number {
  const { bodyText, bodyLength, responseBody, responseHeaders } = exchange;
  const { buffersResponse, transformResponse } = exchange.chosen.chain;
  if (buffersResponse > 0) return -1;
  const own = responseBody?.length ?? (bodyText === null || bodyText === '' ? -1 : bodyText.length);
  if (transformResponse.length > 0 && (own >= 0 || !responseHeaders.has('content-length'))) return -1;
  return own >= 0 ? own : bodyLength;
}

/** Nobody is going to read the body that the upstream may still be sending: a policy has put another in its place. */
function dropUpstreamBody(exchange: ProxyExchange): void {
  exchange.forward?.continueWith(discard);
  exchange.forward?.cancel();
}

function sendTransformed(
  exchange: ProxyExchange,
  transforms: readonly Transform[],
  whole: string | Uint8Array | null,
): void {
  const { stream } = exchange;
  exchange.headSent = true;
  stream.sendHead(exchange.status, exchange.statusText, exchange.responseHeaders, -1);
  const toClient = {
    data: (bytes: Uint8Array) => stream.sendData(bytes),
    flush: stream.flush.bind(stream),
    end: (): boolean => {
      if (exchange.finished) return true;
      const released = stream.sendEnd(null);
      // A transform may have had enough before the upstream has sent everything.
      exchange.forward?.cancel();
      finish(exchange);
      return released;
    },
  };
  const sink = new TransformSink(transforms, toClient, (policy, error) => failPolicy(exchange, policy, error));
  exchange.responseTransform = sink;
  if (whole === null) {
    exchange.forward!.continueWith(sink);
  } else {
    sink.data(typeof whole === 'string' ? Buffer.from(whole, 'latin1') : whole);
    sink.end();
  }
}
