/** A gateway process in front of servers that others have written: nginx, `node:http` and Python's `http.server`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { eventually } from '../support/changes.ts';
import { Command } from '../support/command.ts';
import { programPath } from '../support/needed-programs.ts';
import type { Scope } from '../support/scope.ts';

export const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');

/** What every upstream has to give. */
export interface Site {
  readonly folder: string;
  /** `/small.txt` */
  readonly small: string;
  /** `/large.bin` */
  readonly large: Buffer;
}

/** What the echoing servers say of a request. */
export interface Echo {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly length: number;
  readonly sha256: string;
}

export class Services {
  readonly site: Site;
  /** What the gateway serves `/nginx/…`, `/node/…` and `/python/…` at. */
  readonly url: string;
  readonly gateway: Command;

  private constructor(site: Site, gateway: Command) {
    this.site = site;
    this.gateway = gateway;
    this.url = gateway.url();
  }

  /** Starts all of them; they are ended with the scope. */
  static async start(scope: Scope): Promise<Services> {
    const site = await makeSite(scope);
    const [nginx, node, python] = await Promise.all([
      startNginx(scope, site),
      startNode(scope),
      startPython(scope, site),
    ]);
    const upstreams = { nginx, node, python };
    const gateway = await Command.serve(scope, {
      telemetry: { accessLog: { file: join(site.folder, 'access.log') } },
      upstreams: Object.fromEntries(Object.entries(upstreams).map(([name, url]) => [name, { targets: [url] }])),
      routes: Object.fromEntries(
        Object.keys(upstreams).map((name) => [
          name,
          { match: { path: `/${name}/*` }, rewrite: { path: '/{*}' }, upstream: name },
        ]),
      ),
    });
    return new Services(site, gateway);
  }
}

async function makeSite(scope: Scope): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'gatewright-interop-'));
  scope.after(() => rm(folder, { recursive: true, force: true }));
  const site = { folder, small: 'small, but a whole file\n'.repeat(20), large: randomBytes(3 * 1024 * 1024 + 7) };
  await mkdir(join(folder, 'upload'));
  await writeFile(join(folder, 'small.txt'), site.small);
  await writeFile(join(folder, 'large.bin'), site.large);
  return site;
}

// ---- nginx ---------------------------------------------------------------------------------------------------------

async function startNginx(scope: Scope, { folder }: Site): Promise<string> {
  const socket = join(folder, 'nginx.sock');
  const port = await freePort();
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid nginx.pid; error_log stderr crit;
events { worker_connections 256; }
http {
  access_log off; client_max_body_size 100m; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi; default_type text/plain; sendfile on; gzip on; gzip_http_version 1.0;
  gzip_min_length 100; gzip_proxied any; gzip_types text/plain;
  server {
    listen 127.0.0.1:${port}; listen unix:${socket}; root ${folder};
    location /upload/ { dav_methods PUT; }
    location = /moved { return 301 /small.txt; }
    location = /teapot { return 418 "short and stout"; }
  }
}
`,
  );
  const child = start(scope, 'nginx', ['-p', folder, '-e', 'stderr', '-c', 'nginx.conf'], folder);
  await untilThere(child, () => existsSync(socket), 'nginx');
  return `http://127.0.0.1:${port}`;
}

/** nginx does not take any port that is free, so one is looked for. */
async function freePort(): Promise<number> {
  const probe = createTcpServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  await once(probe.close(), 'close');
  return port;
}

// ---- Python --------------------------------------------------------------------------------------------------------

async function startPython(scope: Scope, { folder }: Site): Promise<string> {
  const script = fileURLToPath(new URL('server.py', import.meta.url));
  const child = start(scope, 'python3', ['-u', script], folder);
  let said = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
  await untilThere(child, () => said.endsWith('\n'), 'Python');
  return `http://127.0.0.1:${Number(said)}`;
}

function start(scope: Scope, program: string, args: readonly string[], cwd: string): ChildProcess {
  const env = { ...process.env, PATH: programPath };
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  scope.after(() => child.kill('SIGKILL'));
  return child;
}

async function untilThere(child: ChildProcess, isThere: () => boolean, name: string): Promise<void> {
  await eventually(() => child.exitCode !== null || isThere(), `${name} to listen`);
  if (child.exitCode !== null) throw new Error(`${name} has ended with exit code ${child.exitCode}`);
}

// ---- node:http -----------------------------------------------------------------------------------------------------

/**
 * Says what it got: as JSON or, at `/sum…`, only the hash of the body; in chunks where the path ends in `stream`. At
 * `/socket` it echoes what comes through a WebSocket.
 */
async function startNode(scope: Scope): Promise<string> {
  const server = createServer((request, response) => void answer(request, response));
  const sockets = new WebSocketServer({ server, path: '/socket', perMessageDeflate: true });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url: path = '', headers } = request;
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk);
    length += chunk.length;
  }
  const sum = hash.digest('hex');
  const echo = path.startsWith('/sum') ? sum : JSON.stringify({ method, path, headers, length, sha256: sum });
  if (path.endsWith('stream')) {
    for (const piece of echo.match(/.{1,16}/g) ?? []) response.write(piece);
    response.end();
  } else {
    response.setHeader('content-length', echo.length);
    response.end(echo);
  }
}
