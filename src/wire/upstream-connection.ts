/**
 * The client side of HTTP/1.1 (RFC 9112): one connection to a target. It carries one call at a time, or, where
 * pipelining is allowed, several that are answered in order. A connection goes back to its pool only after a response
 * that left no doubt about where it ended; in every other case it is destroyed.
 */
import type { Socket } from 'node:net';
import type { ErrorCode } from '../errors.ts';
import { UPGRADE } from '../http/field-kind.ts';
import { equalsIgnoringCase } from '../http/grammar.ts';
import type { HeaderFields } from '../http/header-fields.ts';
import { BodyReader } from './body-reader.ts';
import { Connection, type BodySource } from './connection.ts';
import { HeadSource } from './head-source.ts';
import { INCOMPLETE, ResponseHead, parseResponseHead, type HeadLimits } from './message-head.ts';
import { ReadMemory, sharedBlock } from './read-memory.ts';
import type { TimerWheel } from './timer-wheel.ts';
import { DiscardedCall, type TunnelIntake, type UpstreamCall } from './upstream-call.ts';

/** The pool of a connection. */
export interface ConnectionOwner {
  /** Free for the next call. */
  onIdle(connection: UpstreamConnection): void;
  /** Destroyed. */
  onGone(connection: UpstreamConnection): void;
}

/** A body up to this size that came with its head is passed on as text. */
const smallBody = 16_384;
/** An upstream that sends interim responses without end never answers. */
const maxInterim = 32;

export interface UpstreamConnectionOptions {
  readonly limits: HeadLimits;
  /** How long an unused connection is kept. */
  readonly idleExpiryMs: number;
  /** `connect`, or `secureConnect` where there is TLS. */
  readonly readyEvent: 'connect' | 'secureConnect';
}

export class UpstreamConnection extends Connection implements BodySource {
  /** Calls that were sent and are not answered, oldest first. */
  readonly calls: UpstreamCall[] = [];
  /** Where the socket reads into next. */
  readonly memory = new ReadMemory();

  private readonly owner: ConnectionOwner;
  private readonly options: UpstreamConnectionOptions;
  /** The call that the connection was opened for; null once it is ready. */
  private first: UpstreamCall | null;
  private ready = false;
  private idle = false;
  private headText = '';
  private head: ResponseHead | null = null;
  private body: BodyReader | null = null;
  private interim = 0;
  private served = 0;
  /** The body of a request is on its way. */
  private sending = false;
  private persistent = true;
  private paused = false;
  private tunnel: TunnelIntake | null = null;
  private batch = '';
  private readonly sendBatch: () => void;

  constructor(
    socket: Socket,
    wheel: TimerWheel,
    owner: ConnectionOwner,
    options: UpstreamConnectionOptions,
    first: UpstreamCall,
  ) {
    super(socket, wheel);
    this.owner = owner;
    this.options = options;
    this.first = first;
    this.sendBatch = () => this.flushBatch();
    socket.once(options.readyEvent, () => this.onReady());
    this.armFor(first, first.connectMs);
  }

  private onReady(): void {
    this.wheel.beginTurn();
    this.ready = true;
    this.timer.disarm();
    const call = this.first;
    this.first = null;
    if (call === null) this.becomeIdle();
    else call.onConnection(this);
  }

  /** Whether a call that may be pipelined can be sent behind those under way. */
  accepts(pipelining: number): boolean {
    const { calls } = this;
    if (!this.ready || this.destroyed || this.tunnel !== null || this.sending || !this.persistent) return false;
    return calls.length < pipelining && calls.every((call) => call.pipelinable);
  }

  // ---- sending -----------------------------------------------------------------------------------------------------

  /**
   * Sends a request that is complete in `text`.
   * @param batched whether it may wait, with others, for the end of this turn of the event loop.
   */
  send(call: UpstreamCall, text: string, batched: boolean): void {
    this.begin(call);
    if (!batched) {
      this.writeWhole(text);
      return;
    }
    if (this.batch === '') setImmediate(this.sendBatch);
    this.batch += text;
  }

  /** Sends the head of a request whose body follows through `sendData` and `sendEnd`. */
  sendHead(call: UpstreamCall, text: string, chunked: boolean): void {
    this.begin(call);
    this.sending = true;
    this.writesChunks = chunked;
    this.writeHead(text);
    // As long as the client has not sent everything, only the call's own deadline holds.
    this.armFor(call, Infinity);
  }

  sendData(bytes: Uint8Array): void {
    if (!this.destroyed) this.writeData(bytes);
  }

  flush(source: BodySource): boolean {
    return this.flushTo(source);
  }

  sendEnd(trailers: HeaderFields | null): boolean {
    if (this.destroyed) return true;
    this.sending = false;
    const released = this.writeEnd(trailers);
    const call = this.calls[0];
    if (call !== undefined && this.head === null) this.armFor(call, call.firstByteMs);
    return released;
  }

