/**
 * Station 7: one request on its way to an upstream. It makes attempts until one of them answers: a target that cannot be
 * connected to is followed by the next, a pooled connection that turns out to be dead by a fresh one.
 */
import type { Socket } from 'node:net';
import type { UpstreamRequest } from '../contract.ts';
import type { ErrorCode } from '../errors.ts';
import type { HeaderFields } from '../http/header-fields.ts';
import { CanonicalTarget } from '../http/path.ts';
import type { BodySink, BodySource } from '../wire/connection.ts';
import type { ResponseHead } from '../wire/message-head.ts';
import { Tunnel } from '../wire/tunnel.ts';
import type { TunnelIntake, UpstreamCall } from '../wire/upstream-call.ts';
import type { UpstreamConnection } from '../wire/upstream-connection.ts';
import { chooseTarget } from './balance.ts';
import { WaitingSink, connectionSink, passesTrailers } from './body-sinks.ts';
import type { ProxyExchange } from './exchange.ts';
import { failDefect, failPolicy, failUnauthenticated } from './failure.ts';
import { finish } from './finish.ts';
import { consumerFields, copiedFields, forwardingFields, requestLine, upstreamHost } from './forward-head.ts';
import { whenSettled } from './pending-hook.ts';
import { dropUpstreamFields, respondFromUpstream } from './respond.ts';
import { rewritePath } from './rewrite.ts';
import type { RouteAction } from './route.ts';
import { TransformSink, openTransforms, type Transform } from './transforms.ts';
import type { UpstreamCredential } from './upstream-credential.ts';
import type { Target, Upstream } from './upstream.ts';
import { isWebSocket } from './web-socket.ts';

export type ForwardAction = Extract<RouteAction, { kind: 'forward' }>;

/** RFC 9110, section 9.2.2. */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
/** An absent body is said to be empty (RFC 9110, section 8.6). */
const expectsBody = new Set(['POST', 'PUT', 'PATCH']);
/** Failures after which the target has not seen the request, so that the next one may have it. */
const beforeSending: ReadonlySet<ErrorCode> = new Set([
  'UPSTREAM_UNREACHABLE',
  'UPSTREAM_CONNECT_TIMEOUT',
  'UPSTREAM_TLS_FAILED',
  'UPSTREAM_BUSY',
] satisfies ErrorCode[]);

const untried: readonly number[] = [];
const noTransforms: readonly Transform[] = [];
const rewritten = new CanonicalTarget();

export class Forward implements UpstreamCall {
  readonly method: string;
  readonly wantsUpgrade: boolean;
  readonly pipelinable: boolean;
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  readonly deadlineAt: number;
  needsFreshConnection = false;

  /** Attempts made so far. */
  attempts = 0;
  /** When the last attempt began, and when the head of its response came, 0 for never: see `TimerWheel.turnAt`. */
  sentAt = 0;
  answeredAt = 0;
  /** From when it was only the target that was waited for; 0 while it still waits for the client. */
  wholeAt = 0;
  upstream: Upstream;
  target: Target | null = null;
  /** Where the response body goes: null for straight to the client. */
  sink: BodySink | null = null;

  private readonly exchange: ProxyExchange;
  private readonly action: ForwardAction;
  private readonly path: string | null;
  private tried: readonly number[] = untried;
  private targetIndex = -1;
  private connection: UpstreamConnection | null = null;
  private underWay = false;
  private cancelled = false;
  private bodyBegun = false;
  private requestTransform: TransformSink | null = null;
  private headers: HeaderFields;

  constructor(exchange: ProxyExchange, action: ForwardAction) {
    const { timeouts } = exchange.chosen;
    const { stream } = exchange;
    this.exchange = exchange;
    this.action = action;
    this.upstream = action.split.next();
    this.method = exchange.method;
    this.headers = exchange.requestHeaders;
    this.wantsUpgrade = stream.wantsUpgrade && isWebSocket(exchange);
    this.pipelinable =
      exchange.requestBody === null && stream.bodyText === '' && !this.wantsUpgrade && idempotent.has(exchange.method);
    this.connectMs = timeouts.connectMs;
    this.firstByteMs = timeouts.firstByteMs;
    this.idleMs = timeouts.idleMs;
    this.deadlineAt = timeouts.totalMs === Infinity ? 0 : exchange.startedAt + timeouts.totalMs;
    this.path = this.rewrite();
  }

