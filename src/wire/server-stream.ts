/**
 * One request from a client and the way back, without regard to the version of HTTP. The proxy is written against this;
 * HTTP/1.1 connections implement it, HTTP/2 streams will.
 */
import type { Peer } from '../contract.ts';
import type { ErrorCode } from '../errors.ts';
import type { HeaderFields } from '../http/header-fields.ts';
import type { BodySink, BodySource } from './connection.ts';
import type { ClientTunnelEnd } from './tunnel.ts';

export interface ServerStream {
  readonly peer: Peer;
  /** Whether the listener itself terminated TLS. */
  readonly secure: boolean;
  /** The port of the listener that the client connected to; 0 for a Unix socket. */
  readonly localPort: number;

  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';
  readonly method: string;
  /** The request target as received. */
  readonly target: string;
  /** The value of Host or :authority, unparsed. */
  readonly authority: string;
  readonly headers: HeaderFields;
  /** `TE: trailers` was sent. */
  readonly acceptsTrailers: boolean;
  /** The client asks to switch protocols (`Connection: upgrade`, HTTP/1.1 only). */
  readonly wantsUpgrade: boolean;

  /** Length of the request body; 0 for none, -1 when it is not known beforehand. */
  readonly bodyLength: number;
  /** The whole request body as latin1 text if it arrived together with the head; otherwise null. Empty for no body. */
  readonly bodyText: string | null;
  /** The request body may have this many bytes; policies may lower it before the body is read. */
  maxBodyBytes: number;
  /** Bytes of body received so far. */
  readonly bytesIn: number;
  /** Bytes of response body handed to the connection so far. */
  readonly bytesOut: number;

  /** What the handler remembers between the requests of one connection. */
  readonly memo: StreamMemo;
  /** Who hears of the end of this stream; set while the request is handed over. */
  handler: StreamHandler;

  /** Starts the flow of the request body into the sink. Answers `Expect: 100-continue`. Not for `bodyText` bodies. */
  readBody(sink: BodySink): void;

  /** An interim response (1xx other than 101). */
  sendInterim(status: number, statusText: string, headers: HeaderFields): void;
  /** A complete response in one write. A string is latin1. For HEAD, 204 and 304 the body is not sent. */
  sendWhole(status: number, statusText: string, headers: HeaderFields, body: string | Uint8Array): void;
  /**
   * The head of a response whose body follows.
   * @param length of the body; -1 when it is not known beforehand.
   */
  sendHead(status: number, statusText: string, headers: HeaderFields, length: number): void;
  /** A response that never has a body (to HEAD; 204, 304); `length` is what the body would have had, -1 if unknown. */
  sendBodiless(status: number, statusText: string, headers: HeaderFields, length: number): void;
  sendData(bytes: Uint8Array): void;
  flush(source: BodySource): boolean;
  /** Ends the body; the result is that of `BodySink.end`. */
  sendEnd(trailers: HeaderFields | null): boolean;
  /** The 101 response; afterwards the bytes are no longer HTTP. */
  sendUpgrade(statusText: string, protocol: string, headers: HeaderFields): ClientTunnelEnd;
  /** No other request of this connection is served: what this one was made of leaves no trust in what follows it. */
  closeAfterResponse(): void;
  /** Breaks the response off, so that the client can see that it is not whole. */
  abort(): void;
}

/** What follows from the peer and the authority alone, which hardly ever change on a connection. */
export interface StreamMemo {
  authority: string;
  host: string;
  port: number;
  forwarding: string;
}

export interface StreamHandler {
  /**
   * The client is gone before its response was complete. Nothing more can be sent.
   * @param isCut whether it was cut off, because it did not read what was sent.
   */
  onClientGone(isCut: boolean): void;
  /** The request body cannot be read to its end: malformed, too large or too slow. A response can still be sent. */
  onBadBody(code: ErrorCode, reason: string): void;
}

/** What a listener hands its requests to. */
export interface RequestHandler {
  /** A request whose head is complete. Must set `stream.handler`. */
  onRequest(stream: ServerStream): void;
  /** A request that cannot be handed over; the stream's fields may be partly empty. Must answer it with `sendWhole`. */
  onMalformed(stream: ServerStream, code: ErrorCode, reason: string): void;
}
