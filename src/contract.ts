/**
 * What the author of a policy or a balancer sees. Everything built in uses this and nothing else, so whatever a
 * built-in policy can do, a file beside a configuration can do too.
 *
 * Times are milliseconds, sizes bytes, unless a name says otherwise.
 */
import type { Duplex } from 'node:stream';
import type { Authenticator, Consumer, ConsumerDirectory, Credential } from './contract/authentication.ts';
import type { LimitKeyFunction } from './contract/limit-key.ts';
import type { Counter, PolicyCounterLabels, PolicyCounterName } from './contract/metrics.ts';
import type {
  AttemptDamping,
  BanList,
  CallRequest,
  CallResponse,
  DocumentSource,
  GatewayIdentity,
  LimitCharge,
  LimitStore,
  LimiterSource,
  RemoteDocument,
  SharedMemory,
  StoreUse,
  ValueStore,
} from './contract/services.ts';
import type { ErrorCode } from './errors.ts';
import type { Schema } from './util/schema.ts';

export {
  Refusal,
  type ApiKey,
  type Authenticator,
  type Claims,
  type Consumer,
  type ConsumerDirectory,
  type ConsumerKey,
  type Credential,
  type PasswordLogin,
  type RefusalKind,
  type SigningKey,
} from './contract/authentication.ts';
export { defineLimitKey, type LimitKeyFunction, type RequestView } from './contract/limit-key.ts';
export type { Counter, PolicyCounterLabels, PolicyCounterName } from './contract/metrics.ts';
export * from './contract/services.ts';

/**
 * The header fields of one message, in the order and spelling of the wire (RFC 9110, section 5). Names compare
 * case-insensitively. Every name and value that is set is validated: a name that is not a token, or a value with CR,
 * LF, NUL or another control character, throws a `TypeError` (response splitting cannot be expressed).
 */
export interface HeaderList extends Iterable<readonly [name: string, value: string]> {
  /** The value of the first field of this name, or undefined. */
  get(name: string): string | undefined;
  /** The values of all fields of this name, in order. */
  getAll(name: string): string[];
  has(name: string): boolean;
  /** Replaces all fields of this name by one, and those that `remove` would. */
  set(name: string, value: string): void;
  /** Adds one more field of this name. */
  add(name: string, value: string): void;
  /** Removes all fields of this name, and those that fold onto it by an underscore (`x_user` onto `x-user`). */
  remove(name: string): void;
}

/** The other end of the client's connection, as the kernel or the PROXY protocol reports it. */
export interface Peer {
  /** An IP address in its canonical text form; IPv4-mapped IPv6 addresses appear as IPv4. Empty for a Unix socket. */
  readonly address: string;
  readonly port: number;
  /** The verified client certificate, if the listener asks for one; DER, SHA-256 fingerprint and subject names. */
  readonly certificate: PeerCertificate | null;
}

export interface PeerCertificate {
  readonly subject: string;
  /** As in `subjectAltName`: `DNS:a.example`, `URI:spiffe://x`. */
  readonly altNames: readonly string[];
  /** Lower-case hexadecimal SHA-256 of the DER encoding, no separators. */
  readonly fingerprint: string;
}

/** What a policy may know of the route that was chosen. */
export interface RouteInfo {
  readonly name: string;
  /** The methods that some route accepts for this host and path; for `Allow` and for CORS preflights. */
  readonly methods: readonly string[] | null;
}

/** A response that the gateway makes itself. A value, never an exception. */
export interface Reply {
  readonly status: number;
  /** Field names and values; `content-length` is added. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Uint8Array;
  /** The failure that this reply reports; without a `body` it becomes problem details (RFC 9457). */
  readonly code?: ErrorCode;
  /** Why, for the access log only. */
  readonly reason?: string;
  /** One sentence for the problem details. Constant text: nothing of the request, the upstream or a secret. */
  readonly detail?: string;
}

/**
 * One request and its response, on their way. Knows nothing of the HTTP version. It lives until `onFinish` returns;
 * do not keep it longer.
 */
