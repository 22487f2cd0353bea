/** Finds the end of a message body on a connection (RFC 9112, section 6.3), whichever way it is framed. */
import { ChunkedDecoder, type DataSink } from './chunked.ts';
import type { HeadLimits } from './message-head.ts';
import type { HeaderFields } from '../http/header-fields.ts';

export class BodyReader {
  /** Bytes that are still to come; Infinity for a body that ends when its connection does. */
  private remaining: number;
  private readonly chunked: ChunkedDecoder | null;

  private constructor(remaining: number, chunked: ChunkedDecoder | null) {
    this.remaining = remaining;
    this.chunked = chunked;
  }

  static ofLength(length: number): BodyReader {
    return new BodyReader(length, null);
  }

  static ofChunks(limits: HeadLimits): BodyReader {
    return new BodyReader(0, new ChunkedDecoder(limits));
  }

  /** A response without a length ends when the upstream closes; a request never does. */
  static untilClose(): BodyReader {
    return new BodyReader(Infinity, null);
  }

  get done(): boolean {
    return this.chunked === null ? this.remaining === 0 : this.chunked.done;
  }

  get endsByClose(): boolean {
    return this.remaining === Infinity;
  }

  get trailers(): HeaderFields | null {
    return this.chunked === null ? null : this.chunked.trailers;
  }

  /** Why `read` returned -1. */
  get reason(): string {
    return this.chunked === null ? '' : this.chunked.reason;
  }

  /**
   * Takes the body's part of `bytes[from, to)`.
   * @returns the offset behind it, or -1 when the body is malformed.
   */
  read(bytes: Buffer, from: number, to: number, sink: DataSink): number {
    if (this.chunked !== null) return this.chunked.decode(bytes, from, to, sink);
    const end = Math.min(to, from + this.remaining);
    if (end > from) sink.data(bytes.subarray(from, end));
    this.remaining -= end - from;
    return end;
  }
}
