/**
 * One connection of a client that measures: sends a request, waits for the answer, and can be used again. Answers are read by
 * the parser that the gateway reads its upstreams with; it is quick, so that the client is not what is slow.
 */
import { type Socket, connect, isIP } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { HeadSource } from '../../wire/head-source.ts';
import { BodyReader } from '../../wire/body-reader.ts';
import { latin1 } from '../../wire/latin1.ts';
import { type HeadLimits, INCOMPLETE, ResponseHead, parseResponseHead } from '../../wire/message-head.ts';
import { type LoadTarget, sharedNow } from './load-plan.ts';

const limits: HeadLimits = { headBytes: 128 * 1024, targetBytes: 0, headers: 500, keepUnderscores: true };
const noSink = { data(): void {} };

export interface LoadAnswer {
  readonly sentMs: number;
  /** When the head had come. */
  readonly answeredMs: number;
  readonly head: ResponseHead;
}

export interface LoadConnectionEvents {
  /** The connection can be used. */
  onReady(connection: LoadConnection): void;
  /** The head of the answer has come. The connection is free once its body has, as `onReady` tells. */
  onAnswer(connection: LoadConnection, answer: LoadAnswer): void;
  /** It is closed. @param reason why an answer that was awaited will not come, or null when none was. */
  onClosed(connection: LoadConnection, reason: string | null): void;
}

export class LoadConnection {
  readonly target: LoadTarget;
  /** When the request was sent that is waiting for its answer; NaN when there is none. */
  sentMs = NaN;
  /** For whoever uses it: what the request is about. */
  key = 0;
  private readonly socket: Socket;
  private readonly events: LoadConnectionEvents;
  private isHead = false;
  private isAnswered = true;
  private closesAfter = false;
  private text = '';
  private body: BodyReader | null = null;
  private failure: string | null = null;

  constructor(target: LoadTarget, isInsecure: boolean, events: LoadConnectionEvents) {
    this.target = target;
    this.events = events;
    const { host, port, isSecure } = target;
    const socket = isSecure
      ? connectSecure({ host, port, rejectUnauthorized: !isInsecure, ...serverName(target) })
      : connect({ host, port });
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on(isSecure ? 'secureConnect' : 'connect', () => events.onReady(this));
    socket.on('data', (bytes: Buffer) => this.take(bytes));
    socket.on('error', (error: NodeJS.ErrnoException) => (this.failure ??= error.code ?? error.message));
    socket.on('end', () => this.end());
    socket.on('close', () => {
      events.onClosed(this, this.isAnswered ? null : (this.failure ?? 'closed before an answer'));
    });
  }

  /** Why it was closed, as far as that is known. */
  get reason(): string {
    return this.failure ?? 'closed';
  }

  /** @param isHead whether the answer has no body, whatever it says of its length. */
  send(head: string, isHead: boolean): void {
    this.isHead = isHead;
    this.isAnswered = false;
    this.text = '';
    this.body = null;
    this.sentMs = sharedNow();
    this.socket.write(head, 'latin1');
  }

  /** @param reason why. */
  destroy(reason: string): void {
    this.failure ??= reason;
    this.socket.destroy();
  }

  private end(): void {
    if (this.body?.endsByClose === true) this.closesAfter = true;
    this.socket.destroy();
  }

  private take(bytes: Buffer): void {
    let at = 0;
    while (this.body === null) {
      if (Number.isNaN(this.sentMs)) return this.destroy('an answer to nothing');
      const before = this.text.length;
      this.text += latin1(bytes, at, bytes.length);
      const head = new ResponseHead();
      const end = parseResponseHead(HeadSource.of(this.text), limits, head);
      if (end === INCOMPLETE) return;
      if (end < 0) return this.destroy(`an answer that is not HTTP: ${head.reason}`);
      at += end - before;
      this.text = '';
      if (head.status >= 200) this.answered(head);
      else if (head.status === 101) return this.destroy('the protocol was switched');
    }
    if (this.body.read(bytes, at, bytes.length, noSink) < 0) return this.destroy(`a body that is not HTTP`);
    if (this.body.done) this.free();
  }

  private answered(head: ResponseHead): void {
    const { sentMs } = this;
    this.body = this.bodyOf(head);
    this.closesAfter = !head.persistent || this.body.endsByClose;
    this.isAnswered = true;
    this.events.onAnswer(this, { sentMs, answeredMs: sharedNow(), head });
  }

  private bodyOf({ status, chunked, contentLength }: ResponseHead): BodyReader {
    if (this.isHead || status === 204 || status === 304) return BodyReader.ofLength(0);
    if (chunked) return BodyReader.ofChunks(limits);
    return contentLength >= 0 ? BodyReader.ofLength(contentLength) : BodyReader.untilClose();
  }

  private free(): void {
    this.sentMs = NaN;
    this.body = null;
    if (this.closesAfter) this.socket.destroy();
    else this.events.onReady(this);
  }
}

/** An address is not a name that could be asked for (RFC 6066, section 3). */
function serverName({ host }: LoadTarget): { servername?: string } {
  return isIP(host) === 0 ? { servername: host } : {};
}
