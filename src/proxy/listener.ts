/** Station 1: where requests of one listener come in, with their head read. From here the way is in the README beside. */
import { errors, type ErrorCode } from '../errors.ts';
import { IpSet } from '../util/ip-set.ts';
import type { RequestHandler, ServerStream } from '../wire/server-stream.ts';
import { ProxyExchange } from './exchange.ts';
import { failDefect, failure } from './failure.ts';
import { runRequestPolicies } from './policies.ts';
import { sendReply } from './respond.ts';
import { compileChain, type Route } from './route.ts';
import { chooseRoute } from './choose-route.ts';
import { type Shedding, neverRefused } from './shedding.ts';
import type { Snapshot, Surroundings } from './snapshot.ts';
import { openTrace } from './trace.ts';

/** Requests that cannot be routed pass no policy; they have a route in name only. */
const unrouted: Route = {
  info: { name: '', methods: null },
  chain: compileChain([]),
  action: { kind: 'reply', reply: { status: errors.BAD_REQUEST.status, code: 'BAD_REQUEST' } },
  timeouts: { connectMs: Infinity, firstByteMs: Infinity, idleMs: Infinity, totalMs: Infinity },
  importance: neverRefused,
  callerMayHave: null,
};

const nobody = IpSet.parse([]);

export class Entrance implements RequestHandler {
  private readonly listener: string;
  private readonly around: Surroundings;
  /** Gives the snapshot of the moment: what a request begins with it ends with. */
  private readonly current: () => Snapshot;

  constructor(listener: string, around: Surroundings, current: () => Snapshot) {
    this.listener = listener;
    this.around = around;
    this.current = current;
  }

  onRequest(stream: ServerStream): void {
    const snapshot = this.current();
    const { shedding } = this.around;
    const trusted = snapshot.trustedProxies.get(this.listener) ?? nobody;
    const exchange = new ProxyExchange(stream, this.around, this.listener, trusted, unrouted);
    try {
      if (snapshot.debugHeader !== null) exchange.trace = openTrace(exchange, snapshot.debugHeader);
      const refusal = chooseRoute(exchange, snapshot);
      exchange.trace?.note('router');
      if (refusal === null) {
        if (!this.around.bans.isEmpty && this.isBanned(exchange)) return;
        if (shedding.level > 0 && isShed(exchange, shedding)) return;
        runRequestPolicies(exchange, 0);
        return;
      }
      // A target or a Host that two servers could read in two ways is malformed, whatever the framing (RFC 9112, 3.2).
      if (refusal !== 'LOOP_DETECTED') stream.closeAfterResponse();
      exchange.fail(refusal, exchange.reason);
    } catch (error) {
      failDefect(exchange, error);
    }
  }

  /** Refuses the requests of those who are turned away; a proxy in front is not responsible for whom it cannot name. */
  private isBanned(exchange: ProxyExchange): boolean {
    const { clientIp } = exchange;
    const bannedMs = exchange.trusted.has(clientIp) ? 0 : this.around.bans.remainingMs(clientIp);
    if (bannedMs === 0) return false;
    this.around.bans.noteRefusal('request');
    exchange.stream.closeAfterResponse();
    const headers = [['retry-after', String(Math.ceil(bannedMs / 1000))]] as const;
    sendReply(exchange, { ...failure('BANNED'), reason: 'the client is banned', headers });
    return true;
  }

  onMalformed(stream: ServerStream, code: ErrorCode, reason: string): void {
    const exchange = new ProxyExchange(stream, this.around, this.listener, nobody, unrouted);
    exchange.noteFailure(code, reason);
    sendReply(exchange, failure(code));
  }
}

/** Before any policy has to do with it: what is refused should cost next to nothing. */
function isShed(exchange: ProxyExchange, shedding: Shedding): boolean {
  const reply = shedding.refusalFor(exchange.chosen);
  if (reply === null) return false;
  sendReply(exchange, reply);
  return true;
}
