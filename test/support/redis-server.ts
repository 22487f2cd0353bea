/** A real `redis-server` on loopback, that can be killed, stopped in its tracks and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { eventually } from './changes.ts';
import { freePort } from './free-port.ts';
import type { Scope } from './scope.ts';

export class RedisServer {
  readonly port: number;
  private readonly args: readonly string[];
  private process: ChildProcess | null = null;

  /** Starts one that keeps nothing on disk; it is ended with the test. @param args of the command line. */
  static async start(t: Scope, args: readonly string[] = []): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), args);
    t.after(() => server.kill());
    await server.restart();
    return server;
  }

  /** One that somebody else has started. */
  static at(port: number): RedisServer {
    return new RedisServer(port, []);
  }

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.args = args;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** On the same port, with nothing in it. */
  async restart(): Promise<void> {
    const fixed = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    this.process = spawn('redis-server', [...fixed, ...this.args], { stdio: 'ignore' });
    await eventually(() => answers(this.port), 'redis-server to answer');
  }

  async kill(): Promise<void> {
    const { process } = this;
    this.process = null;
    if (process === null || process.exitCode !== null || process.signalCode !== null) return;
    const ended = once(process, 'exit');
    process.kill('SIGKILL');
    await ended;
  }

  /** It accepts connections and commands, and answers none. */
  hang(): void {
    this.process?.kill('SIGSTOP');
  }

  goOn(): void {
    this.process?.kill('SIGCONT');
  }

  /** What it answers to one command, as text of its protocol. */
  ask(...command: readonly string[]): Promise<string> {
    const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`);
    return exchange(this.port, `*${command.length}\r\n${parts.join('')}`);
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    // Also `-NOAUTH` is an answer.
    return /^[+-]/.test(await exchange(port, 'PING\r\n'));
  } catch {
    return false;
  }
}

function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.once('error', reject);
    socket.once('data', (bytes: Buffer) => {
      socket.destroy();
      resolve(bytes.toString('latin1'));
    });
  });
}