export interface Exchange {
  readonly listener: string;
  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';
  /** How the client called: `https` when the listener terminates TLS or a trusted proxy says so. */
  readonly scheme: 'http' | 'https';
  readonly peer: Peer;
  /** The address of the client: the peer's, or what a trusted proxy reports. */
  readonly clientIp: string;

  readonly method: string;
  /** Host of the request, lower-case, without port; an IPv6 address without brackets. */
  readonly host: string;
  /** The port that the client named with the host; 0 when it named none. */
  readonly port: number;
  /**
   * Where the client believes to have sent it: scheme, host and port (RFC 6454), as in `https://shop.example.com`, seen
   * through the proxies that are trusted. Empty when the request names no host.
   */
  readonly origin: string;
  /** The one canonical path (RFC 3986, section 6.2.2): the form that the router matched and the upstream gets. */
  readonly path: string;
  /** The query as on the wire, without `?`; empty when there is none. */
  readonly query: string;
  /**
   * Takes the parameters of this name out of `query`, however they are spelled: for what the upstream, and a log, must not
   * see. The rest stays as it was matched. To be called in `onRequest`.
   */
  removeQueryParameter(name: string): void;
  /** Segments that the route's path captured. */
  readonly params: Readonly<Record<string, string>>;
  readonly requestHeaders: HeaderList;
  /** The whole request body, if a policy asked for it with `buffersRequest`; may be replaced. Null: none. */
  requestBody: Uint8Array | null;
  /**
   * Refuses the request with 413 `BODY_TOO_LARGE` as soon as more than this many bytes of its body have arrived, however
   * it is framed. To be called in `onRequest`. Of several limits, the listener's included, the smallest counts.
   */
  limitRequestBody(maxBytes: number): void;

  readonly route: RouteInfo;
  /** Who calls; what the upstream is told in `x-consumer`. Setting it takes away what the request itself says of that. */
  consumer: Consumer | null;
  /** What was verified of the request, by the last policy that has. */
  readonly credential: Credential | null;
  /**
   * Notes what was verified. From now on, what the request itself says about who calls is gone.
   * @param credential null: nothing was presented, which changes nothing about what another policy has verified.
   */
  identify(credential: Credential | null): void;
  /** The request id, once a policy has given it one. In problem details and in the access log. */
  requestId: string;
  /**
   * What policies of the route tell each other of this exchange, by names that they agree on: limits count by `value:NAME`, or
   * take what a request has cost from there. Nobody else sees it. Made on first use.
   */
  readonly values: Map<string, string | number>;

  /**
   * Adds members to a list in the head of the response that is to come, whoever makes it (RFC 9110, section 5.3): before the
   * `onResponse` hooks, behind what the upstream has sent of this name. To be called in `onRequest`, also by a policy that
   * answers. The name in lower case; not for `set-cookie`, which is no list.
   */
  addToResponse(name: string, value: string): void;
  /** Sets a field likewise, in place of what was added of this name and of what the upstream sends of it. */
  setInResponse(name: string, value: string): void;

  /** The last of the limits that have charged the request, or refused it; the response tells of all of them. Null: none. */
  limitCharge: LimitCharge | null;

  /** Status of the response; 0 before there is one. May be changed in `onResponse`. */
  status: number;
  readonly responseHeaders: HeaderList;
  /** What the upstream has sent behind the body, by `onFinish`; what is in it is not verified. Null: nothing. */
  readonly responseTrailers: HeaderList | null;
  /** The whole response body, if a policy asked for it with `buffersResponse`; may be replaced. Null: none. */
  responseBody: Uint8Array | null;

  /** Parsed on first use, kept. */
  readonly searchParams: URLSearchParams;
  /** Parsed on first use, kept. The first cookie of a name counts. */
  readonly cookies: ReadonlyMap<string, string>;
  /** Aborts when the client goes away or the exchange ends. Made on first use. */
  readonly signal: AbortSignal;
  /** The monotonic time at which the head of the request had arrived, in milliseconds. */
  readonly startedAt: number;
}

