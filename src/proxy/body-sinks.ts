/** What bodies pass through when a policy asked for it or is waited for: buffers, and a place to wait. */
import type { HeaderFields } from '../http/header-fields.ts';
import type { BodySink, BodySource } from '../wire/connection.ts';
import type { UpstreamConnection } from '../wire/upstream-connection.ts';
import type { ProxyExchange } from './exchange.ts';
import { failDefect } from './failure.ts';
import type { Upstream } from './upstream.ts';

/** Buffers a whole body, up to a limit. */
export class CollectingSink implements BodySink {
  private readonly maxBytes: number;
  private readonly onWhole: (body: Buffer) => void;
  private readonly onTooLarge: () => void;
  private readonly pieces: Buffer[] = [];
  private total = 0;

  constructor(maxBytes: number, onWhole: (body: Buffer) => void, onTooLarge: () => void) {
    this.maxBytes = maxBytes;
    this.onWhole = onWhole;
    this.onTooLarge = onTooLarge;
  }

  data(bytes: Uint8Array): void {
    const before = this.total;
    this.total += bytes.length;
    if (this.total <= this.maxBytes) this.pieces.push(Buffer.from(bytes));
    else if (before <= this.maxBytes) this.onTooLarge();
  }

  flush(): boolean {
    return true;
  }

  end(): boolean {
    if (this.total <= this.maxBytes) this.onWhole(Buffer.concat(this.pieces, this.total));
    return true;
  }
}

/**
 * Buffers the request body into `exchange.requestBody`, for a policy that takes up to `maxBytes` of it.
 * @returns whether it is there. If it is not, `goOn` is called once it is, unless the exchange has failed by then.
 */
export function collectRequest(exchange: ProxyExchange, maxBytes: number, goOn: () => void): boolean {
  const { stream } = exchange;
  if (exchange.requestBody === null && !exchange.bodyCollected) {
    if (stream.bodyLength > Math.min(maxBytes, stream.maxBodyBytes)) return refuseBody(exchange);
    if (stream.bodyText === null) {
      waitForRequest(exchange, maxBytes, goOn);
      return false;
    }
    exchange.bodyCollected = true;
    exchange.requestBody = Buffer.from(stream.bodyText, 'latin1');
  }
  // What was buffered for one policy may be too much for the next.
  return (exchange.requestBody?.length ?? 0) <= maxBytes || refuseBody(exchange);
}

function refuseBody(exchange: ProxyExchange): false {
  exchange.fail('BODY_TOO_LARGE', 'body over what a policy may buffer');
  return false;
}

function waitForRequest(exchange: ProxyExchange, maxBytes: number, goOn: () => void): void {
  const whole = (body: Buffer): void => {
    if (exchange.finished || exchange.answers > 0) return;
    exchange.disarmDeadline();
    exchange.bodyCollected = true;
    exchange.requestBody = body;
    try {
      goOn();
    } catch (error) {
      failDefect(exchange, error);
    }
  };
  exchange.armDeadline(() => exchange.fail('REQUEST_TIMEOUT', 'body slower than timeouts.total'));
  exchange.stream.readBody(new CollectingSink(maxBytes, whole, () => refuseBody(exchange)));
}

/** Keeps what arrives, and its sender waiting, until it is known where it goes. */
export class WaitingSink implements BodySink {
  private readonly pieces: Uint8Array[] = [];
  private source: BodySource | null = null;
  private ended = false;
  private trailers: HeaderFields | null = null;

  data(bytes: Uint8Array): void {
    this.pieces.push(bytes);
  }

  flush(source: BodySource): boolean {
    this.source = source;
    return false;
  }

  end(trailers: HeaderFields | null): boolean {
    this.ended = true;
    this.trailers = trailers;
    return false;
  }

  /** Hands on what has been waiting. */
  releaseTo(sink: BodySink): void {
    for (const piece of this.pieces) sink.data(piece);
    if (this.ended) sink.end(this.trailers);
    else if (this.source !== null && sink.flush(this.source)) this.source.resume();
  }
}

/**
 * Whether the trailers of a request go on. Not where a policy, or the credential of the upstream, has had a say in the
 * head: servers that merge the two would take from the trailers, which neither has seen, what was taken out of the head
 * (CVE-2025-12642).
 */
export function passesTrailers({ chosen }: ProxyExchange, { credential }: Pick<Upstream, 'credential'>): boolean {
  const { onRequest, onUpstreamRequest } = chosen.chain;
  return onRequest.length + onUpstreamRequest.length === 0 && credential === null;
}

/**
 * The request of an upstream connection.
 * @param withTrailers whether trailers go on as well.
 * @param call told when the last of it has been handed over.
 */
export function connectionSink(
  connection: UpstreamConnection,
  withTrailers: boolean,
  call: { onRequestSent(): void },
): BodySink {
  return {
    data: (bytes) => connection.sendData(bytes),
    flush: (source) => connection.flush(source),
    end: (trailers) => {
      call.onRequestSent();
      return connection.sendEnd(withTrailers ? trailers : null);
    },
  };
}

/** Takes a body and throws it away. */
export const discard: BodySink = {
  data() {},
  flush: () => true,
  end: () => true,
};
