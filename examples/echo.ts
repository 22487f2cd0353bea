/**
 * A service to put behind the gateway: it answers every request with what arrived here, as JSON, so that one can see
 * what the gateway changed. `npx node examples/echo.ts 3001` listens on that port of the loopback interface.
 */
import { createServer, type Server } from 'node:http';

export interface Echo {
  /** The name of the service that answered. */
  readonly service: string;
  readonly method: string;
  /** Path and query as they arrived. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export function echoServer(service: string): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const echo: Echo = { service, method, url, headers, body: Buffer.concat(chunks).toString() };
      const text = JSON.stringify(echo, null, 2) + '\n';
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
      response.end(method === 'HEAD' ? undefined : text);
    });
  });
}

if (import.meta.main) {
  const port = Number(process.argv[2] ?? 3001);
  echoServer(`echo-${port}`).listen(port, '127.0.0.1', () => console.log(`echo service on http://127.0.0.1:${port}`));
}
