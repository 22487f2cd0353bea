/** The writing half of a server connection: one response after the other (RFC 9112, sections 6 and 7). */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { DATE } from '../http/field-kind.ts';
import type { HeaderFields } from '../http/header-fields.ts';
import { Connection, type BodySource } from './connection.ts';
import { RequestHead } from './message-head.ts';
import { dateField, responseFields, statusLine, trailerAnnouncement } from './message-writer.ts';

/** Stands in while a connection waits, so that an idle connection holds no old request alive. */
export const noRequest = new RequestHead();

export abstract class ResponseWriter extends Connection {
  bytesOut = 0;
  protected head: RequestHead = noRequest;
  /** The connection ends with this response. */
  protected closing = false;
  /** The body of the response ends when the connection does, as for HTTP/1.0 clients. */
  private endsByClose = false;

  get protocol(): 'HTTP/1.0' | 'HTTP/1.1' {
    return this.head.minorVersion === 1 ? 'HTTP/1.1' : 'HTTP/1.0';
  }

  get method(): string {
    return this.head.method;
  }

  get target(): string {
    return this.head.target;
  }

  get authority(): string {
    return this.head.host;
  }

  get headers(): HeaderFields {
    return this.head.headers;
  }

  get acceptsTrailers(): boolean {
    return this.head.acceptsTrailers;
  }

  get wantsUpgrade(): boolean {
    return this.head.upgrade && this.head.minorVersion === 1;
  }

  get bodyLength(): number {
    return this.head.chunked ? -1 : Math.max(0, this.head.contentLength);
  }

  /** Whether no other request will be served on this connection, by what is known now. */
  protected abstract mustClose(): boolean;
  /** The response has been handed to the socket, whole. */
  protected abstract onResponded(): void;

  sendInterim(status: number, statusText: string, headers: HeaderFields): void {
    // An HTTP/1.0 client does not know interim responses (RFC 9110, section 15.2).
    if (this.head.minorVersion === 0) return;
    this.writeWhole(`${statusLine(status, statusText)}${responseFields(headers)}\r\n`);
  }

  /** After this the bytes are no longer HTTP. */
  protected writeSwitch(statusText: string, protocol: string, headers: HeaderFields): void {
    this.writeWhole(
      `${statusLine(101, statusText)}${responseFields(headers)}connection: upgrade\r\nupgrade: ${protocol}\r\n\r\n`,
    );
  }

  sendWhole(status: number, statusText: string, headers: HeaderFields, body: string | Uint8Array): void {
    if (this.isBodiless(status)) {
      this.sendBodiless(status, statusText, headers, body.length);
      return;
    }
    const head = `${this.openHead(status, statusText, headers)}content-length: ${body.length}\r\n\r\n`;
    this.bytesOut = body.length;
    if (typeof body === 'string') {
      this.writeWhole(head + body);
    } else {
      this.writesChunks = false;
      this.writeHead(head);
      this.writeData(body);
      this.uncork();
    }
    this.onResponded();
  }

  sendBodiless(status: number, statusText: string, headers: HeaderFields, length: number): void {
    // A 204 or a 1xx must not even name a length (RFC 9110, section 8.6).
    const lengthField = length >= 0 && status !== 204 ? `content-length: ${length}\r\n` : '';
    this.writeWhole(`${this.openHead(status, statusText, headers)}${lengthField}\r\n`);
    this.onResponded();
  }

  sendHead(status: number, statusText: string, headers: HeaderFields, length: number): void {
    this.writesChunks = length < 0 && this.head.minorVersion === 1;
    this.endsByClose = length < 0 && !this.writesChunks;
    if (this.endsByClose) this.closing = true;
    const head = this.openHead(status, statusText, headers);
    if (length >= 0) this.writeHead(`${head}content-length: ${length}\r\n\r\n`);
    else if (this.endsByClose) this.writeHead(`${head}\r\n`);
    else this.writeHead(`${head}${trailerAnnouncement(headers)}transfer-encoding: chunked\r\n\r\n`);
  }

  sendData(bytes: Uint8Array): void {
    this.bytesOut += bytes.length;
    this.writeData(bytes);
  }

  flush(source: BodySource): boolean {
    return this.flushTo(source);
  }

  sendEnd(trailers: HeaderFields | null): boolean {
    const released = this.writeEnd(trailers);
    this.endsByClose = false;
    this.onResponded();
    return released;
  }

  closeAfterResponse(): void {
    this.closing = true;
  }

  /**
   * Breaks off. A length or chunks show the client that the response is not whole; where the end of the connection
   * would be taken for the end of the body it is reset instead.
   */
  abort(): void {
    // A head that came together with what broke it has not left yet.
    this.uncork();
    if (this.endsByClose && isPlainTcp(this.socket)) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  private isBodiless(status: number): boolean {
    return this.head.method === 'HEAD' || status === 204 || status === 304;
  }

  /** Status line and fields, without what frames the body. */
  private openHead(status: number, statusText: string, headers: HeaderFields): string {
    if (this.mustClose()) this.closing = true;
    let text = statusLine(status, statusText) + responseFields(headers);
    if (headers.getKind(DATE) === undefined) text += dateField(Date.now());
    if (this.closing) return `${text}connection: close\r\n`;
    return this.head.minorVersion === 0 ? `${text}connection: keep-alive\r\n` : text;
  }
}

/** Only these can be reset. TLS shows by itself that it was cut: the alert that closes it is missing (RFC 8446, 6.1). */
function isPlainTcp(socket: Socket): boolean {
  return !(socket instanceof TLSSocket) && socket.remoteFamily !== undefined;
}