  start(): void {
    if (this.path === null) this.exchange.fail('BAD_REWRITE', rewritten.reason);
    else this.attempt('UPSTREAM_UNREACHABLE', 'no target');
  }

  /** The path that the upstream gets, null when the rewrite of this one is not acceptable. */
  private rewrite(): string | null {
    const { exchange } = this;
    const template = this.action.rewrite.path;
    if (template === null) return exchange.path;
    return rewritePath(template, exchange.params, rewritten, exchange.path) ? rewritten.unmergedPath : null;
  }

  // ---- attempts ----------------------------------------------------------------------------------------------------

  /** @param code what to answer, and `reason` why, when there is no target left to try. */
  private attempt(code: ErrorCode, reason: string): void {
    const index = chooseTarget(this.exchange, this.upstream, this.tried);
    if (index === -1) {
      this.exchange.fail(code, reason);
      return;
    }
    this.targetIndex = index;
    this.target = this.upstream.targets[index]!;
    this.exchange.trace?.note('balance', this.target.url);
    this.dispatch(this.target);
  }

  private dispatch(target: Target): void {
    this.attempts++;
    target.inFlight++;
    this.underWay = true;
    this.sentAt = this.exchange.around.wheel.turnAt;
    const { credential } = this.upstream;
    const isPlain = credential === null && this.exchange.chosen.chain.onUpstreamRequest.length === 0;
    if (isPlain) target.pool.dispatch(this);
    else this.runUpstreamPolicies(target, 0);
  }

  /** The `onUpstreamRequest` hooks work on a copy of the request's fields, which this attempt alone sends. */
  private runUpstreamPolicies(target: Target, from: number): void {
    const { exchange } = this;
    if (from === 0) this.headers = exchange.requestHeaders.clone();
    const query = exchange.query === '' ? '' : `?${exchange.query}`;
    const request: UpstreamRequest = {
      upstream: this.upstream.name,
      target: target.url,
      method: this.method,
      path: this.path + query,
      headers: this.headers,
    };
    const steps = exchange.chosen.chain.onUpstreamRequest;
    for (let i = from; i < steps.length; i++) {
      const step = steps[i];
      try {
        const pending = step.hook(exchange, request);
        if (pending instanceof Promise) {
          const goOn = (): void => this.runUpstreamPolicies(target, i + 1);
          whenSettled(exchange, pending, goOn, (error) => failPolicy(exchange, step.policy, error));
          return;
        }
      } catch (error) {
        failPolicy(exchange, step.policy, error);
        return;
      }
    }
    if (this.upstream.credential === null) target.pool.dispatch(this);
    else this.presentCredential(target, this.upstream.credential);
  }

  /** What the client has sent in the same fields does not go to the upstream. */
  private presentCredential(target: Target, credential: UpstreamCredential): void {
    const { exchange } = this;
    for (const name of credential.replaces) this.headers.remove(name);
    const goOn = (isReady: boolean): void => {
      if (isReady) target.pool.dispatch(this);
      else failUnauthenticated(exchange);
    };
    const ready = credential.ready();
    if (ready instanceof Promise) whenSettled(exchange, ready, goOn, (error) => failDefect(exchange, error));
    else goOn(ready);
  }

