/** The socket for operators. Apart from the traffic: it lives on the main thread and has an address of its own. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ListenError } from '../gateway/gateway.ts';

export interface AdminServerOptions {
  readonly host: string;
  readonly port: number;
  /** Whether every thread serves; false while starting and while draining. */
  isReady(): boolean;
}

export class AdminServer {
  private readonly options: AdminServerOptions;
  private readonly server: Server;

  constructor(options: AdminServerOptions) {
    this.options = options;
    this.server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, (request, response) =>
      this.answer(request, response),
    );
  }

  /** @returns the URL that it answers at. */
  listen(): Promise<string> {
    const { host, port } = this.options;
    return new Promise((resolve, reject) => {
      this.server.once('error', (error) => {
        reject(new ListenError(`the admin port cannot listen on ${host}:${port}: ${error.message}`));
      });
      this.server.listen({ host, port }, () => {
        const { port: chosen } = this.server.address() as AddressInfo;
        resolve(`http://${host.includes(':') ? `[${host}]` : host}:${chosen}`);
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url?.split('?', 1)[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      send(response, 405, 'method not allowed\n', { allow: 'GET, HEAD' });
    } else if (path === '/livez') {
      // Whoever reads this has been answered by a live event loop.
      send(response, 200, 'live\n');
    } else if (path === '/readyz') {
      if (this.options.isReady()) send(response, 200, 'ready\n');
      else send(response, 503, 'not ready\n');
    } else {
      send(response, 404, 'not found\n');
    }
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  response.end(body);
}
