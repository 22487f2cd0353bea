/** An upstream that does as it is told: records the very bytes that arrive, and answers with the very bytes it is given. */
import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { Changes } from './changes.ts';
import { type Head, MalformedMessage, type RequestMessage, parseHead, parseRequest } from './message-parser.ts';

export interface UpstreamScript {
  /** A connection was accepted. */
  readonly onConnection?: (connection: UpstreamPeer) => void;
  /** The head of a request has arrived; its body may not have. */
  readonly onHead?: (head: Head, connection: UpstreamPeer) => void;
  /** A request has arrived, whole. What this returns is sent. */
  readonly onRequest?: (request: RequestMessage, connection: UpstreamPeer) => string | undefined | void;
}

/** `200 OK` with a body and its length. */
export function ok(body = 'ok', fields = ''): string {
  return `HTTP/1.1 200 OK\r\n${fields}content-length: ${body.length}\r\n\r\n${body}`;
}

/** One connection that the gateway has opened. */
export class UpstreamPeer {
  readonly socket: Socket;
  /** How many connections came before it. */
  readonly index: number;
  /** All bytes, one character each. */
  bytes = '';
  /** Complete requests. */
  readonly requests: RequestMessage[] = [];
  ended = false;
  closed = false;
  wasReset = false;
  /** What is not HTTP, if the gateway sent something like that. */
  malformed: MalformedMessage | null = null;
  private unparsed = '';
  private headSeen = false;
  private switched = false;

  constructor(socket: Socket, index: number) {
    this.socket = socket;
    this.index = index;
  }

  /** From now on the bytes are no longer HTTP; those that already came are returned. */
  switchProtocols(): string {
    this.switched = true;
    return this.unparsed;
  }

  receive(bytes: Buffer, script: UpstreamScript): RequestMessage[] {
    const text = bytes.toString('latin1');
    this.bytes += text;
    this.unparsed += text;
    const complete: RequestMessage[] = [];
    while (!this.switched && this.unparsed !== '' && this.malformed === null) {
      try {
        const head = this.headSeen ? null : parseHead(this.unparsed);
        if (head !== null) {
          this.headSeen = true;
          script.onHead?.(head, this);
        }
        const parsed = parseRequest(this.unparsed);
        if (parsed === null) break;
        this.unparsed = parsed.rest;
        this.headSeen = false;
        this.requests.push(parsed.message);
        complete.push(parsed.message);
        const reply = script.onRequest?.(parsed.message, this);
        if (typeof reply === 'string') this.write(reply);
      } catch (error) {
        if (!(error instanceof MalformedMessage)) throw error;
        this.malformed = error;
      }
    }
    return complete;
  }

  write(bytes: string | Uint8Array): this {
    if (!this.socket.destroyed) {
      if (typeof bytes === 'string') this.socket.write(bytes, 'latin1');
      else this.socket.write(bytes);
    }
    return this;
  }

  /** Ends this side after what was written. */
  end(bytes = ''): void {
    this.socket.end(bytes, 'latin1');
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }
}

export class RawUpstream {
  readonly connections: UpstreamPeer[] = [];
  /** Complete requests of all connections, in the order of their arrival. */
  readonly requests: RequestMessage[] = [];
  private readonly changes = new Changes();
  private readonly server: Server;
  private readonly script: UpstreamScript;

  private constructor(script: UpstreamScript) {
    this.script = script;
    this.server = createServer({ noDelay: true }, (socket) => this.accept(socket));
  }

  /** Listens on a free port of the loopback interface, or on a Unix socket, until the end of the test. */
  static async start(
    t: TestContext,
    script: UpstreamScript = { onRequest: () => ok() },
    path?: string,
  ): Promise<RawUpstream> {
    const upstream = new RawUpstream(script);
    upstream.server.listen(path === undefined ? { host: '127.0.0.1', port: 0 } : { path });
    await once(upstream.server, 'listening');
    t.after(() => upstream.stop());
    return upstream;
  }

  get url(): string {
    const address = this.server.address();
    return typeof address === 'string' ? `unix:${address}` : `http://127.0.0.1:${(address as AddressInfo).port}`;
  }

  /** Accepts no more and breaks off what there is. */
  stop(): void {
    this.server.close();
    for (const { socket } of this.connections) socket.destroy();
  }

  /** All bytes of all connections. */
  get bytes(): string {
    return this.connections.map((connection) => connection.bytes).join('');
  }

  get malformed(): MalformedMessage | null {
    return this.connections.find((connection) => connection.malformed !== null)?.malformed ?? null;
  }

  until(predicate: () => boolean, what: string, withinMs?: number): Promise<void> {
    return this.changes.until(
      predicate,
      () => `${what}; the upstream got ${JSON.stringify(this.bytes.slice(0, 300))}`,
      withinMs,
    );
  }

  /** The request with this index, once it has arrived. */
  async request(index = 0): Promise<RequestMessage> {
    await this.until(() => this.requests.length > index, `request ${index} at the upstream`);
    return this.requests[index];
  }

  /** The connection with this index, once it is there. */
  async connection(index = 0): Promise<UpstreamPeer> {
    await this.until(() => this.connections.length > index, `connection ${index} at the upstream`);
    return this.connections[index];
  }

  private accept(socket: Socket): void {
    const peer = new UpstreamPeer(socket, this.connections.length);
    this.connections.push(peer);
    const note = (change: () => void): void => {
      change();
      this.changes.notify();
    };
    socket.on('data', (bytes: Buffer) => note(() => this.requests.push(...peer.receive(bytes, this.script))));
    socket.on('end', () => note(() => (peer.ended = true)));
    socket.on('close', () => note(() => (peer.closed = true)));
    socket.on('error', (error: NodeJS.ErrnoException) => note(() => (peer.wasReset ||= error.code === 'ECONNRESET')));
    this.script.onConnection?.(peer);
    this.changes.notify();
  }
}
