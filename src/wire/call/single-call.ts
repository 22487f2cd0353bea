/** One call of the gateway's own: sent when a connection is there, collected up to a limit, over at its deadline at the latest. */
import { CallError, type CallRequest, type CallResponse } from '../../contract.ts';
import type { ErrorCode } from '../../errors.ts';
import type { ResponseHead } from '../message-head.ts';
import { Timer, type TimerWheel } from '../timer-wheel.ts';
import type { TunnelIntake, UpstreamCall } from '../upstream-call.ts';
import type { UpstreamConnection } from '../upstream-connection.ts';

/** Whose connections a call uses. */
export interface CallOwner {
  /** For messages. */
  readonly origin: string;
  /** Finds a connection, as `UpstreamPool.dispatch` does. */
  dispatch(call: SingleCall): void;
  /** The call has no use for a connection any longer, and has none. */
  onLeft(call: SingleCall): void;
}

/** RFC 9110, section 9.2.2. */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

const encodedUnasked = 'bad response: encoded unasked';

/** What was not asked for is not unpacked either (CVE-2026-22036). */
function isEncoded({ headers }: ResponseHead): boolean {
  return (headers.get('content-encoding') ?? 'identity').toLowerCase() !== 'identity';
}

export class SingleCall implements UpstreamCall {
  readonly method: string;
  readonly wantsUpgrade = false;
  readonly pipelinable = false;
  needsFreshConnection = false;
  // One deadline is enough.
  readonly connectMs = Infinity;
  readonly firstByteMs = Infinity;
  readonly idleMs = Infinity;
  readonly deadlineAt: number;
  readonly response: Promise<CallResponse>;

  private readonly request: CallRequest;
  private readonly text: string;
  private readonly owner: CallOwner;
  private readonly timer: Timer;
  private readonly onAbort = (): void => this.giveUp('given up');
  private readonly settle: PromiseWithResolvers<CallResponse>;
  private connection: UpstreamConnection | null = null;
  /** Connections are being looked for or used for it. */
  private dispatched = false;
  private ended = false;
  private head: ResponseHead | null = null;
  private chunks: Buffer[] = [];
  private size = 0;

  /** @param text the whole request, as `callText` makes it. */
  constructor(request: CallRequest, text: string, owner: CallOwner, wheel: TimerWheel) {
    const now = wheel.now();
    this.request = request;
    this.method = request.method ?? 'GET';
    this.text = text;
    this.owner = owner;
    this.deadlineAt = now + request.timeoutMs;
    this.settle = Promise.withResolvers();
    this.response = this.settle.promise;
    this.timer = new Timer(() => this.giveUp(this.tooLate()));
    wheel.arm(this.timer, request.timeoutMs, now);
    request.signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** It is its turn. */
  start(): void {
    this.dispatched = true;
    this.owner.dispatch(this);
  }

  /** There will be no answer that anybody wants. */
  giveUp(why: string): void {
    if (this.ended) return;
    const { connection, dispatched } = this;
    this.fail(why);
    // While a connection is being opened nobody can be told; it is given back once it is there.
    if (connection === null && dispatched) return;
    this.connection = null;
    connection?.cancel(this);
    this.leave();
  }

  onConnection(connection: UpstreamConnection): void {
    if (this.ended) {
      connection.giveBack();
      this.leave();
      return;
    }
    this.connection = connection;
    connection.send(this, this.text, false);
  }

  onInterim(): void {}

  onUpgrade(): TunnelIntake {
    throw new Error('a call never asks to switch protocols');
  }

  onResponse(head: ResponseHead, bodyText: string | null): void {
    this.head = head;
    if (bodyText !== null) {
      this.connection = null;
      this.takeWhole(head, bodyText);
    } else if (head.contentLength > this.request.maxBytes) {
      this.giveUp(this.tooLong());
    } else if (isEncoded(head)) {
      this.giveUp(encodedUnasked);
    }
  }

  private takeWhole(head: ResponseHead, bodyText: string): void {
    if (bodyText.length > this.request.maxBytes) this.fail(this.tooLong());
    else if (bodyText !== '' && isEncoded(head)) this.fail(encodedUnasked);
    else this.succeed(head, Buffer.from(bodyText, 'latin1'));
    this.leave();
  }

  data(bytes: Uint8Array): void {
    if (this.ended) return;
    this.size += bytes.length;
    if (this.size > this.request.maxBytes) this.giveUp(this.tooLong());
    else this.chunks.push(Buffer.from(bytes));
  }

  flush(): boolean {
    return true;
  }

  end(): boolean {
    this.connection = null;
    if (this.head !== null) this.succeed(this.head, Buffer.concat(this.chunks));
    this.leave();
    return true;
  }

  onFailure(code: ErrorCode, reason: string, untouched: boolean): void {
    this.connection = null;
    if (!this.ended && code === 'UPSTREAM_RESET' && untouched && this.isRepeatable && !this.needsFreshConnection) {
      this.needsFreshConnection = true;
      this.owner.dispatch(this);
      return;
    }
    this.fail(this.messageOf(code, reason));
    this.leave();
  }

  private get isRepeatable(): boolean {
    return this.request.idempotent ?? idempotent.has(this.method);
  }

  private succeed({ status, headers }: ResponseHead, body: Buffer): void {
    if (this.ended) return;
    this.finish();
    this.settle.resolve({ status, headers: [...headers], body });
  }

  private fail(why: string): void {
    if (this.ended) return;
    this.finish();
    this.settle.reject(new CallError(`${this.owner.origin}: ${why}`));
  }

  private finish(): void {
    this.ended = true;
    this.timer.disarm();
    this.chunks = [];
    this.request.signal?.removeEventListener('abort', this.onAbort);
  }

  private leave(): void {
    this.dispatched = false;
    this.owner.onLeft(this);
  }

  private tooLong(): string {
    return `longer than ${this.request.maxBytes} bytes`;
  }

  private tooLate(): string {
    return `no answer within ${this.request.timeoutMs} ms`;
  }

  /** In words for the log. The reason is a code of the platform or a constant of the parser, never what was received. */
  private messageOf(code: ErrorCode, reason: string): string {
    switch (code) {
      case 'UPSTREAM_CONNECT_TIMEOUT':
      case 'UPSTREAM_TIMEOUT':
        return this.tooLate();
      case 'UPSTREAM_UNREACHABLE':
        return `cannot be reached: ${reason}`;
      case 'UPSTREAM_TLS_FAILED':
        return `TLS failed: ${reason}`;
      case 'UPSTREAM_RESET':
        return `broke off: ${reason}`;
      default:
        return `bad response: ${reason}`;
    }
  }
}
