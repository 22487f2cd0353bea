/**
 * The connections of one thread to one target. The most recently used idle connection is taken first, so that a small
 * load leaves the others to expire.
 */
import { connect as connectTcp, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { HeadLimits } from './message-head.ts';
import type { TimerWheel } from './timer-wheel.ts';
import type { UpstreamCall } from './upstream-call.ts';
import { sharedBlock } from './read-memory.ts';
import type { TargetTls } from './tls/upstream-tls.ts';
import { UpstreamConnection, type ConnectionOwner } from './upstream-connection.ts';

/** Opens a connection by other means than the network. The socket reads as `onread` says, and emits `connect`. */
export type Connect = (onread: OnReadOpts) => Socket;

export interface UpstreamPoolOptions {
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
  /** null for plain connections. */
  readonly tls: TargetTls | null;
  readonly maxConnections: number;
  readonly idleExpiryMs: number;
  /** Calls under way on one connection; 1 means no pipelining. */
  readonly pipelining: number;
  /** Limits for what the target sends. */
  readonly limits: HeadLimits;
  /** Used instead of `address` and `tls`. */
  readonly connect?: Connect | null;
}

export class UpstreamPool implements ConnectionOwner {
  private readonly options: UpstreamPoolOptions;
  private readonly wheel: TimerWheel;
  private readonly idle: UpstreamConnection[] = [];
  private readonly all = new Set<UpstreamConnection>();
  /** The connection that collects the calls of this turn of the event loop. */
  private filling: UpstreamConnection | null = null;
  private closed = false;

  constructor(options: UpstreamPoolOptions, wheel: TimerWheel) {
    this.options = options;
    this.wheel = wheel;
  }

  get connections(): number {
    return this.all.size;
  }

  /** Whether calls that may be pipelined are worth batching. */
  get pipelines(): boolean {
    return this.options.pipelining > 1;
  }

  /** Finds a connection for the call, or opens one: `call.onConnection`, or `call.onFailure`, follows. */
  dispatch(call: UpstreamCall): void {
    const connection = call.needsFreshConnection ? null : this.take(call);
    if (connection !== null) call.onConnection(connection);
    else if (this.all.size < this.options.maxConnections) this.open(call);
    else call.onFailure('UPSTREAM_BUSY', 'connections.max reached', false);
  }

  /** Closes idle connections now and the others as soon as they are done. */
  close(): void {
    this.closed = true;
    for (const connection of this.idle.splice(0)) connection.socket.destroy();
  }

  onIdle(connection: UpstreamConnection): void {
    // From now on it is found among the idle ones only: found twice, it would carry calls that must not follow each other.
    if (this.filling === connection) this.filling = null;
    if (this.closed) connection.socket.destroy();
    else this.idle.push(connection);
  }

  onGone(connection: UpstreamConnection): void {
    if (!this.all.delete(connection)) return;
    if (this.filling === connection) this.filling = null;
    const index = this.idle.indexOf(connection);
    if (index !== -1) this.idle.splice(index, 1);
  }

  private take(call: UpstreamCall): UpstreamConnection | null {
    return this.pipelines && call.pipelinable ? this.takeForBatch() : this.takeIdle();
  }

  private takeIdle(): UpstreamConnection | null {
    for (;;) {
      const connection = this.idle.pop();
      if (connection === undefined) return null;
      if (!connection.destroyed) return connection;
    }
  }

  /**
   * The connection that others of this turn went to, as long as it has room; then an idle one; then, rather than opening
   * another, the busy one that has the fewest calls under way.
   */
  private takeForBatch(): UpstreamConnection | null {
    const { pipelining } = this.options;
    const { filling } = this;
    if (filling !== null && filling.accepts(pipelining)) return filling;
    this.filling = this.takeIdle() ?? this.leastBusy(pipelining);
    return this.filling;
  }

  private leastBusy(pipelining: number): UpstreamConnection | null {
    let best: UpstreamConnection | null = null;
    for (const connection of this.all) {
      if (connection.accepts(pipelining) && (best === null || connection.calls.length < best.calls.length)) {
        best = connection;
      }
    }
    return best;
  }

  private open(call: UpstreamCall): void {
    const { address, tls, limits, idleExpiryMs, connect = null } = this.options;
    // The socket asks for its memory before the connection object exists.
    let connection: UpstreamConnection | null = null;
    const onread = {
      buffer: () => (connection === null ? sharedBlock : connection.memory.next()) as Buffer,
      callback: (length: number, bytes: Uint8Array) => {
        const goesOn = connection!.receive(bytes as Buffer, length);
        connection!.memory.used(bytes);
        return goesOn;
      },
    };
    // `tls.connect` hands these on to the socket.
    const options = { ...address, onread, noDelay: true };
    const socket = connect?.(onread) ?? (tls === null ? connectTcp(options) : connectSecurely(tls, options));
    connection = new UpstreamConnection(
      socket,
      this.wheel,
      this,
      { limits, idleExpiryMs, readyEvent: tls === null ? 'connect' : 'secureConnect' },
      call,
    );
    this.all.add(connection);
  }
}

function connectSecurely(tls: TargetTls, options: object): Socket {
  const socket = connectTls({ ...tls.connectOptions(), ...options });
  tls.attach(socket);
  return socket;
}
