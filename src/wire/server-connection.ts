/**
 * The server side of HTTP/1.1 (RFC 9112): one accepted connection, its requests one after the other. The connection is
 * itself the stream of the request that it is serving; requests that were sent ahead wait in the kernel, behind at most
 * one block here.
 */
import type { Socket } from 'node:net';
import type { Peer } from '../contract.ts';
import type { ErrorCode } from '../errors.ts';
import type { HeaderFields } from '../http/header-fields.ts';
import { readIntoBlocks } from './accepted-socket.ts';
import { BodyPace } from './body-pace.ts';
import { BodyReader } from './body-reader.ts';
import type { BodySink, OwnedSocket } from './connection.ts';
import type { ConnectionHome } from './connection-home.ts';
import { HeadSource } from './head-source.ts';
import { INCOMPLETE, RequestHead, parseRequestHead, refusalOf } from './message-head.ts';
import { ReadMemory, sharedBlock } from './read-memory.ts';
import { ResponseWriter, noRequest } from './response-writer.ts';
import type { ServerStream, StreamHandler, StreamMemo } from './server-stream.ts';
import type { TimerWheel } from './timer-wheel.ts';
import type { ClientIntake, ClientTunnelEnd } from './tunnel.ts';

/** Waiting for a request, or for the rest of its head. */
const HEAD = 0;
/** The request body is arriving. */
const BODY = 1;
/** The request has arrived, its response has not left. */
const RESPONDING = 2;
/** All is said; what still arrives is thrown away until the client has read the last response. */
const LINGERING = 3;
const TUNNEL = 4;
const CLOSED = 5;

/** A body up to this size that came with its head is passed on as text. */
const smallBody = 16_384;
/** How much of a read is looked at as text at first; heads are rarely longer. */
const firstLook = 16_384;
/** A client that closes its side may only have finished sending; a request may be on its way when we begin to drain. */
const graceMs = 250;
/** Time for a client to read the last response before unread data would reset the connection (RFC 9112, section 9.6). */
const lingerMs = 2_000;
/** A client that leaves this many bytes of responses unread gets no further request served until it has read them. */
const maxUnreadBytes = 262_144;

const unread = new Error('the client did not read its response');
const nobody: StreamHandler = { onClientGone() {}, onBadBody() {} };

export class ServerConnection extends ResponseWriter implements ServerStream {
  readonly peer: Peer;
  readonly localPort: number;
  readonly secure: boolean;
  handler: StreamHandler = nobody;
  bodyText: string | null = '';
  bytesIn = 0;
  maxBodyBytes = 0;
  readonly memo: StreamMemo = { authority: '', host: '', port: 0, forwarding: '' };

  /** Where the socket reads into, if it can be told. */
  readonly memory = new ReadMemory();

  private readonly home: ConnectionHome;
  private state = HEAD;
  private headText = '';
  private body: BodyReader | null = null;
  private pace: BodyPace | null = null;
  private sink: BodySink | null = null;
  /** Bytes that were read but cannot be used yet; reading is paused while there are any. */
  private stash: Buffer | null = null;
  /** Nothing is read until `resume`. */
  private blocked = false;
  private looping = false;
  private responded = true;
  private draining = false;
  /** The client has finished sending. */
  private ended = false;
  /** It did so before its response was complete, and may be gone. */
  private leaving = false;
  private tunnel: ClientIntake | null = null;

  constructor(socket: Socket, peer: Peer, wheel: TimerWheel, home: ConnectionHome, secure: boolean) {
    super(socket, wheel);
    this.home = home;
    this.peer = peer;
    this.localPort = socket.localPort ?? 0;
    this.secure = secure;
    if (!readIntoBlocks(socket, this)) socket.on('data', onData);
    wheel.arm(this.timer, home.settings.timeouts.headMs);
  }

  /**
   * Finishes the request that it is serving, or that is on its way, then closes.
   * @param idleMs how long it waits for another request, its last, when it has none; at least a moment.
   */
  drain(idleMs: number): void {
    this.draining = true;
    if (this.state !== HEAD || this.headText !== '') return;
    this.wheel.arm(this.timer, Math.min(Math.max(idleMs, graceMs), this.home.settings.timeouts.keepAliveMs));
  }

  // ---- reading -----------------------------------------------------------------------------------------------------

  /** Uses up `received[0, length)`: any number of requests, or a piece of one. */
  receive(received: Buffer, length: number): void {
    if (this.blocked) {
      this.keep(Buffer.from(received.subarray(0, length)));
      return;
    }
    let bytes = received;
    let end = length;
    let at = 0;
    this.looping = true;
    while (at < end) {
      if (this.state === HEAD && this.socket.writableLength <= maxUnreadBytes) {
        at = this.takeHead(bytes, at, end);
      } else if (this.state === BODY && this.sink !== null) {
        if (bytes === sharedBlock) {
          end = this.memory.own(bytes, at, end);
          bytes = this.memory.block;
          at = 0;
        }
        at = this.takeBody(bytes, at, end, this.sink);
      } else {
        if (this.state === TUNNEL && this.tunnel !== null) this.tunnel.fromClient(Buffer.from(bytes.subarray(at, end)));
        else if (this.state < LINGERING || this.state === TUNNEL) this.keep(Buffer.from(bytes.subarray(at, end)));
        break;
      }
    }
    this.looping = false;
    this.flushBody();
    this.memory.settle(this.state === BODY);
    if (this.ended && this.stash === null) this.heedEnd();
  }

