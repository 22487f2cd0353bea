/**
 * A connection to Redis or Valkey that never makes anybody wait longer than was agreed, whatever has become of the server:
 * gone, hanging, restarted, too slow. It is kept up in the background. Whatever is kept there (values, limits) asks
 * through this; it is the only file that knows the library.
 */
import { isIP } from 'node:net';
import type { ConnectionOptions, SecureContext } from 'node:tls';
import type * as RedisLibrary from '@redis/client';
import type { RedisClientType } from '@redis/client';
import { type StoreOutage, ownOutage } from './store-outages.ts';
import type { UpstreamTls } from '../wire/tls/upstream-tls.ts';

export interface RedisSettings {
  /** `redis://host:port/database` or `rediss://…`, without a user and a password. With `sentinels` the host is the master's name. */
  readonly url: string;
  /** Who knows where the master is: `host:port`. None: the server is at `url` itself. */
  readonly sentinels?: readonly string[];
  readonly sentinelUsername?: string | undefined;
  readonly sentinelPassword?: string | undefined;
  /** `url` is one node of a cluster, and these are others: `host:port`. */
  readonly cluster?: readonly string[] | null;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** How long an answer may take, in milliseconds. */
  readonly timeoutMs: number;
  /** How servers are verified, and what is presented to them; closed with the connection. Null: without TLS. */
  readonly tls: {
    readonly verified: UpstreamTls;
    /** Asked for and verified; by default the host of each server. */
    readonly serverName: string | undefined;
  } | null;
}

/** The server has not answered, or not in time. The message is for the log. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/** An answer of the protocol. */
export type RedisAnswer = Awaited<ReturnType<RedisClientType['sendCommand']>>;

/** The commands that anybody here needs; all arguments are data, and nothing of them is taken for a command. */
export type RedisCommands = Pick<RedisClientType, 'get' | 'set' | 'del'>;

/** What servers of any arrangement have in common. */
interface Client {
  readonly commands: RedisCommands;
  isReady(): boolean;
  /** @param key says which node it is about, where there are several. */
  send(key: string, args: string[]): Promise<RedisAnswer>;
  /** Resolves once it is connected. Rejects where it does not go on trying by itself. */
  connect(): Promise<unknown>;
  destroy(): void;
}

type Library = typeof RedisLibrary;

/** Commands that wait for an answer; with so many, one more would not be answered in time. */
const maxPending = 2_000;
/** How often a silent connection is looked after, and after how long without a word it counts as dead. */
const pingMs = 2_000;
const deadMs = 6_000;
const longestPauseMs = 2_000;

export class RedisConnection {
  /** Resolves once commands can be given, whether or not the server answers. Rejects if the library is not installed. */
  readonly ready: Promise<void>;
  private readonly settings: RedisSettings;
  private readonly onProblem: (message: string) => void;
  private readonly outage: StoreOutage;
  private client: Client | null = null;
  /** What it has connected with; another one is in use when a file has changed. */
  private context: SecureContext | undefined;
  private library: Library | null = null;
  private isClosed = false;
  /** What was last said about it: each outage is told once. */
  private isDown = false;
  private readonly readyListeners: (() => void)[] = [];
  /** Resolves when the first attempt to connect has come to something, whatever it is. */
  readonly attempted: Promise<void>;
  private onAttempted: () => void = () => {};

  /**
   * @param onProblem for the log: once when an outage begins, and once when it is over.
   * @param outage whom else it is told by; by default nobody.
   */
  constructor(settings: RedisSettings, onProblem: (message: string) => void, outage: StoreOutage = ownOutage) {
    this.outage = outage;
    this.settings = settings;
    this.onProblem = onProblem;
    this.attempted = new Promise((resolve) => (this.onAttempted = resolve));
    this.ready = this.open();
    // Whoever waits for it is told.
    this.ready.catch(() => {});
  }

  /** How long an answer may take, in milliseconds. */
  get timeoutMs(): number {
    return this.settings.timeoutMs;
  }

  /** Whether commands can be given at all. */
  get isReady(): boolean {
    return this.client?.isReady() === true;
  }

  /** Whether keys live on several nodes, so that a command is about one of them. */
  get spreads(): boolean {
    return this.settings.cluster !== undefined && this.settings.cluster !== null;
  }

