/** A gateway on several threads in this process, from real files as a user would write them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { GatewayLog, ListenerAddress } from '../../src/gateway/gateway.ts';
import { loadDocument } from '../../src/workers/load-document.ts';
import { ThreadedGateway, type ThreadedGatewayEnv } from '../../src/workers/threaded-gateway.ts';
import { Changes } from './changes.ts';
import { folderWith } from './command.ts';
import type { LogLine } from './gateway.ts';
import type { Address } from './raw-client.ts';
import type { Scope } from './scope.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

// As the command does: threads that compile all they load take several times as long to begin.
process.env['NODE_COMPILE_CACHE'] ??= join(root, 'node_modules/.cache/compiled');

/**
 * The source of a policy `./told.mjs` that says in `x-thread` who answers, in `x-version` which version it is, and does
 * harm when the header `x-do` asks for it. Where it is not only tried but to be served, `serves` is true in it. It is no
 * TypeScript: to take types away takes a new thread longer than all the rest that it does with it.
 */
export function toldPolicy(version = '1', { atTopLevel = '', inCreate = '' } = {}): string {
  return `import { threadId, workerData } from 'node:worker_threads';
import { z } from ${JSON.stringify(join(root, 'src/util/schema.ts'))};
/** False where it is only tried. */
const serves = workerData?.file === undefined;
${atTopLevel}
export default {
  name: 'told', summary: 'Does as it is told.', options: z.strictObject({}),
  create() {
    ${inCreate}
    return {
      onRequest(exchange) {
        const what = exchange.requestHeaders.get('x-do');
        if (what === 'exit') process.exit(9);
        if (what === 'throw') setImmediate(() => { throw new Error('told to'); });
        if (what === 'hang') for (;;);
        return what === undefined || what === 'answer' ? undefined : new Promise(() => {});
      },
      onResponse(exchange) {
        exchange.responseHeaders.set('x-thread', String(threadId));
        exchange.responseHeaders.set('x-version', ${JSON.stringify(version)});
      },
    };
  },
};
`;
}

/** Answers everything by itself, with the policy above. */
export function toldConfig(changes: ConfigInput = {}): ConfigInput {
  return {
    telemetry: { accessLog: false },
    threads: 2,
    listeners: { web: { host: '127.0.0.1', port: 0 } },
    routes: { all: { policies: [{ use: './told.mjs' }], respond: { body: 'hello' } } },
    ...changes,
  };
}

export class TestThreads {
  readonly log: LogLine[] = [];
  readonly events: string[] = [];
  readonly gateway: ThreadedGateway;
  readonly folder: string;
  private readonly changes = new Changes();
  private addresses: readonly ListenerAddress[] = [];
  private revision = 0;

  private constructor(folder: string, first: Awaited<ReturnType<typeof publish>>, env: Partial<ThreadedGatewayEnv>) {
    this.folder = folder;
    this.gateway = new ThreadedGateway(
      { ...first, revision: ++this.revision },
      {
        log: this.logger(),
        onEvent: (kind) => this.note(() => this.events.push(kind)),
        ...env,
      },
    );
  }

  /** Makes one that is stopped at the end of the test. */
  static async create(
    t: Scope,
    config: ConfigInput,
    env: Partial<ThreadedGatewayEnv> & { readonly files?: Readonly<Record<string, string>> } = {},
  ): Promise<TestThreads> {
    const { files = {}, ...rest } = env;
    const folder = await folderWith(t, { 'told.mjs': toldPolicy(), ...files });
    const threads = new TestThreads(folder, await publish(folder, config), rest);
    t.after(() => threads.gateway.stop(0));
    return threads;
  }

  static async start(...args: Parameters<typeof TestThreads.create>): Promise<TestThreads> {
    const threads = await TestThreads.create(...args);
    threads.addresses = await threads.gateway.start();
    return threads;
  }

  /** What a configuration is published as. */
  publication(config: ConfigInput): ReturnType<typeof publish> {
    return publish(this.folder, config);
  }

  async apply(config: ConfigInput): Promise<void> {
    const publication = { ...(await this.publication(config)), revision: ++this.revision };
    this.addresses = await this.gateway.apply(publication);
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(join(this.folder, name), text);
  }

  url(listener = 'web'): string {
    return this.addresses.find(({ name }) => name === listener)!.url;
  }

  address(listener = 'web'): Address {
    const url = this.url(listener);
    if (url.startsWith('unix:')) return { path: url.slice('unix:'.length) };
    const { hostname, port } = new URL(url);
    return { host: hostname, port: Number(port) };
  }

  /** The lines of the log with this message, once there are that many. */
  async logged(message: string, count = 1, withinMs?: number): Promise<readonly LogLine[]> {
    const find = (): LogLine[] => this.log.filter((line) => line.message === message);
    await this.changes.until(
      () => find().length >= count,
      () =>
        `${count} × ${JSON.stringify(message)}; the log has ${JSON.stringify(this.log.map((line) => line.message))}`,
      withinMs,
    );
    return find();
  }

  private logger(): GatewayLog {
    const line =
      (level: LogLine['level']) =>
      (message: string, about: LogLine['about']): void =>
        this.note(() => this.log.push({ level, message, about }));
    return { info: line('info'), warn: line('warn'), error: line('error') };
  }

  private note(change: () => void): void {
    change();
    this.changes.notify();
  }
}

async function publish(folder: string, config: ConfigInput) {
  const file = join(folder, 'gateway.json');
  await writeFile(file, JSON.stringify(config));
  const loaded = await loadDocument({ file, env: {} });
  if (loaded.config === null) throw new Error(JSON.stringify(loaded.problems));
  return { config: loaded.config, secrets: loaded.secrets, codeDigest: loaded.codeDigest };
}

/** What one request on a connection of its own came to. */
export interface Answer {
  /** The head and the body, or what went wrong. */
  readonly text: string;
  readonly status: number;
  readonly thread: string;
  readonly version: string;
}

/** One request on a connection of its own. Never rejects; `status` is 0 when there was no whole answer. */
export function ask(address: Address, fields = '', target = '/'): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ ...address, noDelay: true });
    let text = '';
    let failure = '';
    socket.setTimeout(15_000, () => {
      failure = ' time-out';
      socket.destroy();
    });
    socket.on('connect', () => socket.write(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${fields}\r\n`));
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
    socket.on('error', (error) => (failure = ` ${error.message}`));
    socket.on('close', () => {
      const status = failure === '' ? Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0) : 0;
      const field = (name: string): string => new RegExp(`\r\n${name}: ([^\r]*)`, 'i').exec(text)?.[1] ?? '';
      resolve({ text: text + failure, status, thread: field('x-thread'), version: field('x-version') });
    });
  });
}

/** Asks on new connections, so many at a time, until it is told to stop. */
export class Clients {
  answers = 0;
  readonly failures: string[] = [];
  private isDone = false;
  private readonly running: Promise<void>[];

  constructor(count: number, address: () => Address) {
    this.running = Array.from({ length: count }, () => this.run(address));
  }

  async stop(): Promise<void> {
    this.isDone = true;
    await Promise.all(this.running);
  }

  private async run(address: () => Address): Promise<void> {
    while (!this.isDone) {
      const { status, text } = await ask(address());
      this.answers++;
      if (status !== 200) this.failures.push(text);
    }
  }
}
