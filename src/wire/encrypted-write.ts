/**
 * Short texts on their way to a TLS socket.
 *
 * A text that is given to such a socket is copied twice before it is encrypted, the second time into memory that is allocated for
 * it. One that lies in a buffer is encrypted from there before `write` returns, and what OpenSSL does not take at once Node copies
 * itself. So one buffer does for all of them, and a small request over TLS costs a twentieth less. See
 * docs/decisions/accepted-sockets.md.
 */
import type { Socket } from 'node:net';
import { writeLatin1 } from './latin1.ts';

/** Longer ones are rare, and copying them is not what costs. */
const longest = 16_384;

const plain = Buffer.allocUnsafeSlow(longest);
/** What lies at its beginning, by length: messages of one kind have few different ones. */
const beginnings: (Buffer | undefined)[] = [];

/** Writes a text of latin1 to a TLS socket that is open, with its handshake complete. */
export function writeEncrypted(socket: Socket, text: string): void {
  const { length } = text;
  // What waits in the stream waits where it lies, so it may not lie here.
  if (length > longest || socket.writableLength > 0 || socket.writableCorked > 0) {
    socket.write(text, 'latin1');
    return;
  }
  writeLatin1(plain, text);
  socket.write((beginnings[length] ??= plain.subarray(0, length)));
}