  /** Goes on with what was put aside, then with the socket. Called when a body is wanted and when a request is done. */
  resume(): void {
    if (this.state === BODY) this.pace?.goOn(this.bytesIn);
    this.blocked = false;
    const { stash } = this;
    this.stash = null;
    if (stash !== null) this.receive(stash, stash.length);
    // The head of a request must not wait for the first piece of its body.
    else this.flushBody();
    // Whoever stopped the reading again will also resume it.
    if (!this.blocked && this.socket.isPaused()) this.socket.resume();
  }

  /** Ends a pass of reading; waits if the sink still holds what it was given. */
  private flushBody(): void {
    if (this.state !== BODY || this.sink === null || this.sink.flush(this)) return;
    this.pace?.pause();
    this.halt();
    // TLS still hands over what it has deciphered, into memory that must not be what the sink holds.
    if (this.secure) this.memory.replace();
  }

  private halt(): void {
    this.blocked = true;
    this.socket.pause();
  }

  private keep(bytes: Buffer): void {
    this.stash = this.stash === null ? bytes : Buffer.concat([this.stash, bytes]);
    if (this.blocked) return;
    this.halt();
    if (this.state === HEAD) this.socket.once('drain', () => this.resume());
  }

  private takeHead(bytes: Buffer, from: number, limit: number): number {
    const known = this.headText.length;
    const { limits } = this.home.settings;
    let to = Math.min(limit, from + firstLook);
    let source = HeadSource.after(this.headText, bytes, from, to);
    // A head that arrives in drops is parsed again only when a line of it may have become complete.
    if (known > 0 && source.text.indexOf('\n', known) === -1 && source.text.length <= limits.targetBytes) {
      this.headText = source.text;
      return to;
    }
    let end: number;
    for (;;) {
      this.head = new RequestHead();
      end = parseRequestHead(source, limits, this.head);
      if (end !== INCOMPLETE || to === limit) break;
      to = Math.min(limit, to + limits.headBytes);
      source = HeadSource.after(this.headText, bytes, from, to);
    }
    if (end === INCOMPLETE) {
      if (known === 0) this.wheel.arm(this.timer, this.home.settings.timeouts.headMs);
      this.headText = source.text;
      return to;
    }
    this.headText = '';
    if (end > 0) return this.begin(source.text, end, from + end - known, limit);
    this.refuse(refusalOf(end), this.head.reason);
    return limit;
  }

  /** The head is complete: finds out about the body and hands the request over. Returns the offset of what is unused. */
  private begin(text: string, end: number, at: number, limit: number): number {
    const { head } = this;
    this.beginRequest();
    this.maxBodyBytes = this.home.settings.limits.bodyBytes;
    const length = head.contentLength;
    let rest = at;
    if (length > this.maxBodyBytes) {
      this.refuse('BODY_TOO_LARGE', 'Content-Length over the limit');
      return limit;
    }
    if (head.chunked) {
      this.expectBody(BodyReader.ofChunks(this.home.settings.limits));
    } else if (length > 0 && length <= smallBody && text.length - end >= length) {
      this.bodyText = text.substring(end, end + length);
      this.bytesIn = length;
      rest += length;
    } else if (length > 0) {
      this.expectBody(BodyReader.ofLength(length));
    }
    this.home.settings.handler.onRequest(this);
    return rest;
  }

  private beginRequest(): void {
    this.wheel.beginTurn();
    this.timer.disarm();
    this.state = RESPONDING;
    this.responded = false;
    this.bytesIn = 0;
    this.bytesOut = 0;
    this.bodyText = '';
  }

  private expectBody(body: BodyReader): void {
    this.state = BODY;
    this.body = body;
    this.bodyText = null;
  }

  readBody(sink: BodySink): void {
    if (this.state !== BODY) return;
    this.sink = sink;
    this.pace = new BodyPace(this.wheel, this.timer, this.home.settings.timeouts.bodyIdleMs);
    if (this.head.expectsContinue) {
      this.head.expectsContinue = false;
      this.writeWhole('HTTP/1.1 100 Continue\r\n\r\n');
    }
    if (!this.looping) this.resume();
  }