/** The request of one attempt, as it is about to be sent to a target. Changes do not reach other attempts. */
export interface UpstreamRequest {
  readonly upstream: string;
  /** The URL of the target as configured. */
  readonly target: string;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: HeaderList;
}

/** How an exchange ended. */
export interface Outcome {
  readonly status: number;
  readonly code: ErrorCode | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** Attempts made upstream; 0 when the gateway answered itself. */
  readonly attempts: number;
  /**
   * How long the upstream had the whole request before the head of its response came, or before the exchange ended without
   * one. How slowly a client sends or reads has no part in it. -1 when the upstream never had it.
   */
  readonly upstreamMs: number;
}

export type MaybePromise<T> = T | Promise<T>;

/** One configured use of a policy. Only the phases that are present cost anything. */
export interface Policy {
  /** Before cache and upstream, in declared order. A `Reply` answers here: later policies never see the request. */
  onRequest?(exchange: Exchange): MaybePromise<Reply | undefined | void>;
  /** Once per attempt, after the target was chosen, in declared order. */
  onUpstreamRequest?(exchange: Exchange, request: UpstreamRequest): MaybePromise<void>;
  /**
   * Before the head of the response goes out: for upstream, cached and own responses alike, but not for interim (1xx)
   * ones. In reverse order, and only for policies whose `onRequest` was reached.
   */
  onResponse?(exchange: Exchange): MaybePromise<void>;
  /** Exactly once, after the last byte or the failure, for policies whose `onRequest` was reached. Changes nothing. */
  onFinish?(exchange: Exchange, outcome: Outcome): void;
  /** Buffer the whole request body, up to this many bytes (else 413), before this policy's `onRequest`. */
  readonly buffersRequest?: number;
  /**
   * Whether that is of any use for this request; by default it always is. Called when the policy's turn has come, before there
   * is a body, and changes nothing. Bodies of those who will be refused anyway should not be kept.
   */
  buffersFor?(exchange: Exchange): boolean;
  /** Buffer the whole response body, up to this many bytes (else 502), before `onResponse` hooks run. */
  readonly buffersResponse?: number;
  /** After the `onRequest` hooks: a stream that the request body passes through, or null to leave this one alone. */
  transformRequest?(exchange: Exchange): Duplex | null;
  /**
   * After the `onResponse` hooks: a stream that the response body passes through, or null to leave this one alone. Not
   * for responses without a body (to HEAD; 204, 304): if theirs would be longer or shorter, remove `content-length`.
   */
  transformResponse?(exchange: Exchange): Duplex | null;
  /**
   * Where requests have a secret of this kind: names of headers, and of query parameters with a `?` in front. As if they
   * stood in `telemetry.accessLog.redact`, for all routes: what is refused, or sent to the wrong one, is logged as well.
   */
  readonly secretFields?: readonly string[];
  /** What it authenticates with, so that it can be one of several ways to (`anyOf`). */
  readonly authenticator?: Authenticator;
}

/** What a file that a configuration names exports: a policy, or a function that policies use. */
export type OwnModule = PolicyDefinition | LimitKeyFunction;

/** A policy among the options of another one, made ready. */
export interface InnerPolicy {
  /** How the configuration calls it. */
  readonly name: string;
  readonly policy: Policy;
}

