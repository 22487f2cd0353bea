/**
 * A connection to Redis or Valkey that never makes anybody wait longer than was agreed, whatever has become of the server:
 * gone, hanging, restarted, too slow. It is kept up in the background. Whatever is kept there (values, limits) asks
 * through this; it is the only file that knows the library.
 */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type * as RedisLibrary from '@redis/client';
import type { RedisClientType } from '@redis/client';
import { isPemText } from '../wire/tls/pem-source.ts';

export interface RedisSettings {
  /** `redis://host:port/database` or `rediss://…`, without a user and a password. With `sentinels` the host is the master's name. */
  readonly url: string;
  /** Who knows where the master is: `host:port`. None: the server is at `url` itself. */
  readonly sentinels?: readonly string[];
  /** `url` is one node of a cluster, and these are others: `host:port`. */
  readonly cluster?: readonly string[] | null;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** How long an answer may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly tls: {
    /** PEM text or the absolute path of a file. */
    readonly ca: string | undefined;
    readonly insecure: boolean;
  };
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
  private client: Client | null = null;
  private isClosed = false;
  /** What was last said about it: each outage is told once. */
  private isDown = false;
  private readonly readyListeners: (() => void)[] = [];
  /** Resolves when the first attempt to connect has come to something, whatever it is. */
  readonly attempted: Promise<void>;
  private onAttempted: () => void = () => {};

  /** @param onProblem for the log: once when an outage begins, and once when it is over. */
  constructor(settings: RedisSettings, onProblem: (message: string) => void) {
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
    this.onAttempted();
  }

  private async open(): Promise<void> {
    const library = await import('@redis/client').catch(() => {
      throw new Error('a store of type redis needs the package @redis/client: npm install @redis/client');
    });
    if (!this.isClosed) this.connect(library);
  }

  private connect(library: Library): void {
    const client = this.makeClient(library);
    this.client = client;
    client.connect().catch((error: unknown) => {
      this.onError(error instanceof Error ? error : new Error('no reason'));
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
    const client = createClient({ url, ...this.commonOptions() }) as RedisClientType;
    client.on('error', (error: Error) => this.onError(error));
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
    const { url, sentinels = [] } = this.settings;
    const { hostname, pathname } = new URL(url);
    const { socket, ...options } = this.commonOptions();
    const client = createSentinel({
      name: hostname,
      sentinelRootNodes: sentinels.map((sentinel) => nodeOf(sentinel)),
      nodeClientOptions: { ...options, socket, database: Number(pathname.slice(1)) },
      sentinelClientOptions: { socket },
      scanInterval: pingMs,
    });
    client.on('error', (error: Error) => this.onError(error));
    client.on('client-error', ({ error }: { readonly error: Error }) => this.onError(error));
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
    const client = createCluster({ rootNodes: nodes.map((node) => ({ url: node })), defaults: this.commonOptions() });
    client.on('error', (error: Error) => this.onError(error));
    client.on('node-error', (error: Error) => this.onError(error));
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

  private commonOptions() {
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
        ...this.tlsOptions(),
      },
    } as const;
  }

  private tlsOptions(): (ConnectionOptions & { readonly tls: true }) | object {
    const { url, tls } = this.settings;
    if (!url.startsWith('rediss:')) return {};
    const ca = tls.ca === undefined || isPemText(tls.ca) ? tls.ca : readFileSync(tls.ca, 'utf8');
    return { tls: true, rejectUnauthorized: !tls.insecure, ...(ca !== undefined && { ca }) };
  }

  private onError(error: Error): void {
    this.tell(true, `the store cannot be reached: ${reasonOf(error)}`);
    this.onAttempted();
  }

  private onConnected(): void {
    this.tell(false, 'the store answers again');
    this.onAttempted();
    for (const listener of this.readyListeners) listener();
  }

  private tell(isDown: boolean, message: string): void {
    if (this.isClosed || this.isDown === isDown) return;
    this.isDown = isDown;
    this.onProblem(message);
  }
}

/** Codes such as ECONNREFUSED say most; an error for several addresses has no message of its own. */
function reasonOf(error: Error): string {
  const code: unknown = 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : error.message || error.name;
}

/** @param address `host:port`, an IPv6 address in brackets. */
function nodeOf(address: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(`redis://${address}`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 26_379 : Number(port) };
}
