/** The end of a connection that is not one: bytes are handed in, and what is written is taken down. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export class MemorySocket extends Duplex {
  /** All that was written, one character a byte. */
  written = '';

  constructor() {
    super({ allowHalfOpen: true });
    this.on('error', () => {});
  }

  /** What asks for a socket gets this; none of what only a real one has is used. */
  asSocket(): Socket {
    return this as unknown as Socket;
  }

  /** Lets these pieces arrive, each by itself, and then the end. */
  async receive(pieces: readonly string[]): Promise<void> {
    for (const piece of pieces) {
      if (this.destroyed) return;
      this.push(Buffer.from(piece, 'latin1'));
      if (pieces.length > 1) await Promise.resolve();
    }
    if (!this.destroyed) this.push(null);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk.toString('latin1');
    done();
  }

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

/** Resolves when the socket has been destroyed. */
export function closed(socket: MemorySocket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', resolve);
  });
}