  private begin(call: UpstreamCall): void {
    this.idle = false;
    this.calls.push(call);
    if (this.calls.length === 1) this.armFor(call, call.firstByteMs);
  }

  private flushBatch(): void {
    const text = this.batch;
    this.batch = '';
    if (!this.destroyed) this.writeWhole(text);
  }

  /** Nobody wants the response to this call any longer. */
  cancel(call: UpstreamCall): void {
    if (this.first === call) this.first = null;
    const index = this.calls.indexOf(call);
    if (index === -1) return;
    if (this.calls.length === 1 || (index === 0 && this.head !== null)) {
      this.calls.splice(index, 1);
      this.fail('UPSTREAM_RESET', 'the call before was given up', true);
    } else {
      this.calls[index] = new DiscardedCall(call);
    }
  }

  // ---- receiving ---------------------------------------------------------------------------------------------------

  /** Bytes that the socket has read into `bytes[0, length)`. Returns false to make it stop reading. */
  receive(bytes: Buffer, length: number): boolean {
    this.wheel.beginTurn();
    let source: Buffer = bytes;
    let end = length;
    let at = 0;
    while (at < end && !this.destroyed) {
      const call = this.calls[0];
      if (this.tunnel !== null) {
        this.tunnel.fromUpstream(Buffer.from(source.subarray(at, end)));
        return true;
      }
      if (call === undefined) {
        // What comes without having been asked for would be taken for the next response.
        this.discard();
      } else if (this.body !== null) {
        at = this.takeBody(source, at, end, call, this.body);
      } else {
        at = this.takeHead(source, at, end, call);
        if (this.body === null || source !== sharedBlock) continue;
        end = this.memory.own(source, at, end);
        source = this.memory.block;
        at = 0;
      }
    }
    return this.settle();
  }

  /** After a pass: hands on what there is of a body and decides whether to read on, or gives the connection back. */
  private settle(): boolean {
    this.memory.settle(this.body !== null);
    if (this.destroyed) return true;
    const call = this.calls[0];
    if (call === undefined) {
      if (this.tunnel === null && !this.idle) this.becomeIdle();
      return true;
    }
    if (this.body === null) return true;
    if (call.flush(this)) {
      this.armFor(call, call.idleMs);
      return true;
    }
    // Now the client is slow, not the upstream.
    this.paused = true;
    this.armFor(call, Infinity);
    // TLS still hands over what it has deciphered, into memory that must not be what the sink holds.
    if (this.options.readyEvent === 'secureConnect') this.memory.replace();
    return false;
  }

  resume(): void {
    if (!this.paused || this.destroyed) return;
    this.paused = false;
    const call = this.calls[0];
    if (call !== undefined) this.armFor(call, call.idleMs);
    this.socket.resume();
  }

  /** Returns an unused connection that was found for a call which has ended meanwhile. */
  giveBack(): void {
    if (!this.destroyed && this.calls.length === 0) this.becomeIdle();
  }

  private becomeIdle(): void {
    this.idle = true;
    this.wheel.arm(this.timer, this.options.idleExpiryMs, this.wheel.turnAt);
    this.owner.onIdle(this);
  }

  private takeHead(bytes: Buffer, from: number, to: number, call: UpstreamCall): number {
    const { limits } = this.options;
    const known = this.headText.length;
    const looked = Math.min(to, from + smallBody);
    const source = HeadSource.after(this.headText, bytes, from, looked);
    const { text } = source;
    // A head that arrives in drops is parsed again only when a line of it may have become complete.
    if (known > 0 && text.indexOf('\n', known) === -1 && text.length <= smallBody) {
      this.headText = text;
      return looked;
    }
    const head = new ResponseHead();
    const end = parseResponseHead(source, limits, head);
    if (end === INCOMPLETE) {
      this.headText = text;
      return looked;
    }
    this.headText = '';
    if (end < 0) {
      this.fail('UPSTREAM_BAD_RESPONSE', head.reason);
      return to;
    }
    const at = from + end - known;
    return head.status < 200 ? this.takeInterim(head, at, call) : this.takeResponse(head, text, end, at, call);
  }

  private takeInterim(head: ResponseHead, at: number, call: UpstreamCall): number {
    if (head.status === 101 && call.wantsUpgrade && this.calls.length === 1 && switchesToWebSocket(head)) {
      this.calls.pop();
      this.timer.disarm();
      this.owner.onGone(this);
      this.tunnel = call.onUpgrade(head, this.socket);
    } else if (head.status === 101) {
      this.fail('UPSTREAM_BAD_RESPONSE', 'switched to a protocol that was not asked for');
    } else if (++this.interim > maxInterim) {
      this.fail('UPSTREAM_BAD_RESPONSE', 'too many interim responses');
    } else {
      call.onInterim(head);
    }
    return at;
  }

