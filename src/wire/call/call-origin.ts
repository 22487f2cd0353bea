/** The calls to one origin: so many at a time over connections that are kept, the others wait for their turn. */
import type { CallRequest, CallResponse } from '../../contract.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import { UpstreamPool, type UpstreamPoolOptions } from '../upstream-pool.ts';
import { SingleCall, type CallOwner } from './single-call.ts';

/** Connections to one origin. Whom we ask serves others as well. */
const maxConnections = 32;
/** Calls that wait for one of them: beyond that nobody would have an answer in time. */
const maxWaiting = 1024;
const idleExpiryMs = 30_000;
/** A name with `_` could be taken for another one (GHSA-f59h-q822-g45g), and nobody needs such a field of an answer. */
const limits = { headBytes: 16_384, targetBytes: 16_384, headers: 100, keepUnderscores: false };

export class CallOrigin implements CallOwner {
  readonly origin: string;
  private readonly wheel: TimerWheel;
  private readonly pool: UpstreamPool;
  private readonly underWay = new Set<SingleCall>();
  private readonly waiting = new Set<SingleCall>();
  private readonly onClose: () => void;
  private closed = false;

  /** @param onClose lets go of what `where` needs. */
  constructor(
    origin: string,
    where: Pick<UpstreamPoolOptions, 'address' | 'tls' | 'connect'>,
    wheel: TimerWheel,
    onClose: () => void,
  ) {
    this.origin = origin;
    this.wheel = wheel;
    this.onClose = onClose;
    this.pool = new UpstreamPool({ ...where, maxConnections, idleExpiryMs, pipelining: 1, limits }, wheel);
  }

  get isBusy(): boolean {
    return this.underWay.size + this.waiting.size > 0;
  }

  /** @param text the whole request. */
  call(request: CallRequest, text: string): Promise<CallResponse> {
    const call = new SingleCall(request, text, this, this.wheel);
    if (this.underWay.size < maxConnections) this.begin(call);
    else if (this.waiting.size < maxWaiting) this.waiting.add(call);
    else call.giveUp('too many calls wait for it already');
    return call.response;
  }

  dispatch(call: SingleCall): void {
    this.pool.dispatch(call);
  }

  onLeft(call: SingleCall): void {
    this.waiting.delete(call);
    // Its connection is found again only once all that it was doing is done.
    if (this.underWay.delete(call) && this.waiting.size > 0) setImmediate(() => this.beginNext());
  }

  /** Gives up what is under way and closes all connections. */
  close(): void {
    this.closed = true;
    for (const call of [...this.waiting, ...this.underWay]) call.giveUp('the gateway stops');
    this.pool.close();
    this.onClose();
  }

  private beginNext(): void {
    if (this.closed || this.underWay.size >= maxConnections) return;
    for (const call of this.waiting) {
      this.waiting.delete(call);
      this.begin(call);
      return;
    }
  }

  private begin(call: SingleCall): void {
    this.underWay.add(call);
    call.start();
  }
}