  private takeBody(bytes: Buffer, from: number, to: number, sink: BodySink): number {
    const body = this.body!;
    const at = body.read(bytes, from, to, this);
    // The sink may have answered, and so ended the reading, meanwhile.
    if (this.sink !== sink) return to;
    if (at < 0 || this.bytesIn > this.maxBodyBytes) {
      if (at < 0) this.failBody('BAD_REQUEST', body.reason);
      else this.failBody('BODY_TOO_LARGE', 'body over the limit');
      return to;
    }
    if (!body.done) {
      this.pace?.goOn(this.bytesIn);
      return at;
    }
    this.body = null;
    this.sink = null;
    this.timer.disarm();
    this.state = RESPONDING;
    if (!sink.end(body.trailers)) this.memory.held = true;
    if (this.responded) this.next();
    return at;
  }

  /** A decoded piece of the request body, on its way from the reader to the sink. */
  data(bytes: Uint8Array): void {
    this.bytesIn += bytes.length;
    if (this.bytesIn <= this.maxBodyBytes && this.sink !== null) this.sink.data(bytes);
  }

  private failBody(code: ErrorCode, reason: string): void {
    this.closing = true;
    this.body = null;
    this.sink = null;
    this.timer.disarm();
    this.state = RESPONDING;
    this.handler.onBadBody(code, reason);
  }

  private refuse(code: ErrorCode, reason: string): void {
    this.beginRequest();
    this.closing = true;
    this.home.settings.handler.onMalformed(this, code, reason);
  }

  // ---- the end of a request, and of the connection -----------------------------------------------------------------

  protected mustClose(): boolean {
    // A response that is ready before its request has arrived: nobody is going to read the rest of the body.
    return this.closing || this.draining || this.state === BODY || !this.head.persistent;
  }

  protected onResponded(): void {
    this.responded = true;
    if (this.closing) this.finish();
    else if (this.state === RESPONDING) this.next();
  }

  private next(): void {
    this.state = HEAD;
    this.handler = nobody;
    this.head = noRequest;
    if (this.closing || (this.ended && this.stash === null && !this.looping)) {
      this.finish();
      return;
    }
    const { wheel } = this;
    wheel.arm(this.timer, this.draining ? graceMs : this.home.settings.timeouts.keepAliveMs, wheel.turnAt);
    // Not at once: who has just responded still has this stream in hand.
    if (!this.looping && this.blocked) process.nextTick(resumeConnection, this);
  }

  /** Sends our FIN behind what was written, and reads on for a while so that no reset destroys it on its way. */
  private finish(): void {
    this.state = LINGERING;
    this.body = null;
    this.sink = null;
    this.stash = null;
    this.head = noRequest;
    this.handler = nobody;
    this.uncork();
    this.socket.end();
    this.wheel.arm(this.timer, lingerMs);
    if (this.socket.isPaused()) this.socket.resume();
  }

  override sendHead(status: number, statusText: string, headers: HeaderFields, length: number): void {
    // From now on a client that has finished sending shows that it is there by reading.
    if (this.state === RESPONDING) this.timer.disarm();
    this.leaving = false;
    super.sendHead(status, statusText, headers, length);
  }

  sendUpgrade(statusText: string, protocol: string, headers: HeaderFields): ClientTunnelEnd {
    this.writeSwitch(statusText, protocol, headers);
    this.timer.disarm();
    this.state = TUNNEL;
    this.responded = true;
    return { socket: this.socket, deliverTo: (intake) => this.deliverTo(intake) };
  }

  /** From now on all bytes go into the tunnel, first those that came too early for it. */
  private deliverTo(intake: ClientIntake): void {
    this.tunnel = intake;
    this.resume();
  }

  protected onStalled(stalled: boolean): void {
    if (stalled) this.wheel.arm(this.timer, this.home.settings.timeouts.bodyIdleMs);
    else if (this.leaving) this.wheel.arm(this.timer, graceMs);
    else if (this.state !== BODY) this.timer.disarm();
  }

  protected onTimeout(): void {
    const { state, headText, socket } = this;
    if (state === HEAD && headText !== '') this.refuse('REQUEST_TIMEOUT', 'head too slow');
    else if (state === HEAD) this.finish();
    else if (state === BODY && socket.writableLength === 0) this.failBody('REQUEST_TIMEOUT', 'body too slow');
    else socket.destroy(this.leaving ? undefined : unread);
  }

  protected onEnd(): void {
    this.ended = true;
    // What was put aside has been sent before, and is served like everything else.
    if (this.stash === null) this.heedEnd();
  }

  private heedEnd(): void {
    if (this.state === HEAD) this.finish();
    else if (this.state === BODY) this.socket.destroy();
    else if (this.state === RESPONDING) {
      this.leaving = true;
      this.wheel.arm(this.timer, graceMs);
    }
  }

  protected onClosed(): void {
    const { handler, state } = this;
    this.state = CLOSED;
    this.handler = nobody;
    this.sink = null;
    this.stash = null;
    if (state < LINGERING && !this.responded) handler.onClientGone(this.failure === unread);
    this.home.onConnectionClosed(this);
  }
}

function resumeConnection(connection: ServerConnection): void {
  if (!connection.destroyed) connection.resume();
}

function onData(this: OwnedSocket, bytes: Buffer): void {
  (this.owner as ServerConnection).receive(bytes, bytes.length);
}
