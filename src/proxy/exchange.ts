/** Station 2: one object for one request and its response, on their way. What policies see, and what the stations note. */
import type { Consumer, Credential, Exchange, LimitCharge, Outcome, Peer, RouteInfo } from '../contract.ts';
import { errors, type ErrorCode } from '../errors.ts';
import {
  CALLER,
  FORWARDED,
  X_FORWARDED_FOR,
  X_FORWARDED_HOST,
  X_FORWARDED_PORT,
  X_FORWARDED_PROTO,
  isClaim,
  isIdentity,
  kindBits,
} from '../http/field-kind.ts';
import { withoutParameters } from '../http/form-text.ts';
import { resolveClient, type ClientView, type ForwardingFields } from '../http/forwarded.ts';
import { HeaderFields } from '../http/header-fields.ts';
import { formatAuthority } from '../http/host.ts';
import type { IpSet } from '../util/ip-set.ts';
import type { ServerStream, StreamHandler } from '../wire/server-stream.ts';
import { Timer } from '../wire/timer-wheel.ts';
import { failure } from './failure.ts';
import { FieldsToCome } from './fields-to-come.ts';
import { finish } from './finish.ts';
import type { Forward } from './forward.ts';
import { sendReply } from './respond.ts';
import type { Route, RouteHandling } from './route.ts';
import type { RouteFound } from './router/route-rule.ts';
import type { Router } from './router/router.ts';
import type { Surroundings } from './snapshot.ts';
import type { Trace } from './trace.ts';
import type { TransformSink } from './transforms.ts';

export type Params = Readonly<Record<string, string>>;

/** What a policy gets for an answer that is due when `timeouts.total` has passed: the failure itself must get out. */
const lastWordsMs = 1_000;

const noParams: Params = Object.freeze(Object.create(null) as Params);
const claims = kindBits(isClaim);
const isCaller = (kind: number): boolean => kind === CALLER;
const callers = kindBits(isCaller);
const noHeaders = new HeaderFields();
/** One for all: with a stack of its own for each exchange it would cost more than all the rest of ending one. */
const exchangeEnded = new DOMException('the exchange has ended', 'AbortError');
const nothingReceived: ForwardingFields = Object.freeze({
  forwarded: '',
  xForwardedFor: '',
  xForwardedProto: '',
  xForwardedHost: '',
  xForwardedPort: '',
});

/** @param believed whether what it says of the client's identity may stay. */
export function removeClaims(headers: HeaderFields, believed: boolean): void {
  headers.removeWhere((kind) => isClaim(kind) && !(believed && isIdentity(kind)));
}

export class ProxyExchange implements Exchange, StreamHandler {
  readonly stream: ServerStream;
  readonly around: Surroundings;
  readonly listener: string;
  readonly trusted: IpSet;
  readonly startedAt: number;
  readonly protocol: Exchange['protocol'];
  readonly method: string;
  readonly peer: Peer;
  readonly requestHeaders: HeaderFields;

  host = '';
  /** The port that the client named; 0 when it named none. */
  port = 0;
  path = '';
  query = '';
  params: Params = noParams;
  /** What happens to it, by its route; `route` is what policies see of that. */
  chosen: RouteHandling;

  requestBody: Uint8Array | null = null;
  responseBody: Uint8Array | null = null;
  /** A policy has had the request body buffered: `requestBody` is all there is of it, even if it is null by now. */
  bodyCollected = false;
  credential: Credential | null = null;
  requestId = '';
  status = 0;
  /** What `status` was before any policy changed it, and the words that came with it. */
  givenStatus = 0;
  statusText = '';
  responseHeaders: HeaderFields = noHeaders;
  responseTrailers: HeaderFields | null = null;

  /** What limits want to be told in the response, and policies, whichever it is going to be. */
  limitCharge: LimitCharge | null = null;
  fieldsToCome: FieldsToCome | null = null;

  /** How many of the route's policies it has come to; only those take part in what follows. */
  reached = 0;
  /** The place of a policy that failed on a response: it and those behind it have no part in the one that says so. */
  failedAt = Infinity;
  /** How many responses were begun. Only the last of them goes out; what was meant for another comes too late. */
  answers = 0;
  /** Why it failed, once it has; reported at the end. */
  code: ErrorCode | null = null;
  /** For the log, a constant. */
  reason = '';
  forward: Forward | null = null;
  /** The head of the final response was handed over: from now on a failure can only be shown by breaking off. */
  headSent = false;
  finished = false;

  /** What trusted proxies say of the client. */
  received: ForwardingFields = nothingReceived;
  /** The whole response body as latin1 text, when it came with the head or is the gateway's own. */
  bodyText: string | null = null;
  /** Length of the response body by its Content-Length; -1 when it is not known. */
  bodyLength = -1;
  /** The method is what no route has. */
  methodRefused = false;
  /** What went through after a switch of protocols. */
  tunnelled: { readonly bytesIn: number; readonly bytesOut: number } | null = null;
  responseTransform: TransformSink | null = null;
  /** What is noted for a client that may know; null for all others. */
  trace: Trace | null = null;

