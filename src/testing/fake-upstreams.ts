/**
 * The upstreams of a gateway under test, and whom it asks on its own behalf: servers of the platform behind connections
 * that exist in memory.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { OnReadOpts, Socket } from 'node:net';
import type { FakeAnswer, FakeResponse, ReceivedRequest, UpstreamHandler } from './fake-answer.ts';
import type { MemoryNetwork } from './memory-network.ts';
import { MemorySocket, socketError } from './memory-socket.ts';
import { joinedByName, pairsOf } from './raw-headers.ts';
import { type TestClock, millisecondsOf } from './test-clock.ts';

/** Who wants to know what upstreams see. `cause` is the request of the test that something was sent for. */
export interface UpstreamWitness {
  /** A request has arrived as a whole. */
  onReceived(request: ReceivedRequest, cause: number | undefined): void;
  /** What the test has given for an answer threw. */
  onHandlerFailed(error: Error, cause: number | undefined): void;
}

/** Where a connection leads to. */
interface Place {
  /** Empty for what is not an upstream: there the gateway calls on its own behalf. */
  readonly upstream: string;
  /** The URL of a target, or the origin that is called. */
  readonly target: string;
}

type Answer = FakeAnswer | UpstreamHandler;

/** Whether this is a URL that the gateway may call itself: it has a path, which targets have none of. */
export function isCallPlace(name: string): boolean {
  return /^https?:\/\/[^/?#]+\/[^?#]*$/.test(name);
}

export class FakeUpstreams {
  /** By the name of an upstream or the URL of a target; the target's own goes first. */
  private readonly answers = new Map<string, Answer>();
  /** To what the gateway asks on its own behalf, by URL without query. */
  private readonly callAnswers = new Map<string, Answer>();
  private readonly network: MemoryNetwork;
  private readonly clock: TestClock;
  private readonly witness: UpstreamWitness;
  private readonly servers = new Map<string, Server>();
  private readonly sockets = new Set<MemorySocket>();

  constructor(network: MemoryNetwork, clock: TestClock, witness: UpstreamWitness) {
    this.network = network;
    this.clock = clock;
    this.witness = witness;
  }

  /** From now on, an upstream or a target answers like this; undefined for the echo that it is by itself. */
  set(name: string, answer: Answer | undefined): void {
    if (answer === undefined) this.answers.delete(name);
    else this.answers.set(name, answer);
  }

  /** From now on, a call to this URL is answered like this; undefined for nobody who answers. */
  setCall(url: string, answer: Answer | undefined): void {
    if (answer === undefined) this.callAnswers.delete(url);
    else this.callAnswers.set(url, answer);
  }

  /** @param path with query; null as long as there is no request. */
  private answerOf({ upstream, target }: Place, path: string | null): Answer {
    if (upstream !== '') return this.answers.get(target) ?? this.answers.get(upstream) ?? {};
    if (path !== null) return this.callAnswers.get(target + path.replace(/\?.*/s, '')) ?? { status: 404, body: '' };
    const known = [...this.callAnswers].filter(([url]) => url.startsWith(`${target}/`)).map(([, answer]) => answer);
    return known.find((answer) => answer !== 'refuse' && answer !== 'unreachable') ?? known[0] ?? 'refuse';
  }

  /** Connects to a target. */
  connect(upstream: string, target: string, onread: OnReadOpts): Socket {
    return this.open({ upstream, target }, onread);
  }

  /** Connects to whom the gateway asks on its own behalf. Never to the network: who has no answer is refused. */
  connectCall(origin: string, onread: OnReadOpts): Socket {
    return this.open({ upstream: '', target: origin }, onread);
  }

  private open(place: Place, onread: OnReadOpts): Socket {
    const gateway = { allowHalfOpen: false, onread, remoteAddress: '127.0.0.1' };
    const [near, far] = MemorySocket.pair(this.network, gateway, { allowHalfOpen: true });
    this.sockets.add(far);
    far.once('close', () => this.sockets.delete(far));
    const answer = this.answerOf(place, null);
    if (answer === 'unreachable') {
      this.holdUntilClosed(far);
      far.once('end', () => far.destroy());
      far.resume();
    } else {
      this.network.deliver(() => {
        if (answer === 'refuse') near.destroy(socketError(this.refusalOf(place)));
        else this.accept(place, near, far);
      });
    }
    return near.asSocket();
  }

  /** What the log says of a refused connection. */
  private refusalOf({ upstream, target }: Place): string {
    const isForgotten = upstream === '' && ![...this.callAnswers.keys()].some((url) => url.startsWith(`${target}/`));
    return isForgotten ? 'the test has no answer for it' : 'ECONNREFUSED';
  }

  /** Breaks off whatever is open. */
  close(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private accept(place: Place, near: MemorySocket, far: MemorySocket): void {
    if (near.destroyed) return;
    const key = `${place.upstream} ${place.target}`;
    const server = this.servers.get(key) ?? this.createServer(place);
    this.servers.set(key, server);
    server.emit('connection', far);
    near.emit('connect');
  }

  private createServer(place: Place): Server {
    // The time-outs of the platform go by real time, and there is none here.
    const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 });
    server.on('request', (message, response) => {
      const socket = message.socket as unknown as MemorySocket;
      // A request on a connection that was made before the upstream was told to refuse.
      const answer = this.answerOf(place, message.url ?? '');
      if (answer === 'refuse' || answer === 'unreachable') {
        socket.destroy();
        return;
      }
      const { cause } = socket;
      this.serve(place, message, response).catch((error: unknown) => this.fail(error, cause, socket));
    });
    return server;
  }

  private async serve(place: Place, message: IncomingMessage, response: ServerResponse): Promise<void> {
    const socket = message.socket as unknown as MemorySocket;
    const { cause } = socket;
    const answer = this.answerOf(place, message.url ?? '');
    // Before the body, which may never come.
    if (answer === 'hang') this.holdUntilClosed(socket);
    if (answer === 'reset') socket.resetAndDestroy();
    const request = await receivedRequest(place, message);
    if (request === null) return;
    this.witness.onReceived(request, cause);
    if (typeof answer === 'string') return;
    const given = typeof answer === 'function' ? await answer(request) : answer;
    if (given === 'hang') this.holdUntilClosed(socket);
    else if (given === 'reset') socket.resetAndDestroy();
    else this.respondLater(given, request, response, socket);
  }

  private respondLater(
    given: FakeResponse,
    request: ReceivedRequest,
    response: ServerResponse,
    socket: MemorySocket,
  ): void {
    const delayMs = millisecondsOf(given.delay ?? 0);
    if (delayMs === 0) {
      this.respond(given, request, response, socket);
      return;
    }
    const release = this.hold();
    const stop = this.clock.after(delayMs, () => {
      release();
      this.respond(given, request, response, socket);
    });
    socket.once('close', () => {
      stop();
      release();
    });
  }

  private respond(given: FakeResponse, request: ReceivedRequest, response: ServerResponse, socket: MemorySocket): void {
    const { cause } = socket;
    try {
      writeResponse(given, request, response);
    } catch (error) {
      // What the test has given is no response: a header that is none, a length that is not that of the body.
      this.fail(error, cause, socket);
    }
  }

  private fail(error: unknown, cause: number | undefined, socket: MemorySocket): void {
    this.witness.onHandlerFailed(error instanceof Error ? error : new Error(String(error)), cause);
    socket.destroy();
  }

  private holdUntilClosed(socket: MemorySocket): void {
    const release = this.hold();
    socket.once('close', release);
  }

  /** Something waits for time to pass, until the returned function is called. */
  private hold(): () => void {
    let holds = true;
    this.network.held++;
    return () => {
      if (holds) this.network.held--;
      holds = false;
    };
  }
}

/** Null when it has not arrived as a whole. */
async function receivedRequest(place: Place, message: IncomingMessage): Promise<ReceivedRequest | null> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of message) chunks.push(chunk as Buffer);
  } catch {
    return null;
  }
  const rawHeaders = pairsOf(message.rawHeaders);
  const { method = '', url = '' } = message;
  const body = Buffer.concat(chunks).toString();
  return { ...place, method, path: url, headers: joinedByName(rawHeaders), rawHeaders, body };
}

function writeResponse(given: FakeResponse, request: ReceivedRequest, response: ServerResponse): void {
  if (response.destroyed) return;
  const { upstream, target, method, path, headers, body } = request;
  const content = given.body === undefined ? { upstream, target, method, path, headers, body } : given.body;
  const isJson = typeof content !== 'string' && !(content instanceof Uint8Array);
  const bytes = isJson ? JSON.stringify(content) : content;
  response.statusCode = given.status ?? 200;
  response.sendDate = false;
  response.strictContentLength = true;
  if (isJson) response.setHeader('content-type', 'application/json');
  for (const [name, value] of Object.entries(given.headers ?? {})) response.setHeader(name, value);
  response.end(bytes);
}
