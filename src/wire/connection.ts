/**
 * What the two sides of the wire have in common: a socket, one time-out, and the writing of one message body at a time
 * with backpressure.
 *
 * Memory is bounded by a simple rule. A reader hands each piece of a body on and then calls `flush`. If everything has
 * left for the kernel, it reads on, into the same memory. If not, the writer still holds that memory; the reader stops
 * until it is told to `resume`. So no more than one block is ever under way in either direction of an exchange.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { HeaderFields } from '../http/header-fields.ts';
import { writeEncrypted } from './encrypted-write.ts';
import { latin1 } from './latin1.ts';
import { trailerFields } from './message-writer.ts';
import { Timer, type TimerWheel } from './timer-wheel.ts';

/** Where the bytes of a body come from. */
export interface BodySource {
  /** The sink has let go of what it was given: go on. */
  resume(): void;
}

/** Where the bytes of a body go to. */
export interface BodySink {
  /** One piece. The memory belongs to the caller again when a later `flush` returns true or `resume` is called. */
  data(bytes: Uint8Array): void;
  /**
   * Ends one pass of reading.
   * @returns false when the sink still holds memory; it will call `source.resume()`.
   */
  flush(source: BodySource): boolean;
  /**
   * The body is complete.
   * @returns false when the sink still holds memory and nobody will say when it no longer does.
   */
  end(trailers: HeaderFields | null): boolean;
}

/** A socket that knows whose it is, so that its listeners need no closure each. */
export type OwnedSocket = Socket & { owner: Connection };

/** Chunks up to this size are written as one string with their frame; larger ones without copying them. */
const smallChunk = 2048;

export abstract class Connection {
  readonly socket: OwnedSocket;
  protected readonly wheel: TimerWheel;
  protected readonly timer: Timer;
  /** Set when the socket failed; why, for the log. */
  protected failure: NodeJS.ErrnoException | null = null;
  /** Whether the body being written is framed by chunks. */
  protected writesChunks = false;
  private readonly isEncrypted: boolean;
  private corked = false;
  private waiting: BodySource | null = null;
  private readonly written: () => void;

  protected constructor(socket: Socket, wheel: TimerWheel) {
    this.socket = Object.assign(socket, { owner: this });
    this.isEncrypted = socket instanceof TLSSocket;
    this.wheel = wheel;
    this.timer = new Timer(() => this.onTimeout());
    this.written = () => this.onWritten();
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.on('end', onEnd);
  }

  /** The armed deadline has passed. */
  protected abstract onTimeout(): void;
  /** The other side will send nothing more. */
  protected abstract onEnd(): void;
  /** The socket is gone. Called once. */
  protected abstract onClosed(): void;
  /** The writer waits for the other side to take what was written; called again with false when it has. */
  protected abstract onStalled(stalled: boolean): void;

  get destroyed(): boolean {
    return this.socket.destroyed;
  }

  /** Writes one complete message, or a head without a body. */
  protected writeWhole(text: string): void {
    if (this.isEncrypted) writeEncrypted(this.socket, text);
    else this.socket.write(text, 'latin1');
  }

  /** Writes the head of a message whose body follows; it leaves with the first piece, or at the next flush. */
  protected writeHead(text: string): void {
    this.cork();
    this.socket.write(text, 'latin1', this.written);
  }

  protected writeData(bytes: Uint8Array): void {
    if (!this.writesChunks) {
      this.socket.write(bytes, this.written);
      return;
    }
    // An empty chunk would end the body.
    if (bytes.length === 0) return;
    const size = bytes.length.toString(16);
    if (bytes.length <= smallChunk) {
      const text = latin1(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
      // Chunks that came together leave together, at the flush: thousands of tiny ones must not cost a write each.
      this.cork();
      this.socket.write(`${size}\r\n${text}\r\n`, 'latin1', this.written);
      return;
    }
    this.cork();
    this.socket.write(`${size}\r\n`, 'latin1');
    this.socket.write(bytes);
    this.socket.write('\r\n', 'latin1', this.written);
  }

  /** Ends the body; nothing has to be written unless it is framed by chunks. */
  protected writeEnd(trailers: HeaderFields | null): boolean {
    if (this.writesChunks) this.socket.write(`0\r\n${trailerFields(trailers)}\r\n`, 'latin1');
    this.uncork();
    this.writesChunks = false;
    this.waiting = null;
    return this.socket.writableLength === 0;
  }

  /** See `BodySink.flush`. */
  protected flushTo(source: BodySource): boolean {
    this.uncork();
    if (this.socket.writableLength === 0 || this.socket.destroyed) return true;
    this.waiting = source;
    this.onStalled(true);
    return false;
  }

  private cork(): void {
    if (this.corked) return;
    this.corked = true;
    this.socket.cork();
  }

  protected uncork(): void {
    if (!this.corked) return;
    this.corked = false;
    this.socket.uncork();
  }

  private onWritten(): void {
    const source = this.waiting;
    if (source === null || this.socket.writableLength > 0 || this.socket.destroyed) return;
    this.waiting = null;
    this.wheel.beginTurn();
    this.onStalled(false);
    source.resume();
  }

  /** The listeners of a socket reach its owner through these. */
  static ended(connection: Connection): void {
    connection.wheel.beginTurn();
    connection.onEnd();
  }

  static failed(connection: Connection, error: NodeJS.ErrnoException): void {
    connection.failure ??= error;
  }

  static gone(connection: Connection): void {
    connection.wheel.beginTurn();
    connection.timer.disarm();
    connection.waiting = null;
    connection.onClosed();
  }
}

function onError(this: Socket, error: NodeJS.ErrnoException): void {
  Connection.failed((this as OwnedSocket).owner, error);
}

function onClose(this: Socket): void {
  Connection.gone((this as OwnedSocket).owner);
}

function onEnd(this: Socket): void {
  Connection.ended((this as OwnedSocket).owner);
}
