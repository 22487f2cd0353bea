/**
 * Accepted sockets that read into memory of our choosing.
 *
 * Sockets that we connect can be told where to read into (`onread` of `net.connect`); those that `net.Server` accepts
 * cannot, and get a fresh buffer of 64 KiB for every read. That is a tenth of the cost of a small request and most of the
 * garbage of an upload. The constructor of `net.Socket` takes a handle and `onread`, so the handle of an accepted socket
 * is put into a socket of our own. The sockets that `tls.Server` makes are told afterwards. It relies on what Node does
 * not document, here and nowhere else; where it is not as expected the accepted socket is used as it is. See
 * docs/decisions/accepted-sockets.md.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import { TLSSocket } from 'node:tls';
import { sharedBlock, type ReadMemory } from './read-memory.ts';

/** Who reads from an adopted socket. */
export interface BlockReader {
  readonly memory: ReadMemory;
  receive(bytes: Buffer, length: number): void;
}

/** What of a socket is not public. */
interface Internals {
  _handle: { useUserBuffer?: unknown } | null;
  _server: object | null;
  server: object | null;
  /** Of a TLS socket: the one that it encrypts for. */
  _parent: Socket | null;
}

const readers = new WeakMap<Socket, { reader: BlockReader | null }>();

/** A socket with the connection of `accepted`, which is not to be used any longer; or `accepted` itself. */
export function adoptSocket(accepted: Socket): Socket {
  const from = accepted as Socket & Internals;
  const handle = from._handle;
  if (handle === null || typeof handle !== 'object' || typeof handle.useUserBuffer !== 'function') return accepted;
  const box: { reader: BlockReader | null } = { reader: null };
  const options = {
    handle,
    allowHalfOpen: true,
    onread: {
      buffer: () => (box.reader === null ? sharedBlock : box.reader.memory.next()) as Buffer,
      callback: (length: number, bytes: Uint8Array) => {
        const { reader } = box;
        if (reader !== null) read(reader, bytes as Buffer, length);
        return true;
      },
    },
  };
  from._handle = null;
  const socket = new Socket(options as unknown as SocketConstructorOpts) as Socket & Internals;
  // The server counts its connections by what its sockets tell it when they close.
  socket._server = from._server;
  socket.server = from.server;
  from._server = null;
  readers.set(socket, box);
  return socket;
}

/**
 * Makes an adopted socket, or one whose TLS handshake has just been completed, read for `reader`.
 * @returns false for any other socket, which emits `data` instead.
 */
export function readIntoBlocks(socket: Socket, reader: BlockReader): boolean {
  const box = readers.get(socket);
  if (box === undefined) return socket instanceof TLSSocket && readTlsIntoBlocks(socket, reader);
  box.reader = reader;
  return true;
}

function read(reader: BlockReader, bytes: Buffer, length: number): void {
  reader.receive(bytes, length);
  reader.memory.used(bytes);
}

/** Where a socket keeps what `onread` has told it, and its time-out. */
interface Slots {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generator: symbol;
  readonly timeout: symbol;
}

const slots = findSlots();

function findSlots(): Slots | null {
  const symbols = Object.getOwnPropertySymbols(new Socket());
  const find = (name: string): symbol | undefined => symbols.find(({ description }) => description === name);
  const [buffer, callback] = [find('kBuffer'), find('kBufferCb')];
  const [generator, timeout] = [find('kBufferGen'), find('timeout')];
  if (buffer === undefined || callback === undefined || generator === undefined || timeout === undefined) return null;
  return { buffer, callback, generator, timeout };
}

/** What has been deciphered before must not be overtaken, so there must be nothing. */
function readTlsIntoBlocks(socket: TLSSocket, reader: BlockReader): boolean {
  const inside = socket as TLSSocket & Internals;
  const handle = inside._handle;
  if (slots === null || typeof handle?.useUserBuffer !== 'function' || socket.readableLength > 0) return false;
  // Node puts these off at each read and write. That of the handshake is over, and there are none but those of our wheel.
  inside._parent = null;
  Object.assign(socket, {
    [slots.timeout]: null,
    [slots.buffer]: reader.memory.block,
    [slots.callback]: (length: number, bytes: Buffer): boolean => {
      read(reader, bytes, length);
      return true;
    },
    [slots.generator]: (): Buffer | undefined => reader.memory.next(),
  });
  (handle.useUserBuffer as (bytes: Buffer) => void)(reader.memory.block);
  return true;
}
