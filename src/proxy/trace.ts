/**
 * When an exchange came to which station: noted for those alone whose request is signed (`telemetry.debug`), and told in
 * a header of the response. Every other exchange has no trace, and each station looks at that once.
 */
import type { KeyObject } from 'node:crypto';
import { DEBUG_HEADER, isSignedDebug } from '../http/debug-signature.ts';
import { DEBUG, kindBits } from '../http/field-kind.ts';
import type { HeaderFields } from '../http/header-fields.ts';
import type { ProxyExchange } from './exchange.ts';

/** What is noted, with the number of its station in the README beside. */
const stations = {
  router: 3,
  policies: 4,
  balance: 6,
  connection: 7,
  sent: 7,
  failed: 7,
  answered: 7,
  respond: 8,
} as const;

export interface Timing {
  readonly station: number;
  readonly event: keyof typeof stations;
  /** Milliseconds since the head of the request had arrived. */
  readonly ms: number;
  /** Which target, which policy, or which failure; empty where there is nothing to say. */
  readonly detail: string;
}

/** Who may ask, and what is answered. */
export interface DebugHeader {
  readonly secret: KeyObject;
  readonly maxAgeMs: number;
  /** @returns the value of the header: ASCII, and not too long for one. */
  report(exchange: ProxyExchange, trace: Trace): string;
}

/** Of an exchange with ever so many attempts the first and the last are told. */
const maxTimings = 64;
const debug = kindBits((kind) => kind === DEBUG);

/** A header that is not signed, or too old, or there twice, is as good as none: nobody is told what is wrong with it. */
export function openTrace(exchange: ProxyExchange, header: DebugHeader): Trace | null {
  const { requestHeaders, stream, around } = exchange;
  if (!requestHeaders.mayHave(debug)) return null;
  const value = requestHeaders.joinKind(DEBUG);
  return isSignedDebug(value, stream, header, around.clock.wallNow()) ? new Trace(exchange, header) : null;
}

export class Trace {
  readonly timings: Timing[] = [];
  /** The fields of the request as they came, but for the signature; policies may change those of the exchange. */
  readonly received: HeaderFields;
  private readonly exchange: ProxyExchange;
  private readonly header: DebugHeader;

  constructor(exchange: ProxyExchange, header: DebugHeader) {
    this.exchange = exchange;
    this.header = header;
    this.received = exchange.requestHeaders.clone();
    this.received.removeWhere((kind) => kind === DEBUG);
  }

  note(event: Timing['event'], detail = ''): void {
    const { around, startedAt } = this.exchange;
    const ms = Math.round((around.clock.now() - startedAt) * 1000) / 1000;
    this.timings.push({ station: stations[event], event, ms, detail });
    if (this.timings.length > maxTimings) this.timings.splice(maxTimings / 2, 1);
  }

  /** Writes what there is to tell into the head of a response that is about to leave. */
  tell(headers: HeaderFields): void {
    this.note('respond');
    try {
      headers.set(DEBUG_HEADER, this.header.report(this.exchange, this));
      // A cache on the way would tell others what is meant for this client alone.
      headers.add('cache-control', 'no-store');
    } catch (error) {
      const { around, route } = this.exchange;
      around.log.defect('a request could not be explained', { route: route.name }, error);
    }
  }
}