  private caller: Consumer | null = null;
  private lazyRoute: RouteInfo | null;
  private router: Pick<Router<RouteInfo, RouteHandling>, 'valueOf'> | null = null;
  private routeNumber = 0;
  private view: ClientView | null = null;
  private lazySearchParams: URLSearchParams | null = null;
  private lazyCookies: ReadonlyMap<string, string> | null = null;
  private lazyValues: Map<string, string | number> | null = null;
  private aborter: AbortController | null = null;
  private deadline: Timer | null = null;

  constructor(stream: ServerStream, around: Surroundings, listener: string, trusted: IpSet, route: Route) {
    this.stream = stream;
    this.around = around;
    this.listener = listener;
    this.trusted = trusted;
    this.startedAt = around.wheel.turnAt;
    around.traffic.begun++;
    this.protocol = stream.protocol;
    this.method = stream.method;
    this.peer = stream.peer;
    this.requestHeaders = stream.headers;
    this.chosen = route;
    this.lazyRoute = route.info;
    stream.handler = this;
  }

  // ---- what is only made when somebody asks for it -----------------------------------------------------------------

  /** Of a hundred thousand routes the one that was chosen is in no cache of the processor, so it has to be asked for. */
  get route(): RouteInfo {
    this.lazyRoute ??= this.router!.valueOf(this.routeNumber);
    return this.lazyRoute;
  }

  /** For one that may last: from now on it holds on to its own route, and not to all routes of its snapshot. */
  keepRoute(): void {
    this.lazyRoute = this.route;
    this.router = null;
  }

  set route(route: RouteInfo) {
    this.lazyRoute = route;
  }

  /** Sets `route` and what happens to it. */
  setRoute(
    router: Pick<Router<RouteInfo, RouteHandling>, 'valueOf'>,
    { number, shared, params }: RouteFound<RouteInfo, RouteHandling>,
  ): void {
    this.router = router;
    this.routeNumber = number;
    this.lazyRoute = null;
    this.chosen = shared;
    this.params = params;
  }

  get clientIp(): string {
    return this.trusted.isEmpty ? this.peer.address : this.clientView.ip;
  }

  get scheme(): 'http' | 'https' {
    if (this.trusted.isEmpty) return this.stream.secure ? 'https' : 'http';
    return this.clientView.scheme;
  }

  get origin(): string {
    const { scheme, host, port } = this.clientView;
    if (host === '') return '';
    const isUsual = port === 0 || port === (scheme === 'https' ? 443 : 80);
    return `${scheme}://${formatAuthority(host, isUsual ? 0 : port)}`;
  }

  /** What the connection itself says of the client. */
  get directView(): ClientView {
    const scheme = this.stream.secure ? 'https' : 'http';
    return { ip: this.peer.address, scheme, host: this.host, port: this.port };
  }

  /** The client and how it called, as far as the proxies in front are believed. */
  get clientView(): ClientView {
    this.view ??= resolveClient(this.directView, this.trusted, this.received);
    return this.view;
  }

  /** Whether the peer is one of the proxies that are believed. */
  get isFromTrusted(): boolean {
    return !this.trusted.isEmpty && this.trusted.has(this.peer.address);
  }

  get searchParams(): URLSearchParams {
    this.lazySearchParams ??= new URLSearchParams(this.query);
    return this.lazySearchParams;
  }

  get cookies(): ReadonlyMap<string, string> {
    this.lazyCookies ??= parseCookies(this.requestHeaders.getAll('cookie'));
    return this.lazyCookies;
  }

  get values(): Map<string, string | number> {
    this.lazyValues ??= new Map();
    return this.lazyValues;
  }

  get signal(): AbortSignal {
    if (this.aborter === null) {
      this.aborter = new AbortController();
      if (this.finished) this.aborter.abort(exchangeEnded);
    }
    return this.aborter.signal;
  }

  get consumer(): Consumer | null {
    return this.caller;
  }

  /** What a proxy in front has passed on about who calls is never beside what a policy has found out (GHSA-7r4p-vjf4-gxv4). */
  set consumer(consumer: Consumer | null) {
    this.caller = consumer;
    if (consumer !== null) this.dropCaller();
  }

  identify(credential: Credential | null): void {
    if (credential !== null) {
      this.credential = credential;
      this.caller = credential.consumer;
    } else if (this.credential !== null || this.caller !== null) {
      return;
    }
    this.dropCaller();
  }

  private dropCaller(): void {
    if (this.requestHeaders.mayHave(callers)) this.requestHeaders.removeWhere(isCaller);
  }

  removeQueryParameter(name: string): void {
    if (this.query === '') return;
    this.query = withoutParameters(this.query, name);
    this.lazySearchParams = null;
  }

