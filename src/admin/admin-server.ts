/** The socket for operators. Apart from the traffic: it lives on the main thread and has an address of its own. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ErrorCode } from '../errors.ts';
import { type GatewayLog, ListenError } from '../gateway/gateway.ts';
import { listenReason } from '../gateway/places.ts';
import { formatAuthority } from '../http/host.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { AccessGuard } from './access-guard.ts';
import type { ControlPlane } from './control-plane.ts';
import type { Answer, Endpoint } from './endpoint.ts';
import { EndpointTable } from './endpoint-table.ts';
import { adminEndpoints } from './endpoints.ts';
import { EventFeed } from './event-feed.ts';
import { hiderOf } from './hide-secrets.ts';
import { declaredLength, mediaTypeOf, readJson, readQuery, readText, refusalOfHead } from './request-body.ts';
import { rawRefusal, sendAnswer } from './send-answer.ts';

/** Importing `node:http` reads every part of it, the client for WebSockets included, which takes seven times as long. */
const { createServer } = process.getBuiltinModule('node:http');

/** Operators, their tools and the probes of load balancers, no more. */
const maxConnections = 256;
const headTimeoutMs = 5_000;
/** For a whole request, the largest configuration included. */
const requestTimeoutMs = 30_000;
/** For a client that takes nothing of its answer. Events have a heartbeat that is more frequent. */
const idleTimeoutMs = 60_000;
/** A body that is refused is read and dropped up to this length, so that the client sees the answer. */
const maxDropped = 1024 * 1024;
/** Of bodies that may be longer than this only one is received at a time. */
const largeBody = 1024 * 1024;

export interface AdminServerOptions {
  readonly host: string;
  readonly port: number;
  /** The bearer token until there is a control plane; from then on it is that of the configuration that serves. */
  readonly token: string | null;
  /** null while there is none: see `attach`. */
  readonly control: ControlPlane | null;
  readonly log: GatewayLog;
  readonly clock?: Clock;
}

