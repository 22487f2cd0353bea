/**
 * After a 101 the two connections carry bytes that are not ours to read (RFC 9110, section 7.8). A tunnel moves them,
 * with backpressure, until both sides have ended or neither has said anything for its idle time.
 */
import type { Socket } from 'node:net';
import type { ErrorCode } from '../errors.ts';
import { Timer, type TimerWheel } from './timer-wheel.ts';

/** The client's side of a tunnel. */
export interface ClientTunnelEnd {
  readonly socket: Socket;
  /** Hands everything that the client sends to the tunnel, beginning with what came before the switch was complete. */
  deliverTo(intake: ClientIntake): void;
}

export interface ClientIntake {
  /** Bytes that the client sent. The memory is the tunnel's to keep. */
  fromClient(bytes: Uint8Array): void;
}

/** Why a tunnel ended that neither side has closed. */
export interface TunnelFailure {
  readonly code: ErrorCode;
  readonly reason: string;
}

export interface TunnelEvents {
  /** Both directions are done. Called once. @param failure null when they were closed as usual. */
  onTunnelClosed(bytesFromClient: number, bytesFromUpstream: number, failure: TunnelFailure | null): void;
}

export class Tunnel {
  private readonly client: Socket;
  private readonly upstream: Socket;
  private readonly wheel: TimerWheel;
  private readonly idleMs: number;
  private readonly timer: Timer;
  private readonly events: TunnelEvents;
  private bytesFromClient = 0;
  private bytesFromUpstream = 0;
  private failure: TunnelFailure | null = null;
  private open = 2;

  /** @param idleMs without a byte in either direction after which both sides are closed. */
  constructor(client: Socket, upstream: Socket, idleMs: number, wheel: TimerWheel, events: TunnelEvents) {
    this.client = client;
    this.upstream = upstream;
    this.wheel = wheel;
    this.idleMs = idleMs;
    this.events = events;
    this.timer = new Timer(() => this.idleOut());
    this.wheel.arm(this.timer, idleMs);
    client.setNoDelay(true);
    this.watch(client, upstream, 'CLIENT_CLOSED');
    this.watch(upstream, client, 'UPSTREAM_RESET');
    client.resume();
  }

  /** Bytes that the client sent. The memory must not be reused by the caller. */
  fromClient(bytes: Uint8Array): void {
    this.bytesFromClient += bytes.length;
    this.move(bytes, this.client, this.upstream);
  }

  /** Bytes that the upstream sent. The memory must not be reused by the caller. */
  fromUpstream(bytes: Uint8Array): void {
    this.bytesFromUpstream += bytes.length;
    this.move(bytes, this.upstream, this.client);
  }

  private move(bytes: Uint8Array, from: Socket, to: Socket): void {
    this.wheel.arm(this.timer, this.idleMs);
    if (to.destroyed || bytes.length === 0) return;
    if (!to.write(bytes)) from.pause();
  }

  private watch(from: Socket, to: Socket, code: ErrorCode): void {
    from.on('error', (error: NodeJS.ErrnoException) => {
      this.failure ??= { code, reason: error.code ?? 'broken off' };
    });
    to.on('drain', () => {
      this.wheel.arm(this.timer, this.idleMs);
      from.resume();
    });
    // One side may finish speaking and still listen.
    from.on('end', () => to.end());
    from.on('close', () => {
      to.destroySoon();
      if (--this.open > 0) return;
      this.timer.disarm();
      this.events.onTunnelClosed(this.bytesFromClient, this.bytesFromUpstream, this.failure);
    });
  }

  private idleOut(): void {
    this.failure ??= { code: 'UPSTREAM_TIMEOUT', reason: 'the tunnel stood still' };
    this.client.destroy();
    this.upstream.destroy();
  }
}