  private takeResponse(head: ResponseHead, text: string, end: number, at: number, call: UpstreamCall): number {
    const length = head.contentLength;
    this.interim = 0;
    this.persistent = head.persistent;
    if (call.method === 'HEAD' || head.status === 204 || head.status === 304 || length === 0) {
      this.completeCall();
      call.onResponse(head, '');
      return at;
    }
    if (length > 0 && length <= smallBody && text.length - end >= length) {
      this.completeCall();
      call.onResponse(head, text.substring(end, end + length));
      return at + length;
    }
    this.head = head;
    if (head.chunked) this.body = BodyReader.ofChunks(this.options.limits);
    else this.body = length > 0 ? BodyReader.ofLength(length) : BodyReader.untilClose();
    call.onResponse(head, null);
    return at;
  }

  private takeBody(bytes: Buffer, from: number, to: number, call: UpstreamCall, body: BodyReader): number {
    const at = body.read(bytes, from, to, call);
    if (at < 0) {
      this.fail('UPSTREAM_BAD_RESPONSE', body.reason);
      return to;
    }
    // The call may have been cancelled by what it got.
    if (body.done && this.calls[0] === call) this.endBody(call, body);
    return at;
  }

  private endBody(call: UpstreamCall, body: BodyReader): void {
    this.completeCall();
    const released = call.end(body.trailers);
    if (!released) this.memory.held = true;
  }

  /** The response to the oldest call is whole. */
  private completeCall(): void {
    // The only one, as a rule: `shift` would throw the array's room away, and the next call would make it anew.
    if (this.calls.length === 1) this.calls.pop();
    else this.calls.shift();
    this.head = null;
    this.body = null;
    this.served++;
    this.timer.disarm();
    const next = this.calls[0];
    if (!this.persistent || this.sending) this.discard();
    else if (next !== undefined) this.armFor(next, next.firstByteMs);
  }

  // ---- failing -----------------------------------------------------------------------------------------------------

  /** Destroys the connection; its place in the pool is free at once. */
  private discard(): void {
    this.socket.destroy();
    this.owner.onGone(this);
  }

  /** Destroys the connection; the oldest call failed for this reason, those behind it may be made again. */
  private fail(code: ErrorCode, reason: string, untouched = false): void {
    const calls = this.calls.splice(0);
    const { first } = this;
    this.first = null;
    this.discard();
    if (first !== null) first.onFailure(code, reason, true);
    for (let i = 0; i < calls.length; i++) calls[i].onFailure(code, reason, untouched || i > 0);
  }

  private armFor(call: UpstreamCall, delayMs: number): void {
    const now = this.wheel.turnAt;
    const left = call.deadlineAt === 0 ? Infinity : Math.max(1, call.deadlineAt - now);
    this.wheel.arm(this.timer, Math.min(delayMs, left), now);
  }

  protected onStalled(stalled: boolean): void {
    const call = this.calls[0];
    if (call === undefined) return;
    this.armFor(call, stalled ? call.idleMs : this.sending || this.head !== null ? Infinity : call.firstByteMs);
  }

  protected onTimeout(): void {
    const { deadlineAt } = this.calls[0] ?? { deadlineAt: 0 };
    if (this.first !== null) this.fail('UPSTREAM_CONNECT_TIMEOUT', 'connect timed out');
    else if (this.calls.length === 0) this.discard();
    else if (deadlineAt !== 0 && this.wheel.now() >= deadlineAt) this.fail('UPSTREAM_TIMEOUT', 'longer than `total`');
    else if (this.head === null) this.fail('UPSTREAM_TIMEOUT', 'no response in time');
    else this.fail('UPSTREAM_TIMEOUT', 'the response stood still');
  }

  protected onEnd(): void {
    const call = this.calls[0];
    if (call !== undefined && this.body !== null && this.body.endsByClose) this.endBody(call, this.body);
    if (this.tunnel === null) this.discard();
  }

  protected onClosed(): void {
    if (this.tunnel !== null) return;
    if (!this.ready) this.fail(this.connectFailure(), this.failure?.code ?? 'closed while connecting');
    const untouched = this.served > 0 && this.head === null && this.headText === '' && this.interim === 0;
    this.fail('UPSTREAM_RESET', this.failure?.code ?? 'closed by the upstream', untouched);
  }

  /** Whether it was the network or the certificate. The socket connects before it shakes hands. */
  private connectFailure(): ErrorCode {
    const code = this.failure?.code ?? '';
    const isTls =
      this.options.readyEvent === 'secureConnect' &&
      !/^(ECONNREFUSED|EHOST|ENET|ENOTFOUND|EAI_|ETIMEDOUT|EADDR|EMFILE)/.test(code);
    return isTls ? 'UPSTREAM_TLS_FAILED' : 'UPSTREAM_UNREACHABLE';
  }
}

/** A 101 says what it switches to (RFC 9110, section 7.8); anything but what was asked for would be a tunnel to nowhere. */
function switchesToWebSocket(head: ResponseHead): boolean {
  return equalsIgnoringCase(head.headers.getKind(UPGRADE) ?? '', 'websocket');
}