/** An endpoint, and what it is asked by. */
interface AskedEndpoint {
  readonly endpoint: Endpoint;
  readonly params: Readonly<Record<string, string>>;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export class AdminServer {
  private readonly options: AdminServerOptions;
  private readonly server: Server;
  private readonly guard: AccessGuard;
  private readonly events: EventFeed;
  private readonly endpoints: EndpointTable;
  /** What is being answered on each connection. */
  private readonly answering = new WeakMap<Socket, ServerResponse>();
  private control: ControlPlane | null = null;
  private isReceiving = false;

  constructor(options: AdminServerOptions) {
    this.options = options;
    const { log, clock = systemClock } = options;
    this.guard = new AccessGuard({
      now: () => clock.now(),
      onWrongToken: (address) => log.warn('the admin API has refused a token', { address }),
    });
    this.events = new EventFeed({ clock, hide: (text) => this.hide(text) });
    const endpoints = adminEndpoints({
      clock,
      events: this.events,
      isReady: () => this.control?.isReady ?? false,
      hide: (text) => this.hide(text),
    });
    this.endpoints = new EndpointTable(endpoints);
    this.server = this.makeServer();
    if (options.control !== null) this.attach(options.control);
  }

  private makeServer(): Server {
    const server = createServer({
      headersTimeout: headTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 16 * 1024,
    });
    server.maxConnections = maxConnections;
    server.timeout = idleTimeoutMs;
    const answer = (request: IncomingMessage, response: ServerResponse): void => void this.serve(request, response);
    server.on('request', answer);
    // It is asked for the body only once that is wanted (RFC 9110, section 10.1.1).
    server.on('checkContinue', answer);
    server.on('clientError', (error, socket) => this.refuseUnread(error, socket as Socket));
    return server;
  }

  /** From now on it tells about, and changes, what this serves. */
  attach(control: ControlPlane): void {
    this.control = control;
    this.events.attach(control);
  }

  /** @returns the URL that it answers at. */
  listen(): Promise<string> {
    const { host, port, log } = this.options;
    return new Promise((resolve, reject) => {
      this.server.once('error', (error) => {
        reject(new ListenError(`the admin port cannot listen on ${host}:${port}: ${listenReason(error)}`));
      });
      this.server.listen({ host, port }, () => {
        this.server.on('error', (error) => log.error('the admin port has failed', { error }));
        const { port: chosen } = this.server.address() as AddressInfo;
        resolve(`http://${formatAuthority(host, chosen)}`);
      });
    });
  }

  close(): Promise<void> {
    this.events.close();
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  /** What the configuration that serves says, also after a reload. */
  private get token(): string | null {
    return this.control === null ? this.options.token : (this.control.config.admin.token ?? null);
  }

  private hide(text: string): string {
    return hiderOf(this.control, this.token)(text);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.answering.set(request.socket, response);
    let answer: Answer;
    try {
      answer = await this.answerTo(request, response);
    } catch (error) {
      // A client that goes away while it sends is nobody's failure.
      if (request.destroyed && !request.complete) return;
      this.options.log.error('the admin API has failed', { path: pathOf(request), error });
      answer = { code: 'INTERNAL' };
    }
    if (response.destroyed) return;
    if (
      !request.complete &&
      !(declaredLength(request) <= maxDropped && request.headers['transfer-encoding'] === undefined)
    ) {
      response.setHeader('connection', 'close');
    }
    sendAnswer(response, answer, (text) => this.hide(text));
  }

  private async answerTo(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    const path = pathOf(request);
    const found = this.endpoints.find(path);
    const endpoint = found?.byMethod.get(request.method === 'HEAD' ? 'GET' : (request.method ?? ''));
    // Whoever may not use the API does not learn what it has, either.
    const isGuarded = path.startsWith('/api/') || found?.byMethod.values().some(({ isOpen }) => isOpen !== true);
    if (endpoint?.isOpen !== true && isGuarded === true) {
      const refusal = this.guard.refusalOf(request, this.token);
      if (refusal !== null) return refusal;
    }
    if (found === null) return { code: 'ADMIN_NOT_FOUND' };
    const { byMethod, params } = found;
    if (endpoint === undefined) return { code: 'METHOD_NOT_ALLOWED', headers: { allow: allowOf(byMethod) } };
    return this.call({ endpoint, params, request, response });
  }

  private async call(asked: AskedEndpoint): Promise<Answer> {
    const { endpoint, request } = asked;
    const query = readQuery(request.url?.split('?').slice(1).join('?') ?? '', endpoint.query);
    if ('code' in query) return query;
    const refusal = refusalOfHead(request, endpoint.body);
    if (refusal !== null) return refusal;
    const isLarge = (endpoint.body?.maxBytes ?? 0) > largeBody;
    if (!isLarge) return this.callWithBody(asked, query.value);
    // Several of the largest bodies at once would be as much memory as somebody likes.
    if (this.isReceiving) return { code: 'ADMIN_BUSY', headers: { 'retry-after': '1' } };
    this.isReceiving = true;
    try {
      return await this.callWithBody(asked, query.value);
    } finally {
      this.isReceiving = false;
    }
  }

  private async callWithBody({ endpoint, params, request, response }: AskedEndpoint, query: unknown): Promise<Answer> {
    const { body: rule } = endpoint;
    let body: unknown;
    if (rule !== null) {
      if (request.headers.expect !== undefined) response.writeContinue();
      const text = await readText(request, rule);
      if (typeof text !== 'string') return text;
      const read = rule.schema === null ? { value: text } : readJson(text, rule.schema);
      if ('code' in read) return read;
      body = read.value;
    }
    const { headers } = request;
    return endpoint.handle({ params, query, body, headers, mediaType: mediaTypeOf(request) ?? '' }, this.control);
  }

  /** For what is not a request, or does not become one in time. */
  private refuseUnread(error: NodeJS.ErrnoException, socket: Socket): void {
    const response = this.answering.get(socket);
    // An answer that has begun cannot be followed by another before it is complete.
    const isAnswering = response !== undefined && response.headersSent && !response.writableFinished;
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswering) socket.destroy();
    else socket.end(rawRefusal(unreadCodes.get(error.code ?? '') ?? 'BAD_REQUEST'), () => socket.destroy());
  }
}

const unreadCodes: ReadonlyMap<string, ErrorCode> = new Map([
  ['HPE_HEADER_OVERFLOW', 'HEAD_TOO_LARGE'],
  ['ERR_HTTP_REQUEST_TIMEOUT', 'REQUEST_TIMEOUT'],
]);

function pathOf(request: IncomingMessage): string {
  return request.url?.split('?', 1)[0] ?? '';
}

function allowOf(methods: ReadonlyMap<string, Endpoint>): string {
  return [...methods.keys()].flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ');
}
