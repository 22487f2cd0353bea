/** Waits for the PROXY protocol header of an accepted connection and takes it off, before anything else is read. */
import type { Socket } from 'node:net';
import { decodeProxyHeader, type ProxiedConnection } from './proxy-protocol.ts';
import { Timer, type TimerWheel } from './timer-wheel.ts';

/**
 * @param timeoutMs by when the header must be complete; otherwise the connection is closed without an answer.
 * @param onGreeted called once, with the bytes behind the header back in the socket; never for a refused connection.
 */
export function awaitProxyHeader(
  socket: Socket,
  wheel: TimerWheel,
  timeoutMs: number,
  onGreeted: (proxied: ProxiedConnection | null) => void,
): void {
  const timer = new Timer(() => socket.destroy());
  let received: Buffer = Buffer.alloc(0);
  const onData = (bytes: Buffer): void => {
    received = received.length === 0 ? bytes : Buffer.concat([received, bytes]);
    const header = decodeProxyHeader(received);
    if (header.kind === 'incomplete') return;
    timer.disarm();
    socket.off('data', onData);
    if (header.kind === 'refused') {
      socket.destroy();
      return;
    }
    socket.pause();
    if (header.bytes < received.length) socket.unshift(received.subarray(header.bytes));
    onGreeted(header.connection);
  };
  wheel.arm(timer, timeoutMs);
  socket.on('data', onData);
  socket.once('close', () => timer.disarm());
  // A client that leaves before it has said who it is must not leave its half of the connection behind.
  socket.once('end', () => timer.deadlineAt !== 0 && socket.destroy());
}
