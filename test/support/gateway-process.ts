/** A gateway in a process of its own: for its memory to be measured, and for it to be shown that nothing ends it. */
import { type ChildProcess, type ForkOptions, fork } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { Address } from './raw-client.ts';

export type GatewayOrder =
  | { readonly kind: 'start'; readonly config: ConfigInput }
  | { readonly kind: 'measure' }
  | { readonly kind: 'summarise' }
  | { readonly kind: 'stop'; readonly graceMs: number };

export type GatewayAnswer =
  | { readonly kind: 'started'; readonly url: string }
  | { readonly kind: 'measured'; readonly rss: number; readonly peak: number }
  | { readonly kind: 'summarised'; readonly endings: Readonly<Record<string, number>> }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly message: string };

export class GatewayProcess {
  url = '';
  /** What it has written to stderr: nothing, unless something went wrong. */
  complaints = '';
  private readonly child: ChildProcess;
  private readonly gone: Promise<never>;

  private constructor(child: ChildProcess) {
    this.child = child;
    this.gone = once(child, 'exit').then(() => {
      throw new Error(`the gateway has ended:\n${this.complaints}`);
    });
    this.gone.catch(() => {});
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.complaints += text));
  }

  /** Starts one; it is killed at the end of the test. */
  static async start(t: TestContext, config: ConfigInput, options: ForkOptions = {}): Promise<GatewayProcess> {
    const child = fork(fileURLToPath(new URL('gateway-child.ts', import.meta.url)), {
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      ...options,
    });
    t.after(() => child.kill('SIGKILL'));
    const gateway = new GatewayProcess(child);
    const { url } = await gateway.order({ kind: 'start', config }, 'started');
    gateway.url = url;
    return gateway;
  }

  get address(): Address {
    const { hostname, port } = new URL(this.url);
    return { host: hostname, port: Number(port) };
  }

  get pid(): number {
    return this.child.pid!;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resident memory in bytes: now, after a garbage collection, and the most that it ever was. */
  async memory(): Promise<{ readonly rss: number; readonly peak: number }> {
    return this.order({ kind: 'measure' }, 'measured');
  }

  /** How the exchanges since the last call have ended: how many with which error code, or status. */
  async endings(): Promise<Readonly<Record<string, number>>> {
    return (await this.order({ kind: 'summarise' }, 'summarised')).endings;
  }

  async stop(graceMs: number): Promise<void> {
    await this.order({ kind: 'stop', graceMs }, 'stopped');
  }

  private async order<K extends GatewayAnswer['kind']>(
    order: GatewayOrder,
    kind: K,
  ): Promise<GatewayAnswer & { kind: K }> {
    const answered = once(this.child, 'message') as Promise<[GatewayAnswer]>;
    this.child.send(order);
    const [answer] = await Promise.race([answered, this.gone]);
    if (answer.kind !== kind) throw new Error(`${order.kind} led to ${JSON.stringify(answer)}`);
    return answer as GatewayAnswer & { kind: K };
  }
}