  /** Called each time it is connected. */
  onReady(listener: () => void): void {
    this.readyListeners.push(listener);
  }

  /**
   * Runs a script, given itself or by its digest. Has no time-out: whoever asks for many things has one for all of them.
   * Rejects with what the server or the library says.
   */
  evaluate(
    command: 'EVAL' | 'EVALSHA',
    script: string,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<RedisAnswer> {
    const { client } = this;
    if (client === null) return Promise.reject(new StoreUnavailable('the store is not connected'));
    return client.send(keys[0], [command, script, String(keys.length), ...keys, ...args]);
  }

  /** For the log: that the store is of no use, or is again. Each outage is told once, whoever finds out. */
  report(isDown: boolean, message: string): void {
    this.tell(isDown, message);
  }

  /** @throws {StoreUnavailable} when there is no answer within the time-out. */
  async ask<T>(command: (commands: RedisCommands) => Promise<T>): Promise<T> {
    const { client } = this;
    if (client === null || !client.isReady()) throw new StoreUnavailable('the store is not connected');
    const { timeoutMs } = this.settings;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const tooLate = (): void => reject(new StoreUnavailable(`the store has not answered within ${timeoutMs} ms`));
      timer = setTimeout(tooLate, timeoutMs);
    });
    try {
      return await Promise.race([command(client.commands), late]);
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error;
      throw new StoreUnavailable(
        `the store has refused a command: ${error instanceof Error ? error.message : 'no reason'}`,
      );
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.isClosed = true;
    this.client?.destroy();
    this.client = null;
    this.settings.tls?.verified.close();
    if (this.isDown) this.outage.forget();
    this.onAttempted();
  }

  private async open(): Promise<void> {
    const library = await import('@redis/client').catch(() => {
      throw new Error('a store of type redis needs the package @redis/client: npm install @redis/client');
    });
    this.library = library;
    if (!this.isClosed) this.connect(library);
  }

  private connect(library: Library): void {
    this.context = this.currentContext;
    const client = this.makeClient(library);
    this.client = client;
    client.connect().catch((error: unknown) => {
      this.onError(error);
      client.destroy();
      // A single server is tried again by the library, several are not.
      setTimeout(() => {
        if (!this.isClosed && this.client === client) this.connect(library);
      }, longestPauseMs).unref();
    });
  }

  private makeClient(library: Library): Client {
    if (this.spreads) return this.clusterClient(library);
    return (this.settings.sentinels ?? []).length > 0 ? this.sentinelClient(library) : this.plainClient(library);
  }

  private plainClient({ createClient }: Library): Client {
    const { url } = this.settings;
    const client = createClient({ url, ...this.commonOptions(new URL(url).hostname) }) as RedisClientType;
    client.on('error', (error: unknown) => this.onError(error));
    client.on('ready', () => this.onConnected());
    return {
      commands: client,
      isReady: () => client.isReady,
      send: (_key, args) => client.sendCommand(args),
      // It goes on trying; what goes wrong is an event.
      connect: () => client.connect().catch(() => {}),
      destroy: () => {
        if (client.isOpen) client.destroy();
      },
    };
  }