/** What the gateway hands to a policy when it is created. */
export interface PolicyEnv {
  /** The name of the route that uses it. */
  readonly route: string;
  /** What the configuration calls this use of the policy: the name from `policies`, or the policy's own. */
  readonly label: string;
  /** Folder of the configuration file: relative file names in options are relative to it. */
  readonly baseDir: string;
  /** Monotonic milliseconds. Use it instead of `Date.now()` or `performance.now()`; tests replace it. */
  now(): number;
  /** Milliseconds since 1970, for what the outside world puts a date on. */
  wallNow(): number;
  /** Resolves after this many milliseconds, more or less: time is kept coarsely. */
  wait(ms: number): Promise<void>;
  /** A line in the application log, with the policy and route named. Never pass a secret. */
  warn(message: string): void;
  /** What the policies before it on its route authenticate with; complete once requests come. */
  earlierAuthenticators(): readonly Authenticator[];
  readonly consumers: ConsumerDirectory;
  readonly damping: AttemptDamping;
  /** What was noted under this name by any thread, for as long as the process lives. */
  sharedMemory(name: string): SharedMemory;
  /** @throws {CallError} when there is no (complete) answer in time. */
  call(request: CallRequest): Promise<CallResponse>;
  /** The same for all that name the same source. It is let go with the configuration. */
  document(source: DocumentSource): RemoteDocument;
  /**
   * A store of the configuration. It need not answer for this.
   * @throws when there is no such store, or when what it takes to speak to it is not installed.
   */
  store(name: string): Promise<ValueStore>;
  /** What all threads of this machine count in. */
  readonly limits: LimitStore;
  /**
   * What several machines count in together: a store of the configuration. It need not answer for this.
   * @throws when there is no such store, or when what it takes to speak to it is not installed.
   */
  limitsIn(store: string, use: StoreUse): Promise<LimiterSource>;
  /**
   * The function that a file exports which the options name as `{use: ./file.ts}`.
   * @throws when the configuration names no such file.
   */
  ownFunction(file: string): LimitKeyFunction;
  readonly bans: BanList;
  /** Whether an address is that of one of the proxies that some listener trusts, behind which there are others. */
  isTrustedProxy(address: string): boolean;
  /** @throws when the configuration has no `identity`. */
  identity(): GatewayIdentity;
  /**
   * A counter of the metrics, for this policy on this route. To be asked for once: to add to it costs next to nothing.
   * @param labels what comes from the configuration or a short list, never from a client. At most 128 characters each.
   */
  counter<Name extends PolicyCounterName>(name: Name, labels: PolicyCounterLabels<Name>): Counter;
}

/** What a policy establishes or relies on, so that a wrong order is found when the configuration is loaded. */
export type Capability = 'consumer' | 'requestId' | (string & {});

export interface PolicyDefinition<Options = unknown> {
  readonly name: string;
  /** One sentence for the reference. */
  readonly summary: string;
  /** Declares, validates and documents the options. */
  readonly options: Schema<Options>;
  readonly needs?: readonly Capability[];
  readonly provides?: readonly Capability[];
  /** Paths that it answers itself: they are of use only where a route that uses it matches them. */
  ownPaths?(options: Options): readonly string[];
  /** Its options are a list of policies, which are handed over made. Each must fit: see `objectionTo`. */
  readonly combines?: true;
  /** With `combines`: why a policy cannot be one of the list, in words that follow its place; null if it can. */
  objectionTo?(inner: PolicyDefinition, options: unknown): string | null;
  /**
   * Once per use in the configuration, never per request. What it throws is a configuration problem. May be asynchronous,
   * to load what only this policy needs.
   */
  create(options: Options, env: PolicyEnv, inner: readonly InnerPolicy[]): MaybePromise<Policy>;
}

/** Declares a policy; the options of `create` are typed by the schema. */
export function definePolicy<Options>(definition: PolicyDefinition<Options>): PolicyDefinition<Options> {
  return definition;
}

/** A target as a balancer sees it. */
export interface BalancerTarget {
  readonly url: string;
  readonly weight: number;
  /** Requests of this thread on their way to it. */
  readonly inFlight: number;
}

/** Chooses among the targets of one upstream. Made once per upstream and snapshot. */
export interface Balancer {
  /**
   * The index of the target for the next attempt, or -1 when none is left.
   * @param tried indices already tried for this exchange; usually empty.
   */
  pick(exchange: Exchange, tried: readonly number[]): number;
}

export interface BalancerDefinition {
  readonly name: string;
  readonly summary: string;
  create(targets: readonly BalancerTarget[]): Balancer;
}

/** Declares a balancer. */
export function defineBalancer(definition: BalancerDefinition): BalancerDefinition {
  return definition;
}
