/** An exchange without a connection, and the way of a request through policies (DESIGN: stations 4, 7, 8 and 9). */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type {
  AttemptDamping,
  Authenticator,
  CallRequest,
  CallResponse,
  Consumer,
  Counter,
  Credential,
  Exchange,
  GatewayIdentity,
  InnerPolicy,
  LimitKeyFunction,
  LimitCharge,
  LimiterSource,
  Outcome,
  Peer,
  Policy,
  PolicyCounterLabels,
  PolicyCounterName,
  PolicyDefinition,
  PolicyEnv,
  Reply,
  RouteInfo,
  SharedMemory,
  StoreUse,
  ValueStore,
} from '../../src/contract.ts';
import { CallError } from '../../src/contract.ts';
import { ConsumerIndex } from '../../src/consumers/consumer-index.ts';
import { withoutParameters } from '../../src/http/form-text.ts';
import { HeaderFields } from '../../src/http/header-fields.ts';
import { NotedTexts } from '../../src/stores/noted-texts.ts';
import { addLimitFields } from '../../src/proxy/fields-to-come.ts';
import { type FakeHeaders, pairsOf } from './fake-headers.ts';
import { SharedBans } from '../../src/stores/shared-bans.ts';
import { type LimitMemory, SharedLimits, createLimitMemory } from '../../src/stores/shared-limits.ts';
import { SharedDamping } from '../../src/stores/shared-damping.ts';

/** What a test wants to be different from a plain `GET http://api.example.com/` from 192.0.2.10. */
export interface FakeRequest {
  readonly listener?: string;
  readonly protocol?: Exchange['protocol'];
  readonly scheme?: Exchange['scheme'];
  readonly peer?: Partial<Peer>;
  readonly clientIp?: string;
  readonly method?: string;
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly query?: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly headers?: FakeHeaders;
  /** The body, as if a policy had asked for it to be buffered. */
  readonly body?: string | Uint8Array;
  readonly route?: Partial<RouteInfo>;
  readonly consumer?: Consumer;
  readonly startedAt?: number;
}

export interface FakeResponse {
  readonly status?: number;
  readonly headers?: FakeHeaders;
  /** One chunk, or several. */
  readonly body?: string | Uint8Array | Iterable<Uint8Array>;
}

export class FakeExchange implements Exchange {
  readonly listener: string;
  readonly protocol: Exchange['protocol'];
  readonly scheme: Exchange['scheme'];
  readonly peer: Peer;
  readonly clientIp: string;
  readonly method: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  query: string;
  readonly params: Readonly<Record<string, string>>;
  readonly requestHeaders: HeaderFields;
  requestBody: Uint8Array | null;
  readonly route: RouteInfo;
  consumer: Consumer | null;
  credential: Credential | null = null;
  requestId = '';
  readonly values = new Map<string, string | number>();
  status = 0;
  readonly responseHeaders = new HeaderFields();
  responseTrailers: HeaderFields | null = null;
  responseBody: Uint8Array | null = null;
  readonly startedAt: number;
  /** The smallest limit that a policy set. */
  requestBodyLimit = Number.POSITIVE_INFINITY;

  limitCharge: LimitCharge | null = null;

  private readonly toCome = new HeaderFields();
  private parsedQuery: URLSearchParams | undefined;
  private parsedCookies: ReadonlyMap<string, string> | undefined;
  private controller: AbortController | undefined;

  constructor(request: FakeRequest = {}) {
    this.listener = request.listener ?? 'web';
    this.protocol = request.protocol ?? 'HTTP/1.1';
    this.scheme = request.scheme ?? 'http';
    this.peer = { address: '192.0.2.10', port: 40_000, certificate: null, ...request.peer };
    this.clientIp = request.clientIp ?? this.peer.address;
    this.method = request.method ?? 'GET';
    this.host = request.host ?? 'api.example.com';
    this.port = request.port ?? 0;
    this.path = request.path ?? '/';
    this.query = request.query ?? '';
    this.params = request.params ?? {};
    this.requestHeaders = HeaderFields.from(pairsOf(request.headers));
    this.requestBody = request.body === undefined ? null : bytesOf(request.body);
    this.route = { name: 'test-route', methods: null, ...request.route };
    this.consumer = request.consumer ?? null;
    this.startedAt = request.startedAt ?? 0;
  }

  get origin(): string {
    return `${this.scheme}://${this.host}`;
  }

