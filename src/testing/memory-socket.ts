/**
 * One end of a connection that exists in memory. It behaves as a socket does in all that the wire code asks of one:
 * half-closing, resets, backpressure, reading into memory that somebody else provides. Bytes arrive in a later turn of
 * the event loop than they were sent in, as they do through a kernel.
 */
import type { OnReadOpts, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { MemoryNetwork } from './memory-network.ts';

/** Bytes that the other end has not read, beyond which whoever sends must wait. */
const windowBytes = 65_536;

export interface EndOptions {
  readonly allowHalfOpen: boolean;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number;
  readonly localPort?: number;
  /** As for `net.connect`: bytes are read into its buffer and not emitted as `data`. */
  readonly onread?: OnReadOpts;
}

export class MemorySocket extends Duplex {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number;
  readonly localPort: number;
  /** The request of a test that the bytes which came last were sent for; see `MemoryNetwork`. */
  cause: number | undefined = undefined;
  private readonly network: MemoryNetwork;
  private peer: MemorySocket | null = null;
  /** The other end has sent its last byte. */
  private peerEnded = false;
  /** Bytes on their way to this end. */
  private underWay = 0;
  /** What the other end waits for because too much of what it has sent is unread. */
  private waiting: (() => void) | null = null;
  /** What was last read into. */
  private block: Uint8Array | undefined;

  private constructor(network: MemoryNetwork, { allowHalfOpen, onread, ...addresses }: EndOptions) {
    super({ allowHalfOpen });
    this.network = network;
    this.remoteAddress = addresses.remoteAddress;
    this.remotePort = addresses.remotePort ?? 0;
    this.localPort = addresses.localPort ?? 0;
    // A connection that is reset and that nobody has in hand just then is no reason to end the process.
    this.on('error', () => {});
    if (onread !== undefined) this.on('data', (bytes: Buffer) => this.readInto(onread, bytes));
  }

  /** Two ends that are connected to each other. */
  static pair(network: MemoryNetwork, one: EndOptions, other: EndOptions): [MemorySocket, MemorySocket] {
    const ends: [MemorySocket, MemorySocket] = [new MemorySocket(network, one), new MemorySocket(network, other)];
    ends[0].peer = ends[1];
    ends[1].peer = ends[0];
    return ends;
  }

  /** What asks for a socket gets this; none of what only the kernel's have is used. */
  asSocket(): Socket {
    return this as unknown as Socket;
  }

  // ---- sending -----------------------------------------------------------------------------------------------------

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    const { peer, network } = this;
    // The sender uses its memory again once the bytes count as sent.
    const bytes = Buffer.from(chunk);
    network.deliver((cause) => {
      if (peer === null || peer.destroyed) this.destroy(socketError('ECONNRESET'));
      else peer.arrive(bytes, cause);
    });
    if (peer === null) {
      done();
      return;
    }
    peer.underWay += bytes.length;
    if (peer.destroyed || peer.readableLength + peer.underWay <= windowBytes) done();
    else peer.waiting = done;
  }

  override _final(done: () => void): void {
    this.network.deliver(() => this.peer?.takeEnd());
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const isReset = error !== null && 'code' in error && error.code === 'ECONNRESET';
    this.network.deliver(() => {
      if (isReset) this.peer?.destroy(socketError('ECONNRESET'));
      else this.peer?.takeEnd();
    });
    this.release();
    done(error);
  }

  /** Breaks the connection off so that the other end sees a reset. */
  resetAndDestroy(): this {
    return this.destroy(socketError('ECONNRESET'));
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  // ---- receiving ---------------------------------------------------------------------------------------------------

  private arrive(bytes: Buffer, cause: number | undefined): void {
    this.underWay -= bytes.length;
    if (this.peerEnded) return;
    this.cause = cause;
    this.push(bytes);
  }

  private takeEnd(): void {
    if (this.destroyed || this.peerEnded) return;
    this.peerEnded = true;
    this.push(null);
  }

  override _read(): void {
    this.release();
  }

  private release(): void {
    const { waiting } = this;
    this.waiting = null;
    waiting?.();
  }

  /** As Node has it: where the function gives none, the last one is used again. */
  private blockFor({ buffer }: OnReadOpts): Uint8Array {
    const given: Uint8Array | undefined = typeof buffer === 'function' ? buffer() : buffer;
    this.block = given ?? this.block;
    if (this.block === undefined) throw new TypeError('there is nothing to read into');
    return this.block;
  }

  private readInto(onread: OnReadOpts, bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.destroyed) {
      const block = this.blockFor(onread);
      const length = bytes.copy(block, 0, at);
      at += length;
      if (onread.callback(length, block)) continue;
      this.pause();
      if (at < bytes.length) this.unshift(bytes.subarray(at));
      return;
    }
  }

  // ---- what concerns the kernel only -------------------------------------------------------------------------------

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

/** An error as the platform makes it for a socket. */
export function socketError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code, syscall: 'connect' });
}
