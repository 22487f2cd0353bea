/** Station 8: the `onResponse` hooks, inner to outer, then head and body to the client. */
import type { Reply } from '../contract.ts';
import { ALT_SVC } from '../http/field-kind.ts';
import { PROBLEM_MEDIA_TYPE, problemDetails, proxyStatus } from '../http/problem.ts';
import { HeaderFields } from '../http/header-fields.ts';
import { statusText } from '../http/status-text.ts';
import type { ResponseHead } from '../wire/message-head.ts';
import { CollectingSink, TransformSink, discard } from './body-sinks.ts';
import type { ProxyExchange } from './exchange.ts';
import { failPolicy } from './failure.ts';
import { finish } from './finish.ts';

/** Answers with a response that the gateway makes itself. */
export function sendReply(exchange: ProxyExchange, reply: Reply): void {
  if (exchange.finished || exchange.headSent) return;
  const headers = HeaderFields.from(reply.headers ?? []);
  exchange.status = reply.status;
  exchange.statusText = statusText(reply.status);
  exchange.responseHeaders = headers;
  exchange.responseBody = null;
  exchange.bodyLength = -1;
  if (reply.code !== undefined) exchange.code = reply.code;
  if (reply.body === undefined && reply.code !== undefined) describeFailure(exchange, reply, headers);
  else setBody(exchange, reply.body ?? '');
  runResponsePolicies(exchange, 0);
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

/** Passes on the response of the upstream. @param bodyText the whole body; null when it is still to come. */
export function respondFromUpstream(exchange: ProxyExchange, head: ResponseHead, bodyText: string | null): void {
  if (exchange.finished) return;
  exchange.status = head.status;
  exchange.statusText = head.statusText;
  exchange.responseHeaders = head.headers;
  // The upstream's alternatives are not the gateway's (RFC 7838); a policy may name some later.
  if (head.headers.kinds.includes(ALT_SVC)) head.headers.removeWhere((kind) => kind === ALT_SVC);
  exchange.bodyText = bodyText;
  exchange.bodyLength = head.contentLength;
  const { chain } = exchange.chosen;
  if (chain.buffersResponse > 0 && bodyText === null) collectResponse(exchange, chain.buffersResponse);
  else {
    if (chain.buffersResponse > 0) exchange.responseBody = Buffer.from(bodyText!, 'latin1');
    runResponsePolicies(exchange, 0);
  }
}

function collectResponse(exchange: ProxyExchange, maxBytes: number): void {
  const onWhole = (body: Buffer): void => {
    exchange.responseBody = body;
    runResponsePolicies(exchange, 0);
  };
  const onTooLarge = (): void => {
    exchange.forward?.cancel();
    exchange.fail('UPSTREAM_RESPONSE_TOO_LARGE', 'body over what a policy may buffer');
  };
  exchange.forward!.sink = new CollectingSink(maxBytes, onWhole, onTooLarge);
}

function runResponsePolicies(exchange: ProxyExchange, from: number): void {
  const steps = exchange.chosen.chain.onResponse;
  for (let i = from; i < steps.length; i++) {
    const step = steps[i];
    if (step.position >= exchange.reached) continue;
    try {
      const pending = step.hook(exchange);
      if (pending instanceof Promise) {
        waitForPolicy(exchange, step.policy, pending, i + 1);
        return;
      }
    } catch (error) {
      failResponsePolicy(exchange, step.policy, error);
      return;
    }
  }
  sendResponse(exchange);
}

function waitForPolicy(exchange: ProxyExchange, policy: string, pending: Promise<void>, next: number): void {
  if (exchange.bodyText === null && exchange.responseBody === null) exchange.forward?.hold();
  pending.then(
    () => exchange.finished || runResponsePolicies(exchange, next),
    (error: unknown) => exchange.finished || failResponsePolicy(exchange, policy, error),
  );
}

/** The failed hook and those behind it do not get a second chance: the 500 goes out without them. */
function failResponsePolicy(exchange: ProxyExchange, policy: string, error: unknown): void {
  exchange.reached = 0;
  failPolicy(exchange, policy, error);
}

function sendResponse(exchange: ProxyExchange): void {
  const { stream, status, bodyText, responseHeaders } = exchange;
  exchange.headSent = true;
  if (exchange.method === 'HEAD' || status === 204 || status === 304) {
    sendBodiless(exchange);
  } else if (exchange.chosen.chain.transformResponse.length > 0 && sendTransformed(exchange)) {
    return;
  } else if (exchange.responseBody !== null) {
    stream.sendWhole(status, exchange.statusText, responseHeaders, exchange.responseBody);
    finish(exchange);
  } else if (bodyText !== null) {
    stream.sendWhole(status, exchange.statusText, responseHeaders, bodyText);
    finish(exchange);
  } else {
    stream.sendHead(status, exchange.statusText, responseHeaders, exchange.bodyLength);
    exchange.forward!.continueWith(null);
  }
}

function sendBodiless(exchange: ProxyExchange): void {
  const { stream, bodyText, forward } = exchange;
  // To HEAD the upstream says how long the body would be; a reply of our own has it at hand.
  const known =
    exchange.responseBody?.length ?? (bodyText === null || bodyText === '' ? exchange.bodyLength : bodyText.length);
  stream.sendBodiless(exchange.status, exchange.statusText, exchange.responseHeaders, known);
  // A policy may have made a response bodiless whose body is still coming.
  if (bodyText === null && exchange.responseBody === null) {
    forward?.continueWith(discard);
    forward?.cancel();
  }
  finish(exchange);
}

/** Sends the body through the transforms of the policies, if any of them wants this one. */
function sendTransformed(exchange: ProxyExchange): boolean {
  const steps = exchange.chosen.chain.transformResponse;
  const transforms = [];
  for (const step of steps) {
    const transform = step.position < exchange.reached ? step.hook(exchange) : null;
    if (transform !== null) transforms.push(transform);
  }
  if (transforms.length === 0) return false;
  const { stream, bodyText } = exchange;
  stream.sendHead(exchange.status, exchange.statusText, exchange.responseHeaders, -1);
  const toClient = {
    data: (bytes: Uint8Array) => stream.sendData(bytes),
    flush: stream.flush.bind(stream),
    end: (): boolean => {
      if (exchange.finished) return true;
      const released = stream.sendEnd(null);
      finish(exchange);
      return released;
    },
  };
  const sink = new TransformSink(transforms, toClient, (error) => failPolicy(exchange, 'transformResponse', error));
  exchange.responseTransform = sink;
  const whole = exchange.responseBody ?? (bodyText === null ? null : Buffer.from(bodyText, 'latin1'));
  if (whole === null) {
    exchange.forward!.continueWith(sink);
  } else {
    sink.data(whole);
    sink.end();
  }
  return true;
}