  get searchParams(): URLSearchParams {
    this.parsedQuery ??= new URLSearchParams(this.query);
    return this.parsedQuery;
  }

  get cookies(): ReadonlyMap<string, string> {
    this.parsedCookies ??= parseCookies(this.requestHeaders.getAll('cookie'));
    return this.parsedCookies;
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    return this.controller.signal;
  }

  identify(credential: Credential | null): void {
    if (credential === null) return;
    this.credential = credential;
    this.consumer = credential.consumer;
  }

  removeQueryParameter(name: string): void {
    this.query = withoutParameters(this.query, name);
    this.parsedQuery = undefined;
  }

  addToResponse(name: string, value: string): void {
    this.toCome.add(name, value);
  }

  setInResponse(name: string, value: string): void {
    this.toCome.set(name, value);
  }

  limitRequestBody(maxBytes: number): void {
    this.requestBodyLimit = Math.min(this.requestBodyLimit, maxBytes);
  }

  /** The client goes away. */
  abort(): void {
    this.controller ??= new AbortController();
    this.controller.abort();
  }

  /** Makes a response, of an upstream or of a policy, the one that `onResponse` hooks see. */
  respond(response: FakeResponse | Reply): void {
    this.status = response.status ?? 200;
    for (const [name, value] of pairsOf(response.headers)) this.responseHeaders.add(name, value);
    if (this.limitCharge !== null) addLimitFields(this.limitCharge, this.responseHeaders);
    for (const [name, value] of this.toCome) this.responseHeaders.add(name, value);
  }
}

/** What the client got, and what the upstream saw. */
export interface FakeResult {
  readonly exchange: FakeExchange;
  /** The reply of the policy that answered, if one did; nothing was then sent upstream. */
  readonly reply: Reply | null;
  readonly status: number;
  readonly headers: HeaderFields;
  readonly body: Buffer;
}

/** Takes one exchange all the way through the policies, with an upstream that answers with `response`. */
export async function runThrough(
  policies: readonly Policy[],
  exchange: FakeExchange,
  response: FakeResponse = {},
): Promise<FakeResult> {
  let reply: Reply | null = null;
  let reached = 0;
  for (const policy of policies) {
    reached++;
    reply = (await policy.onRequest?.(exchange)) ?? null;
    if (reply !== null) break;
  }
  exchange.respond(reply ?? response);
  for (const policy of policies.slice(0, reached).toReversed()) await policy.onResponse?.(exchange);
  const body = await bodyThrough(policies.slice(0, reached), exchange, reply === null ? response.body : reply.body);
  const outcome = outcomeOf(exchange.status, body.length);
  for (const policy of policies.slice(0, reached)) policy.onFinish?.(exchange, outcome);
  return { exchange, reply, status: exchange.status, headers: exchange.responseHeaders, body };
}

export function outcomeOf(status: number, bytesOut = 0): Outcome {
  return { status, code: null, bytesIn: 0, bytesOut, durationMs: 1, attempts: 1, upstreamMs: 1 };
}

/** An environment whose clock stands still until it is set, and that keeps its warnings. */
export class FakeEnv implements PolicyEnv {
  readonly route: string = 'test-route';
  label = '';
  readonly baseDir: string = '/nowhere';
  readonly warnings: string[] = [];
  /** What policies before this one authenticate with. */
  earlier: readonly Authenticator[] = [];
  readonly consumers = new ConsumerIndex();
  nowMs = 0;
  private ownDamping: AttemptDamping | null = null;
  private noted: NotedTexts | null = null;
  private ownBans: SharedBans | null = null;
  private ownLimitMemory: LimitMemory | null = null;
  private ownLimits: SharedLimits | null = null;
  /** How far the wall clock is ahead of the other one. */
  epochMs = 1_700_000_000_000;

  now(): number {
    return this.nowMs;
  }

  wallNow(): number {
    return this.epochMs + this.nowMs;
  }

  wait(ms: number): Promise<void> {
    this.nowMs += ms;
    return Promise.resolve();
  }

  sharedMemory(name: string): SharedMemory {
    this.noted ??= new NotedTexts(NotedTexts.create(1, { capacity: 1024 }), 0, () => this.nowMs);
    return this.noted.named(name);
  }

  /** Whom the test has to call; nobody as long as it does not say. */
  answer: PolicyEnv['call'] = () =>
    Promise.reject(new CallError('https://nobody.example: cannot be reached: ECONNREFUSED'));

  call(request: CallRequest): Promise<CallResponse> {
    return this.answer(request);
  }