  onConnection(connection: UpstreamConnection): void {
    const { exchange } = this;
    const whole = exchange.requestBody ?? (exchange.bodyCollected ? '' : exchange.stream.bodyText);
    const isWanted = !this.cancelled && !exchange.finished;
    const transforms = isWanted && whole?.length !== 0 ? this.requestTransforms() : noTransforms;
    // Nobody waits for a response any longer: the client has gone, or a policy has failed, if only just now.
    if (this.cancelled || exchange.finished) {
      connection.giveBack();
      return;
    }
    this.connection = connection;
    this.wholeAt = whole === null || transforms.length > 0 ? 0 : this.sentAt;
    exchange.trace?.note('connection');
    const head = this.head(transforms.length > 0 ? null : whole);
    if (transforms.length > 0) this.sendTransformed(connection, head, transforms, whole);
    else if (whole === null) this.sendStream(connection, head);
    else if (whole.length === 0) {
      connection.send(this, `${head}${this.emptyLength()}\r\n`, this.pipelinable && this.target!.pool.pipelines);
    } else if (typeof whole === 'string') {
      connection.send(this, `${head}content-length: ${whole.length}\r\n\r\n${whole}`, false);
    } else {
      connection.sendHead(this, `${head}content-length: ${whole.length}\r\n\r\n`, false);
      connection.sendData(whole);
      connection.sendEnd(null);
    }
    exchange.trace?.note('sent');
  }

  private requestTransforms(): readonly Transform[] {
    const { exchange } = this;
    const steps = exchange.chosen.chain.transformRequest;
    if (steps.length === 0) return noTransforms;
    return openTransforms(exchange, steps, ({ policy }, error) => failPolicy(exchange, policy, error)) ?? noTransforms;
  }

  /**
   * Request line and fields, without what frames the body and without the empty line.
   * @param body see `SentRequest.body`.
   */
  private head(body: string | Uint8Array | null): string {
    const { exchange, headers, upstream, method } = this;
    const path = this.path!;
    const target = this.target!;
    const host = upstreamHost(exchange, this.action.rewrite.host, upstream, target);
    let lines = copiedFields(headers) + consumerFields(exchange, headers) + forwardingFields(exchange, headers);
    if (upstream.credential !== null) {
      const sent = { method, scheme: target.scheme, host, path, query: exchange.query, lines, body };
      lines = upstream.credential.complete(sent);
    }
    const text = requestLine(exchange, path, host) + lines;
    if (this.wantsUpgrade) return `${text}connection: upgrade\r\nupgrade: websocket\r\n`;
    return exchange.stream.acceptsTrailers ? `${text}connection: te\r\nte: trailers\r\n` : text;
  }

  private emptyLength(): string {
    return expectsBody.has(this.method) ? 'content-length: 0\r\n' : '';
  }

  private sendStream(connection: UpstreamConnection, head: string): void {
    const { stream } = this.exchange;
    const length = stream.bodyLength;
    this.bodyBegun = true;
    if (length >= 0) connection.sendHead(this, `${head}content-length: ${length}\r\n\r\n`, false);
    else connection.sendHead(this, `${head}transfer-encoding: chunked\r\n\r\n`, true);
    stream.readBody(connectionSink(connection, passesTrailers(this.exchange, this.upstream), this));
  }

  onRequestSent(): void {
    this.wholeAt = this.exchange.around.clock.now();
  }

  private sendTransformed(
    connection: UpstreamConnection,
    head: string,
    transforms: readonly Transform[],
    whole: string | Uint8Array | null,
  ): void {
    const { exchange } = this;
    this.bodyBegun = true;
    connection.sendHead(this, `${head}transfer-encoding: chunked\r\n\r\n`, true);
    const sink = new TransformSink(transforms, connectionSink(connection, false, this), (policy, error) =>
      failPolicy(exchange, policy, error),
    );
    this.requestTransform = sink;
    if (whole === null) {
      exchange.stream.readBody(sink);
    } else {
      sink.data(typeof whole === 'string' ? Buffer.from(whole, 'latin1') : whole);
      sink.end();
    }
  }

