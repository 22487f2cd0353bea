/** What the demo services have in common: JSON over plain `node:http`, on a loopback port. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Call {
  readonly method: string;
  /** The parts of the path: `/products/7` is `['products', '7']`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface Answer {
  readonly status?: number;
  readonly body: unknown;
}

/** Answers a call; null means that it writes to `call.response` itself, as a stream does. */
export type Service = (call: Call) => Answer | null | Promise<Answer | null>;

export const notFound: Answer = { status: 404, body: { error: 'not found' } };

/** The whole body of a request as text, at most 1 MiB of it. */
export async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > 1024 * 1024) throw new RangeError('the body is larger than 1 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function answer(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const path = url.pathname.split('/').filter((part) => part !== '');
  const call: Call = { method: request.method ?? 'GET', path, query: url.searchParams, request, response };
  let result: Answer | null;
  try {
    result = await service(call);
  } catch (error) {
    result = { status: 400, body: { error: error instanceof Error ? error.message : 'bad request' } };
  }
  if (result === null) return;
  const text = JSON.stringify(result.body, null, 2) + '\n';
  response.writeHead(result.status ?? 200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}

/** Listens on this port of the loopback interface, or on a free one if somebody else has it. */
export async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    if (port === 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    return listen(server, 0);
  }
  return (server.address() as AddressInfo).port;
}

export function jsonServer(service: Service): Server {
  return createServer((request, response) => void answer(service, request, response));
}