  addToResponse(name: string, value: string): void {
    (this.fieldsToCome ??= new FieldsToCome()).add(name, value);
  }

  setInResponse(name: string, value: string): void {
    (this.fieldsToCome ??= new FieldsToCome()).set(name, value);
  }

  limitRequestBody(maxBytes: number): void {
    if (maxBytes < this.stream.maxBodyBytes) this.stream.maxBodyBytes = maxBytes;
  }

  /**
   * Takes away what the client claims about itself, before anybody can act on it (SECURITY.md, section B). From trusted
   * proxies the forwarding fields are noted first, and fields about the identity of the client may stay.
   */
  dropClaims(): void {
    const headers = this.requestHeaders;
    if (!headers.mayHave(claims)) return;
    const believed = this.isFromTrusted;
    if (believed) {
      this.received = {
        forwarded: headers.joinKind(FORWARDED),
        xForwardedFor: headers.joinKind(X_FORWARDED_FOR),
        xForwardedProto: headers.joinKind(X_FORWARDED_PROTO),
        xForwardedHost: headers.joinKind(X_FORWARDED_HOST),
        xForwardedPort: headers.joinKind(X_FORWARDED_PORT),
      };
    }
    removeClaims(headers, believed);
  }

  // ---- what happens to it ------------------------------------------------------------------------------------------

  /** Ends the exchange with a failure: with a reply as long as that is possible, by breaking off otherwise. */
  fail(code: ErrorCode, reason: string): void {
    if (this.finished) return;
    this.noteFailure(code, reason);
    if (this.headSent) {
      this.stream.abort();
      finish(this);
    } else {
      sendReply(this, failure(code));
    }
  }

  noteFailure(code: ErrorCode, reason: string): void {
    this.code = code;
    this.reason = reason;
  }

  /** Whether more of the request body has arrived, or is announced, than it may have. */
  get isBodyTooLarge(): boolean {
    const { stream } = this;
    return stream.bodyLength > stream.maxBodyBytes || stream.bytesIn > stream.maxBodyBytes;
  }

  /** Whether the policy at this place takes part in the response. */
  hasInResponse(position: number): boolean {
    return position < this.reached && position < this.failedAt;
  }

  /** Calls back at `timeouts.total`. For as long as it is a policy that is waited for; the wire has its own timers. */
  armDeadline(onPassed: () => void): void {
    this.disarmDeadline();
    const { totalMs } = this.chosen.timeouts;
    if (totalMs === Infinity) return;
    const { clock, wheel } = this.around;
    this.deadline = new Timer(onPassed);
    const leftMs = this.startedAt + totalMs - clock.now();
    wheel.arm(this.deadline, leftMs > 0 ? leftMs : lastWordsMs);
  }

  disarmDeadline(): void {
    this.deadline?.disarm();
  }

  onClientGone(isCut: boolean): void {
    if (this.finished) return;
    this.forward?.cancel();
    if (!this.headSent) this.status = errors.CLIENT_CLOSED.status;
    const reason = isCut ? 'the client did not read its response' : 'the client closed the connection';
    this.noteFailure('CLIENT_CLOSED', reason);
    finish(this);
  }

  onBadBody(code: ErrorCode, reason: string): void {
    this.forward?.cancel();
    this.fail(code, reason);
  }

  /** The exchange is over: whoever waits on `signal` need not any longer. */
  release(): void {
    this.finished = true;
    this.disarmDeadline();
    this.responseTransform?.destroy();
    this.forward?.release();
    this.aborter?.abort(exchangeEnded);
  }

  /** @param durationMs since it began. */
  outcome(durationMs: number): Outcome {
    return {
      status: this.status,
      code: this.code,
      bytesIn: this.tunnelled?.bytesIn ?? this.stream.bytesIn,
      bytesOut: this.tunnelled?.bytesOut ?? this.stream.bytesOut,
      durationMs,
      attempts: this.forward === null ? 0 : this.forward.attempts,
      upstreamMs: this.forward === null ? -1 : this.upstreamMs(this.forward),
    };
  }

  private upstreamMs({ wholeAt, answeredAt }: Forward): number {
    const untilMs = answeredAt === 0 ? this.around.clock.now() : answeredAt;
    return wholeAt === 0 || untilMs < wholeAt ? -1 : untilMs - wholeAt;
  }
}

/** Cookie pairs (RFC 6265, section 5.4); the first of a name counts, as it does for most servers. */
function parseCookies(fields: readonly string[]): Map<string, string> {
  const cookies = new Map<string, string>();
  for (const field of fields) {
    for (const pair of field.split(';')) {
      const equals = pair.indexOf('=');
      if (equals === -1) continue;
      const name = pair.slice(0, equals).trim();
      if (name !== '' && !cookies.has(name)) cookies.set(name, pair.slice(equals + 1).trim());
    }
  }
  return cookies;
}