  onFailure(code: ErrorCode, reason: string, untouched: boolean): void {
    const { exchange, target } = this;
    this.leave();
    if (exchange.finished) return;
    exchange.trace?.note('failed', code);
    if (beforeSending.has(code)) {
      this.tried = [...this.tried, this.targetIndex];
      this.attempt(code, reason);
    } else if (untouched && !this.needsFreshConnection && this.replayable && target !== null) {
      this.needsFreshConnection = true;
      this.dispatch(target);
    } else {
      exchange.fail(code, reason);
    }
  }

  /** Whether the same request can be sent again without asking the client for it. */
  private get replayable(): boolean {
    return !this.bodyBegun && idempotent.has(this.method);
  }

  /** Nobody wants the response any longer. */
  cancel(): void {
    const { connection } = this;
    this.cancelled = true;
    this.leave();
    connection?.cancel(this);
    this.release();
  }

  /** The attempt is over. */
  private leave(): void {
    this.connection = null;
    if (!this.underWay) return;
    this.underWay = false;
    this.target!.inFlight--;
  }

  release(): void {
    this.requestTransform?.destroy();
  }

  // ---- the response ------------------------------------------------------------------------------------------------

  onInterim(head: ResponseHead): void {
    // A 100 answers an expectation that was not sent on.
    if (head.status !== 100 && !this.exchange.finished) {
      dropUpstreamFields(head.headers);
      this.exchange.stream.sendInterim(head.status, head.statusText, head.headers);
    }
  }

  onResponse(head: ResponseHead, bodyText: string | null): void {
    this.answeredAt = this.exchange.around.wheel.turnAt;
    this.exchange.trace?.note('answered');
    if (head.status === 401) this.upstream.credential?.refused();
    if (bodyText !== null) this.leave();
    respondFromUpstream(this.exchange, head, bodyText);
  }

  /** Lets the body wait, until `sink` is set by `continueWith`. */
  hold(): void {
    if (!(this.sink instanceof WaitingSink)) this.sink = new WaitingSink();
  }

  /** Says where the body goes; null for straight to the client. */
  continueWith(sink: BodySink | null): void {
    const waiting = this.sink;
    this.sink = sink;
    if (waiting instanceof WaitingSink) waiting.releaseTo(sink ?? this.direct());
  }

  /** The way straight to the client, as a sink. */
  direct(): BodySink {
    const { stream } = this.exchange;
    return {
      data: (bytes) => stream.sendData(bytes),
      flush: (source) => stream.flush(source),
      end: (trailers) => this.endResponse(trailers),
    };
  }

  data(bytes: Uint8Array): void {
    if (this.sink === null) this.exchange.stream.sendData(bytes);
    else this.sink.data(bytes);
  }

  flush(source: BodySource): boolean {
    return this.sink === null ? this.exchange.stream.flush(source) : this.sink.flush(source);
  }

  end(trailers: HeaderFields | null): boolean {
    this.leave();
    this.exchange.responseTrailers = trailers;
    return this.sink === null ? this.endResponse(trailers) : this.sink.end(trailers);
  }

  private endResponse(trailers: HeaderFields | null): boolean {
    if (this.exchange.finished) return true;
    const released = this.exchange.stream.sendEnd(trailers);
    finish(this.exchange);
    return released;
  }

  onUpgrade(head: ResponseHead, socket: Socket): TunnelIntake {
    const { exchange } = this;
    this.answeredAt = exchange.around.wheel.turnAt;
    exchange.status = 101;
    exchange.keepRoute();
    exchange.headSent = true;
    dropUpstreamFields(head.headers);
    exchange.trace?.note('answered');
    exchange.trace?.tell(head.headers);
    const end = exchange.stream.sendUpgrade(head.statusText, 'websocket', head.headers);
    const tunnel = new Tunnel(end.socket, socket, this.idleMs, exchange.around.wheel, {
      onTunnelClosed: (bytesIn, bytesOut, failed) => {
        this.leave();
        if (failed !== null) exchange.noteFailure(failed.code, failed.reason);
        exchange.tunnelled = { bytesIn, bytesOut };
        finish(exchange);
      },
    });
    end.deliverTo(tunnel);
    return tunnel;
  }
}
