/** A client that sends exactly the bytes it is given and takes down exactly what comes back. */
import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { Changes } from './changes.ts';
import { type ResponseMessage, parseResponse } from './message-parser.ts';

/** Where to connect to. */
export type Address =
  | {
      readonly host: string;
      readonly port: number;
      readonly localAddress?: string;
      readonly ca?: string;
      readonly servername?: string;
    }
  | { readonly path: string };

/** What a connection came to. */
export interface Transcript {
  /** The complete responses. */
  readonly responses: readonly ResponseMessage[];
  /** What followed the last complete response. */
  readonly rest: string;
  readonly wasReset: boolean;
}

export class RawClient {
  readonly socket: Socket;
  /** All that has not been parsed as a response yet, one character a byte. */
  received = '';
  /** The other side has said that nothing more will come. */
  ended = false;
  closed = false;
  wasReset = false;
  private readonly changes = new Changes();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.note(() => (this.received += bytes.toString('latin1'))));
    socket.on('end', () => this.note(() => (this.ended = true)));
    socket.on('close', () => this.note(() => (this.closed = true)));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // Writing to a connection that the other side has closed fails with EPIPE; that is no reset of ours to count.
      if (error.code === 'ECONNRESET') this.note(() => (this.wasReset = true));
    });
  }

  private note(change: () => void): void {
    change();
    this.changes.notify();
  }

  /** Connects; the connection is destroyed at the end of the test. Stays open for writing when the gateway ends its side. */
  static async connect(t: TestContext, address: Address): Promise<RawClient> {
    const socket =
      'ca' in address
        ? connectTls({ ...address, allowHalfOpen: true } as object)
        : connect({ ...address, allowHalfOpen: true });
    t.after(() => socket.destroy());
    const client = new RawClient(socket);
    await once(socket, 'ca' in address ? 'secureConnect' : 'connect');
    return client;
  }

  /** Connects, sends a greeting in clear, and shakes hands behind it. */
  static async connectBehind(t: TestContext, address: Address, greeting: string, ca: string): Promise<RawClient> {
    const plain = connect({ ...address, allowHalfOpen: true });
    t.after(() => plain.destroy());
    await once(plain, 'connect');
    plain.write(greeting);
    const socket = connectTls({ socket: plain, ca, host: '127.0.0.1' });
    t.after(() => socket.destroy());
    const client = new RawClient(socket);
    await once(socket, 'secureConnect');
    return client;
  }

  write(bytes: string | Uint8Array): this {
    if (typeof bytes === 'string') this.socket.write(bytes, 'latin1');
    else this.socket.write(bytes);
    return this;
  }

  /** Writes piece by piece, each in a segment of its own as far as that can be arranged. */
  async writePieces(pieces: Iterable<string | Uint8Array>): Promise<void> {
    for (const piece of pieces) {
      if (this.closed) return;
      this.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Says that nothing more will be sent; still receives. */
  finish(): this {
    this.socket.end();
    return this;
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Breaks the connection off with a RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** The next response, with the interim ones that come before it. Rejects when the connection ends without one. */
  async response(method = 'GET', withinMs?: number): Promise<ResponseMessage> {
    let parsed: ReturnType<typeof parseResponse> = null;
    const look = (): boolean => {
      parsed = parseResponse(this.received, method, this.ended && !this.wasReset);
      return parsed !== null || this.ended || this.closed;
    };
    await this.changes.until(look, () => `a response; received ${this.excerpt()}`, withinMs);
    const found = parsed as ReturnType<typeof parseResponse>;
    if (found === null) throw new Error(`no complete response, only ${this.excerpt()}`);
    this.received = found.rest;
    return found.message;
  }

  /** Resolves once what was received satisfies the predicate. */
  until(predicate: (received: string) => boolean, what: string, withinMs?: number): Promise<void> {
    return this.changes.until(
      () => predicate(this.received),
      () => `${what}; received ${this.excerpt()}`,
      withinMs,
    );
  }

  /** Resolves once the other side has ended or reset the connection. */
  untilEnded(withinMs?: number): Promise<void> {
    return this.changes.until(
      () => this.ended || this.closed,
      () => `the end of the connection; received ${this.excerpt()}`,
      withinMs,
    );
  }

  /** Waits for the end of the connection, then says what it came to. @param methods of the requests, in order. */
  async transcript(methods: readonly string[] = [], withinMs?: number): Promise<Transcript> {
    await this.untilEnded(withinMs);
    const responses: ResponseMessage[] = [];
    for (;;) {
      if (this.received === '') break;
      const parsed = parseResponse(this.received, methods[responses.length] ?? 'GET', !this.wasReset);
      if (parsed === null) break;
      responses.push(parsed.message);
      this.received = parsed.rest;
    }
    return { responses, rest: this.received, wasReset: this.wasReset };
  }

  private excerpt(): string {
    return JSON.stringify(this.received.slice(0, 300));
  }
}

/** Connects, sends, and waits for one response. */
export async function request(
  t: TestContext,
  address: Address,
  bytes: string,
  method?: string,
): Promise<ResponseMessage> {
  const client = await RawClient.connect(t, address);
  client.write(bytes);
  const response = await client.response(method ?? bytes.slice(0, bytes.indexOf(' ')));
  client.destroy();
  return response;
}
