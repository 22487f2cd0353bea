/** `gatewright …` in a process of its own, as a user starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Changes } from './changes.ts';
import type { Address } from './raw-client.ts';
import type { Scope } from './scope.ts';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** A new folder with these files, which is gone after the test. */
export async function folderWith(t: Scope, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gatewright-command-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

/** The kernel chooses the ports that a configuration lacks. */
export function withPorts(config: object): object {
  return { admin: { port: 0 }, listeners: { web: { host: '127.0.0.1', port: 0 } }, ...config };
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Sockets that listen, which it gets as descriptors from 3 on, as systemd passes them. */
  readonly sockets?: readonly number[];
}

export interface LogRecord {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

const asActivated = 'export LISTEN_PID="${LISTEN_PID:-$$}"; exec "$@"';

export class Command {
  stdout = '';
  stderr = '';
  /** null while it runs, or if a signal has ended it. */
  exitCode: number | null = null;
  private isClosed = false;
  private hasExited = false;
  private readonly child: ChildProcess;
  private readonly changes = new Changes();

  /** Starts it; it is killed at the end of the test if it still runs then. */
  constructor(t: Scope, args: readonly string[], { cwd, env, sockets = [] }: CommandOptions = {}) {
    const program = [process.execPath, main, ...args];
    // `$$` is still the process id after `exec`.
    const [file, ...rest] = sockets.length === 0 ? program : ['/bin/sh', '-c', asActivated, 'sh', ...program];
    const child = spawn(file, rest, {
      cwd,
      env: { PATH: process.env['PATH'], LISTEN_FDS: String(sockets.length), ...env },
      stdio: ['ignore', 'pipe', 'pipe', ...sockets],
    });
    this.child = child;
    t.after(() => child.kill('SIGKILL'));
    const note = (change: () => void): void => {
      change();
      this.changes.notify();
    };
    child.stdout!.setEncoding('utf8').on('data', (text: string) => note(() => (this.stdout += text)));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => note(() => (this.stderr += text)));
    child.on('exit', (code) => {
      this.exitCode = code;
      note(() => (this.hasExited = true));
    });
    child.on('close', () => note(() => (this.isClosed = true)));
  }

  /** Runs it to its end. */
  static async run(t: Scope, args: readonly string[], options?: CommandOptions): Promise<Command> {
    const command = new Command(t, args, options);
    await command.untilExit();
    return command;
  }

  /** `gatewright run` with this configuration, once it serves. What it lacks are ports: the kernel chooses them. */
  static async serve(
    t: Scope,
    config: object,
    options: CommandOptions & { readonly args?: readonly string[] } = {},
  ): Promise<Command> {
    const cwd = options.cwd ?? (await folderWith(t));
    await writeFile(join(cwd, 'gateway.json'), JSON.stringify(withPorts(config)));
    const command = new Command(t, ['run', 'gateway.json', ...(options.args ?? [])], { ...options, cwd });
    await command.logged('ready');
    return command;
  }

  get log(): LogRecord[] {
    return this.stderr
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogRecord);
  }

  /**
   * The first record with this message, once it is there. Rejects when the process ends without it.
   * @param from how many records are not looked at.
   */
  async logged(message: string, from = 0): Promise<LogRecord> {
    const find = (): LogRecord | undefined => this.log.slice(from).find(({ msg }) => msg === message);
    await this.changes.until(
      () => this.isClosed || find() !== undefined,
      () => `the log to say ${JSON.stringify(message)}; it says\n${this.stderr}`,
      20_000,
    );
    const found = find();
    if (found === undefined) throw new Error(`it ended without saying ${JSON.stringify(message)}:\n${this.stderr}`);
    return found;
  }

  /** @param allOutput false where another process has its output too, and goes on. */
  async untilExit(allOutput = true): Promise<void> {
    await this.changes.until(
      () => (allOutput ? this.isClosed : this.hasExited),
      () => `the end of the process; it says\n${this.stdout}${this.stderr}`,
      20_000,
    );
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** The URL of a listener, as it was said last. */
  url(listener = 'web'): string {
    return String(
      this.log.findLast((record) => record['listener'] === listener && record.msg === 'listening')?.['url'],
    );
  }

  address(listener = 'web'): Address {
    const { hostname, port } = new URL(this.url(listener));
    return { host: hostname, port: Number(port) };
  }

  /** The URL of the admin port. */
  get admin(): string {
    return String(this.log.findLast(({ msg }) => msg === 'ready')?.['admin']);
  }
}
