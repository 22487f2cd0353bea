/**
 * Writing past the stream of a socket, straight into its handle.
 *
 * Most messages are one short text that the kernel takes at once. `socket.write` gets it there through three layers that keep
 * count of what is waiting, and back through as many callbacks, when nothing has waited. That is a tenth of what a small
 * request costs. It relies on what Node does not document, here and in `accepted-socket.ts`; where that is not as
 * expected nothing is written here. See docs/decisions/accepted-sockets.md.
 */
import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** What of Node's own streams is not public. */
interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  /** What the last write of this thread came to. */
  readonly streamBaseState: Int32Array;
  /** Where in it is whether the write is still under way. */
  readonly kLastWriteWasAsync: number;
}

interface WriteRequest {
  oncomplete: ((this: WriteRequest, status: number) => void) | null;
  writer: DirectWriter | null;
}

interface Handle {
  writeLatin1String(request: WriteRequest, text: string): number;
}

const binding = findBinding();

/** Null where Node has it no longer, or has something else by that name. */
function findBinding(): StreamBinding | null {
  try {
    const { binding: bindingOf } = process as unknown as {
      readonly binding?: (name: string) => Partial<StreamBinding>;
    };
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = bindingOf?.('stream_wrap') ?? {};
    const isKnown = typeof WriteWrap === 'function' && streamBaseState instanceof Int32Array;
    if (!isKnown || typeof kLastWriteWasAsync !== 'number') return null;
    return { WriteWrap, streamBaseState, kLastWriteWasAsync };
  } catch {
    return null;
  }
}

/** A request that no write has been under way with: those that were may not be used again. */
let spare: WriteRequest | null = null;

type Done = (error?: Error | null) => void;
/** How a socket writes what has waited in its stream, and closes. */
interface Ways {
  _write(chunk: unknown, encoding: string, done: Done): void;
  _writev(chunks: readonly unknown[], done: Done): void;
  _final(done: Done): void;
}

type DirectSocket = Socket & { readonly _handle?: Partial<Handle> | null; direct?: DirectWriter };

/** Writes to one socket, which from then on waits for what is written here. */
export class DirectWriter {
  private readonly socket: DirectSocket;
  /** What was written here last has not left yet. Never two writes at once: TLS would end the process. */
  private isBusy = false;
  private onIdle: (() => void) | null = null;

  /** @returns null for a socket whose handle is not as expected. */
  static of(socket: DirectSocket): DirectWriter | null {
    if (binding === null || typeof socket._handle?.writeLatin1String !== 'function') return null;
    const direct = new DirectWriter(socket);
    Object.assign(socket, { direct, ...waitingWays });
    return direct;
  }

  private constructor(socket: DirectSocket) {
    this.socket = socket;
  }

  /**
   * Hands a text of latin1 to the kernel.
   * @returns false when nothing was done: the socket has to do it, because something waits there, or it is not open.
   */
  write(text: string): boolean {
    const { socket } = this;
    const { _handle: handle } = socket;
    if (this.isBusy || binding === null || typeof handle?.writeLatin1String !== 'function') return false;
    if (socket.writableLength > 0 || socket.writableCorked > 0 || socket.connecting || !socket.writable) return false;
    const request = spare ?? new binding.WriteWrap();
    spare = null;
    request.oncomplete = onComplete;
    request.writer = this;
    const status = handle.writeLatin1String(request, text);
    if (status !== 0) this.fail(status);
    // With TLS always, otherwise when the kernel has no room. What has failed is complete already.
    else if (binding.streamBaseState[binding.kLastWriteWasAsync] !== 0) this.isBusy = request.writer !== null;
    else giveBack(request);
    return true;
  }

  /** Calls back once nothing is under way that was written here: at once, if nothing is. A stream asks once at a time. */
  whenIdle(callback: () => void): void {
    if (this.isBusy) this.onIdle = callback;
    else callback();
  }

  completed(status: number): void {
    const { onIdle } = this;
    this.isBusy = false;
    this.onIdle = null;
    if (status < 0) this.fail(status);
    if (!this.socket.destroyed) onIdle?.();
  }

  private fail(status: number): void {
    const code = getSystemErrorName(status);
    this.socket.destroy(Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: 'write' }));
  }
}

const waitingWays: Ways & ThisType<DirectSocket> = {
  _write(chunk, encoding, done) {
    this.direct!.whenIdle(() => waysOf(this)._write.call(this, chunk, encoding, done));
  },
  _writev(chunks, done) {
    this.direct!.whenIdle(() => waysOf(this)._writev.call(this, chunks, done));
  },
  _final(done) {
    this.direct!.whenIdle(() => waysOf(this)._final.call(this, done));
  },
};

/** What it does by itself. */
function waysOf(socket: Socket): Ways {
  return Object.getPrototypeOf(socket) as Ways;
}

function onComplete(this: WriteRequest, status: number): void {
  const { writer } = this;
  this.writer = null;
  writer?.completed(status);
}

function giveBack(request: WriteRequest): void {
  request.writer = null;
  spare = request;
}
