/**
 * Runs an example as its README says, but on free ports and from a copy, so that tests neither disturb one another nor
 * need a port that somebody else has.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { echoServer } from '../../examples/echo.ts';
import type { OwnService } from '../../examples/run.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The ports that the examples name. */
const namedPorts = [8080, 8443, 8444, 9901, 3001, 3002, 3003] as const;

/** A `curl` line of a README, and the status that its comment promises; 0 when there is no answer to get. */
export interface CurlLine {
  readonly command: string;
  readonly status: number;
}

export interface CurlAnswer {
  readonly status: number;
  /** With the head if the line has `-i`. */
  readonly text: string;
}

/** The lines of a text that call curl and say in a comment which status comes back. */
export function curlLines(text: string): CurlLine[] {
  return [...text.matchAll(/^ *(.*\bcurl .*?)\s+# (\d{3})\b/gm)].map(([, command = '', status]) => ({
    command,
    status: Number(status),
  }));
}

/** Runs a line as a reader would, but returns the status and what curl printed; a stream is cut after two seconds. */
export async function runCurl(command: string, folder: string): Promise<CurlAnswer> {
  const output = join(folder, 'curl-output');
  await rm(output, { force: true });
  const line = command.replace(/\bcurl /, () => `curl -sS -o '${output}' -w '%{http_code}' --max-time 2 `);
  // curl says by its exit code that it was cut or got no answer; the status tells all that the tests ask.
  const { stdout } = await promisify(execFile)('sh', ['-c', `${line} || true`]);
  return { status: Number(stdout), text: existsSync(output) ? await readFile(output, 'utf8') : '' };
}

/** As many different free ports of the loopback interface as asked for. */
export async function freePorts(count: number): Promise<number[]> {
  const probes = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(probes.map((probe) => once(probe, 'listening')));
  const ports = probes.map((probe) => (probe.address() as AddressInfo).port);
  await Promise.all(probes.map((probe) => once(probe.close(), 'close')));
  return ports;
}

/** Asks `url` until it answers 200. Fails when the process has ended. */
export async function untilReady(url: string, gateway: ChildProcess, log: () => string): Promise<void> {
  while (gateway.exitCode === null) {
    const response = await fetch(url).catch(() => null);
    await response?.arrayBuffer();
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the gateway ended with exit code ${gateway.exitCode}:\n${log()}`);
}

export class RunningExample {
  readonly name: string;
  readonly folder: string;
  private readonly ports: ReadonlyMap<number, number>;
  private readonly gateway: ChildProcess;
  private readonly services: readonly Server[];

  private constructor(
    name: string,
    folder: string,
    ports: ReadonlyMap<number, number>,
    gateway: ChildProcess,
    services: readonly Server[],
  ) {
    this.name = name;
    this.folder = folder;
    this.ports = ports;
    this.gateway = gateway;
    this.services = services;
  }

  static async start(name: string): Promise<RunningExample> {
    const free = await freePorts(namedPorts.length);
    const ports = new Map<number, number>(namedPorts.map((port, index) => [port, free[index]]));
    const folder = await mkdtemp(join(tmpdir(), 'gatewright-example-'));
    await copyExample(name, folder, ports);

    const services = [3001, 3002].map((port) => echoServer(`echo-${port}`).listen(ports.get(port), '127.0.0.1'));
    const own = join(folder, 'service.ts');
    if (existsSync(own)) {
      const { createService, port } = (await import(own)) as OwnService;
      services.push(createService().listen(port, '127.0.0.1'));
    }
    await Promise.all(services.map((service) => once(service, 'listening')));
    const file = ['gateway.yaml', 'gateway.config.ts'].find((candidate) => existsSync(join(folder, candidate))) ?? '';
    const command = join(root, 'src/cli/main.js');
    const gateway = spawn(process.execPath, [command, 'run', join(folder, file)], { stdio: 'pipe' });
    let log = '';
    gateway.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
    gateway.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const example = new RunningExample(name, folder, ports, gateway, services);
    try {
      await untilReady(`http://127.0.0.1:${ports.get(9901)}/readyz`, gateway, () => log);
    } catch (error) {
      await example.stop();
      throw error;
    }
    return example;
  }

  /** A URL as it stands in the README of this example. */
  url(url: string): string {
    return replacePorts(url, this.ports);
  }

  /** Runs a line as it stands in the README of this example. */
  async curl(command: string): Promise<CurlAnswer> {
    const here = replacePorts(command, this.ports).replaceAll(`examples/${this.name}/`, `${this.folder}/`);
    return runCurl(here, this.folder);
  }

  /** Ends the gateway as an operator would and returns its exit code. */
  async stop(): Promise<number | null> {
    if (this.gateway.exitCode === null) {
      this.gateway.kill('SIGTERM');
      await once(this.gateway, 'exit');
    }
    for (const service of this.services) {
      service.close();
      service.closeAllConnections();
    }
    await rm(this.folder, { recursive: true });
    return this.gateway.exitCode;
  }
}

function replacePorts(text: string, ports: ReadonlyMap<number, number>): string {
  // Not in the name of an echo service, which is `echo-3001` wherever it listens.
  return text.replace(/(?<![-\d])\d{4}\b/g, (digits) => String(ports.get(Number(digits)) ?? digits));
}

async function copyExample(name: string, folder: string, ports: ReadonlyMap<number, number>): Promise<void> {
  await cp(join(root, 'examples', name), folder, { recursive: true });
  for (const file of await readdir(folder)) {
    if (!/\.(yaml|ts)$/.test(file)) continue;
    await writeFile(join(folder, file), replacePorts(await readFile(join(folder, file), 'utf8'), ports));
  }
  // What a project that depends on the package has.
  await mkdir(join(folder, 'node_modules'));
  await symlink(root, join(folder, 'node_modules/gatewright'));
  await symlink(join(root, 'node_modules/oidc-provider'), join(folder, 'node_modules/oidc-provider'));
  const certificates = join(folder, 'make-certificates.sh');
  if (existsSync(certificates)) execFileSync(certificates);
}

export function readmeOf(name: string): string {
  return readFileSync(join(root, 'examples', name, 'README.md'), 'utf8');
}
