/** What travels on an upstream connection. */
import type { Socket } from 'node:net';
import type { ErrorCode } from '../errors.ts';
import type { BodySink } from './connection.ts';
import type { ResponseHead } from './message-head.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** One request on its way to a target, and who wants the response. Its `BodySink` half gets the response body. */
export interface UpstreamCall extends BodySink {
  readonly method: string;
  /** The request asks to switch protocols; only then may a 101 come. */
  readonly wantsUpgrade: boolean;
  /** May share a connection with calls before it: idempotent and without a body. */
  readonly pipelinable: boolean;
  /** Must not go on a connection that has served others, because one of those has just turned out to be dead. */
  readonly needsFreshConnection: boolean;
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  /** Monotonic time by which all must be over; 0 for none. */
  readonly deadlineAt: number;

  /** A connection is ready for this call, which must now `send`. Called once per dispatch. */
  onConnection(connection: UpstreamConnection): void;
  onInterim(head: ResponseHead): void;
  /** @param bodyText the whole body as latin1 text; null when it follows through the sink. */
  onResponse(head: ResponseHead, bodyText: string | null): void;
  /** The target switched protocols. What it sends from now on goes to the tunnel that this returns. */
  onUpgrade(head: ResponseHead, socket: Socket): TunnelIntake;
  /**
   * There will be no (complete) response.
   * @param untouched the target has most likely not seen the request: the connection had served others before and died
   *   before the first byte of this response. The call may be made once more on another connection.
   */
  onFailure(code: ErrorCode, reason: string, untouched: boolean): void;
}

export interface TunnelIntake {
  fromUpstream(bytes: Uint8Array): void;
}

/** Takes the place of a call that was given up while others wait behind it on the same connection. */
export class DiscardedCall implements UpstreamCall {
  readonly method: string;
  readonly wantsUpgrade = false;
  readonly pipelinable = true;
  readonly needsFreshConnection = false;
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  readonly deadlineAt: number;

  constructor(call: UpstreamCall) {
    this.method = call.method;
    this.connectMs = call.connectMs;
    this.firstByteMs = call.firstByteMs;
    this.idleMs = call.idleMs;
    this.deadlineAt = call.deadlineAt;
  }

  onConnection(): void {}
  onInterim(): void {}
  onResponse(): void {}
  onUpgrade(): TunnelIntake {
    return { fromUpstream() {} };
  }
  onFailure(): void {}
  data(): void {}
  flush(): boolean {
    return true;
  }
  end(): boolean {
    return true;
  }
}
