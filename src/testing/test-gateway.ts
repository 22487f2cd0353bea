/**
 * A gateway for tests: the real one, with its parser, router, policies, pools and timers, but on connections that exist
 * in memory and with a clock that stands still until it is advanced.
 */
import type { ConfigInput, GatewayConfig } from '../config/schema.ts';
import type { Outcome } from '../contract.ts';
import { accessEntry } from '../gateway/access-entry.ts';
import { ConfigError } from '../gateway/create-gateway.ts';
import type { Publication } from '../gateway/gateway.ts';
import { LocalGateway } from '../gateway/local-gateway.ts';
import type { ProxyExchange } from '../proxy/exchange.ts';
import type { AccessLogEntry } from '../telemetry/access-log-line.ts';
import { chooseListener, requestPlace } from './choose-listener.ts';
import type { FakeAnswer, FakeHeaders, ReceivedRequest, UpstreamHandler } from './fake-answer.ts';
import { FakeUpstreams, isCallPlace } from './fake-upstreams.ts';
import { type ConfigSurroundings, type TestConfig, loadTestConfig } from './load-test-config.ts';
import { MemoryNetwork } from './memory-network.ts';
import { MemorySocket } from './memory-socket.ts';
import { joinedByName, type RawHeaders } from './raw-headers.ts';
import { type ClientRequest, exchangeOver } from './test-client.ts';
import { TestClock, type TestTime } from './test-clock.ts';
import { UnsharedServices } from './unshared-services.ts';

export interface TestGatewayOptions extends ConfigSurroundings {
  /** For `${env:NAME}`; what is not here comes from the environment of the process. */
  readonly env?: ConfigSurroundings['env'];
  /**
   * What upstreams answer, by the name of an upstream or the URL of a target, by default what they got, as JSON; and what
   * those answer whom the gateway asks on its own behalf, by the URL that it calls, by default nothing.
   */
  readonly upstreams?: Readonly<Record<string, FakeAnswer | UpstreamHandler>> | undefined;
  /** The date at which the clock begins; by default 2026-01-01. */
  readonly now?: Date | undefined;
}

export interface TestRequestOptions {
  readonly headers?: FakeHeaders | undefined;
  readonly body?: string | Uint8Array | undefined;
  /** The address that the client calls from; by default 127.0.0.1. */
  readonly from?: string | undefined;
  /** The listener that it calls; by default told from scheme and port of the URL. */
  readonly listener?: string | undefined;
  /** Lets time pass by itself as long as an upstream holds its answer back. By default it is for the test to do so. */
  readonly passTime?: boolean | undefined;
}

export interface TestResponse {
  readonly status: number;
  /** By lower-case name; several of one name are joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly rawHeaders: RawHeaders;
  readonly body: string;
  readonly bytes: Buffer;
  /** The body as JSON. @throws {SyntaxError} */
  readonly json: () => unknown;
  /** The name of the route; null when there was none. */
  readonly route: string | null;
  readonly upstream: string | null;
  /** The target that answered, or was tried last. */
  readonly target: string | null;
  /** The code of the failure, if it was one. */
  readonly code: string | null;
  /** Why it failed, in the words of the access log. */
  readonly reason: string | null;
  readonly cache: string | null;
  readonly consumer: string | null;
  readonly clientIp: string | null;
  /** How many targets were tried. */
  readonly attempts: number;
  /** What upstreams got because of this request, retries included, in order. */
  readonly upstreamRequests: readonly ReceivedRequest[];
  /** The last of them. */
  readonly upstreamRequest: ReceivedRequest | null;
}

/** A line of the gateway's own log. */
export interface TestLogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly about: Readonly<Record<string, unknown>>;
}

/** The end of patience with a request that neither ends nor waits for the clock, in real time. */
const patienceMs = 10_000;
const impatienceMs = 500;
/** So much time may pass by itself for one request. */
const longestHoldMs = 600_000;

export class TestGateway {
  /** What the gateway had to say. */
  readonly log: TestLogLine[] = [];
  /** What upstreams got, whatever for, in order. */
  readonly upstreamRequests: ReceivedRequest[] = [];
  /** What the gateway has asked others on its own behalf, in order. */
  readonly calls: ReceivedRequest[] = [];
  private readonly publication: Publication;
  private readonly time: TestClock;
  private readonly network = new MemoryNetwork();
  private readonly upstreams: FakeUpstreams;
  private readonly gateway: LocalGateway;
  private readonly clients = new Set<MemorySocket>();
  private readonly received = new Map<number, ReceivedRequest[]>();
  private readonly handlerFailures = new Map<number, Error>();
  private readonly entries = new Map<number, AccessLogEntry>();
  private requests = 0;

