/** What bodies pass through when a policy asked for it: buffers, transforms, and a place to wait. None is on the usual way. */
import type { Duplex } from 'node:stream';

import type { HeaderFields } from '../http/header-fields.ts';
import type { BodySink, BodySource } from '../wire/connection.ts';
import type { ProxyExchange } from './exchange.ts';

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

/** Buffers the request body into `exchange.requestBody`, then goes on. */
export function collectRequest(exchange: ProxyExchange, maxBytes: number, goOn: () => void): void {
  const { stream } = exchange;
  const tooLarge = (): void => exchange.fail('BODY_TOO_LARGE', 'body over what a policy may buffer');
  const whole = (body: Buffer): void => {
    exchange.requestBody = body;
    if (!exchange.finished) goOn();
  };
  if (stream.bodyLength > maxBytes) tooLarge();
  else if (stream.bodyText === null) stream.readBody(new CollectingSink(maxBytes, whole, tooLarge));
  else whole(Buffer.from(stream.bodyText, 'latin1'));
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

/** Takes a body through one or more of Node's streams, with backpressure both ways. Trailers are dropped. */
export class TransformSink implements BodySink, BodySource {
  private readonly first: Duplex;
  private readonly last: Duplex;
  private readonly all: readonly Duplex[];
  private source: BodySource | null = null;

  constructor(transforms: readonly Duplex[], destination: BodySink, onFailed: (error: unknown) => void) {
    this.all = transforms;
    this.first = transforms[0]!;
    this.last = transforms[transforms.length - 1]!;
    for (let i = 1; i < transforms.length; i++) transforms[i - 1].pipe(transforms[i]);
    for (const transform of transforms) transform.on('error', onFailed);
    this.first.on('drain', () => {
      const { source } = this;
      this.source = null;
      source?.resume();
    });
    this.last.on('data', (bytes: Buffer) => {
      destination.data(bytes);
      if (!destination.flush(this)) this.last.pause();
    });
    this.last.on('end', () => destination.end(null));
  }

  data(bytes: Uint8Array): void {
    if (!this.first.destroyed) this.first.write(Buffer.from(bytes));
  }

  flush(source: BodySource): boolean {
    if (!this.first.writableNeedDrain) return true;
    this.source = source;
    return false;
  }

  end(): boolean {
    if (!this.first.destroyed) this.first.end();
    return true;
  }

  resume(): void {
    this.last.resume();
  }

  destroy(): void {
    for (const transform of this.all) transform.destroy();
  }
}

/** Takes a body and throws it away. */
export const discard: BodySink = {
  data() {},
  flush: () => true,
  end: () => true,
};