  private sentinelClient({ createSentinel }: Library): Client {
    const { url, sentinels = [], sentinelUsername: username, sentinelPassword: password } = this.settings;
    const { hostname, pathname } = new URL(url);
    const { socket, ...options } = this.commonOptions(null);
    const client = createSentinel({
      name: hostname,
      sentinelRootNodes: sentinels.map((sentinel) => nodeOf(sentinel)),
      nodeClientOptions: { ...options, socket, database: Number(pathname.slice(1)) },
      sentinelClientOptions: {
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password }),
        socket,
      },
      scanInterval: pingMs,
    });
    client.on('error', (error: unknown) => this.onError(error));
    client.on('client-error', ({ error }: { readonly error: unknown }) => this.onError(error));
    client.on('ready', () => this.onConnected());
    return {
      commands: client,
      isReady: () => client.isReady,
      send: (_key, args) => client.sendCommand(false, args),
      connect: () => client.connect(),
      destroy: () => void client.destroy().catch(() => {}),
    };
  }

  private clusterClient({ createCluster }: Library): Client {
    const { url, cluster } = this.settings;
    const { protocol } = new URL(url);
    const nodes = [url, ...(cluster ?? []).map((node) => `${protocol}//${node}`)];
    const client = createCluster({
      rootNodes: nodes.map((node) => ({ url: node })),
      defaults: this.commonOptions(null),
    });
    client.on('error', (error: unknown) => this.onError(error));
    client.on('node-error', (error: unknown) => this.onError(error));
    client.on('connect', () => this.onConnected());
    return {
      commands: client,
      isReady: () => client.isReady,
      send: (key, args) => client.sendCommand(key, false, args),
      connect: () => client.connect(),
      destroy: () => {
        if (client.isOpen) client.destroy();
      },
    };
  }

  /** @param host of the only server; null where there are several, each at an address of its own. */
  private commonOptions(host: string | null) {
    const { username, password, timeoutMs } = this.settings;
    return {
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      // What cannot be answered now is refused now, not when the server is back.
      disableOfflineQueue: true,
      commandsQueueMaxLength: maxPending,
      pingInterval: pingMs,
      maintNotifications: 'disabled',
      disableClientInfo: true,
      socket: {
        connectTimeout: Math.max(timeoutMs, 1_000),
        socketTimeout: deadMs,
        reconnectStrategy: (retries: number) => Math.min(50 * 2 ** Math.min(retries, 10), longestPauseMs),
        ...this.tlsOptions(host),
      },
    } as const;
  }

  private tlsOptions(host: string | null): (ConnectionOptions & { readonly tls: true }) | object {
    const { tls } = this.settings;
    if (tls === null) return {};
    const servername = tls.serverName ?? host ?? '';
    const { secureContext, rejectUnauthorized } = tls.verified.target(servername).connectOptions();
    // An IP address is no server name (RFC 6066, section 3). Without one that host is verified which was connected to.
    const isName = isIP(servername.replace(/^\[|\]$/g, '')) === 0;
    return { tls: true, secureContext, rejectUnauthorized, servername: isName ? servername : '' };
  }

  private get currentContext(): SecureContext | undefined {
    return this.settings.tls?.verified.target('').connectOptions().secureContext;
  }

  private onError(error: unknown): void {
    this.tell(true, `the store cannot be reached: ${reasonOf(error)}`);
    this.onAttempted();
    this.renew();
  }

  /** The library keeps what it has been given, so that certificates which have been renewed need another client. */
  private renew(): void {
    const { client, library } = this;
    if (this.isClosed || client === null || library === null || this.context === this.currentContext) return;
    this.context = this.currentContext;
    // Not from within the call of a client that is about to go on.
    setImmediate(() => {
      if (this.isClosed || this.client !== client) return;
      client.destroy();
      this.connect(library);
    });
  }

  private onConnected(): void {
    this.tell(false, 'the store answers again');
    this.onAttempted();
    for (const listener of this.readyListeners) listener();
  }

  private tell(isDown: boolean, message: string): void {
    if (this.isClosed || this.isDown === isDown) return;
    this.isDown = isDown;
    if (isDown ? this.outage.begins() : this.outage.ends()) this.onProblem(message);
  }
}

/** Codes such as ECONNREFUSED say most; an error for several addresses has no message of its own. */
function reasonOf(error: unknown): string {
  // Of what is wrong with a sentinel the library makes text: `obseve client error: Error [CODE]: message`.
  if (typeof error === 'string') {
    const [start, code] = /^(?:obseve client error: )?(?:Error(?: \[(\w+)\])?: )?/.exec(error) ?? [''];
    return code === undefined ? error.slice(start.length) : meaningOf(code);
  }
  if (!(error instanceof Error)) return 'no reason';
  if (error.cause instanceof Error) return reasonOf(error.cause);
  return 'code' in error && typeof error.code === 'string' ? meaningOf(error.code) : error.message || error.name;
}

function meaningOf(code: string): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `its certificate is for another name (${code}); see \`tls.serverName\``;
  }
  return untrusted.has(code) ? `its certificate is not trusted (${code}); see \`tls.ca\`` : code;
}

/** What OpenSSL calls a certificate that no known authority vouches for. */
const untrusted: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
]);

/** @param address `host:port`, an IPv6 address in brackets. */
function nodeOf(address: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(`redis://${address}`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 26_379 : Number(port) };
}
