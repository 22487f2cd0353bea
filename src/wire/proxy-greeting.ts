/** Waits for the PROXY protocol header of an accepted connection and takes it off, before anything else is read. */
import type { Socket } from 'node:net';
import { decodeProxyHeader, type ProxiedConnection } from './proxy-protocol.ts';
import { Timer, type TimerWheel } from './timer-wheel.ts';

export class ProxyGreeting {
  private readonly socket: Socket;
  private readonly timer: Timer;
  private readonly onGreeted: (proxied: ProxiedConnection | null) => void;
  private received: Buffer = Buffer.alloc(0);
  private readonly onData: (bytes: Buffer) => void;

  /** @param onGreeted called once, with the bytes behind the header back in the socket; never for a refused connection. */
  constructor(
    socket: Socket,
    wheel: TimerWheel,
    timeoutMs: number,
    onGreeted: (proxied: ProxiedConnection | null) => void,
  ) {
    this.socket = socket;
    this.onGreeted = onGreeted;
    this.timer = new Timer(() => socket.destroy());
    this.onData = (bytes) => this.receive(bytes);
    wheel.arm(this.timer, timeoutMs);
    socket.on('data', this.onData);
    socket.once('close', () => this.timer.disarm());
  }

  private receive(bytes: Buffer): void {
    this.received = this.received.length === 0 ? bytes : Buffer.concat([this.received, bytes]);
    const header = decodeProxyHeader(this.received);
    if (header.kind === 'incomplete') return;
    this.timer.disarm();
    this.socket.off('data', this.onData);
    if (header.kind === 'refused') {
      this.socket.destroy();
      return;
    }
    this.socket.pause();
    if (header.bytes < this.received.length) this.socket.unshift(this.received.subarray(header.bytes));
    this.onGreeted(header.connection);
  }
}