  document(): never {
    throw new Error('the test has no documents');
  }

  identity(): GatewayIdentity {
    return {
      issuer: 'https://gateway.example',
      jwks: '{"keys":[]}',
      sign: (claims) => `signed.${claims.aud as string}`,
    };
  }

  /** As the threads of one process have it in common. */
  get limitMemory(): LimitMemory {
    this.ownLimitMemory ??= createLimitMemory(1, { rates: 1024, windows: 1024, logs: 64, permits: 64 });
    return this.ownLimitMemory;
  }

  set limitMemory(memory: LimitMemory) {
    this.ownLimitMemory = memory;
  }

  get limits(): SharedLimits {
    this.ownLimits ??= new SharedLimits(this.limitMemory, 0, this);
    return this.ownLimits;
  }

  get damping(): AttemptDamping {
    this.ownDamping ??= new SharedDamping(SharedDamping.create(1, { capacity: 1024 }), 0, () => this.nowMs);
    return this.ownDamping;
  }

  set damping(damping: AttemptDamping) {
    this.ownDamping = damping;
  }

  get bans(): SharedBans {
    this.ownBans ??= new SharedBans(SharedBans.create(1, { capacity: 1024 }), 0, this);
    return this.ownBans;
  }

  /** By the name of the file. */
  readonly functions = new Map<string, LimitKeyFunction>();

  ownFunction(file: string): LimitKeyFunction {
    const found = this.functions.get(file);
    if (found === undefined) throw new Error(`the test has no ${file}`);
    return found;
  }

  /** Addresses of proxies that a listener trusts. */
  trustedProxies: readonly string[] = [];

  isTrustedProxy(address: string): boolean {
    return this.trustedProxies.includes(address);
  }

  store(_name: string): Promise<ValueStore> {
    throw new Error('the test has no stores');
  }

  /** What limits in a store are counted in; none as long as the test does not say. */
  shared: LimiterSource | null = null;

  limitsIn(_store: string, _use: StoreUse): Promise<LimiterSource> {
    return this.shared === null ? Promise.reject(new Error('the test has no stores')) : Promise.resolve(this.shared);
  }

  earlierAuthenticators(): readonly Authenticator[] {
    return this.earlier;
  }

  warn(message: string): void {
    this.warnings.push(message);
  }

  /** What was counted, by family and labels. */
  readonly counted: Record<string, number> = {};

  counter<Name extends PolicyCounterName>(name: Name, labels: PolicyCounterLabels<Name>): Counter {
    const key = `${name} ${Object.values(labels).join(' ')}`;
    return { add: (amount = 1) => void (this.counted[key] = (this.counted[key] ?? 0) + amount) };
  }
}

/** Creates a policy as the gateway does: options from a configuration are parsed by the policy's own schema first. */
export function createPolicy<Options>(
  definition: PolicyDefinition<Options>,
  options: unknown = {},
  env: PolicyEnv = new FakeEnv(),
  inner: readonly InnerPolicy[] = [],
): Policy {
  const policy = definition.create(definition.options.parse(options), env, inner);
  if (policy instanceof Promise) throw new Error('the policy is made asynchronously');
  return policy;
}

/** The same for policies that load something first. */
export async function makePolicy<Options>(
  definition: PolicyDefinition<Options>,
  options: unknown = {},
  env: PolicyEnv = new FakeEnv(),
): Promise<Policy> {
  return definition.create(definition.options.parse(options), env, []);
}

async function bodyThrough(
  policies: readonly Policy[],
  exchange: Exchange,
  body: FakeResponse['body'],
): Promise<Buffer> {
  let stream: Readable = Readable.from(chunksOf(body), { objectMode: false });
  for (const policy of policies.toReversed()) {
    const transform = policy.transformResponse?.(exchange);
    if (transform != null) stream = stream.pipe(transform);
  }
  return buffer(stream);
}

function chunksOf(body: FakeResponse['body']): Iterable<Uint8Array> {
  if (body === undefined) return [];
  return typeof body === 'string' || body instanceof Uint8Array ? [bytesOf(body)] : body;
}

function bytesOf(body: string | Uint8Array): Uint8Array {
  return typeof body === 'string' ? Buffer.from(body) : body;
}

function parseCookies(fields: readonly string[]): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  for (const pair of fields.join(';').split(';')) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, equals).trim();
    if (equals > 0 && !cookies.has(name)) cookies.set(name, pair.slice(equals + 1).trim());
  }
  return cookies;
}