  private constructor(
    config: GatewayConfig,
    modules: TestConfig['modules'],
    { upstreams = {}, now }: TestGatewayOptions,
  ) {
    this.publication = { revision: 1, config, secrets: [], codeDigest: '' };
    this.time = new TestClock(this.network, now?.getTime());
    this.upstreams = new FakeUpstreams(this.network, this.time, {
      onReceived: (request, cause) => this.note(request, cause),
      onHandlerFailed: (error, cause) => this.handlerFailures.set(cause ?? 0, error),
    });
    for (const [name, answer] of Object.entries(upstreams)) this.answerWith(name, answer);
    const line = (level: TestLogLine['level']) => (message: string, about: TestLogLine['about']) => {
      this.log.push({ level, message, about });
    };
    this.gateway = new LocalGateway(this.publication, {
      log: { info: line('info'), warn: line('warn'), error: line('error') },
      modulesOf: () => modules,
      clock: this.time.source,
      services: (env) => new UnsharedServices(env),
      observe: (exchange, outcome) => this.observe(exchange, outcome),
      connect: (upstream, target) => (onread) => this.upstreams.connect(upstream, target, onread),
      connectCall: (origin) => (onread) => this.upstreams.connectCall(origin, onread),
    });
  }

  /** @throws {CompileError} for a configuration that cannot be served. */
  static async open({ config, modules }: TestConfig, options: TestGatewayOptions): Promise<TestGateway> {
    if (config === null) throw new TypeError('a configuration with errors cannot be tested');
    const made = new TestGateway(config, modules, options);
    await made.serve();
    return made;
  }

  /** Makes everything as for `start`, but for the listeners, which wait to be given connections. */
  private async serve(): Promise<void> {
    const { listeners } = this.publication.config;
    const prepared = await this.gateway.prepare(this.publication, (name) => {
      return { kind: 'wait', port: listeners[name].port };
    });
    prepared.commit();
  }

  get clock(): TestTime {
    return this.time;
  }

  /**
   * Sets what an upstream, or one of its targets, answers from now on; undefined for what it got, as JSON. Or what is
   * answered when the gateway asks on its own behalf, such as an issuer for its keys; undefined for nobody who answers.
   * @param name of the upstream, or the URL of the target as configured, or the URL that is called, with its path and
   *   without a query.
   */
  answerWith(name: string, answer: FakeAnswer | UpstreamHandler | undefined): void {
    if (isCallPlace(name)) {
      this.upstreams.setCall(name, answer);
      return;
    }
    const { upstreams } = this.publication.config;
    const targets = Object.values(upstreams).flatMap((upstream) => upstream.targets.map(({ url }) => url));
    if (!Object.hasOwn(upstreams, name) && !targets.includes(name)) {
      throw new TypeError(`there is no upstream or target ${JSON.stringify(name)} in the configuration`);
    }
    this.upstreams.set(name, answer);
  }

  /**
   * Sends a request, on a connection of its own, and reads the response. Path, query and headers are sent as they are
   * given. `https` comes in as if TLS had been terminated.
   * @param url says which host is asked for, and which listener is called.
   * @throws when there is no complete response.
   */
  async request(method: string, url: string, options: TestRequestOptions = {}): Promise<TestResponse> {
    const place = requestPlace(url);
    const listener = chooseListener(place, options.listener, this.publication.config.listeners);
    const number = ++this.requests;
    const { target, authority } = place;
    const request: ClientRequest = {
      method,
      target,
      authority,
      headers: options.headers ?? {},
      body: options.body ?? null,
    };
    return this.network.onBehalfOf(number, async () => {
      const socket = this.call(number, listener, options.from ?? '127.0.0.1');
      try {
        const response = exchangeOver(socket, request);
        await this.waitFor(response, options.passTime === true);
        const { bytes, ...head } = await response;
        socket.destroy();
        // The exchange ends with what was sent last, which may be a moment after it has arrived.
        await this.network.settle();
        return this.describe(number, head, bytes);
      } finally {
        socket.destroy();
        this.rethrow(number);
      }
    });
  }

  /** Most likely an assertion of the test; it says more than that the upstream has broken off. */
  private rethrow(number: number): void {
    const error = this.handlerFailures.get(number);
    this.handlerFailures.delete(number);
    if (error !== undefined) throw error;
  }

  /** Breaks off what is open and lets go of everything. */
  async close(): Promise<void> {
    for (const socket of this.clients) socket.destroy();
    await this.network.settle();
    await this.gateway.stop(0);
    this.upstreams.close();
    await this.network.settle();
  }

  /** Opens the connection of a request. By its port the exchange is found again. */
  private call(number: number, listener: string, from: string): MemorySocket {
    const { unix, port, proxyProtocol } = this.publication.config.listeners[listener];
    const address = { remoteAddress: unix === null ? from : undefined, remotePort: portOf(number), localPort: port };
    const [client, server] = MemorySocket.pair(
      this.network,
      { allowHalfOpen: false },
      { ...address, allowHalfOpen: true },
    );
    this.clients.add(client);
    client.once('close', () => this.clients.delete(client));
    this.gateway.accept(listener, server.asSocket());
    if (proxyProtocol) client.write(proxyHeader(from, portOf(number)));
    return client;
  }

  private async waitFor(response: Promise<unknown>, passTime: boolean): Promise<void> {
    const state = { isOver: false };
    const noteEnd = (): void => {
      state.isOver = true;
    };
    const over = response.then(noteEnd, noteEnd);
    const { promise: impatience, reject } = Promise.withResolvers<never>();
    let waitedMs = 0;
    const patience = setInterval(() => {
      if (this.time.advancing === 0) waitedMs += impatienceMs;
      if (waitedMs < patienceMs) return;
      reject(new Error('there is no response; if it waits for time to pass, advance the clock'));
    }, impatienceMs);
    try {
      if (!passTime) {
        await Promise.race([over, impatience]);
        return;
      }
      const latest = this.time.now() + longestHoldMs;
      for (;;) {
        await this.network.settle();
        if (state.isOver) return;
        if (this.network.held === 0) await Promise.race([over, impatience, this.network.turn()]);
        else if (this.time.now() < latest) await this.time.step(latest);
        else throw new Error(`there is no response after ${longestHoldMs / 60_000} minutes of the test's clock`);
      }
    } finally {
      clearInterval(patience);
    }
  }

  private note(request: ReceivedRequest, cause: number | undefined): void {
    if (request.upstream === '') {
      this.calls.push(request);
      return;
    }
    this.upstreamRequests.push(request);
    if (cause === undefined) return;
    const sofar = this.received.get(cause);
    if (sofar === undefined) this.received.set(cause, [request]);
    else sofar.push(request);
  }

  private observe(exchange: ProxyExchange, outcome: Outcome): void {
    this.entries.set(
      exchange.peer.port,
      accessEntry(exchange, outcome, this.time.source, (text) => text),
    );
  }

  private describe(
    number: number,
    { status, rawHeaders }: { readonly status: number; readonly rawHeaders: RawHeaders },
    bytes: Buffer,
  ): TestResponse {
    const entry = this.entries.get(portOf(number));
    const upstreamRequests = this.received.get(number) ?? [];
    this.entries.delete(portOf(number));
    this.received.delete(number);
    const body = bytes.toString();
    const orNull = (text: string | undefined): string | null => (text === undefined || text === '' ? null : text);
    return {
      status,
      headers: joinedByName(rawHeaders),
      rawHeaders,
      body,
      bytes,
      json: (): unknown => JSON.parse(body),
      route: orNull(entry?.route),
      upstream: orNull(entry?.upstream),
      target: orNull(entry?.target),
      code: orNull(entry?.code),
      reason: orNull(entry?.reason),
      cache: orNull(entry?.cache),
      consumer: orNull(entry?.consumer),
      clientIp: orNull(entry?.clientIp),
      attempts: entry?.attempts ?? 0,
      upstreamRequests,
      upstreamRequest: upstreamRequests.at(-1) ?? null,
    };
  }
}

/** Every request comes from a port of its own, as long as there are any. */
function portOf(number: number): number {
  return 1 + (number % 65_535);
}

/** What a proxy says of its client in version 1 of the PROXY protocol. */
function proxyHeader(from: string, port: number): string {
  return from.includes(':') ? `PROXY TCP6 ${from} ::1 ${port} 443\r\n` : `PROXY TCP4 ${from} 127.0.0.1 ${port} 443\r\n`;
}

/**
 * A gateway from a configuration, without sockets, for tests.
 * @param config what `defineGateway` takes, or the path of a file.
 * @throws {ConfigError} with every problem at once.
 */
export async function testGateway(
  config: ConfigInput | string,
  options: TestGatewayOptions = {},
): Promise<TestGateway> {
  const loaded = await loadTestConfig(config, { ...options, env: { ...process.env, ...options.env } });
  if (loaded.config === null) throw new ConfigError(loaded.errors);
  return TestGateway.open(loaded, options);
}
